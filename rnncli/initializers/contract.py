"""What a family of initializers says about itself; no numpy here, so that parsing stays quick."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rnncli.case import Array

Check = Callable[[Any], str]
"""Gives the reason why a value is refused, or nothing."""

DEEPEST = 8
"""No weight has as many axes as this."""

_LARGEST = 3.4028234663852886e38


class Option(NamedTuple):
    """One argument of a constructor, in the order of Keras's signature."""

    name: str
    default: Any
    check: Check


class Initializer(NamedTuple):
    """One initializer.

    fill: (config with every option, shape, dtype, seed) -> array.  The seed is 0 where none is taken.
    options: in the order of Keras's signature; a random one has `seed` among them.
    aliases: names besides the class name, which is understood in any case, with underscores or without.
    needed: the option without which Keras refuses the bare name.
    """

    class_name: str
    fill: Callable[[Mapping[str, Any], tuple[int, ...], str, int], Array]
    options: tuple[Option, ...] = ()
    aliases: tuple[str, ...] = ()
    needed: str = ""

    @property
    def takes_seed(self) -> bool:
        """Whether it draws random numbers."""
        return any(option.name == "seed" for option in self.options)


def number(value: Any) -> str:
    """A finite float32, or an integer of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "has to be a number"
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**63 else "has to fit into 64 bits"
    return "" if math.isfinite(value) and abs(value) <= _LARGEST else "has to be a finite float32"


def positive(value: Any) -> str:
    """A number above 0."""
    return number(value) or ("" if value > 0 else "has to be above 0")


def numbers(value: Any) -> str:
    """A number, or nested lists of numbers."""
    if not isinstance(value, (list, tuple)):
        return number(value)
    level = list(value)
    for _ in range(DEEPEST):
        nested = [item for item in level if isinstance(item, (list, tuple))]
        if any(number(item) for item in level if not isinstance(item, (list, tuple))):
            return "has to be a number, or lists of numbers"
        if not nested:
            return ""
        level = [item for one in nested for item in one]
    return f"has to be a number, or lists of numbers at most {DEEPEST} deep"


def boolean(value: Any) -> str:
    """True or False."""
    return "" if isinstance(value, bool) else "has to be True or False"


def one_of(*choices: str | None, folded: bool = False) -> Check:
    """One of these words; with `folded` in any case."""

    listed = ", ".join(str(choice) for choice in choices)

    def check(value: Any) -> str:
        word = value.lower() if folded and isinstance(value, str) else value
        known = (word is None or isinstance(word, str)) and word in choices
        return "" if known else f"has to be one of {listed}"

    return check


def seed(value: Any) -> str:
    """None, or an integer of 64 bits."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int):
        return "has to be an integer or None"
    return "" if -(2**63) <= value < 2**63 else "has to fit into 64 bits"


def axes(value: Any) -> str:
    """None, or a list of integers."""
    if value is None:
        return ""
    whole = isinstance(value, (list, tuple)) and all(type(item) is int for item in value)
    return "" if whole else "has to be a list of integers or None"


SEED = Option("seed", None, seed)
