"""Draw tables of numbers with heat colors; only the part around the cursor is ever formatted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.style import Style as CellStyle
from rich.text import Text

from rnncli.case import Array
from rnncli.commands.explore.views import GridCell, NumberGrid
from rnncli.show.numerals import choose_style, format_number
from rnncli.show.visible import visible

LABEL = 8
CELL = 10
HOLD_MARK = "*"
"""Marks an entry that is held at a value instead of computed."""
LEFT, RIGHT, ABOVE, BELOW = "◀▶▲▼"
"""There are more numbers in that direction."""
POSITIVE, ZERO, NEGATIVE = (180, 83, 9), (24, 28, 36), (37, 99, 190)


class GridLines(NamedTuple):
    """Lines, and the cell at the start of each; its row is negative for a heading."""

    lines: list[Text]
    places: list[GridCell]


def draw(grids: Sequence[NumberGrid], cursor: GridCell, width: int, height: int, *, focus: bool) -> GridLines:
    """Draw the lines around the cursor, at most `height`."""
    columns = max((width - LABEL - 1) // CELL, 1)
    lines: list[Text] = []
    places: list[GridCell] = []
    starts = _starts(grids)
    line_of_cursor = starts[cursor.grid] + _headings(grids[cursor.grid]) + cursor.row
    top = _window(line_of_cursor, starts[-1], height)
    if top and line_of_cursor - starts[cursor.grid] < height:
        top = max(min(top, starts[cursor.grid]), line_of_cursor - height + 1)  # keep the title visible
    for number, grid in enumerate(grids):
        column = cursor.column if number == cursor.grid else 0
        begin = _window(column, grid.values.shape[1], columns)
        for line in range(max(top, starts[number]), min(top + height, starts[number + 1])):
            row = line - starts[number] - _headings(grid)
            chosen = cursor.column if number == cursor.grid and row == cursor.row else -1
            lines.append(_draw_line(grid, row, begin, columns, chosen, width, focus=focus))
            places.append(GridCell(number, row, begin))
    if top:
        _mark_end(lines[0], ABOVE, width)
    if top + height < starts[-1]:
        _mark_end(lines[-1], BELOW, width)
    return GridLines(lines, places)


def cell_at(drawn: GridLines, grids: Sequence[NumberGrid], x: int, y: int) -> GridCell | None:
    """Return the cell at a point of the drawing; None if there is none."""
    if not 0 <= y < len(drawn.places) or x < LABEL:
        return None
    place = drawn.places[y]
    column = place.column + (x - LABEL) // CELL
    inside = place.row >= 0 and column < grids[place.grid].values.shape[1]
    return place._replace(column=column) if inside else None


def _headings(grid: NumberGrid) -> int:
    """Return the lines above the numbers: the title, and the time steps."""
    return 2 if grid.times is not None else 1


def _starts(grids: Sequence[NumberGrid]) -> list[int]:
    """Return the first line of each table, and the number of lines."""
    found = [0]
    for grid in grids:
        found.append(found[-1] + _headings(grid) + len(grid.values))
    return found


def _window(index: int, size: int, room: int) -> int:
    """Return the first of `room` places that has `index` near its middle."""
    return max(min(index - room // 2, size - room), 0)


def _draw_line(
    grid: NumberGrid, row: int, begin: int, columns: int, chosen: int, width: int, *, focus: bool
) -> Text:
    end = min(begin + columns, grid.values.shape[1])
    if row == -_headings(grid):
        line = Text.assemble((visible(grid.title), "bold"), (f" {grid.note}", "dim"))
    elif row < 0 and grid.times is not None:
        heads = (f"t={time}".rjust(CELL) for time in grid.times[begin:end])
        line = Text(f"{'':{LABEL}}{''.join(heads)}", "dim")
    else:
        label = grid.rows[row] if grid.rows else f"{grid.row_prefix}{row}" if len(grid.values) > 1 else ""
        label = visible(label)
        line = Text.assemble((label[: LABEL - 1].ljust(LABEL - 1) + (LEFT if begin else " "), "dim"))
        numbers = grid.values[row, begin:end]
        style, scale = choose_style(grid.values[:, begin:end], None), _scale(grid.values)
        for place, value in enumerate(numbers):
            mark = "" if grid.hold_mask is None else HOLD_MARK if grid.hold_mask[row, begin + place] else " "
            text = _fit(format_number(value, style), value, CELL - 1 - len(mark)) + mark
            here = begin + place == chosen
            line.append("▸" if here else " ", "bold" if focus else "dim")
            line.append(
                text, CellStyle(bgcolor=_color(float(value), scale), color="#ffffff", reverse=here and focus)
            )
        if end < grid.values.shape[1]:
            _mark_end(line, RIGHT, width)
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _mark_end(line: Text, mark: str, width: int) -> None:
    """Put a mark in the last column, to show that there is more in that direction."""
    if line.plain.endswith(RIGHT):
        line.right_crop()
    line.truncate(width - 1, overflow="ellipsis", pad=True)
    line.append(mark, "dim")


def _fit(text: str, value: float, room: int) -> str:
    """Return a number in exactly `room` columns; with an exponent and fewer digits if it is longer."""
    if len(text) > room:
        text = f"{value:.{max(room - len('-0.e-00'), 0)}e}" if value else "0"
    return text.rjust(room)


def _scale(values: Array) -> float:
    """Return the largest magnitude of a small table; of a large one, 1, the bound of most states."""
    import numpy as np

    if values.size > 100_000:
        return 1.0
    finite = np.abs(values.astype(np.float64))
    return float(np.max(finite, where=np.isfinite(finite), initial=0.0)) or 1.0


def _color(value: float, scale: float) -> str:
    """Return orange above zero and blue below it, darker near zero."""
    share = min(abs(value) / scale, 1.0) if value == value else 0.0
    end = POSITIVE if value > 0 else NEGATIVE
    mixed = (round(low + (high - low) * share) for low, high in zip(ZERO, end, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)
