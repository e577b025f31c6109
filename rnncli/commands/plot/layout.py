"""Compute where everything of a Sheet goes in a figure, in inches from the upper left corner."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import NamedTuple

from rnncli.commands.plot.sheet import Scale, Sheet
from rnncli.errors import UsageError
from rnncli.renderers.width import width_of

DPI = 200
"""Dots per inch of a png."""
TITLE, TICKS, NAME = 0.25, 0.19, 0.19
"""Heights of a heat map's title, of its ticks, and of the axis name below them."""
LINE, EDGE, GAP = 0.18, 0.08, 0.17
LEGEND = 0.62
BAR, LEAST_BAR, LONGEST_BAR = 0.1, 0.8, 1.7
"""Height of a legend bar, and its minimum and maximum length."""
LETTER = 0.066
LARGEST = 7.6
"""Inches shared by heat maps that are alone in their rows, if each keeps at least SMALLEST."""
SMALLEST = 0.18
VISIBLE = 0.4 * SMALLEST
"""Minimum size of a heat map, in inches, if --size gives the size of the picture."""
NARROW = 24
"""Number of characters shown of a feature name."""


class Box(NamedTuple):
    """left, top, width, height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """panels: per row of the sheet, one box per heat map.  legend: one box per scale, one for the mask."""

    width: float
    height: float
    heading: tuple[str, ...]
    panels: tuple[tuple[Box, ...], ...]
    legend: tuple[Box, ...]


def arrange(sheet: Sheet, size: tuple[float, float] | None = None) -> Layout:
    """Return the layout that suits the sheet, or that fills `size`.

    Raises UsageError if the heat maps would be too small to see.
    """
    left, widths, heights = _left_margin(sheet), _widths(sheet), _heights(sheet)
    across = left + EDGE + GAP * (len(widths) - 1)
    below = left + sum(_bar_widths(sheet)) + EDGE
    least = max(across + _least(widths), below)
    width = max(size[0], least) if size else max(across + sum(widths), below)
    widths = _scale(widths, width - across)
    beside = _legend_beside(sheet, widths)
    heading = _heading(sheet, width)
    down = EDGE * 2 + LINE * len(heading) + sum(_row_margin(sheet, place) for place in range(len(sheet.rows)))
    down += 0 if beside else LEGEND
    height = max(size[1], down + _least(heights)) if size else down + sum(heights)
    if size and (width, height) != size:
        raise _too_small(size, (width, height))
    heights = _scale(heights, height - down)
    panels, bottom = _boxes(sheet, left, EDGE + LINE * len(heading), widths, heights)
    legend = _legend(sheet, panels, width, bottom, beside=beside)
    return Layout(width, height, heading, panels, legend)


def is_lowest(sheet: Sheet, place: int, across: int) -> bool:
    """Return whether there is no heat map below this one."""
    return all(across >= len(row.panels) for row in sheet.rows[place + 1 :])


def shows_ticks(sheet: Sheet, place: int) -> bool:
    """Return whether a row has ticks; heat maps alone in their rows share those of the lowest one."""
    return any(len(row.panels) > 1 for row in sheet.rows) or place == len(sheet.rows) - 1


def shown_name(name: str) -> str:
    """Return a feature name, cut if long."""
    return textwrap.shorten(name, NARROW, placeholder="…") or name[:NARROW]


def _left_margin(sheet: Sheet) -> float:
    """Return the space for the ticks and names of the first column."""
    names = [shown_name(name) for row in sheet.rows for name in row.panels[0].names]
    counts = [str(len(row.panels[0].values) - 1) for row in sheet.rows]
    ticks = max(map(len, names + counts)) * LETTER
    return EDGE + ticks + 0.26 + (LINE if any(row.label for row in sheet.rows) else 0)


def _widths(sheet: Sheet) -> list[float]:
    """Return the column widths; a heat map alone in its row is about as wide as a page of text."""
    count = max(len(row.panels) for row in sheet.rows)
    columns = [[row.panels[i] for row in sheet.rows if i < len(row.panels)] for i in range(count)]
    longest = [max(panel.values.shape[1] for panel in column) for column in columns]
    if count == 1:
        return [min(max(0.42 * longest[0], 3.4), 6.2)]
    titles = [max(width_of(panel.title) for panel in column) * LETTER * 1.15 for column in columns]
    most = 1.9 if count > 3 else 3.0
    least = 1.1 if count > 3 else 0.6
    return [max(min(0.4 * steps, most), title, least) for steps, title in zip(longest, titles, strict=True)]


def _heights(sheet: Sheet) -> list[float]:
    tall = max(len(row.panels) for row in sheet.rows) == 1
    most = min(max(LARGEST / len(sheet.rows), 0.45), 1.5) if tall else 1.6
    counts = [max(len(panel.values) for panel in row.panels) for row in sheet.rows]
    return [min(max(0.21 * units, 0.24), most) for units in counts]


def _row_margin(sheet: Sheet, place: int) -> float:
    """Return the space a row needs above and below its heat maps."""
    named = NAME if place == len(sheet.rows) - 1 else 0
    return TITLE + (TICKS if shows_ticks(sheet, place) else 0) + named


def row_distance(sheet: Sheet, place: int, box: Box) -> float:
    """Return the distance from a heat map to the one below it, without the name of the axis between."""
    return box.height + TITLE + (TICKS if shows_ticks(sheet, place) else 0)


def _least(lengths: list[float]) -> float:
    """Return the total length if the smallest is just visible."""
    return VISIBLE * sum(lengths) / min(lengths)


def _too_small(size: tuple[float, float], least: tuple[float, float]) -> UsageError:
    wide, high = (
        math.ceil(10 * side) / 10 if side != given else side for side, given in zip(least, size, strict=True)
    )
    return UsageError(
        "{--size} {width:g}x{height:g} inches is too small for this picture.",
        "It needs at least {wide:g}x{high:g}; or show less with {--steps}, or of a trace with {--gate}.",
        width=size[0],
        height=size[1],
        wide=wide,
        high=high,
    )


def _scale(lengths: list[float], available: float) -> list[float]:
    factor = max(available, 0.0) / sum(lengths)
    return [length * factor for length in lengths]


def _heading(sheet: Sheet, width: float) -> tuple[str, ...]:
    lines = textwrap.wrap(sheet.title, max(int(width / 0.082), 20), break_long_words=False)
    return (*lines, sheet.note) if sheet.note else tuple(lines)


def _boxes(
    sheet: Sheet, left: float, top: float, widths: list[float], heights: list[float]
) -> tuple[tuple[tuple[Box, ...], ...], float]:
    """Return the boxes of every row, and the bottom of the last row."""
    rows: list[tuple[Box, ...]] = []
    for place, (row, height) in enumerate(zip(sheet.rows, heights, strict=True)):
        starts = [left + sum(widths[:across]) + GAP * across for across in range(len(row.panels))]
        rows.append(tuple(Box(start, top + TITLE, widths[i], height) for i, start in enumerate(starts)))
        top += height + _row_margin(sheet, place)
    return tuple(rows), top


def label_ends(scale: Scale) -> dict[float, str]:
    """Return the labels below the ends and the middle of a bar."""
    places = (scale.low, (scale.low + scale.high) / 2, scale.high)
    return {place: shorten_exponent(place, f"{place:.3g}") for place in places}


def shorten_exponent(value: float, text: str) -> str:
    """Return `text`, or a short form: 1e30 instead of 1.05e+30."""
    if "e" not in text:
        return text
    digits, _, power = f"{value:.2g}".partition("e")
    return f"{digits}e{int(power)}"


def _legend_beside(sheet: Sheet, widths: list[float]) -> bool:
    """Return whether the legend goes right of the input: four heat maps or more below, and room for it."""
    first = sheet.rows[0].panels
    room = sum(widths[1:]) + GAP * (len(widths) - 2) - 0.1
    alone = first[0].kind == "input" and len(first) == 1
    return alone and len(widths) > 3 and sum(_bar_widths(sheet)) <= room


def _bar_widths(sheet: Sheet) -> list[float]:
    """Return the width of each bar, for the words above it and the numbers below, with a gap after it."""
    words = [scale.label for scale in sheet.scales] + ([sheet.masked] if sheet.masked else [])
    gap = _bar_gap(sheet)
    slots = [max(width_of(text) * LETTER, LEAST_BAR) + gap for text in words]
    return [*slots[:-1], slots[-1] - gap / 2]


def _bar_gap(sheet: Sheet) -> float:
    """Return the distance between bars, which has room for half of each number at their ends."""
    longest = max(len(text) for scale in sheet.scales for text in label_ends(scale).values())
    return max(0.35, longest * LETTER + 0.05)


def _legend(
    sheet: Sheet, panels: tuple[tuple[Box, ...], ...], width: float, bottom: float, *, beside: bool
) -> tuple[Box, ...]:
    """Place the bars in a row, right of the input or below everything."""
    first = panels[0][0]
    left = panels[1][1].left + 0.1 if beside else first.left
    top = first.top + max(first.height / 2 - BAR / 2, 0) if beside else bottom + 0.28
    slots, gap = _bar_widths(sheet), _bar_gap(sheet)
    spare = (width - EDGE - left - sum(slots)) / len(slots)
    starts = [left + sum(slots[:i]) + spare * i for i in range(len(slots))]
    lengths = [slot + spare - gap for slot in slots[:-1]] + [slots[-1] + spare - gap / 2]
    return tuple(
        Box(start, top, min(length, LONGEST_BAR), BAR) for start, length in zip(starts, lengths, strict=True)
    )
