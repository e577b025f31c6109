"""Recognize rnncli's own output for people, which no reader can parse."""

from __future__ import annotations

import re

from rnncli.errors import Message

ADVICE = Message("Only what `rnncli run --format json` printed can be read back.")

_COLOUR = r"\x1b\[[\d;]*m"
_INPUT = r"(input|입력) \([\w, ]*\) b?float\d+\b"
"""How the second line of a page begins."""
_NUMBER = r"\w+\[\d[\d, ]*\] = \S"
"""How a page of explain begins."""
_MARKUP = r"(?sm)<!DOCTYPE html>.*^:root \{ color-scheme: light dark; -{2}ink|<svg [^>]*rich-terminal"
"""How HTML and SVG begin.  `-{2}ink` is a variable of CSS; with two hyphens it would read as a flag."""
_COLUMNS = ({"name", "unit", "value"}, {"quantity", "unit", "value"}, {"kind", "name", "shape", "parameters"})
"""Columns of the CSV of results, of traces and of shapes."""


def is_printed(text: str) -> bool:
    """Return whether a text begins as rnncli's own pages, tables, CSV, HTML or SVG do."""
    text = re.sub(_COLOUR, "", text[:10_000])
    lines = [line for line in text.splitlines() if line.strip()][:2]
    header = set(lines[0].split(",")) if lines else set()
    return (
        any(columns <= header for columns in _COLUMNS)
        or any(re.match(_NUMBER, line) for line in lines[:1])
        or any(re.match(_INPUT, line) for line in lines[1:])
        or re.match(_MARKUP, text) is not None
    )
