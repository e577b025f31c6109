"""What several answers say alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rnncli import __version__
from rnncli.case import Shape, Spec
from rnncli.page import Cell, Line, Span, View, cell, idea, line, marks, shape_text
from rnncli.wording import brief, meaning, say

if TYPE_CHECKING:
    from rnncli.result import NamedTensor, Result

SCHEMA = "rnncli/1"


def head() -> dict[str, Any]:
    """How every document begins."""
    return {"schema": SCHEMA, "version": __version__}


def head_of(result: Result) -> dict[str, Any]:
    """How a document begins that something was computed for."""
    return {
        **head(),
        "engine": result.engine,
        "seed": result.seed,
        "layer": configs(result.layers),
        "input": {"shape": list(result.input_shape), "dtype": result.input_dtype},
    }


def configs(layers: Iterable[Spec]) -> list[dict[str, Any]]:
    """The layers as Keras itself writes them."""
    from rnncli.specs import to_config

    return [to_config(spec) for spec in layers]


def title(layers: Sequence[Spec], view: View) -> Line:
    """`LSTM(3, return_sequences=True)`; a stack from first to last."""
    from rnncli.specs import describe

    return line(marks(view).arrow.join(describe(spec) for spec in layers), "strong")


def note(pieces: Iterable[str], view: View) -> Line:
    """Remarks on one line."""
    return line(marks(view).dot.join(pieces), "dim")


def input_text(shape: Shape, dtype: str, view: View) -> str:
    """`input (1, 4, 5) float32`."""
    return f"{say('input', view.lang)} {shape_text(shape)} {dtype}"


def note_of(result: Result, view: View) -> Line:
    """`input (1, 4, 5) float32 · seed 42 · engine numpy`."""
    pieces = [input_text(result.input_shape, result.input_dtype, view)]
    if result.seed is not None:
        pieces.append(f"{say('seed', view.lang)} {result.seed}")
    pieces.append(f"{say('engine', view.lang)} {result.engine}")
    return note(pieces, view)


def tensor_document(tensor: NamedTensor, lang: str) -> dict[str, Any]:
    """A returned tensor with its values."""
    return {
        "name": tensor.name,
        "axes": list(tensor.axes),
        "shape": list(tensor.values.shape),
        "dtype": str(tensor.values.dtype),
        "meaning": meaning(tensor.name, lang),
        "equals": list(tensor.equals),
        "values": tensor.values,
    }


def name_cell(name: str, view: View) -> Cell:
    """The name in the colour of its idea, and under it what it is."""
    under = brief(name, view.lang)
    below = (line(under, "dim"),) if under else ()
    return (*cell(name, f"strong {idea(name)}".strip()), *below)


def claim_lines(claims: Iterable[str]) -> tuple[Line, ...]:
    """`= hidden_states[:, -1, :]`, in the colour of what it is equal to."""
    return tuple((Span("= ", "dim"), Span(claim, idea(claim.partition("[")[0]))) for claim in claims)
