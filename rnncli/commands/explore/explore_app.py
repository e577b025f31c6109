"""The explorer: what the keys and the mouse do."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, ClassVar

from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.screen import Screen

from rnncli.cli.language import localize
from rnncli.commands.explore import command_text, option_rows, questions
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.editable_case import Change, EditableCase
from rnncli.commands.explore.keys import KEYS, PALETTE
from rnncli.commands.explore.panes.dialogs import HelpPage, Prompt
from rnncli.commands.explore.panes.grid_pane import GridPane
from rnncli.commands.explore.panes.option_pane import OptionPane
from rnncli.commands.explore.panes.step_pane import StepPane
from rnncli.commands.explore.panes.workbench import Workbench
from rnncli.commands.explore.questions import Question
from rnncli.commands.explore.runner import Runner
from rnncli.commands.explore.scene import Scene
from rnncli.commands.explore.texts import describe_error, get_text
from rnncli.errors import RnncliError, Text
from rnncli.process import signals

PATIENCE = 2.0
"""Seconds for leaving after a signal."""


class ExploreApp(App[None]):
    """One experiment on the screen; every change makes the next one.

    scene: what is shown.  saved: the last experiment that was saved, and its file.
    """

    CSS_PATH = "style.tcss"
    TITLE = "rnncli explore"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in KEYS.items()]

    def __init__(
        self, experiment: EditableCase, computation: Computation, lang: str, remarks: Sequence[Text] = ()
    ) -> None:
        super().__init__()
        self.lang, self.remarks = lang, remarks
        self.runner = Runner(experiment, computation, lambda: self.say("computing"))
        self.scene = Scene(experiment, computation, lang)
        self.saved: tuple[EditableCase, str] | None = None
        self._is_running = False
        self._mounted_all = threading.Event()

    @property
    def current(self) -> EditableCase:
        """The last experiment, which may not be computed yet."""
        return self.runner.history.current

    @property
    def command(self) -> str | None:
        """The command that returns the same tensors; None if it has to be saved first."""
        shown = self.runner.experiment
        saved = self.saved[1] if self.saved is not None and self.saved[0] is shown else None
        return command_text.command(shown, saved)

    @property
    def workbench(self) -> Workbench:
        """The panes; a dialog may be above them."""
        return self.screen_stack[0].query_one(Workbench)

    def end(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: leave as `q` does, which restores the terminal; later, leave in any case."""

        def leave() -> None:  # the main thread may wait for a terminal that takes no more text
            self._mounted_all.wait(PATIENCE)
            self.exit(return_code=128 + number)
            time.sleep(PATIENCE)
            os._exit(128 + number)

        signals.start_in_thread(leave)

    def compose(self) -> ComposeResult:
        """Build the panes."""
        yield Workbench(self.scene, self.command)

    def on_mount(self) -> None:
        """Show the first experiment."""
        self.query_one(OptionPane).focus()
        self.show()
        self.workbench.say("; ".join(localize(remark, self.lang) for remark in self.remarks))
        self._mounted_all.set()

    def say(self, key: str, *values: str) -> None:
        """Show a text of the explorer in the last line, with these values in it."""
        self.workbench.say(get_text(key, self.lang).format(*values))

    def show(self, **changes: Any) -> None:
        """Show the last numbers, with these changes of the scene."""
        computation = self.runner.computation
        scene = replace(self.scene, experiment=self.runner.experiment, computation=computation, **changes)
        self.scene = replace(scene, cursor=scene.cursor.within(computation))
        if self.scene.timestep is not None:
            self.scene = replace(self.scene, cursor=replace(self.scene.cursor, timestep=self.scene.timestep))
        self.workbench.show(self.scene, self.command)
        self.workbench.show_options(self.current)

    def show_at(self, **indices: int) -> None:
        """Show the numbers at other indices of the cursor."""
        self.show(cursor=replace(self.scene.cursor, **indices))

    def change(self, change: Change, *, reads: bool = False) -> None:
        """Change the experiment, or say why that is not possible.  reads: see Runner.change."""
        try:
            self.runner.change(change, reads=reads)
        except RnncliError as error:
            self.workbench.say(describe_error(error, self.lang))
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        self.workbench.show_options(self.current)
        if not self._is_running:
            self._is_running = True
            self._run()

    @work
    async def _run(self) -> None:
        """Compute in a thread, so that a large experiment does not freeze the screen."""
        message = await self.runner.catch_up(self.lang)
        self._is_running = False
        self.show()
        self.workbench.say(message)

    def ask(self, question: Question, *, reads: bool = False) -> None:
        """Ask for a text, and make the change that it describes."""

        def answer(typed: str | None) -> None:
            if typed is None:
                return
            try:
                change = question.change(typed)
            except ValueError:
                self.say("not a number", repr(typed))
            else:
                self.change(change, reads=reads)

        self.push_screen(Prompt(question.text, question.value), answer)

    def on_option_pane_next_value(self, event: OptionPane.NextValue) -> None:
        """Go to the next or the previous value of an option."""
        name, by, batch = event.row.name, event.by, self.scene.cursor.batch
        reads = option_rows.reads_input(self.current, name)
        self.change(lambda now: option_rows.step(now, name, by, batch), reads=reads)

    def on_option_pane_typed_value(self, event: OptionPane.TypedValue) -> None:
        """Ask for the value of an option."""
        reads = option_rows.reads_input(self.current, event.row.name)
        self.ask(questions.ask_option(event.row, self.scene.cursor.batch, self.lang), reads=reads)

    def on_grid_pane_new_cell(self, event: GridPane.NewCell) -> None:
        """Move the cursor."""
        scene = self.scene
        self.show(cursor=scene.grid_view.move_to(scene.grids, scene.cursor, event.place))

    def on_grid_pane_edit_request(self) -> None:
        """Ask for a new number, once those of the last change are shown; for a gate, where to hold it."""
        if self.scene.view == "gates":
            self.action_hold()
        elif self.runner.is_waiting:
            self.say("computing")
        elif (question := questions.ask_number(self.scene)) is None:
            self.say("fixed")
        else:
            self.ask(question)

    def on_step_pane_new_step(self, event: StepPane.NewStep) -> None:
        """Go to a time step."""
        self.show_at(timestep=event.timestep)
        if self.scene.timestep != event.timestep:
            self.say("no steps")

    def action_view(self, view: str) -> None:
        """Show the results, the input, the weights or the gates."""
        self.query_one(GridPane).focus()
        self.show(view=view)

    def action_step(self, by: int) -> None:
        """Go to the next or the previous time step."""
        self.query_one(StepPane).action_step(by)

    def action_sequence(self, by: int) -> None:
        """Go to the next or the previous sequence of the batch."""
        size = len(self.scene.computation.case.inputs)
        self.show_at(batch=(self.scene.cursor.batch + by) % size)

    def action_mask(self) -> None:
        """Mask the time step under the cursor, or unmask it."""
        batch, timestep = self.scene.cursor.batch, self.scene.cursor.timestep
        self.change(lambda now: now.toggle_mask(batch, timestep))

    def action_hold(self) -> None:
        """Ask for the value at which to hold the gate under the cursor."""
        self.ask(questions.ask_hold(self.scene, self.current))

    def action_release(self) -> None:
        """Compute every gate again."""
        if self.current.case.hold:
            self.change(lambda now: now.with_holds(()))
        else:
            self.say("no hold")

    def action_undo(self, by: int) -> None:
        """Undo (-1) or redo (1) one change, even one that is still being computed."""
        if self.runner.undo(by):
            self._catch_up()
        else:
            self.say("no undo" if by < 0 else "no redo")

    def action_terms(self) -> None:
        """Toggle between every term of the equations and their sums alone."""
        self.show(every_term=not self.scene.every_term)

    def action_difference(self) -> None:
        """Toggle between the numbers and what the held gates change in them."""
        if self.runner.computation.without_hold is None:
            self.say("no hold")
        else:
            view = self.scene.view if self.scene.grid_view.edit is None else "results"
            self.show(subtracts=not self.scene.subtracts, view=view)

    def action_copy(self, expression: bool) -> None:
        """Copy the command, or the Keras expression."""
        what = self.runner.experiment.expression if expression else self.command
        if what is not None:
            self.copy_to_clipboard(what)
            self.say("copied")

    def action_save(self) -> None:
        """Ask for a file, and save the experiment as a case document."""

        def answer(name: str | None) -> None:
            if name:
                self._save(name, self.runner.experiment)

        self.push_screen(Prompt(get_text("file", self.lang), "experiment.json"), answer)

    @work
    async def _save(self, name: str, experiment: EditableCase) -> None:
        """Save in a thread, since a large document takes seconds."""
        self.say("saving")
        try:
            await asyncio.to_thread(command_text.save, name, experiment)
        except RnncliError as error:
            self.workbench.say(describe_error(error, self.lang))
            return
        self.saved = (experiment, name)
        self.show()
        self.say("saved", name)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpPage(get_text("help", self.lang)))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the entries of the command palette."""
        for key, action in PALETTE.items():
            yield SystemCommand(get_text(key, self.lang), "", lambda action=action: self.run_action(action))

    def action_command_palette(self) -> None:
        """Show the command palette."""
        if not any(isinstance(screen, CommandPalette) for screen in self.screen_stack):
            self.push_screen(CommandPalette(placeholder=get_text("search", self.lang)))
