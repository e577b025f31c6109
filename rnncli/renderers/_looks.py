"""What the styles of a page look like in a terminal, and how wide that is."""

from __future__ import annotations

from typing import IO

from rich.console import Console

from rnncli.page import View

ENDLESS = 1_000_000
NARROWEST = 30
"""Below this, lines stay this wide: half a number would be worse than a line too long."""
BETWEEN = "  "
INDENT = "  "

LOOKS = {
    "strong": "bold",
    "dim": "dim",
    "heading": "dim",
    "alarm": "red",
    "hidden": "cyan",
    "cell": "magenta",
}


def console(file: IO[str], view: View, record: bool = False) -> Console:
    """A console that asks nothing of the environment."""
    return Console(
        file=file,
        width=columns(view),
        color_system="standard" if view.color else None,
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
