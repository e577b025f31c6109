"""What the keys and the command palette do: actions of the app."""

from __future__ import annotations

from rnncli.commands.explore.views import VIEWS

KEYS = {
    "q": "quit",
    "1": "view('results')",
    "2": "view('input')",
    "3": "view('weights')",
    "4": "view('gates')",
    "left_square_bracket": "step(-1)",
    "right_square_bracket": "step(1)",
    "b": "sequence(1)",
    "B": "sequence(-1)",
    "m": "mask",
    "h": "hold",
    "H": "release",
    "d": "difference",
    "e": "terms",
    "u": "undo(-1)",
    "U": "undo(1)",
    "s": "save",
    "c": "copy(False)",
    "k": "copy(True)",
    "question_mark": "help",
}
"""The action of each key."""

PALETTE = {
    **{view: f"view('{view}')" for view in VIEWS},
    "hold gate": "hold",
    "release": "release",
    "differences": "difference",
    "mask step": "mask",
    "terms": "terms",
    "undo": "undo(-1)",
    "redo": "undo(1)",
    "save": "save",
    "copy": "copy(False)",
    "copy expression": "copy(True)",
    "theme": "change_theme",
    "help page": "help",
    "quit": "quit",
}
"""The action of each entry of the command palette, by the key of its text."""
