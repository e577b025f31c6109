"""An explanation of one number as frozen values: equations of named terms that refer to each other.

The equations form a graph, stored flat: each equation once, the requested number's first; a factor
names the equation that explains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

from rnncli import addresses
from rnncli.errors import Message, Text, UsageError, count
from rnncli.result import Claim, Label, TensorInfo
from rnncli.values import parse_number, sizes


class Target(NamedTuple):
    """The requested number: `last_cell_state`, (0, 1); no index is negative."""

    label: Label
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)

    @property
    def text(self) -> str:
        """Return `last_cell_state[0, 1]`."""
        return f"{self.name}{list(self.indices)}"


class NumberLocation(NamedTuple):
    """Location of a number.

    direction: forward or backward, "" outside a loop over time.  timestep: the input's index.
    step: its position in processing order; both None without a time axis.
    axes: of a cell whose axes have names, the index on each; None if the only axis is units.
    """

    layer: int
    direction: str
    timestep: int | None
    step: int | None
    batch: int
    unit: int
    axes: tuple[tuple[str, int], ...] | None = None


class Factor(NamedTuple):
    """A number in a term.  name: `forget`, `feature 0`, `kernel[0, 3]`.

    shown: the name as a message, if it can be translated.
    is_weight: whether it is an entry of a kernel.
    node: the number in the trace; None if it has no equation.
    further: whether the number is of the step before, or of the layer below.
    explained: the `key` of the equation that explains it; "" if there is none.
    """

    name: str
    value: float
    shown: Text = ""
    is_weight: bool = False
    node: Any = None
    further: bool = False
    explained: str = ""


MINUS = Factor("-1", -1.0)
"""The first factor of a term that is subtracted."""


class Term(NamedTuple):
    """Factors and their product in float64."""

    value: float
    factors: tuple[Factor, ...]

    @property
    def is_subtracted(self) -> bool:
        """Whether the term stands behind a minus."""
        return self.factors[0] == MINUS

    @property
    def named(self) -> tuple[Factor, ...]:
        """The factors, without MINUS."""
        return self.factors[1:] if self.is_subtracted else self.factors


@dataclass(frozen=True)
class OtherTerms:
    """Sum of the smaller terms that are not listed."""

    count: int
    value: float


class Note(NamedTuple):
    """What a masked step did instead of computing a number.

    kind: `held` (the number of `timestep`), `start` (the start state; nothing was computed yet),
    `silent` (no earlier output), `zeroed` or `masked` (zero because of the mask), `unused` (a gate).
    """

    kind: str
    timestep: int | None = None


class Equation(NamedTuple):
    """value = function(total), and total = terms + others + remainder.

    key: unique, `forward/forget[t=3, 0, 1]`.  name: `forget`, or a part of an equation, `tanh(cell)`.
    symbols: one text per textbook term.
    value, total: the layer's own numbers; equal if there is no function.
    terms: largest first if a textbook term is split into several.
    reads: the arguments of a function of several numbers, such as softmax, which reads all units.
    is_held: whether the value was set by --hold, not computed; there are no terms then.
    remainder, rounding: how far the layer's own sum, and its function value, differ from float64.
    """

    key: str
    name: str
    location: NumberLocation
    value: float
    total: float
    function: str = ""
    symbols: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    reads: tuple[Factor, ...] = ()
    others: OtherTerms | None = None
    remainder: float = 0.0
    rounding: float = 0.0
    note: Note | None = None
    is_held: bool = False

    @property
    def is_unused(self) -> bool:
        """Whether the number is of a gate at a masked step."""
        return self.note is not None and self.note.kind == "unused"

    @property
    def formula(self) -> str:
        """What is computed, in textbook notation: `sigmoid(x W + h U + b)`."""
        text = " + ".join(self.symbols).replace("+ -", "- ")
        return f"{self.function}({text})" if self.function else text

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors of all terms, and what the function reads."""
        return (*(factor for term in self.terms for factor in term.factors), *self.reads)


@dataclass(frozen=True)
class Explanation:
    """equals: entries with the same number.  equations: the number's own first.

    without_hold: the number in the run without --hold; None if no gate is held.
    """

    target: Target
    value: float
    dtype: str
    equals: tuple[Claim, ...]
    equations: tuple[Equation, ...]
    without_hold: float | None = None


def parse_target(text: str, infos: Sequence[TensorInfo], layer: str = "") -> Target:
    """Parse `last_cell_state[0,1]` against `infos`.  Raises UsageError if it does not name one number.

    layer: see addresses.find_tensor.
    """
    info, parts = addresses.find_tensor(text, infos, layer=layer)
    text, shape = layer + text, sizes(info.shape)
    address = addresses.last_address(info)
    example = Message("Give one index per axis, such as '{layer}{address}'.", layer=layer, address=address)
    if any(":" in part or "..." in part for part in parts):
        what = "{text}: a slice selects many numbers; explain takes one at a time."
        raise UsageError(what, example, text=text)
    try:
        index = tuple(map(parse_number, parts))
    except ValueError:
        raise UsageError("{text}: an index must be a whole number.", example, text=text) from None
    if len(parts) != len(shape):
        given = count(len(parts), "index", "indices") if parts else Message("no indices")
        what, axes = "{text}: {given} for {count} axes ({axes}).", ", ".join(info.axes)
        raise UsageError(what, example, text=text, given=given, count=len(shape), axes=axes)
    places = map(addresses.place_of, index, info.axes, shape, repeat(text))
    return Target(info.label, tuple(places))
