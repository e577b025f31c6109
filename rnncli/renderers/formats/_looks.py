"""What the styles of a page look like in a terminal, and how wide that is."""

from __future__ import annotations

from typing import IO

from rich.console import Console

from rnncli.renderers.page import View

ENDLESS = 1_000_000
NARROWEST = 30
"""Below this, lines stay this wide: half a number would be worse than a line too long."""
BETWEEN = "  "
INDENT = "  "

RISE = (103, 67, 73, 72, 107, 143, 179, 214)
"""Of 256 colours, from cold to warm; each to be read on dark and on light."""
POLES = (33, 68, 67, 103, 138, 173, 167, 203)
"""Likewise, blue below zero and red above it, the paler the nearer."""

LOOKS = {
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
    """A console that asks nothing of the environment."""
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
    """How many columns there are to draw in."""
    return ENDLESS if view.width is None else max(view.width, NARROWEST)
