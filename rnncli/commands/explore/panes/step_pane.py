"""One time step: the slider, and the equations of the unit under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

SLIDER = 20
BEFORE = 22
"""Columns before the slider."""


class StepPane(Widget, can_focus=True):
    """A slider above lines that scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
    ]

    @dataclass
    class NewStep(Message):
        """Another time step was chosen."""

        timestep: int

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.timestep: int | None = 0
        self.steps, self.title, self.top = 1, "", 0
        self.lines: Sequence[Text] = ()

    def show(self, timestep: int | None, steps: int, title: str, lines: Sequence[Text]) -> None:
        """Show this time step of `steps`; no slider if it is None."""
        self.timestep, self.steps, self.title, self.lines = timestep, steps, title, lines
        self.top = min(self.top, self._last_top())
        self.refresh()

    def render(self) -> Text:
        """Draw the slider and the lines that fit."""
        head = Text(self.title, "dim") if self.timestep is None else self._slider(self.timestep)
        shown = [line.copy() for line in self.lines[self.top : self.top + self.size.height - 1]]
        for line in (head, *shown):
            line.truncate(max(self.size.width, 1), overflow="ellipsis")
        return Text("\n").join([head, *shown])

    def _slider(self, timestep: int) -> Text:
        filled = round(timestep / max(self.steps - 1, 1) * (SLIDER - 1))
        line = Text(f"t={timestep} (0-{self.steps - 1})".ljust(BEFORE - 2), "bold")
        line.append(f"◀ {'━' * filled}●{'━' * (SLIDER - 1 - filled)} ▶", "reverse" if self.has_focus else "")
        return line.append(f"  {self.title}", "dim")

    def action_step(self, by: int) -> None:
        """Choose another time step."""
        self.timestep = min(max((self.timestep or 0) + by, 0), self.steps - 1)
        self.post_message(self.NewStep(self.timestep))

    def action_scroll(self, by: int) -> None:
        """Scroll the equations."""
        self.top = min(max(self.top + by, 0), self._last_top())
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Choose the time step under the mouse."""
        x, y = event.get_content_offset_capture(self)
        share = (x - BEFORE) / (SLIDER - 1)
        if y == 0 and -0.2 <= share <= 1.2:
            self.post_message(self.NewStep(round(min(max(share, 0), 1) * (self.steps - 1))))

    def _last_top(self) -> int:
        return max(len(self.lines) - max(self.size.height - 1, 1), 0)
