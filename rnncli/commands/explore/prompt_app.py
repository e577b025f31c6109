"""The part of the explorer that asks: a value of an option, a number, a gate to hold, a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual import work

from rnncli.cli import files
from rnncli.cli.language import localize
from rnncli.commands.explore import command_text, option_rows
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.cursor import Cursor
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.commands.explore.history_app import Change, HistoryApp
from rnncli.commands.explore.option_rows import OptionRow
from rnncli.commands.explore.panes.dialogs import Prompt
from rnncli.commands.explore.texts import text
from rnncli.commands.explore.views import VIEWS
from rnncli.errors import RnncliError
from rnncli.renderers.numerals import format_exactly


class PromptApp(HistoryApp):
    """Asks for one line at a time, each in a dialog.

    cursor, view: what the questions are about.  saved: the last experiment that was saved, and its file.
    """

    def __init__(self, experiment: EditableCase, computation: Computation, lang: str) -> None:
        super().__init__(experiment, computation, lang)
        self.cursor = Cursor().within(computation)
        self.view = "results"
        self.saved: tuple[EditableCase, str] | None = None

    def ask_option(self, row: OptionRow) -> None:
        """Ask for the value of an option."""
        batch = self.cursor.batch
        question = text(row.name, self.lang) if row.typed is not None else self._question(row.name)
        before = row.text if row.typed is None else row.typed
        self._ask(question, before, lambda typed: option_rows.apply_text(row, typed, batch))

    def ask_number(self) -> None:
        """Ask for the number under the cursor, once the screen shows the numbers of the last change."""
        if self.is_waiting:
            self.say(text("computing", self.lang))
            return
        view, found, cursor = VIEWS[self.view], self.computation, self.cursor
        if not view.editable:
            self.say(text("fixed", self.lang))
            return
        grid, row, column = view.locate(found, cursor)
        table = view.grids(found, cursor, self.lang)[grid]
        question = self._question(f"{table.title}[{row}, {column}]")
        before = format_exactly(table.values[row : row + 1, column])[0]
        self._ask(question, before, lambda typed: lambda now: view.edit(now, found, cursor, float(typed)))

    def action_hold(self) -> None:
        """Ask for the value at which to hold the gate under the cursor, from this time step on."""
        cursor = self.cursor
        gate = self.computation.gate_name(cursor.part)
        holds = self.history.current.case.hold
        old = next((hold.text for hold in holds if _is_at(hold.text, gate, hold.units, cursor.unit)), None)
        new = f"{gate}[:, {cursor.unit}]=1@{cursor.timestep}:"

        def changes(typed: str) -> Change:
            texts = option_rows.split_holds(typed)
            return lambda now: now.with_holds(
                [*(hold.text for hold in now.case.hold if hold.text != old), *texts]
            )

        self._ask(text("hold", self.lang), old or new, changes)

    def action_release(self) -> None:
        """Compute every gate again."""
        if not self.history.current.case.hold:
            self.say(text("no hold", self.lang))
            return
        self.change(lambda now: now.with_holds(()))

    def action_save(self) -> None:
        """Ask for a file, and save the experiment as a case document."""
        self.push_screen(Prompt(text("file", self.lang), "experiment.json"), self._save)

    def _save(self, name: str | None) -> None:
        if name:
            self._write(name, self.shown)

    @work
    async def _write(self, name: str, experiment: EditableCase) -> None:
        """Write the case document in a thread, since a large one takes seconds."""
        try:
            command_text.demand_new(files.expand_user(name))
            self.say(text("saving", self.lang))
            document = await asyncio.to_thread(command_text.document, experiment)
            files.write(name, document + b"\n")
        except RnncliError as error:
            self.say(localize(f"{error.what} {error.advice}", self.lang))
            return
        self.saved = (experiment, name)
        self.show()
        self.say(text("saved", self.lang).format(name))

    def _question(self, name: str) -> str:
        return text("new value", self.lang).format(name)

    def _ask(self, question: str, value: str, changes: Callable[[str], Change]) -> None:
        """Ask for a value; `changes` makes the change of what was typed, or raises ValueError."""

        def answer(typed: str | None) -> None:
            if typed is None:
                return
            try:
                change = changes(typed)
                self.change(change)
            except ValueError:
                self.say(text("not a number", self.lang).format(repr(typed)))

        self.push_screen(Prompt(question, value), answer)


def _is_at(hold: str, gate: str, units: range, unit: int) -> bool:
    """Whether this hold is of that gate and unit."""
    return unit in units and hold.partition("=")[0].partition("[")[0].strip() == gate
