"""Right answers to exercises, and whether a typed answer is one: `(1, 3)`, `1,3` and `[1, 3]` are alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

_INDEX = re.compile(r"\[\s*:\s*,\s*([+-]?\d+)")
_NUMBER = re.compile(r"(?<![\w.])[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_GROUPS = re.compile(r"(?<=\d)[,_ '](?=\d{3}(?!\d))")


class Key(Protocol):
    """The right answer of an exercise."""

    def accepts(self, text: str) -> bool:
        """Return whether `text` says the right answer."""
        ...


@dataclass(frozen=True)
class Sizes:
    """A shape: its sizes in order, with or without brackets."""

    sizes: tuple[int, ...]

    def accepts(self, text: str) -> bool:
        """See Key."""
        return numbers(text.replace("x", " ")) == list(self.sizes)


@dataclass(frozen=True)
class Rows:
    """Indices on the time axis, in any order; -1 is the last.  count: number of time steps."""

    indices: frozenset[int]
    count: int

    def accepts(self, text: str) -> bool:
        """See Key.  `t=2`, `row 2` and `hidden_states[:, 2, :]` are the same row."""
        found = _INDEX.findall(text) or numbers(text)
        places = [float(one) for one in found]
        inside = all(place.is_integer() and -self.count <= place < self.count for place in places)
        return inside and {int(place) % self.count for place in places} == self.indices


@dataclass(frozen=True)
class Count:
    """One whole number; thousands may be separated."""

    number: int

    def accepts(self, text: str) -> bool:
        """See Key."""
        return numbers(_GROUPS.sub("", text)) == [self.number]


@dataclass(frozen=True)
class Decimal:
    """One number, right within a distance."""

    number: float
    within: float

    def accepts(self, text: str) -> bool:
        """See Key."""
        found = numbers(text)
        return len(found) == 1 and abs(found[0] - self.number) <= self.within


@dataclass(frozen=True)
class Letters:
    """Letters that name tensors or runs, in order."""

    letters: str

    def accepts(self, text: str) -> bool:
        """See Key.  `B, A`, `[B, A]` and `ba` are the same."""
        return "".join(re.findall(r"\w", text)).casefold() == self.letters.casefold()


def numbers(text: str) -> list[float]:
    """Return every number in `text`; `t=2` holds 2."""
    return [float(found) for found in _NUMBER.findall(text)]
