"""What several answers say alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn

from rnncli.case import Shape, Spec
from rnncli.errors import UsageError
from rnncli.page import Cell, Line, Span, View, Written, cell, idea, line, marks, shape_text
from rnncli.version import __version__
from rnncli.wording import meaning, say

if TYPE_CHECKING:
    from rnncli.gradients import Gradients
    from rnncli.result import NamedTensor, Result
    from rnncli.unfolding import GrowingTensor

SCHEMA = "rnncli/1"

SINGULAR = {"timesteps": "timestep", "units": "unit", "rows": "row", "cols": "col", "channels": "channel"}


def head() -> dict[str, Any]:
    """How every document begins."""
    return {"schema": SCHEMA, "version": __version__}


def head_of(result: Result | Gradients) -> dict[str, Any]:
    """How a document begins that something was computed for."""
    return {
        **head(),
        "engine": result.engine,
        "seed": result.seed,
        "expression": expression(result.layers),
        "layer": configs(result.layers),
        "input": {"shape": list(result.input_shape), "dtype": result.input_dtype},
        **({"conditions": dict(result.conditions)} if result.conditions else {}),
    }


def short_head_of(result: Result, line: int) -> dict[str, Any]:
    """The same of a line of a stream, of which all have the same layers.  line: counted from 1."""
    return {
        "schema": SCHEMA,
        "line": line,
        "engine": result.engine,
        "seed": result.seed,
        "expression": expression(result.layers),
        **({"conditions": dict(result.conditions)} if result.conditions else {}),
    }


class _Same:
    """Layers, of which only themselves are the same; specs cannot be hashed."""

    def __init__(self, layers: Sequence[Spec]) -> None:
        self.layers = layers

    def __hash__(self) -> int:
        return id(self.layers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.layers is other.layers


def configs(layers: Sequence[Spec]) -> list[dict[str, Any]]:
    """The layers as Keras itself writes them."""
    return _configs(_Same(layers))


@lru_cache(maxsize=4)  # every record of a stream asks for the same ones
def _configs(same: _Same) -> list[dict[str, Any]]:
    from rnncli.specs import to_config

    return Written(to_config(spec) for spec in same.layers)


def expression(layers: Sequence[Spec]) -> str | list[str]:
    """`LSTM(3)`; of a stack a list of them.  A case document takes either as its layer."""
    return _expression(_Same(layers))


@lru_cache(maxsize=4)
def _expression(same: _Same) -> str | list[str]:
    from rnncli.specs import describe

    written = Written(describe(spec) for spec in same.layers)
    return written if len(written) > 1 else str(written[0])


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


def note_of(result: Result | Gradients, view: View, line: int | None = None) -> Line:
    """`input (1, 4, 5) float32 · seed 42 · engine numpy`, and what else was asked for: `training`.

    line: of a stream, said first.
    """
    pieces = [] if line is None else [f"{say('line', view.lang)} {line}"]
    pieces += [input_text(result.input_shape, result.input_dtype, view)]
    if result.seed is not None:
        pieces.append(f"{say('seed', view.lang)} {result.seed}")
    pieces.append(f"{say('engine', view.lang)} {result.engine}")
    for name, value in result.conditions.items():
        pieces.append(say(f"with {name}", view.lang).format(value))
    return note(pieces, view)


def tensor_document(tensor: NamedTensor, lang: str) -> dict[str, Any]:
    """A returned tensor with its values."""
    equals = {"equals": list(tensor.equals)}
    return {**tensor_head(tensor, lang), **equals, "values": tensor.values}


def tensor_head(tensor: NamedTensor | GrowingTensor, lang: str) -> dict[str, Any]:
    """What is known of a returned tensor before its values."""
    return {
        "name": tensor.name,
        "axes": list(tensor.axes),
        **({"time": list(tensor.time)} if tensor.time else {}),
        "shape": list(tensor.values.shape),
        "dtype": str(tensor.values.dtype),
        "meaning": meaning(tensor.name, lang),
    }


def records_header(columns: Iterable[str]) -> tuple[str, ...]:
    """`name, batch, timestep, unit, value`: an axis of many is an index of one."""
    return ("name", *(SINGULAR.get(axis, axis) for axis in columns), "value")


def axes_of(tensors: Iterable[NamedTensor | GrowingTensor]) -> tuple[str, ...]:
    """batch, timesteps, units, and instead of units whatever else there is."""
    found = dict.fromkeys(axis for tensor in tensors for axis in tensor.axes)
    others = [axis for axis in found if axis not in ("batch", "timesteps")]
    return ("batch", "timesteps", *(others or ["units"]))


def rows_of(
    tensor: NamedTensor | GrowingTensor, columns: Sequence[str], view: View
) -> Iterator[tuple[Any, ...]]:
    """One number a row: where it stands, and what it is, in the digits that read back the same."""
    import numpy as np

    from rnncli import mapped
    from rnncli.numerals import exact

    start = 0
    for block in mapped.blocks(tensor.values, 2**16):
        places = np.unravel_index(np.arange(start, start + block.size), tensor.values.shape)
        by_axis = dict(zip(tensor.axes, places, strict=True))
        if tensor.time:
            by_axis["timesteps"] = np.asarray(tensor.time)[by_axis["timesteps"]]
        indices: list[Iterable[Any]] = [
            by_axis[axis].tolist() if axis in by_axis else repeat("") for axis in columns
        ]
        yield from zip(repeat(tensor.name), *indices, exact(block, view.precision), strict=False)
        start += block.size


def no_tensors(command: str) -> NoReturn:
    """The error of a command that computes nothing."""
    raise UsageError(f"{command} has no tensors to store.", "Use --format json, or store the tensors of run.")


def name_cell(name: str) -> Cell:
    """The name in the colour of its idea."""
    return cell(name, f"strong {idea(name)}".strip())


def claim_lines(claims: Iterable[str]) -> tuple[Line, ...]:
    """`= hidden_states[:, -1, :]`, in the colour of what it is equal to."""
    return tuple((Span("= ", "dim"), Span(claim, idea(claim.partition("[")[0]))) for claim in claims)


def small(number: float) -> str:
    """A difference: `3.0e-08`, or `0`."""
    return f"{number:.1e}" if number else "0"
