"""The explorer: its panes, and what the keys do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Static

from rnncli.cli import files
from rnncli.cli.language import localize
from rnncli.commands.explore import command_text, option_rows, questions, status_lines
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.cursor import Cursor
from rnncli.commands.explore.editable_case import Change, EditableCase
from rnncli.commands.explore.equation_text import describe_step
from rnncli.commands.explore.keys import KEYS, PALETTE
from rnncli.commands.explore.panes.dialogs import HelpPage, Prompt
from rnncli.commands.explore.panes.grid_pane import GridPane
from rnncli.commands.explore.panes.option_pane import OptionPane
from rnncli.commands.explore.panes.step_pane import StepPane
from rnncli.commands.explore.questions import Question
from rnncli.commands.explore.runner import Runner
from rnncli.commands.explore.texts import describe_error, text
from rnncli.commands.explore.views import VIEWS, NumberGrid, subtract
from rnncli.errors import RnncliError


class ExploreApp(App[None]):
    """One experiment on the screen; every change makes the next one.

    saved: the last experiment that was saved, and its file.
    """

    CSS_PATH = "style.tcss"
    TITLE = "rnncli explore"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in KEYS.items()]

    def __init__(
        self, experiment: EditableCase, computation: Computation, lang: str, remarks: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.lang, self.remarks = lang, remarks
        self.runner = Runner(experiment, computation, lambda: self.say(text("computing", lang)))
        self.cursor, self.view = Cursor(), "results"
        self.every_term = self.subtracts = self._is_running = False
        self.saved: tuple[EditableCase, str] | None = None

    def compose(self) -> ComposeResult:
        """Build the panes."""
        yield Static(id="title", classes="line", markup=False)
        with Horizontal(id="upper"):
            yield OptionPane(option_rows.rows(self.current), id="options")
            yield GridPane(id="grid")
        yield StepPane(id="step")
        yield Static(id="expression", classes="line", markup=False)
        yield Static(id="command", markup=False)
        yield Static(id="message", markup=False)

    def on_mount(self) -> None:
        """Show the first experiment."""
        self.query_one(OptionPane).focus()
        self.show()
        self.say("; ".join(localize(remark, self.lang) for remark in self.remarks))

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        if self.query("#message"):
            self.show()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the entries of the command palette."""
        for key, action in PALETTE.items():
            yield SystemCommand(text(key, self.lang), "", lambda action=action: self.run_action(action))

    def action_command_palette(self) -> None:
        """Show the command palette."""
        if not any(isinstance(screen, CommandPalette) for screen in self.screen_stack):
            palette = CommandPalette(placeholder=text("search", self.lang))
            self.push_screen(palette)

    def say(self, message: str) -> None:
        """Show a message in the last line; the keys if it is empty."""
        self.query_one("#message", Static).update(status_lines.message(message, self.lang))

    @property
    def current(self) -> EditableCase:
        """The last experiment, which may not be computed yet."""
        return self.runner.history.current

    @property
    def computation(self) -> Computation:
        """The numbers on the screen."""
        return self.runner.computation

    @property
    def command(self) -> str | None:
        """The command that returns the same tensors; None if it has to be saved first."""
        shown = self.runner.shown
        saved = self.saved[1] if self.saved is not None and self.saved[0] is shown else None
        return command_text.command(shown, saved)

    def show(self) -> None:
        """Show the experiment and the cursor in every pane."""
        self.cursor = self.cursor.within(self.computation)
        self.show_options()
        self._show_numbers()
        shown, width = self.runner.shown, self.size.width
        lines = {
            "#title": status_lines.title(shown, self.view, self.cursor, self.lang, width),
            "#expression": status_lines.one_line(shown.expression, width),
            "#command": status_lines.command(self.command or text("too long", self.lang), width),
        }
        for name, line in lines.items():
            self.query_one(name, Static).update(line)
        self.say("")

    def show_options(self) -> None:
        """Show the options of the last experiment, before its numbers are there."""
        self.query_one(OptionPane).show(option_rows.rows(self.current, self.cursor.batch))

    def _show_numbers(self) -> None:
        grids = self._grids(self.computation)
        self.query_one(GridPane).show(self._subtracted(grids), VIEWS[self.view].locate(grids, self.cursor))
        step = describe_step(self.computation, self.view, self.cursor, self.lang, every_term=self.every_term)
        steps = self.computation.case.inputs.shape[1]
        self.query_one(StepPane).show(self.cursor.timestep, steps, step.title, step.lines)

    def _grids(self, computation: Computation) -> list[NumberGrid]:
        return VIEWS[self.view].grids(computation, self.cursor, self.lang)

    def _subtracted(self, grids: list[NumberGrid]) -> list[NumberGrid]:
        """Return the tables; their differences from the run without held gates if asked."""
        free = self.computation.without_hold
        if not self.subtracts or free is None or VIEWS[self.view].edit is not None:
            return grids
        return subtract(grids, self._grids(free), self.lang)

    def change(self, change: Change, *, reads: bool = False) -> None:
        """Go on to a changed experiment, or say why it cannot be.  reads: see Runner.change."""
        try:
            self.runner.change(change, reads=reads)
        except RnncliError as error:
            self.say(describe_error(error, self.lang))
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        self.show_options()
        if not self._is_running:
            self._is_running = True
            self._run()

    @work
    async def _run(self) -> None:
        """Compute beside the screen, so that a large experiment does not freeze it."""
        message = await self.runner.catch_up(self.lang)
        self._is_running = False
        self.show()
        self.say(message)

    def ask(self, question: Question, *, reads: bool = False) -> None:
        """Ask for a text, and make the change that it says."""

        def answer(typed: str | None) -> None:
            if typed is None:
                return
            try:
                change = question.change(typed)
            except ValueError:
                self.say(text("not a number", self.lang).format(repr(typed)))
            else:
                self.change(change, reads=reads)

        self.push_screen(Prompt(question.text, question.value), answer)

    def on_option_pane_step(self, event: OptionPane.Step) -> None:
        """Go to the next or the previous value of an option."""
        name, by, batch = event.row.name, event.by, self.cursor.batch
        reads = option_rows.reads_input(self.current, name)
        self.change(lambda now: option_rows.step(now, name, by, batch), reads=reads)

    def on_option_pane_typing(self, event: OptionPane.Typing) -> None:
        """Ask for the value of an option."""
        reads = option_rows.reads_input(self.current, event.row.name)
        self.ask(questions.ask_option(event.row, self.cursor.batch, self.lang), reads=reads)

    def on_grid_pane_new_cell(self, event: GridPane.NewCell) -> None:
        """Move the cursor."""
        grids = self._grids(self.computation)
        self.cursor = VIEWS[self.view].move_to(grids, self.cursor, event.place)
        self.show()

    def on_grid_pane_edit_request(self) -> None:
        """Ask for a new number, once those of the last change are shown; for a gate, where to hold it."""
        if self.view == "gates":
            self.action_hold()
        elif self.runner.is_waiting:
            self.say(text("computing", self.lang))
        else:
            question = questions.ask_number(VIEWS[self.view], self.computation, self.cursor, self.lang)
            if question is None:
                self.say(text("fixed", self.lang))
            else:
                self.ask(question)

    def on_step_pane_new_step(self, event: StepPane.NewStep) -> None:
        """Go to a time step."""
        self.cursor = replace(self.cursor, timestep=event.timestep)
        self.show()

    def action_view(self, view: str) -> None:
        """Show the results, the input, the weights or the gates."""
        self.view = view
        self.query_one(GridPane).focus()
        self.show()

    def action_step(self, by: int) -> None:
        """Go to the next or the previous time step."""
        self.query_one(StepPane).action_step(by)

    def action_sequence(self, by: int) -> None:
        """Go to the next or the previous sequence of the batch."""
        size = self.computation.case.inputs.shape[0]
        self.cursor = replace(self.cursor, batch=(self.cursor.batch + by) % size)
        self.show()

    def action_mask(self) -> None:
        """Mask the time step under the cursor, or unmask it."""
        batch, timestep = self.cursor.batch, self.cursor.timestep
        self.change(lambda now: now.with_masked(batch, timestep))

    def action_hold(self) -> None:
        """Ask for the value at which to hold the gate under the cursor."""
        self.ask(questions.ask_hold(self.current, self.computation, self.cursor, self.lang))

    def action_release(self) -> None:
        """Compute every gate again."""
        if self.current.case.hold:
            self.change(lambda now: now.with_holds(()))
        else:
            self.say(text("no hold", self.lang))

    def action_undo(self, by: int) -> None:
        """Undo (-1) or redo (1) one change, also one that is still computed."""
        if self.runner.undo(by):
            self._catch_up()
        else:
            self.say(text("no undo" if by < 0 else "no redo", self.lang))

    def action_terms(self) -> None:
        """Show every term of the equations, or only their sums."""
        self.every_term = not self.every_term
        self.show()

    def action_difference(self) -> None:
        """Show what the held gates change, or the numbers again."""
        if self.computation.without_hold is None:
            self.say(text("no hold", self.lang))
            return
        self.subtracts = not self.subtracts
        if VIEWS[self.view].edit is not None:
            self.view = "results"
        self.show()

    def action_copy(self) -> None:
        """Copy the command."""
        if self.command is not None:
            self._copy(self.command)

    def action_copy_expression(self) -> None:
        """Copy the Keras expression."""
        self._copy(self.runner.shown.expression)

    def _copy(self, what: str) -> None:
        self.copy_to_clipboard(what)
        self.say(text("copied", self.lang))

    def action_save(self) -> None:
        """Ask for a file, and save the experiment as a case document."""

        def answer(name: str | None) -> None:
            if name:
                self._save(name, self.runner.shown)

        self.push_screen(Prompt(text("file", self.lang), "experiment.json"), answer)

    @work
    async def _save(self, name: str, experiment: EditableCase) -> None:
        """Write the case document in a thread, since a large one takes seconds."""
        try:
            command_text.demand_new(files.expand_user(name))
            self.say(text("saving", self.lang))
            document = await asyncio.to_thread(command_text.document, experiment)
            files.write(name, document + b"\n")
        except RnncliError as error:
            self.say(describe_error(error, self.lang))
            return
        self.saved = (experiment, name)
        self.show()
        self.say(text("saved", self.lang).format(name))

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpPage(text("help", self.lang)))
