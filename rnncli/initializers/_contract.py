"""The types that describe an initializer.  Does not import NumPy, so that parsing stays fast."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnncli.case import Array

Check = Callable[[Any], str]
"""Returns why a value is invalid, or "" if it is valid."""

DEEPEST = 8
"""Maximum nesting depth of lists; every weight has fewer axes."""

_LARGEST = 3.4028234663852886e38


class Option(NamedTuple):
    """One argument of an initializer's constructor."""

    name: str
    default: Any
    check: Check


class Initializer(NamedTuple):
    """One initializer.

    fill: (config with every option, shape, dtype, seed) -> array.  seed is 0 if the initializer needs none.
    options: in the order of Keras's signature; random initializers have a `seed` option.
    aliases: names in addition to the class name.  Case and underscores don't matter in any of them.
    needed: an option that Keras requires, so that the bare name is not enough.
    """

    class_name: str
    fill: Callable[[Mapping[str, Any], tuple[int, ...], str, int], Array]
    options: tuple[Option, ...] = ()
    aliases: tuple[str, ...] = ()
    needed: str = ""

    @property
    def takes_seed(self) -> bool:
        """Whether the initializer draws random numbers."""
        return any(option.name == "seed" for option in self.options)


def number(value: Any) -> str:
    """Check for a finite float32 or a 64-bit integer."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "has to be a number"
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**63 else "has to fit into 64 bits"
    return "" if math.isfinite(value) and abs(value) <= _LARGEST else "has to be a finite float32"


def positive(value: Any) -> str:
    """Check for a number above 0."""
    return number(value) or ("" if value > 0 else "has to be above 0")


def numbers(value: Any) -> str:
    """Check for a number or nested lists of numbers."""
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
    """Check for True or False."""
    return "" if isinstance(value, bool) else "has to be True or False"


def one_of(*choices: str | None, folded: bool = False) -> Check:
    """A check for one of `choices`; folded: ignore case."""

    listed = ", ".join(str(choice) for choice in choices)

    def check(value: Any) -> str:
        word = value.lower() if folded and isinstance(value, str) else value
        known = (word is None or isinstance(word, str)) and word in choices
        return "" if known else f"has to be one of {listed}"

    return check


def seed(value: Any) -> str:
    """Check for None or a 64-bit integer."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int):
        return "has to be an integer or None"
    return "" if -(2**63) <= value < 2**63 else "has to fit into 64 bits"


def axes(value: Any) -> str:
    """Check for None or a list of integers."""
    if value is None:
        return ""
    whole = isinstance(value, (list, tuple)) and all(type(item) is int for item in value)
    return "" if whole else "has to be a list of integers or None"


SEED = Option("seed", None, seed)
