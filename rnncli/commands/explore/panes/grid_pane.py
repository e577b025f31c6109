"""The numbers: returned tensors, the input, the weights or the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from rnncli.commands.explore.number_grid import cell_at, draw
from rnncli.commands.explore.views import GridCell, NumberGrid


class GridPane(Widget, can_focus=True):
    """Tables of numbers with one cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", show=False),
        Binding("down", "move(1, 0)", show=False),
        Binding("left", "move(0, -1)", show=False),
        Binding("right", "move(0, 1)", show=False),
        Binding("home", "move(0, -1000000000)", show=False),
        Binding("end", "move(0, 1000000000)", show=False),
        Binding("space,enter", "edit", show=False),
    ]

    @dataclass
    class NewCell(Message):
        """The cursor is on another cell."""

        place: GridCell

    class EditRequest(Message):
        """The number under the cursor is to be edited."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.grids: Sequence[NumberGrid] = ()
        self.place = GridCell(0, 0, 0)

    def show(self, grids: Sequence[NumberGrid], place: GridCell) -> None:
        """Show these tables."""
        self.grids, self.place = grids, place
        self.refresh()

    def render(self) -> Text:
        """Draw what fits around the cursor."""
        if not self.grids:
            return Text()
        width, height = self.size
        return Text("\n").join(draw(self.grids, self.place, width, height, focus=self.has_focus).lines)

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor; past the last row it goes on to the next table."""
        grid, row, column = self.place
        row += down
        if row < 0 and grid > 0:
            grid -= 1
            row = len(self.grids[grid].values) - 1
        elif row >= len(self.grids[grid].values) and grid + 1 < len(self.grids):
            grid, row = grid + 1, 0
        rows, columns = self.grids[grid].values.shape
        self.place = GridCell(grid, min(max(row, 0), rows - 1), min(max(column + right, 0), columns - 1))
        self.post_message(self.NewCell(self.place))

    def action_edit(self) -> None:
        """Ask to edit the number under the cursor."""
        self.post_message(self.EditRequest())

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the mouse; a double click edits."""
        width, height = self.size
        drawn = draw(self.grids, self.place, width, height, focus=True)
        if (place := cell_at(drawn, self.grids, event.x, event.y)) is not None:
            self.post_message(self.NewCell(place))
            if event.chain == 2:
                self.action_edit()
