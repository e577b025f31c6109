"""The pane of numbers: the tables of the view, and a cursor.

No DataTable: it lays out every cell, which takes 18 s for the kernel of LSTM(128).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, NamedTuple

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

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
from rnncli.show.visible import longest, step_text, visible, width_of
from rnncli.show.wording import say

DIGITS = 7
"""The least width of a number, after a column for the cursor or a mark."""
POSITIVE, ZERO, NEGATIVE = (180, 83, 9), (24, 28, 36), (37, 99, 190)
FAR = 1_000_000_000


class Form(NamedTuple):
    """How a table is drawn.

    headings: the lines above its numbers.  label, width: the columns of a row's label, and of a number with
    its mark.  style, scale: the format of the numbers, and the number with the brightest color.
    """

    headings: int
    label: int
    width: int
    style: str
    scale: float


class NumbersPane(ScrollView, can_focus=True):
    """The tables of the view, one below the other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.act('move', (-1, 0))"),
        Binding("down", "app.act('move', (1, 0))"),
        Binding("left", "app.act('move', (0, -1))"),
        Binding("right", "app.act('move', (0, 1))"),
        Binding("home", f"app.act('move', (0, -{FAR}))"),
        Binding("end", f"app.act('move', (0, {FAR}))"),
        Binding("enter,space", "app.edit_number"),
    ]

    starts: Sequence[int] = (0,)
    """The first line of each table, and the number of lines."""

    def show(self, state: State) -> None:
        """Show the tables of a state around its cursor."""
        self.lang, self.tables = state.lang, tables(state)
        self.cursor = cell(state, self.tables)
        self.forms = list(map(_form, self.tables))
        sizes = [
            form.headings + len(table.values) for form, table in zip(self.forms, self.tables, strict=True)
        ]
        self.starts = [0, *accumulate(sizes)]
        width = max(
            form.label + bool(table.half) + form.width * table.values.shape[1]
            for form, table in zip(self.forms, self.tables, strict=True)
        )
        self.virtual_size = Size(width, self.starts[-1])
        self.refresh()
        self.call_after_refresh(self._scroll_to_cursor)  # once it is known which scrollbars there are

    def _scroll_to_cursor(self) -> None:
        table, row, column = self.cursor
        form, start = self.forms[table], self.starts[table]
        end = start + form.headings + row + 1
        top = (
            start if end - start <= self.scrollable_content_region.height else end - 1
        )  # keep the title visible
        width = form.label + bool(self.tables[table].half) + form.width
        self.scroll_to_region(Region(column * form.width, top, width, end - top), animate=False)

    def render_line(self, y: int) -> Strip:
        """Draw a line of the pane."""
        width, at = self.scrollable_content_region.width, y + self.scroll_offset.y
        line = self._draw(at, width) if at < self.starts[-1] else Text()
        line.truncate(width, overflow="ellipsis", pad=True)
        return Strip(line.render(self.app.console), width).apply_style(self.rich_style)

    def _draw(self, at: int, width: int) -> Text:
        number = bisect_right(self.starts, at) - 1
        table, form = self.tables[number], self.forms[number]
        row = at - self.starts[number] - form.headings
        if row == -form.headings:
            return Text.assemble((visible(table.title), "bold"), (f" {say(table.note, self.lang)}", "dim"))
        if table.claim and row == 1 - form.headings:
            return Text(f"  {visible(table.claim)}")
        begin = -(-self.scroll_offset.x // form.width)
        room = max((width - form.label - bool(table.half)) // form.width, 1)
        columns = range(begin, min(begin + room, table.values.shape[1]))
        if row < 0:
            names = (_name(table, column, form.width - 1) for column in columns)
            return Text(" " * form.label + "".join(names), "dim")
        chosen = self.cursor.column if (number, row) == self.cursor[:2] else -1
        return self._draw_row(number, row, columns, chosen)

    def _draw_row(self, number: int, row: int, columns: range, chosen: int) -> Text:
        """Draw one row.  chosen: the column under the cursor, -1 if it is on another row."""
        table, form = self.tables[number], self.forms[number]
        label = _label(table, row) if table.times else str(row) if len(table.values) > 1 else ""
        is_masked = bool(table.masked) and table.masked[row]
        line = Text(label + " " * (form.label - 1 - width_of(label)) + (MASKED if is_masked else " "), "dim")
        for column in columns:
            value, here = table.values[row, column], column == chosen
            mark = HELD if table.held is not None and table.held[row, column] and not is_masked else " "
            if (new := table.changed) is not None and new[row, column]:
                # the cursor hides the mark before it
                starts = column in (columns.start, table.half, chosen + 1)
                mark = CHANGED if starts or not new[row, column - 1] else mark
            line.append(HALVES if table.half and column == table.half else "", "dim")
            at = Style(meta={"cell": TableCell(number, row, column)})
            line.append("▸" if here else mark, Style(bold=True) + at)
            is_reversed, text = here and self.has_focus, " " * (form.width - 1)
            if is_masked and table.is_gate:  # nothing used it
                line.append(text, Style(reverse=is_reversed) + at)
                continue
            color = Style(color="#ffffff", bgcolor=_color(float(value), form.scale), reverse=is_reversed)
            line.append(_fit(format_number(value, form.style), value, form.width - 1), color + at)
        return line

    async def on_click(self, event: events.Click) -> None:
        """Move the cursor to the cell that was clicked; the second of a double click edits."""
        if at := event.style.meta.get("cell"):
            await self.run_action(f"app.act('move_to', ({tuple(at)},))")
            if event.chain == 2:
                await self.run_action("app.edit_number")


def _form(table: NumberTable) -> Form:
    """Return the form of a table: a large table is judged by its first rows."""
    import numpy as np

    rows = len(table.values)
    label = str(rows - 1) if rows > 1 else "t=0"
    wide = longest(_label(table, row) for row in range(rows if table.steps else 0))
    wide = max(wide, len(f"t={max(table.times)}" if table.times else label))
    is_large = table.values.size > 100_000
    values = (table.values[:100] if is_large else table.values).astype(np.float64)
    finite = values[np.isfinite(values)]
    style, ends = choose_style(values, None), (finite.min(initial=0), finite.max(initial=0))
    digits = min(max(DIGITS, *(len(format_number(end, style)) for end in ends)), DIGITS + 1)
    scale = 1.0 if is_large else float(max(map(abs, ends))) or 1.0
    return Form(1 + bool(table.claim) + bool(table.times), wide + 2, 1 + digits, style, scale)


def _label(table: NumberTable, row: int) -> str:
    return step_text(table.times[row], table.steps[row] if table.steps else "")


def _name(table: NumberTable, column: int, digits: int) -> str:
    text = Text(visible(table.names[column]) if table.names else f"{'u' if table.label else 'x'}{column}")
    text.truncate(digits, overflow="ellipsis")
    half = HALVES if table.half and column == table.half else ""
    return f"{half}{' ' * (1 + digits - text.cell_len)}{text.plain}"


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
