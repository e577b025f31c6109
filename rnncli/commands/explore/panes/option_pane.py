"""The layer and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from rnncli.commands.explore.option_rows import OptionRow
from rnncli.show.visible import visible

NAME_WIDTH = 16
ABOVE, MORE = "▲", "▼"
"""At the right of the first and the last line if there are more rows."""


class OptionPane(Widget, can_focus=True):
    """A list of options; keys and mouse ask for new values."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
        Binding("space,enter", "change", show=False),
    ]

    @dataclass
    class NextValue(Message):
        """Asks for the next (1) or the previous (-1) value of an option."""

        row: OptionRow
        by: int

    @dataclass
    class TypedValue(Message):
        """Asks for a value that the user types."""

        row: OptionRow

    def __init__(self, rows: list[OptionRow], **options: Any) -> None:
        super().__init__(**options)
        self.rows, self.place = rows, 0

    def show(self, rows: list[OptionRow]) -> None:
        """Show other values; the cursor stays on its option."""
        name = self.rows[self.place].name
        self.rows = rows
        names = [row.name for row in rows]
        self.place = names.index(name) if name in names else min(self.place, len(rows) - 1)
        self.refresh()

    def render(self) -> Text:
        """Draw the rows around the cursor."""
        top = self._top()
        shown = range(top, min(top + self.size.height, len(self.rows)))
        return Text("\n").join(self._line(index).append(self._mark(index, shown), "dim") for index in shown)

    def _top(self) -> int:
        height = max(self.size.height, 1)
        return max(min(self.place - height // 2, len(self.rows) - height), 0)

    def _line(self, index: int) -> Text:
        row, text = self.rows[index], visible(self.rows[index].text)
        width = max(self.size.width - len(MORE), 1)
        if row.is_flag:
            line = Text(f"{'[x]' if row.value else '[ ]'} {row.name}")
        else:
            room = width - len(text) - 1  # a long value takes the space between it and its name
            line = Text(f"{row.name:{min(max(room, len(row.name)), NAME_WIDTH)}} ")
            line.append(text, "bold")
        line.truncate(width, overflow="ellipsis", pad=True)
        if index == self.place:
            line.stylize("reverse" if self.has_focus else "underline")
        return line

    def _mark(self, index: int, shown: range) -> str:
        """Return the mark of the first or the last line if there are more rows above or below."""
        if index == shown[0] > 0:
            return ABOVE
        return MORE if index == shown[-1] < len(self.rows) - 1 else " "

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.place = min(max(self.place + by, 0), len(self.rows) - 1)
        self.refresh()

    def action_step(self, by: int) -> None:
        """Ask for the next or the previous value, if there is one."""
        row = self.rows[self.place]
        if row.next(by) is not None:
            self.post_message(self.NextValue(row, by))

    def action_change(self) -> None:
        """Toggle a flag, go to the next choice, or ask the user to type a value."""
        row = self.rows[self.place]
        self.post_message(self.NextValue(row, 1) if row.choices else self.TypedValue(row))

    def on_click(self, event: events.Click) -> None:
        """Choose the option under the mouse."""
        place = self._top() + event.y
        if 0 <= place < len(self.rows):
            self.place = place
            self.action_change()
            self.refresh()
