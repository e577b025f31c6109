"""Draw a Sheet in the terminal: half blocks, two rows per line; without color, one shade per cell."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import zip_longest
from typing import Any, Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.style import Style as RichStyle
from rich.text import Text

from rnncli.case import Array
from rnncli.cli.language import localize
from rnncli.commands.plot.palette import Style, mix
from rnncli.commands.plot.sheet import Panel, Scale, Sheet
from rnncli.errors import Message
from rnncli.show.page import View

Depth = Literal["truecolor", "256", "none"]
UPPER = "▀"
SHADES = " ░▒▓█"
ASCII_SHADES = " .:+#"
WIDEST_CELL = 4
UNBOUND = 100
BETWEEN = 3
MOST_ROWS = 32


def render(sheet: Sheet, style: Style, view: View, depth: Depth) -> str:
    """Draw the heat maps of a row side by side if they fit, then the meaning of the colors."""
    drawing = _TerminalDrawing(style, view, depth)
    width, margin = view.width or UNBOUND, _margin(sheet)
    title = sheet.title.replace("→", "->") if view.ascii else sheet.title
    lines = [Text(part, "bold") for part in textwrap.wrap(title, width)]
    lines += [Text(sheet.note, "dim")] if sheet.note else []
    for row in sheet.rows:
        prefix = f"{row.label}: " if row.label else ""
        blocks = [
            [Text(prefix + panel.title), *drawing.heat_map(panel, sheet.scale(panel), margin)]
            for panel in row.panels
        ]
        lines += _place_side_by_side(blocks, width)
    lines += [Text(), *drawing.legend(sheet)]
    return _render_lines(lines, depth)


def _place_side_by_side(blocks: Sequence[Sequence[Text]], width: int) -> Iterator[Text]:
    """Place blocks of lines side by side, as many as fit, with an empty line above."""
    rest = list(blocks)
    while rest:
        count, used = 0, 0
        while count < len(rest) and (not count or used + _width_of(rest[count]) <= width):
            used += _width_of(rest[count]) + BETWEEN
            count += 1
        yield Text()
        for parts in zip_longest(*rest[:count], fillvalue=Text()):
            line = Text()
            for part, block in zip(parts, rest[:count], strict=True):
                line.append_text(part)
                line.append(" " * (_width_of(block) + BETWEEN - part.cell_len))
            line.rstrip()
            yield line
        rest = rest[count:]


def _width_of(block: Sequence[Text]) -> int:
    return max(line.cell_len for line in block)


def _margin(sheet: Sheet) -> int:
    names = [name for row in sheet.rows for panel in row.panels for name in panel.names]
    counts = [str(len(panel.values) - 1) for row in sheet.rows for panel in row.panels]
    return min(max(map(cell_len, names + counts)), 16)


class _TerminalDrawing:
    """What the terminal supports."""

    def __init__(self, style: Style, view: View, depth: Depth) -> None:
        self.style, self.view, self.depth = style, view, depth
        self.shades = ASCII_SHADES if view.ascii else SHADES
        self.halves = depth != "none" and not view.ascii

    def heat_map(self, panel: Panel, scale: Scale, margin: int) -> Iterator[Text]:
        """Yield the rows of a heat map, and the time ticks below them."""
        steps, room = panel.values.shape[1], self.map_width(margin)
        together = -(-steps // room)
        width = min(max(room // steps, 1), WIDEST_CELL)
        masked = panel.masked_steps or (False,) * steps
        skipped = [all(masked[at : at + together]) for at in range(0, steps, together)]
        units_per_row = _units_per_row(panel)
        values = _means(panel.values.astype("float64"), together)
        values = _means(values.T, units_per_row).T
        for first in range(0, len(values), 2 if self.halves else 1):
            name = panel.names[first * units_per_row] if panel.names else str(first * units_per_row)
            name = set_cell_size(name, min(cell_len(name), margin))
            line = Text(" " * (margin - cell_len(name)) + f"{name} ")
            for column in range(values.shape[1]):
                pair = values[first : first + 2, column]
                line.append_text(self.cell(pair, scale, width, skipped[column]))
            yield line
        yield Text(" " * (margin + 1) + _time_axis(panel.times, together, width), "dim")

    def map_width(self, margin: int) -> int:
        """Return the columns available for a heat map."""
        return max((self.view.width or UNBOUND) - margin - 1, 8)

    def cell(self, pair: Array, scale: Scale, width: int, skipped: bool) -> Text:
        """Draw one or two rows at one step; a masked step is crossed out."""
        places = [_place(value, scale) for value in pair]
        if not self.halves:
            shade = "/" if skipped else self.shade(places[0])
            if self.depth == "none":
                return Text(shade * width)
            return Text(("/" if skipped else " ") * width, RichStyle(bgcolor=self.color(places[0], scale)))
        upper = self.color(places[0], scale)
        if len(places) == 1:
            return Text(("/" if skipped else UPPER) * width, RichStyle(color=upper))
        lower = self.color(places[1], scale)
        if skipped:
            return Text("/" * width, RichStyle(color=self.style.faint, bgcolor=upper))
        return Text(UPPER * width, RichStyle(color=upper, bgcolor=lower))

    def shade(self, place: float | None) -> str:
        """Return the shade of a value without color; ? for NaN."""
        if place is None:
            return "?"
        return self.shades[min(int(place * len(self.shades)), len(self.shades) - 1)]

    def color(self, place: float | None, scale: Scale) -> str:
        """Return the color of a value."""
        if place is None:
            return self.style.bad
        red, green, blue = mix(self.style.choose_ramp(scale), place)
        return f"#{red:02x}{green:02x}{blue:02x}"

    def legend(self, sheet: Sheet) -> Iterator[Text]:
        """Yield one line per scale, with its lowest and highest value."""
        longest = max(cell_len(scale.label) for scale in sheet.scales)
        steps = max(panel.values.shape[1] for row in sheet.rows for panel in row.panels)
        lang = self.view.lang
        length = min(20, max((self.view.width or UNBOUND) - longest - 18, 5))
        for scale in sheet.scales:
            line = Text(f"{set_cell_size(scale.label, longest)}  {scale.low:>6.3g} ")
            for step in range(length):
                place = step / (length - 1)
                if self.depth == "none":
                    line.append(self.shade(place))
                else:
                    line.append(" ", RichStyle(bgcolor=self.color(place, scale)))
            line.append(f" {scale.high:.3g}")
            yield line
        if sheet.masked:
            yield Text(f"{'////':<{longest}}  {sheet.masked}")
        if (together := -(-steps // self.map_width(_margin(sheet)))) > 1:
            yield Text(localize(Message("a column: the mean of {count} time steps", count=together), lang))
        if any(_units_per_row(panel) > 1 for row in sheet.rows for panel in row.panels):
            text = Message(
                "a row: the mean of several units, where there are more than {most_rows}", most_rows=MOST_ROWS
            )
            yield Text(localize(text, lang))


def _means(values: Array, together: int) -> Array:
    """Return the mean of every `together` columns."""
    import numpy as np

    if together == 1:
        return values
    starts = range(0, values.shape[1], together)
    return np.stack([values[:, at : at + together].mean(axis=1) for at in starts], axis=-1)


def _units_per_row(panel: Panel) -> int:
    """Return how many units share a row."""
    return -(-len(panel.values) // MOST_ROWS)


def _place(value: float, scale: Scale) -> float | None:
    """Return the position between the two ends of the colors; None for NaN."""
    if value != value:
        return None
    clipped = min(max(float(value), scale.low), scale.high)
    return (clipped - scale.low) / (scale.high - scale.low)


def _time_axis(times: Sequence[int], together: int, width: int) -> str:
    """Return the input's indices below their columns, as many as fit."""
    line = ""
    for column, place in enumerate(range(0, len(times), together)):
        start = column * width
        if not line or start >= len(line) + 3 or (len(times) <= 24 and start > len(line)):
            line = line.ljust(start) + str(times[place])
    return line


def _render_lines(lines: Sequence[Any], depth: Depth) -> str:
    held = StringIO()
    console = Console(
        file=held, width=1_000_000, color_system=None if depth == "none" else depth,
        force_terminal=depth != "none", legacy_windows=False, markup=False, emoji=False, highlight=False,
        _environ={},
    )  # fmt: skip
    for line in lines:
        console.print(line, soft_wrap=True)
    return "\n".join(line.rstrip() for line in held.getvalue().splitlines()) + "\n"
