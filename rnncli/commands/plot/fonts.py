"""Choose as few installed fonts as have every character of a Sheet."""

from __future__ import annotations

import logging
from collections.abc import Container
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from rnncli.commands.plot.labels import labels_of
from rnncli.commands.plot.layout import shown_name
from rnncli.commands.plot.sheet import Panel, Sheet
from rnncli.errors import EngineError

DEFAULT = "DejaVu Sans"
"""Comes with matplotlib; covers Latin and more."""
BEYOND_LATIN = ("Noto Sans CJK KR", "Noto Sans CJK JP", "Malgun Gothic", "Apple SD Gothic Neo", "NanumGothic")
"""Fonts to try first for characters that the default lacks."""
BOXES = "Last Resort"
"""Fonts that show every character as a box."""


class FontChoice(NamedTuple):
    """Names of fonts, first to last, and the characters that no installed font has."""

    names: list[str]
    missing: frozenset[str]


def choose_fonts(sheet: Sheet) -> FontChoice:
    """Return the fonts for all texts of a sheet."""
    return find_fonts(_beyond_ascii(*labels_of(sheet), *_names(sheet)))


def undrawable(sheet: Sheet) -> list[str]:
    """Return the characters of names that no installed font has; see `replace_names`."""
    return sorted(find_fonts(_beyond_ascii(*_names(sheet))).missing)


def draws_labels(sheet: Sheet) -> bool:
    """Return whether the installed fonts have every character of the labels."""
    return not find_fonts(_beyond_ascii(*labels_of(sheet))).missing


def replace_names(sheet: Sheet, missing: frozenset[str]) -> Sheet:
    """Return the sheet with `feature 0` for names that cannot be drawn."""

    def panel(one: Panel) -> Panel:
        names = tuple(
            f"{one.axis} {place}" if missing & set(name) else name for place, name in enumerate(one.names)
        )
        return replace(one, names=names)

    rows = tuple(replace(row, panels=tuple(map(panel, row.panels))) for row in sheet.rows)
    return replace(sheet, rows=rows)


def _names(sheet: Sheet) -> list[str]:
    return [shown_name(name) for row in sheet.rows for panel in row.panels for name in panel.names]


def _beyond_ascii(*texts: str) -> frozenset[str]:
    return frozenset(char for text in texts for char in text if not char.isascii())


def load_matplotlib() -> Any:
    """Return matplotlib.  Raises EngineError if it is not installed."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib
    except ImportError:
        raise EngineError(
            "plot needs matplotlib, which is not installed.", "pip install matplotlib"
        ) from None
    return matplotlib


@cache
def find_fonts(characters: frozenset[str]) -> FontChoice:
    """Return as few fonts as cover these characters."""
    fonts, missing = [DEFAULT], characters
    if not missing:
        return FontChoice(fonts, missing)
    load_matplotlib()
    from matplotlib import font_manager

    listed = reversed(font_manager.fontManager.ttflist)
    by_name = {entry.name: entry.fname for entry in listed if not entry.name.startswith(BOXES)}
    first = [name for name in (DEFAULT, *BEYOND_LATIN) if name in by_name]
    for name in dict.fromkeys((*first, *sorted(by_name))):
        drawn = {char for char in missing if ord(char) in _glyphs(by_name[name])}
        if drawn:
            missing -= drawn
            fonts += [] if name in fonts else [name]
        if not missing:
            break
    return FontChoice(fonts, missing)


def _glyphs(path: str) -> Container[int]:
    from matplotlib.font_manager import get_font

    try:
        charmap: Container[int] = get_font(path).get_charmap()
    except (OSError, RuntimeError):  # the font was removed since matplotlib listed it, or is broken
        return ()
    return charmap
