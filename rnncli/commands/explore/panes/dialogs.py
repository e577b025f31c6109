"""Screens on top: one line to type, and the help."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from rnncli.show.visible import visible


class Prompt(ModalScreen[str | None]):
    """Ask for one line; None if the user leaves with Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "")]

    def __init__(self, question: str, value: str) -> None:
        super().__init__()
        self.question, self.value = question, value

    def compose(self) -> ComposeResult:
        """Build the question and its line."""
        with Vertical(classes="dialog"):
            yield Static(visible(self.question), markup=False)
            yield Input(self.value, select_on_focus=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return what was typed."""
        self.dismiss(event.value)


class HelpPage(ModalScreen[None]):
    """A page of text; any key closes it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        """Build the page."""
        with Vertical(classes="dialog"):
            yield Static(self.text, markup=False)

    def on_key(self, event: events.Key) -> None:
        """Close the page."""
        event.stop()
        self.dismiss(None)

    def on_click(self) -> None:
        """Close the page."""
        self.dismiss(None)
