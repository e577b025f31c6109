"""Where one number comes from, as values: equations of named terms that refer to each other, all frozen.

An Explanation is a tree whose branches may meet again, so it is kept flat: every equation once, the
number itself first, and a factor names the equation that explains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rnncli import addresses
from rnncli.errors import UsageError
from rnncli.result import TensorInfo


class Target(NamedTuple):
    """The number that is asked for: `last_cell_state`, (0, 1); no index is negative."""

    name: str
    indices: tuple[int, ...]

    @property
    def text(self) -> str:
        """`last_cell_state[0, 1]`."""
        return f"{self.name}{list(self.indices)}"


class Place(NamedTuple):
    """Where a number stands.

    direction: forward or backward, "" outside of a loop over time.  timestep: the input's own index, and
    step: which one it is in the order of processing; None where there is no time.
    """

    layer: int
    direction: str
    timestep: int | None
    step: int | None
    batch: int
    unit: int


@dataclass(frozen=True)
class Factor:
    """A number in a term.  name: `forget`, `feature 0`, `kernel[0, 3]`.

    explained: the `key` of the equation that says where it comes from; "" where none does.
    """

    name: str
    value: float
    explained: str = ""


@dataclass(frozen=True)
class Term:
    """Factors, and their product in float64."""

    value: float
    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class Others:
    """The smaller terms that are not listed, added up."""

    count: int
    value: float


@dataclass(frozen=True)
class Note:
    """Why a number was not computed at its step.

    kind: `held` (the number of `timestep`), `start` (nothing was computed before; the start state),
    `silent` (nothing was put out before), `zeroed` or `masked` (zero because the mask says so).
    """

    kind: str
    timestep: int | None = None


@dataclass(frozen=True)
class Equation:
    """value = function(total), and total = the terms + others + remainder.

    key: unique, `forward/forget[t=3, 0, 1]`.  name: `forget`.  symbols: a text a term of the textbook.
    value, total: the layer's own numbers; without a function they are the same.
    terms: the largest first where a term of the textbook is spread out.
    remainder, rounding: by how much the layer's own sum, and its function, differ from float64's.
    """

    key: str
    name: str
    place: Place
    value: float
    total: float
    function: str = ""
    symbols: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    others: Others | None = None
    remainder: float = 0.0
    rounding: float = 0.0
    note: Note | None = None


@dataclass(frozen=True)
class Explanation:
    """equals: entries that are the same number, `hidden_states[0, 3, 1]`.  equations: its own first."""

    target: Target
    value: float
    dtype: str
    equals: tuple[str, ...]
    equations: tuple[Equation, ...]


def target(text: str, infos: Sequence[TensorInfo]) -> Target:
    """What `last_cell_state[0,1]` names among `infos`.  Raises UsageError where that is not one number."""
    info, parts = addresses.named(text, infos)
    return Target(info.name, _index(text, parts, info))


def _index(text: str, parts: Sequence[str], info: TensorInfo) -> tuple[int, ...]:
    shape = tuple(size for size in info.shape if isinstance(size, int))
    example = f"Give one index per axis, such as '{addresses.last_of(info)}'."
    if any(":" in part or "..." in part for part in parts):
        raise UsageError(f"{text}: a slice selects many numbers; explain takes one at a time.", example)
    try:
        index = tuple(map(addresses.number, parts))
    except ValueError:
        raise UsageError(f"{text}: an index must be a whole number.", example) from None
    axes = f"{info.name} is {shape}, ({', '.join(info.axes)})"
    if len(parts) != len(shape):
        raise UsageError(f"{text}: {len(parts)} indices given, but {axes}.", example)
    for one, size, axis in zip(index, shape, info.axes, strict=True):
        if not -size <= one < size:
            raise UsageError(f"{text}: index {one} is out of range for {axis}: {axes}.", example)
    return tuple(one % size for one, size in zip(index, shape, strict=True))
