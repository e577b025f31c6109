"""Draw the pane of numbers: the tables of the view around the cursor."""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style
from rich.text import Text

from rnncli.commands.explore.state import (
    CHANGED,
    HALVES,
    HELD,
    MASKED,
    NumberTable,
    State,
    TableCell,
    cell,
    tables,
)
from rnncli.show.digits import choose_style, format_number
from rnncli.show.visible import visible
from rnncli.show.wording import say

DIGITS = 7
"""The least width of a number, after a column for the cursor or a mark."""
LEFT, RIGHT, ABOVE, BELOW = "◀▶▲▼"
"""There are more numbers, or options, in that direction."""
POSITIVE, ZERO, NEGATIVE = (180, 83, 9), (24, 28, 36), (37, 99, 190)


class NumberLine(NamedTuple):
    """A line of the pane of numbers, and the cell at its start."""

    text: Text
    start: TableCell


def draw_numbers(state: State, width: int, height: int) -> list[NumberLine]:
    """Draw the lines of the view's tables around the cursor."""
    shown, focus = tables(state), state.focus == "numbers"
    cursor = cell(state, shown)
    starts = [0]
    for table in shown:
        starts.append(starts[-1] + _headings(table) + len(table.values))
    start = starts[cursor.table]
    line_of_cursor = start + _headings(shown[cursor.table]) + cursor.row
    top = first_row(line_of_cursor, starts[-1], height)
    if top and line_of_cursor - start < height:
        top = max(min(top, start), line_of_cursor - height + 1)  # keep the title visible
    lines: list[NumberLine] = []
    for number, table in enumerate(shown):
        form = _form(table)
        room = max((width - 1 - form.label - bool(table.half)) // (1 + form.digits), 1)
        begin = first_row(cursor.column if number == cursor.table else 0, table.values.shape[1], room)
        columns = range(begin, min(begin + room, table.values.shape[1]))
        for at in range(max(top, starts[number]), min(top + height, starts[number + 1])):
            row = at - starts[number] - _headings(table)
            if row >= 0:
                here = (number, row) == cursor[:2]
                line = _draw_row(table, form, row, columns, cursor.column if here else -1, focus=focus)
            elif row == -_headings(table):
                line = Text.assemble(
                    (visible(table.title), "bold"), (f" {say(table.note, state.lang)}", "dim")
                )
            elif table.claim and row == 1 - _headings(table):
                line = Text(f"  {visible(table.claim)}")
            else:
                names = (_name(table, column, form.digits) for column in columns)
                line = Text(" " * form.label + "".join(names), "dim")
            line.truncate(width, overflow="ellipsis")
            if row >= 0 and columns.stop < table.values.shape[1]:
                mark_end(line, RIGHT, width)
            lines.append(NumberLine(line, TableCell(number, row, begin)))
    if lines and top:
        mark_end(lines[0].text, ABOVE, width)
    if lines and top + height < starts[-1]:
        mark_end(lines[-1].text, BELOW, width)
    return lines


def cell_at(state: State, lines: list[NumberLine], x: int, y: int) -> TableCell | None:
    """Return the cell at a point of the drawn lines; None if there is no cell."""
    if not 0 <= y < len(lines):
        return None
    start, table = lines[y].start, tables(state)[lines[y].start.table]
    form = _form(table)
    width = 1 + form.digits
    x -= form.label + (bool(table.half) and x >= form.label + width * (table.half - start.column))
    column = start.column + x // width
    inside = start.row >= 0 and x >= 0 and column < table.values.shape[1]
    return start._replace(column=column) if inside else None


def _headings(table: NumberTable) -> int:
    """Return the lines above the numbers: the title, the claim, the names of the columns of a sequence."""
    return 1 + bool(table.claim) + bool(table.times)


class Form(NamedTuple):
    """How a table is drawn: the columns of a row's label and of a number, their format, and their scale."""

    label: int
    digits: int
    style: str
    scale: float


def _form(table: NumberTable) -> Form:
    """Return the form of a table: a large table is judged by its first rows."""
    import numpy as np

    rows = len(table.values)
    label = f"t={max(table.times)}" if table.times else str(rows - 1) if rows > 1 else "t=0"
    is_large = table.values.size > 100_000
    values = (table.values[:100] if is_large else table.values).astype(np.float64)
    finite = values[np.isfinite(values)]
    style, ends = choose_style(values, None), (finite.min(initial=0), finite.max(initial=0))
    digits = min(max(DIGITS, *(len(format_number(end, style)) for end in ends)), DIGITS + 1)
    return Form(len(label) + 2, digits, style, 1.0 if is_large else float(max(map(abs, ends))) or 1.0)


def first_row(index: int, size: int, room: int) -> int:
    """Return the first of `room` rows or columns, so that `index` is near their middle."""
    return max(min(index - room // 2, size - room), 0)


def _name(table: NumberTable, column: int, digits: int) -> str:
    """Return the heading of a column: a feature by its name, a unit by its number."""
    text = Text(visible(table.names[column]) if table.names else f"{'u' if table.label else 'x'}{column}")
    text.truncate(digits, overflow="ellipsis")
    half = HALVES if table.half and column == table.half else ""
    return f"{half}{' ' * (1 + digits - text.cell_len)}{text.plain}"


def _draw_row(table: NumberTable, form: Form, row: int, columns: range, chosen: int, *, focus: bool) -> Text:
    """Draw one row.  chosen: the column under the cursor, -1 if it is on another row."""
    label = f"t={table.times[row]}" if table.times else str(row) if len(table.values) > 1 else ""
    is_masked = bool(table.masked) and table.masked[row]
    line = Text(f"{label:{form.label - 1}}{MASKED if is_masked else ' '}", "dim")
    for column in columns:
        value, here, is_first = table.values[row, column], column == chosen, column == columns.start
        held = table.held is not None and table.held[row, column] and not is_masked
        mark = HELD if held else LEFT if is_first and column else " "
        if (new := table.changed) is not None and new[row, column]:
            starts = is_first or column in (table.half, chosen + 1)  # the cursor hides the mark before it
            mark = CHANGED if starts or not new[row, column - 1] else mark
        line.append(HALVES if table.half and column == table.half else "", "dim")
        line.append("▸" if here else mark, "bold")
        if is_masked and table.is_gate:  # nothing used it
            line.append(" " * form.digits, "reverse" if here and focus else "")
            continue
        color = Style(color="#ffffff", bgcolor=_color(float(value), form.scale), reverse=here and focus)
        line.append(_fit(format_number(value, form.style), value, form.digits), color)
    return line


def mark_end(line: Text, mark: str, width: int) -> None:
    """Put a mark in the last column, to show that there is more in that direction."""
    if line.plain.endswith(RIGHT):
        line.right_crop()
    line.truncate(width - 1, overflow="ellipsis", pad=True)
    line.append(mark, "dim")


def _fit(text: str, value: float, room: int) -> str:
    """Return a number in exactly `room` columns; with an exponent and fewer digits if it needs more."""
    if len(text) > room:
        text = f"{value:.{max(room - len('-0.e-00'), 0)}e}" if value else "0"
    return text.rjust(room)


def _color(value: float, scale: float) -> str:
    """Return orange above zero and blue below it, darker near zero."""
    share = min(abs(value) / scale, 1.0) if value == value else 0.0
    end = POSITIVE if value > 0 else NEGATIVE
    mixed = (round(low + (high - low) * share) for low, high in zip(ZERO, end, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)
