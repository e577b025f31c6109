"""The terminal: gives keys and clicks to the state, shows it, and computes it in a thread."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import FrameType
from typing import Any, TypeVar

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult, SystemCommand
from textual.command import CommandPalette
from textual.screen import Screen
from textual.widget import Widget

from rnncli.commands.explore import command_text, experiment, keys, screen
from rnncli.commands.explore.experiment import Computation, Experiment
from rnncli.commands.explore.state import State, describe, give_up, show
from rnncli.errors import Message, RnncliError
from rnncli.process import signals
from rnncli.show.wording import say

PATIENCE = 0.3
"""Seconds of work before the screen says that it goes on; at once, the message would only flicker."""
LEAVING = 2.0
"""Seconds for leaving after a signal."""

Returned = TypeVar("Returned")


class Canvas(Widget, can_focus=True):
    """The whole screen."""

    app: ExploreApp

    def render(self) -> Text:
        """Draw the state."""
        return screen.draw(self.app.state)

    def on_resize(self, event: events.Resize) -> None:
        """Lay out the screen anew."""
        self.app.show(replace(self.app.state, size=(event.size.width, event.size.height)))

    def on_click(self, event: events.Click) -> None:
        """Give a click to the state; the second of a double click edits."""
        self.app.show(keys.click(self.app.state, event.x, event.y, event.chain))

    def on_paste(self, event: events.Paste) -> None:
        """Put the text into the line that is being typed."""
        self.app.show(keys.paste(self.app.state, event.text))

    def on_key(self, event: events.Key) -> None:
        """Give a key to the state."""
        key = event.character if event.is_printable and event.character else event.key
        if key != "ctrl+c":
            event.stop()
            event.prevent_default()
            self.app.show(keys.press(self.app.state, key))


class ExploreApp(App[None]):
    """A state on the screen."""

    CSS = "Canvas { width: 100%; height: 100%; }"
    TITLE = "rnncli explore"

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self._is_running = False
        self._mounted_all = threading.Event()

    def end(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: leave as `q` does, which restores the terminal; later, leave in any case."""

        def leave() -> None:  # the main thread may wait for a terminal that takes no more text
            self._mounted_all.wait(LEAVING)
            self.exit(return_code=128 + number)
            time.sleep(LEAVING)
            os._exit(128 + number)

        signals.start_in_thread(leave)

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield Canvas()

    def on_mount(self) -> None:
        """Let the keys go to the screen."""
        self.query_one(Canvas).focus()
        self._mounted_all.set()

    def show(self, state: State) -> None:
        """Show another state, start to compute it if that is needed, and do what it wishes."""
        self.state = replace(state, wish=None)
        self.screen_stack[0].query_one(Canvas).refresh()
        if state.is_waiting and not self._is_running:
            self._is_running = True
            self._catch_up()
        match state.wish:
            case "copy", text:
                self.copy_to_clipboard(text)
            case "save", name:
                self._save(name, state.shown.experiment)
            case "page", name:
                self._write_page(name, state.shown.experiment)
            case "palette", _:
                self.action_command_palette()
            case "theme", _:
                self.action_change_theme()
            case "quit", _:
                self.exit()

    @work
    async def _catch_up(self) -> None:
        """Compute until the numbers belong to the current experiment; a change that fails is undone."""
        while self.state.is_waiting:
            asked = self.state.experiment
            try:
                computed = await self._compute(asked)
            except RnncliError as error:
                self.show(give_up(self.state, asked, error))
            else:
                self.show(show(self.state, asked, computed))
        self._is_running = False

    async def _compute(self, asked: Experiment) -> Computation:
        computation = _start(lambda: experiment.compute_experiment(asked))
        await asyncio.wait([computation], timeout=PATIENCE)
        if not computation.done():
            self.show(replace(self.state, is_slow=True))
        return await computation

    @work
    async def _save(self, name: str, experiment: Experiment) -> None:
        """Save in a thread, since a large document takes seconds."""
        try:
            await _start(lambda: command_text.save(name, experiment))
        except RnncliError as error:
            self.show(replace(self.state, message=describe(error)))
        else:
            self.show(
                replace(self.state, saved=(experiment, name), message=Message("saved {name}", name=name))
            )

    @work
    async def _write_page(self, name: str, experiment: Experiment) -> None:
        """Write the page in a thread, since its layers are computed once more."""
        try:
            await _start(lambda: command_text.write_page(name, experiment, self.state.lang))
        except RnncliError as error:
            self.show(replace(self.state, message=describe(error)))
        else:
            self.show(replace(self.state, message=Message("saved {name}", name=name)))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the entries of the command palette."""
        for key in keys.KEYS:
            if key.in_palette and key.act is not None:
                text = say(key.text, self.state.lang)
                yield SystemCommand(text, "", lambda act=key.act: self.show(act(self.state)))

    def action_command_palette(self) -> None:
        """Show the command palette."""
        if not any(isinstance(shown, CommandPalette) for shown in self.screen_stack):
            text = say("search for a command", self.state.lang)
            self.push_screen(CommandPalette(placeholder=text))


def _start(work: Callable[[], Returned]) -> asyncio.Future[Returned]:
    """Start `work` in a new thread, which does not keep the program from ending."""
    return asyncio.wrap_future(signals.start_in_thread(work))
