"""How page styles look in a terminal, and the width available."""

from __future__ import annotations

from typing import IO

from rich.console import Console

from rnncli.show.page import View
from rnncli.show.width import ENDLESS

NARROWEST = 30
"""Minimum line width; in a narrower terminal, long lines are better than cut numbers."""
COLUMN_GAP = "  "
INDENT = "  "

RISE = (103, 67, 73, 72, 107, 143, 179, 214)
"""From the 256 colors, cold to warm; readable on dark and on light backgrounds."""
POLES = (33, 68, 67, 103, 138, 173, 167, 203)
"""Same, blue below zero and red above; paler near zero."""

STYLES = {
    "strong": "bold",
    "dim": "dim",
    "heading": "dim",
    "alarm": "red",
    "hidden": "cyan",
    "cell": "magenta",
    "number": "",
    **{f"same{number}": color for number, color in enumerate(("cyan", "magenta", "yellow", "green"))},
    **{f"rise{level}": f"color({color})" for level, color in enumerate(RISE)},
    **{f"pole{level}": f"color({color})" for level, color in enumerate(POLES)},
}


def console(file: IO[str], view: View, record: bool = False) -> Console:
    """Create a console that ignores the environment."""
    return Console(
        file=file,
        width=columns(view),
        color_system="256" if view.color else None,
        force_terminal=view.color,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        record=record,
        _environ={},
    )


def columns(view: View) -> int:
    """Return the number of columns available."""
    return ENDLESS if view.width is None else max(view.width, NARROWEST)
