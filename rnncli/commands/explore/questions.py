"""What the dialogs ask: the value of an option, a number, a gate to hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rnncli.case import Hold
from rnncli.commands.explore import option_rows
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.cursor import Cursor
from rnncli.commands.explore.editable_case import Change, EditableCase
from rnncli.commands.explore.option_rows import OptionRow
from rnncli.commands.explore.texts import text
from rnncli.commands.explore.views import GridView
from rnncli.renderers.numerals import format_exactly


class Question(NamedTuple):
    """A line to type.

    value: the text to start from.  change: returns the change for a typed text; raises ValueError if it
    should be a number and is not.
    """

    text: str
    value: str
    change: Callable[[str], Change]


def ask_option(row: OptionRow, batch: int, lang: str) -> Question:
    """Ask for the value of an option."""
    question = text(row.name, lang) if row.typed is not None else text("new value", lang).format(row.name)
    value = row.text if row.typed is None else row.typed
    return Question(question, value, lambda typed: option_rows.apply_text(row, typed, batch))


def ask_number(view: GridView, computation: Computation, cursor: Cursor, lang: str) -> Question | None:
    """Ask for the number under the cursor; None if it is computed."""
    edit = view.edit
    if edit is None:
        return None
    grids = view.grids(computation, cursor, lang)
    number, row, column = view.locate(grids, cursor)
    name = f"{grids[number].title}[{row}, {column}]"
    value = format_exactly(grids[number].values[row, column])[0]

    def change(typed: str) -> Change:
        number = float(typed)
        return lambda now: edit(now, computation, cursor, number)

    return Question(text("new value", lang).format(name), value, change)


def ask_hold(experiment: EditableCase, computation: Computation, cursor: Cursor, lang: str) -> Question:
    """Ask for the value at which to hold the gate under the cursor, from this time step on."""
    gate = computation.parts[cursor.part].gate
    old = next((hold.text for hold in experiment.case.hold if _is_at(hold, gate, cursor.unit)), None)
    new = f"{gate}[:, {cursor.unit}]=1@{cursor.timestep}:"

    def change(typed: str) -> Change:
        texts = option_rows.split_holds(typed)
        return lambda now: now.with_holds(
            [*(hold.text for hold in now.case.hold if hold.text != old), *texts]
        )

    return Question(text("hold", lang), old or new, change)


def _is_at(hold: Hold, gate: str, unit: int) -> bool:
    """Whether this hold is of that gate and unit.  gate: with the path of its loop, as typed."""
    return unit in hold.units and hold.text.partition("=")[0].partition("[")[0].strip() == gate
