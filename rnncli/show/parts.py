"""Parts shared by several answers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, NoReturn, Protocol

from rnncli import __version__
from rnncli.case import Shape, Spec, format_shape
from rnncli.errors import UsageError
from rnncli.result import SCHEMA, ChunkedTensor, Claim, Label, NamedTensor, Result
from rnncli.show.page import (
    TEXT_BLOCK,
    Column,
    Line,
    Span,
    TableCell,
    View,
    line,
    marks,
    state_part,
)
from rnncli.show.wording import meaning, say
from rnncli.specs import configs_of, expression_of, expressions_of

SINGULAR = {"timesteps": "timestep", "units": "unit", "rows": "row", "cols": "col", "channels": "channel"}


class ResultHeader(Protocol):
    """What every computed answer contains about its case; see Result."""

    @property
    def engine(self) -> str: ...

    @property
    def seed(self) -> int | None: ...

    @property
    def specs(self) -> tuple[Spec, ...]: ...

    @property
    def input_shape(self) -> tuple[int, ...]: ...

    @property
    def input_dtype(self) -> str: ...

    @property
    def conditions(self) -> Mapping[str, int]: ...

    @property
    def hold(self) -> tuple[str, ...]: ...


def head() -> dict[str, Any]:
    """Return the first entries of every document."""
    return {"schema": SCHEMA, "version": __version__}


def head_of(result: ResultHeader) -> dict[str, Any]:
    """Return the first entries of the document of a computed result."""
    return {
        **head(),
        "engine": result.engine,
        "seed": result.seed,
        "expression": expression_of(result.specs),
        "layer": configs_of(result.specs),
        "input": {"shape": list(result.input_shape), "dtype": result.input_dtype},
        **({"conditions": dict(result.conditions)} if result.conditions else {}),
        **({"hold": list(result.hold)} if result.hold else {}),
    }


def short_head_of(result: ResultHeader, line: int) -> dict[str, Any]:
    """Return a shorter head for one line of a stream, without the layers.  line: counted from 1."""
    return {
        "schema": SCHEMA,
        "line": line,
        "engine": result.engine,
        "seed": result.seed,
        "expression": expression_of(result.specs),
        **({"conditions": dict(result.conditions)} if result.conditions else {}),
    }


def title(specs: tuple[Spec, ...], view: View) -> Line:
    """Return `LSTM(3, return_sequences=True)`; for a stack, first to last."""
    return line(marks(view).arrow.join(expressions_of(specs)), "strong")


def note(pieces: Iterable[str], view: View) -> Line:
    """Return remarks on one line."""
    return line(marks(view).dot.join(pieces), "dim")


def input_text(shape: Shape, dtype: str, view: View) -> str:
    """Return `input (1, 4, 5) float32`."""
    return f"{say('input', view.lang)} {format_shape(shape)} {dtype}"


def note_of(result: ResultHeader, view: View, line: int | None = None) -> Line:
    """Return `input (1, 4, 5) float32 · seed 42 · engine numpy`, and options such as `training`.

    line: of a stream, shown first.
    """
    pieces = [] if line is None else [f"{say('line', view.lang)} {line}"]
    pieces += [input_text(result.input_shape, result.input_dtype, view)]
    if result.seed is not None:
        pieces.append(f"{say('seed', view.lang)} {result.seed}")
    pieces.append(f"{say('engine', view.lang)} {result.engine}")
    for name, value in result.conditions.items():
        pieces.append(say(f"with {name}", view.lang).format(value))
    if result.hold:
        pieces.append(say("with hold", view.lang).format(", ".join(result.hold)))
    return note(pieces, view)


def tensor_document(tensor: NamedTensor, lang: str) -> dict[str, Any]:
    """Return a returned tensor with its values."""
    equals = {"equals": list(map(str, tensor.equals))}
    return {**tensor_head(tensor, lang), **equals, "values": tensor.values}


def tensor_head(tensor: NamedTensor | ChunkedTensor, lang: str) -> dict[str, Any]:
    """Return what is known of a returned tensor before its values."""
    return {
        "name": tensor.name,
        "axes": list(tensor.axes),
        **({"time": list(tensor.time)} if tensor.time else {}),
        "shape": list(tensor.values.shape),
        "dtype": str(tensor.values.dtype),
        "meaning": meaning(tensor.label, lang),
    }


def records_header(columns: Iterable[str]) -> tuple[str, ...]:
    """Return `name, batch, timestep, unit, value`: axis names in the plural become singular."""
    return ("name", *(SINGULAR.get(axis, axis) for axis in columns), "value")


def axes_of(tensors: Iterable[NamedTensor | ChunkedTensor]) -> tuple[str, ...]:
    """Return batch, timesteps, units, and any other axes in place of units."""
    found = dict.fromkeys(axis for tensor in tensors for axis in tensor.axes)
    others = [axis for axis in found if axis not in ("batch", "timesteps")]
    return ("batch", "timesteps", *(others or ["units"]))


def rows_of(
    tensor: NamedTensor | ChunkedTensor, columns: Sequence[str], view: View
) -> Iterator[tuple[Any, ...]]:
    """Yield one row per number: its indices and its value, in digits that round-trip."""
    import numpy as np

    from rnncli import arrays
    from rnncli.show.numerals import format_exactly

    start = 0
    for block in arrays.blocks(tensor.values, TEXT_BLOCK):
        shape = tensor.values.shape
        places = np.unravel_index(np.arange(start, start + block.size), shape) if shape else ()
        by_axis = dict(zip(tensor.axes, places, strict=True))
        if tensor.time:
            by_axis["timesteps"] = np.asarray(tensor.time)[by_axis["timesteps"]]
        indices: list[Iterable[Any]] = [
            by_axis[axis].tolist() if axis in by_axis else repeat("") for axis in columns
        ]
        yield from zip(repeat(tensor.name), *indices, format_exactly(block, view.precision), strict=False)
        start += block.size


def refuse_tensors(command: str) -> NoReturn:
    """Raise the UsageError of a command that computes nothing."""
    raise UsageError(
        "{command} returns no tensors to store.",
        "Use {--format json}, or store the tensors of run.",
        command=command,
    )


def headings(keys: Iterable[str], view: View, right: Container[str] = ()) -> tuple[Column, ...]:
    """Return columns with these headings.  right: the keys of those that are right-aligned."""
    return tuple(Column(say(key, view.lang), right=key in right) for key in keys)


def name_line(label: Label) -> Line:
    """Return the name in the color of its part of the state."""
    return line(str(label), f"strong {state_part(label)}".strip())


def name_cell(label: Label) -> TableCell:
    """Return the same as the only line of a cell."""
    return (name_line(label),)


def claim_lines(claims: Iterable[Claim]) -> tuple[Line, ...]:
    """Return `= hidden_states[:, -1, :]`, in the color of the tensor it equals."""
    return tuple((Span("= ", "dim"), Span(str(claim), state_part(claim.label))) for claim in claims)


def difference_text(result: Result, lang: str) -> str:
    """Return `largest difference from TensorFlow`, or from the run without --hold."""
    key = "without hold" if result.hold else "assumed difference" if result.assumed else "difference"
    return say(key, lang).format(result.reference)


def differences_document(result: Result) -> dict[str, Any]:
    """Return what --check found, and what it assumed; {} without --check."""
    if not result.differences:
        return {}
    assumed = {"assumed": result.assumed} if result.assumed else {}
    return {"differences": dict(result.differences), **assumed}


def format_difference(number: float) -> str:
    """Format a difference: `3.0e-08`, or `0`."""
    return f"{number:.1e}" if number else "0"
