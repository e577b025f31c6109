"""The lines above and below the panes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rnncli.case import format_shape
from rnncli.commands.explore.scene import Scene
from rnncli.commands.explore.texts import get_text
from rnncli.commands.explore.views import VIEWS
from rnncli.show.visible import visible
from rnncli.show.wording import say

COMMAND_LINES = 2


def title(scene: Scene, width: int) -> Text:
    """Return the first line: the views with their keys, the input, the sequence and, if it fits, the seed."""
    line, lang = Text(), scene.lang
    for number, name in enumerate(VIEWS, 1):
        line.append(f" {number} {get_text(name, lang)} ", "reverse" if name == scene.view else "dim")
    shape, seed = scene.experiment.case.inputs.shape, scene.experiment.case.seed
    line.append(f"  {say('input', lang)} {format_shape(shape)}")
    if shape[0] > 1:
        line.append(f" · {get_text('sequence', lang).format(scene.cursor.batch, shape[0] - 1)}")
    seeded = Text("" if seed is None else f" · {say('seed', lang)} {seed}")
    return line + seeded if line.cell_len + seeded.cell_len <= width else line


def command(words: str, width: int) -> Text:
    """Return the command, on two lines if it fits there; a longer one is cut to one line."""
    lines = Text(visible(words))
    fits = len(lines.wrap(Console(width=width), width)) <= COMMAND_LINES
    return lines if fits else one_line(words, width)


def message(words: str, lang: str) -> Text:
    """Return the last lines: a message, or the keys if there is none."""
    return Text(visible(words), "bold") if words else Text(get_text("keys", lang), "dim")


def one_line(words: str, width: int) -> Text:
    """Return one line, cut with an ellipsis if it is longer than `width`."""
    line = Text(visible(words))
    line.truncate(width, overflow="ellipsis")
    return line
