"""The explorer: its panes and keys, and what they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Static

from rnncli.cli.language import localize
from rnncli.commands.explore import command_text, equation_text, option_rows, status_lines
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.commands.explore.panes.dialogs import HelpPage
from rnncli.commands.explore.panes.grid_pane import GridPane
from rnncli.commands.explore.panes.option_pane import OptionPane
from rnncli.commands.explore.panes.step_pane import StepPane
from rnncli.commands.explore.prompt_app import PromptApp
from rnncli.commands.explore.texts import text
from rnncli.commands.explore.views import VIEWS, NumberGrid, subtract
from rnncli.compute.derivation.explanation import Explanation
from rnncli.renderers.wording import say

KEYS = {
    "q": "quit",
    "1": "view('results')",
    "2": "view('input')",
    "3": "view('weights')",
    "4": "view('gates')",
    "left_square_bracket": "step(-1)",
    "right_square_bracket": "step(1)",
    "b": "sequence(1)",
    "B": "sequence(-1)",
    "m": "mask",
    "h": "hold",
    "H": "release",
    "d": "difference",
    "e": "terms",
    "u": "undo(-1)",
    "U": "undo(1)",
    "s": "save",
    "c": "copy",
    "k": "copy_expression",
    "question_mark": "help",
}
"""The action of each key."""

PALETTE = {
    **{view: f"view('{view}')" for view in VIEWS},
    "hold gate": "hold",
    "release": "release",
    "differences": "difference",
    "mask step": "mask",
    "terms": "terms",
    "undo": "undo(-1)",
    "redo": "undo(1)",
    "save": "save",
    "copy": "copy",
    "copy expression": "copy_expression",
    "theme": "change_theme",
    "keys and colours": "help",
    "quit": "quit",
}
"""The action of each entry of the command palette, by the key of its text."""


class ExploreApp(PromptApp):
    """One experiment on the screen; every change makes the next one."""

    CSS_PATH = "style.tcss"
    TITLE = "rnncli explore"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in KEYS.items()]

    def __init__(
        self, experiment: EditableCase, computation: Computation, lang: str, remarks: Sequence[str] = ()
    ) -> None:
        super().__init__(experiment, computation, lang)
        self.remarks = remarks
        self.every_term = self.subtracts = False

    def compose(self) -> ComposeResult:
        """Build the panes."""
        yield Static(id="title", classes="line", markup=False)
        with Horizontal(id="upper"):
            yield OptionPane(option_rows.rows(self.history.current), id="options")
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

    def show(self) -> None:
        """Show the experiment and the cursor in every pane."""
        self.cursor = self.cursor.within(self.computation)
        self.show_options()
        view = VIEWS[self.view]
        self.query_one(GridPane).show(self._grids(), view.locate(self.computation, self.cursor))
        self._show_step()
        line = status_lines.title(self.shown, self.view, self.cursor, self.lang, self.size.width)
        self.query_one("#title", Static).update(line)
        self.query_one("#expression", Static).update(
            status_lines.one_line(self.shown.expression, self.size.width)
        )
        words = self.command or text("too long", self.lang)
        self.query_one("#command", Static).update(status_lines.command(words, self.size.width))
        self.say("")

    def show_options(self) -> None:
        """Show the options of the current experiment."""
        self.query_one(OptionPane).show(option_rows.rows(self.history.current, self.cursor.batch))

    def _grids(self) -> list[NumberGrid]:
        """Return the tables of the view; their differences from the run without held gates if asked."""
        view, found, cursor = VIEWS[self.view], self.computation, self.cursor
        grids = view.grids(found, cursor, self.lang)
        if not self.subtracts or found.without_hold is None or view.editable:
            return grids
        return subtract(grids, view.grids(found.without_hold, cursor, self.lang), self.lang)

    def _show_step(self) -> None:
        lines: list[Text] = []
        title = text("no steps", self.lang)
        explanation = self._explanation()
        if explanation is not None:
            every = self.every_term or bool(explanation.equations[0].function)
            lines = equation_text.write(explanation, self.lang, every_term=every)
            title = f"{explanation.target.name} · {say('unit', self.lang)} {explanation.target.indices[-1]}"
        steps = self.computation.case.inputs.shape[1]
        self.query_one(StepPane).show(self.cursor.timestep, steps, title, lines)

    def _explanation(self) -> Explanation | None:
        """Return where the number of this step comes from; None if the layer returns no sequence."""
        found, cursor = self.computation, self.cursor
        place = (cursor.batch, cursor.timestep, cursor.unit)
        if self.view == "gates":
            return found.explain_part(cursor.part, *place)
        tensor = found.sequence(cursor.tensor)
        return None if tensor is None else found.explain_unit(tensor, *place)

    @property
    def command(self) -> str | None:
        """The command that returns the same tensors; None if it has to be saved first."""
        saved = self.saved[1] if self.saved is not None and self.saved[0] is self.shown else None
        return command_text.command(self.shown, saved)

    def on_option_pane_new_value(self, event: OptionPane.NewValue) -> None:
        """Change an option, or ask for its value."""
        row, value, batch = event.row, event.value, self.cursor.batch
        if value is None:
            self.ask_option(row)
        else:
            self.change(lambda now: option_rows.apply(now, row.name, value, batch))

    def on_grid_pane_new_cell(self, event: GridPane.NewCell) -> None:
        """Move the cursor."""
        self.cursor = VIEWS[self.view].move_to(self.computation, self.cursor, event.place)
        self.show()

    def on_grid_pane_edit_request(self) -> None:
        """Ask for a new number; for a gate, at which value to hold it."""
        if self.view == "gates":
            self.action_hold()
        else:
            self.ask_number()

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
        if VIEWS[self.view].editable:
            self.view = "results"
        self.show()

    def action_copy(self) -> None:
        """Copy the command."""
        if self.command is not None:
            self._copy(self.command)

    def action_copy_expression(self) -> None:
        """Copy the Keras expression."""
        self._copy(self.shown.expression)

    def _copy(self, what: str) -> None:
        self.copy_to_clipboard(what)
        self.say(text("copied", self.lang))

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpPage(text("help", self.lang)))
