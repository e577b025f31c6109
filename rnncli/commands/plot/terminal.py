"""Draw a Sheet in the terminal: half blocks, two rows per line; without color, one shade per cell."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.style import Style as RichStyle
from rich.text import Text

from rnncli.commands.plot.palette import Style, mix
from rnncli.commands.plot.sheet import Panel, Scale, Sheet
from rnncli.show.formats.table import console
from rnncli.show.layout import fill_lines
from rnncli.show.page import View
from rnncli.show.wording import say
from rnncli.values import Array

Depth = Literal["truecolor", "256", "none"]
UPPER = "▀"
SHADES, ASCII_SHADES = " ░▒▓█", " .:+#"
HATCHES = {True: "x", False: "/"}
"""HATCHES[is_unused]: the character over masked steps, of gates and the input, or of a state."""
WIDEST_CELL, WIDEST_NAME = 4, 16
UNBOUND = 100
"""Columns of a drawing that is written to a file."""
BETWEEN = 3
MOST_ROWS = 32
"""Rows of a heat map; with more units, several units share a row."""


def render(sheet: Sheet, style: Style, view: View, depth: Depth) -> str:
    """Draw the heat maps of a row side by side if they fit, then the meaning of the colors."""
    names = [name for panel in sheet.panels for name in (*panel.names, str(len(panel.values) - 1))]
    drawing = _Drawing(style, view, depth, min(max(map(cell_len, names)), WIDEST_NAME))
    title = sheet.title.replace("→", "->") if view.ascii else sheet.title
    lines = [Text(part, "bold") for part in textwrap.wrap(title, drawing.width)]
    lines += [Text(sheet.note, "dim")] if sheet.note else []
    for row in sheet.rows:
        prefix = f"{row.label}: " if row.label else ""
        maps = ((panel.title, drawing.heat_map(panel, sheet.scale(panel))) for panel in row.panels)
        lines += _place_side_by_side([[Text(prefix + title), *each] for title, each in maps], drawing.width)
    held = StringIO()
    drawn = console(held, view._replace(width=None, color=depth != "none"), colors=depth)
    for line in (*lines, Text(), *drawing.legend(sheet)):
        drawn.print(line, soft_wrap=True)
    return "\n".join(line.rstrip() for line in held.getvalue().splitlines()) + "\n"


def _place_side_by_side(blocks: Sequence[Sequence[Text]], width: int) -> Iterator[Text]:
    widths = [max(line.cell_len for line in block) for block in blocks]
    for row in fill_lines(widths, width, BETWEEN):
        yield Text()
        for parts in zip_longest(*blocks[row], fillvalue=Text()):
            line = Text()
            for part, size in zip(parts, widths[row], strict=True):
                line.append_text(part)
                line.append(" " * (size + BETWEEN - part.cell_len))
            line.rstrip()
            yield line


@dataclass(frozen=True)
class _Drawing:
    """How heat maps are drawn.  margin: columns for the names of their rows."""

    style: Style
    view: View
    depth: Depth
    margin: int

    @property
    def width(self) -> int:
        return self.view.width or UNBOUND

    def steps_per_column(self, steps: int) -> int:
        return -(-steps // max(self.width - self.margin - 1, 8))

    def heat_map(self, panel: Panel, scale: Scale) -> Iterator[Text]:
        steps = panel.values.shape[1]
        together, units = self.steps_per_column(steps), _units_per_row(panel)
        named = max(map(cell_len, panel.steps), default=0) + 1
        width = min(max((self.width - self.margin - 1) // steps, 1), max(WIDEST_CELL, named))
        starts = range(0, steps, together)
        masked = panel.masked_steps or (False,) * steps
        skipped = [all(masked[at : at + together]) for at in starts]
        kept = [not (panel.is_gate and is_masked) for is_masked in masked]
        values = _means(_means(panel.values.astype("float64"), together, kept).T, units).T
        hatch = HATCHES[panel.is_unused_where_masked]
        halves = self.depth != "none" and not self.view.ascii
        for first in range(0, len(values), 2 if halves else 1):
            name = panel.names[first * units] if panel.names else str(first * units)
            name = set_cell_size(name, min(cell_len(name), self.margin))
            line = Text(" " * (self.margin - cell_len(name)) + f"{name} ")
            for column, is_masked in enumerate(skipped):
                pair = values[first : first + (2 if halves else 1), column]
                if is_masked and panel.is_gate:
                    line.append(hatch * width, "dim")
                    continue
                shares = [_share(value, scale) for value in pair]
                line.append_text(self.cell(shares, scale, width, hatch if is_masked else ""))
            yield line
        ticks = ""
        for column, time in enumerate(panel.times[::together]):
            start = column * width
            if not ticks or start >= len(ticks) + 3 or (len(panel.times) <= 24 and start > len(ticks)):
                ticks = ticks.ljust(start) + str(time)
        forward, backward = "><" if self.view.ascii else "→←"
        reading = {"forward": forward, "backward": backward}.get(panel.reading, "")
        names = "".join(set_cell_size(name, width) for name in panel.steps if named <= width).rstrip()
        for arrow, text in ((reading, ticks), ("", names), ("", panel.across), ("", panel.equals)):
            if text:
                yield Text(f"{arrow:>{self.margin}} {text}", "dim")

    def cell(self, shares: Sequence[float | None], scale: Scale, width: int, hatch: str) -> Text:
        """Draw one cell, or two with the second below the first.

        shares: where their values lie on the scale, as `_share` returns them.
        hatch: the character of a masked step; "" for other steps.
        """
        if self.depth == "none":
            return Text((hatch or self.shade(shares[0])) * width)
        colors = [self.color(share, scale) for share in shares]
        if self.view.ascii:
            return Text((hatch or " ") * width, RichStyle(bgcolor=colors[0]))
        if len(shares) == 1:
            return Text((hatch or UPPER) * width, RichStyle(color=colors[0]))
        if hatch:
            return Text(hatch * width, RichStyle(color=self.style.faint, bgcolor=colors[0]))
        return Text(UPPER * width, RichStyle(color=colors[0], bgcolor=colors[1]))

    def shade(self, share: float | None) -> str:
        """Return the shade of a value without color; ? for NaN."""
        shades = ASCII_SHADES if self.view.ascii else SHADES
        return "?" if share is None else shades[min(int(share * len(shades)), len(shades) - 1)]

    def color(self, share: float | None, scale: Scale) -> str:
        if share is None:
            return self.style.bad
        red, green, blue = mix(self.style.choose_ramp(scale), share)
        return f"#{red:02x}{green:02x}{blue:02x}"

    def legend(self, sheet: Sheet) -> Iterator[Text]:
        longest = max(cell_len(scale.label) for scale in sheet.scales)
        length = min(20, max(self.width - longest - 18, 5))
        for scale in sheet.scales:
            line = Text(f"{set_cell_size(scale.label, longest)}  {scale.low:>6.3g} ")
            for share in (step / (length - 1) for step in range(length)):
                if self.depth == "none":
                    line.append(self.shade(share))
                else:
                    line.append(" ", RichStyle(bgcolor=self.color(share, scale)))
            yield line.append(f" {scale.high:.3g}")
        for hatching in sheet.hatchings:
            yield Text(f"{4 * HATCHES[hatching.is_unused]:<{longest}}  {hatching.label}")
        together = self.steps_per_column(max(panel.values.shape[1] for panel in sheet.panels))
        if together > 1:
            yield Text(say("a column: the mean of {count} time steps", self.view.lang, count=together))
        if max(map(_units_per_row, sheet.panels)) > 1:
            text = "a row: the mean of several units, where there are more than {most_rows}"
            yield Text(say(text, self.view.lang, most_rows=MOST_ROWS))


def _units_per_row(panel: Panel) -> int:
    return -(-len(panel.values) // MOST_ROWS)


def _means(values: Array, together: int, kept: Sequence[bool] = ()) -> Array:
    """Return the mean of every `together` columns, or of the kept columns among them, if there are any."""
    import numpy as np

    if together == 1:
        return values
    means = []
    for start in range(0, values.shape[1], together):
        part, columns = values[:, start : start + together], np.flatnonzero(kept[start : start + together])
        means.append((part[:, columns] if len(columns) else part).mean(axis=1))
    return np.stack(means, axis=-1)


def _share(value: float, scale: Scale) -> float | None:
    """Return where a value lies between the two ends of the scale, from 0 to 1; None for NaN."""
    if value != value:
        return None
    clipped = min(max(float(value), scale.low), scale.high)
    return (clipped - scale.low) / (scale.high - scale.low)
