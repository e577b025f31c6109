"""The explorer: panes, keys, and one place where an experiment is replaced by the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Static

from rnncli.case import format_shape
from rnncli.cli import files
from rnncli.cli.language import localize
from rnncli.commands.explore import command_text, equation_text, option_rows
from rnncli.commands.explore.computation import Computation, start_computation
from rnncli.commands.explore.cursor import Cursor
from rnncli.commands.explore.editable_case import EditableCase, History
from rnncli.commands.explore.panes.dialogs import HelpPage, Prompt
from rnncli.commands.explore.panes.grid_pane import GridPane
from rnncli.commands.explore.panes.option_pane import OptionPane
from rnncli.commands.explore.panes.step_pane import StepPane
from rnncli.commands.explore.texts import text
from rnncli.commands.explore.views import VIEWS
from rnncli.errors import RnncliError
from rnncli.renderers.numerals import exact
from rnncli.renderers.wording import say

Change = Callable[[EditableCase], EditableCase]

PATIENCE = 0.3
"""Seconds of a computation before the last line says that it runs; at once, it would only flicker."""


class ExploreApp(App[None]):
    """One experiment on the screen; every change makes the next one."""

    CSS_PATH = "style.tcss"
    TITLE = "rnncli explore"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", show=False),
        Binding("1", "view('results')", show=False),
        Binding("2", "view('input')", show=False),
        Binding("3", "view('weights')", show=False),
        Binding("4", "view('gates')", show=False),
        Binding("left_square_bracket", "step(-1)", show=False),
        Binding("right_square_bracket", "step(1)", show=False),
        Binding("b", "sequence(1)", show=False),
        Binding("B", "sequence(-1)", show=False),
        Binding("m", "mask", show=False),
        Binding("e", "terms", show=False),
        Binding("u", "undo(-1)", show=False),
        Binding("U", "undo(1)", show=False),
        Binding("s", "save", show=False),
        Binding("c", "copy", show=False),
        Binding("k", "copy_expression", show=False),
        Binding("question_mark", "help", show=False),
    ]

    def __init__(
        self, experiment: EditableCase, computation: Computation, lang: str, remarks: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.remarks = remarks
        self.history, self.computation, self.lang = History(experiment), computation, lang
        self.cursor = Cursor().within(computation)
        self.view, self.every_term = "results", False
        self.waiting: EditableCase | None = None
        self.saved: tuple[EditableCase, str] | None = None

    def compose(self) -> ComposeResult:
        """Build the panes."""
        yield Static(id="title", classes="line", markup=False)
        with Horizontal(id="upper"):
            yield OptionPane(option_rows.rows(self.history.now), id="options")
            yield GridPane(id="grid")
        yield StepPane(id="step")
        yield Static(id="expression", classes="line", markup=False)
        yield Static(id="command", classes="line", markup=False)
        yield Static(id="message", classes="line", markup=False)

    def on_mount(self) -> None:
        """Show the first experiment."""
        self.query_one(OptionPane).focus()
        self.show()
        self.say("; ".join(localize(remark, self.lang) for remark in self.remarks))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: Textual's, and the explorer's own."""
        yield from super().get_system_commands(screen)
        for view in VIEWS:
            yield SystemCommand(text(view, self.lang), "", lambda view=view: self.action_view(view))
        yield SystemCommand(text("undo", self.lang), "", lambda: self.action_undo(-1))
        yield SystemCommand(text("redo", self.lang), "", lambda: self.action_undo(1))
        yield SystemCommand(text("save", self.lang), "", self.action_save)
        yield SystemCommand(text("copy", self.lang), "", self.action_copy)

    def change(self, change: Change) -> None:
        """Go on to a changed experiment, or say why it cannot be."""
        try:
            self.waiting = change(self.waiting or self.history.now)
        except RnncliError as error:
            self.say(localize(f"{error.what} {error.advice}", self.lang))
            return
        self.compute(self.waiting, step=None)

    @work(exclusive=True)
    async def compute(self, experiment: EditableCase, step: int | None) -> None:
        """Compute `experiment` beside the screen, so that a large one does not freeze it.

        step: -1 or 1 if it comes from the history.
        """
        found = start_computation(experiment)
        await asyncio.wait([found], timeout=PATIENCE)
        if not found.done():
            self.say(text("computing", self.lang))
        try:
            self._arrive(experiment, await found, step)
        except RnncliError as error:
            self._fail(experiment, localize(f"{error.what} {error.advice}", self.lang))

    def _fail(self, experiment: EditableCase, message: str) -> None:
        if self.waiting is experiment:
            self.waiting = None
            self.say(message)

    def _arrive(self, experiment: EditableCase, found: Computation, step: int | None) -> None:
        """Show a result, unless a later change has replaced it."""
        if self.waiting is not experiment:
            return
        self.waiting, self.computation = None, found
        if step is None:
            self.history.add(experiment)
        else:
            self.history.move(step)
        self.cursor = self.cursor.within(found)
        self.say("")
        self.show()

    def say(self, message: str) -> None:
        """Show a message in the last line; the keys if it is empty."""
        self.query_one("#message", Static).update(
            Text(message or text("keys", self.lang), "dim" if not message else "bold")
        )

    def show(self) -> None:
        """Show the experiment and the cursor in every pane."""
        now, cursor, found = self.history.now, self.cursor, self.computation
        self.query_one(OptionPane).show(option_rows.rows(now))
        view = VIEWS[self.view]
        self.query_one(GridPane).show(view.grids(found, cursor, self.lang), view.locate(found, cursor))
        self._show_step()
        self._show_lines()

    def _show_step(self) -> None:
        found, cursor = self.computation, self.cursor
        place = (cursor.batch, cursor.timestep, cursor.unit)
        tensor = found.sequence(cursor.tensor)
        explanation = None
        if self.view == "gates":
            explanation = found.explain_part(cursor.part, *place)
        elif tensor is not None:
            explanation = found.explain_unit(tensor, *place)
        lines = []
        title = text("no steps", self.lang)
        if explanation is not None:
            every = self.every_term or bool(explanation.equations[0].function)
            lines = equation_text.write(explanation, self.lang, every_term=every)
            title = f"{explanation.target.name} · {say('unit', self.lang)} {explanation.target.indices[-1]}"
        steps = found.case.inputs.shape[1]
        self.query_one(StepPane).show(cursor.timestep, steps, title, lines)

    def _show_lines(self) -> None:
        now, cursor = self.history.now, self.cursor
        shape = now.case.inputs.shape
        head = _line("")
        for number, view in enumerate(VIEWS, 1):
            head.append(f" {number} {text(view, self.lang)} ", "reverse" if view == self.view else "dim")
        head.append(f"  {say('input', self.lang)} {format_shape(shape)}")
        if now.case.seed is not None:
            head.append(f" · {say('seed', self.lang)} {now.case.seed}")
        if shape[0] > 1:
            head.append(f" · {text('sequence', self.lang).format(cursor.batch, shape[0] - 1)}")
        self.query_one("#title", Static).update(head)
        self.query_one("#expression", Static).update(_line(now.expression))
        self.query_one("#command", Static).update(_line(self.command or text("too long", self.lang)))
        self.say("")

    @property
    def command(self) -> str | None:
        """The command that returns the same tensors; None if it has to be saved first."""
        now = self.history.now
        saved = self.saved[1] if self.saved is not None and self.saved[0] is now else None
        return command_text.command(now, saved)

    def on_option_pane_new_value(self, event: OptionPane.NewValue) -> None:
        """Change an option, or ask for its value."""
        row = event.row
        if event.value is not None:
            self.change(lambda now: option_rows.apply(now, row.name, event.value))
            return
        self._ask(row.name, row.text, lambda typed: option_rows.apply_text(row, typed))

    def on_grid_pane_new_cell(self, event: GridPane.NewCell) -> None:
        """Move the cursor."""
        self.cursor = VIEWS[self.view].move_to(self.computation, self.cursor, event.place)
        self.show()

    def on_grid_pane_edit_request(self) -> None:
        """Ask for a new number, once the numbers on the screen are those of the last change."""
        if self.waiting is not None:
            self.say(text("computing", self.lang))
            return
        view, found, cursor = VIEWS[self.view], self.computation, self.cursor
        grid, row, column = view.locate(found, cursor)
        if not view.editable:
            self.say(text("fixed", self.lang))
            return
        table = view.grids(found, cursor, self.lang)[grid]
        name = f"{table.title}[{row}, {column}]"
        before = exact(table.values[row : row + 1, column])[0]
        self._ask(name, before, lambda typed: lambda now: view.edit(now, found, cursor, float(typed)))

    def on_step_pane_new_step(self, event: StepPane.NewStep) -> None:
        """Go to a time step."""
        self.cursor = replace(self.cursor, timestep=event.timestep)
        self.show()

    def _ask(self, name: str, value: str, changes: Callable[[str], Change]) -> None:
        """Ask for a value; `changes` makes the change of what was typed, or raises ValueError."""

        def answer(typed: str | None) -> None:
            if typed is None:
                return
            try:
                change = changes(typed)
                self.change(change)
            except ValueError:
                self.say(text("not a number", self.lang).format(repr(typed)))

        self.push_screen(Prompt(text("new value", self.lang).format(name), value), answer)

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
        self.change(lambda now: now.with_masked(self.cursor.batch, self.cursor.timestep))

    def action_terms(self) -> None:
        """Show every term of the equations, or only their sums."""
        self.every_term = not self.every_term
        self.show()

    def action_undo(self, by: int) -> None:
        """Undo or redo one change."""
        before = self.history.peek(by)
        if before is None:
            self.say(text("no undo" if by < 0 else "no redo", self.lang))
            return
        self.waiting = before
        self.compute(before, step=by)

    def action_save(self) -> None:
        """Ask for a file, and save the experiment as a case document."""
        self.push_screen(Prompt(text("file", self.lang), "experiment.json"), self._save)

    def _save(self, name: str | None) -> None:
        if not name:
            return
        now = self.history.now
        try:
            command_text.demand_new(files.expand_user(name))
            files.write(name, command_text.document(now) + b"\n")
        except RnncliError as error:
            self.say(localize(f"{error.what} {error.advice}", self.lang))
            return
        self.saved = (now, name)
        self._show_lines()
        self.say(text("saved", self.lang).format(name))

    def action_copy(self) -> None:
        """Copy the command."""
        if self.command is not None:
            self._copy(self.command)

    def action_copy_expression(self) -> None:
        """Copy the Keras expression."""
        self._copy(self.history.now.expression)

    def _copy(self, what: str) -> None:
        self.copy_to_clipboard(what)
        self.say(text("copied", self.lang))

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpPage(text("help", self.lang)))


def _line(words: str) -> Text:
    """Return one line, cut with an ellipsis if it is too long."""
    return Text(words, no_wrap=True, overflow="ellipsis")
