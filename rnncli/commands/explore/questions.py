"""What the dialogs ask: the value of an option, a number, a gate to hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rnncli.case import Hold
from rnncli.commands.explore import option_rows
from rnncli.commands.explore.editable_case import Change, EditableCase
from rnncli.commands.explore.option_rows import OptionRow
from rnncli.commands.explore.scene import Scene
from rnncli.commands.explore.texts import get_text
from rnncli.show.numerals import format_exactly


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
    question = (
        get_text(row.name, lang)
        if row.edit_text is not None
        else get_text("new value", lang).format(row.name)
    )
    value = row.text if row.edit_text is None else row.edit_text
    return Question(question, value, lambda typed: option_rows.apply_text(row, typed, batch))


def ask_number(scene: Scene) -> Question | None:
    """Ask for the number under the cursor; None if it is computed."""
    edit = scene.grid_view.edit
    if edit is None:
        return None
    place, row, column = scene.cell
    grid = scene.grids[place]
    name, value = f"{grid.title}[{row}, {column}]", format_exactly(grid.values[row, column])[0]

    def change(typed: str) -> Change:
        number = float(typed)
        return lambda now: edit(now, scene.computation, scene.cursor, number)

    return Question(get_text("new value", scene.lang).format(name), value, change)


def ask_hold(scene: Scene, experiment: EditableCase) -> Question:
    """Ask for the value at which to hold the gate under the cursor, from this time step on."""
    cursor = scene.cursor
    gate = scene.computation.parts[cursor.part].gate
    old = next((hold.text for hold in experiment.case.hold if _is_at(hold, gate, cursor.unit)), None)
    new = f"{gate}[:, {cursor.unit}]=1@{cursor.timestep}:"

    def change(typed: str) -> Change:
        texts = option_rows.split_holds(typed)
        return lambda now: now.with_holds(
            [*(hold.text for hold in now.case.hold if hold.text != old), *texts]
        )

    return Question(get_text("hold", scene.lang), old or new, change)


def _is_at(hold: Hold, gate: str, unit: int) -> bool:
    """Return whether the hold applies to this gate and unit.  gate: with the path of its loop, as typed."""
    return unit in hold.units and hold.text.partition("=")[0].partition("[")[0].strip() == gate
