"""The terminal columns that a text takes."""

from __future__ import annotations

from collections.abc import Iterable

ENDLESS = 1_000_000
"""The width of a line of any length."""


def width_of(text: str) -> int:
    """Return the terminal columns that `text` takes; a wide character takes two."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def longest(texts: Iterable[str]) -> int:
    """Return the width of the widest of `texts`; 0 if there are none."""
    return max(map(width_of, texts), default=0)
