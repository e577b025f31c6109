"""The content of the screen: an experiment, its numbers and the cursor."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from rich.text import Text

from rnncli.commands.explore import equation_text
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.cursor import Cursor
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.commands.explore.views import VIEWS, GridCell, GridView, NumberGrid, subtract
from rnncli.compute.derivation.explanation import Explanation
from rnncli.show.visible import visible
from rnncli.show.wording import say


class StepText(NamedTuple):
    """The name of a number, and the lines of its equations."""

    title: str
    lines: list[Text]


@dataclass(frozen=True, eq=False)
class Scene:
    """An experiment with its numbers, and what is shown of them.

    view: its key in VIEWS.  every_term: list the terms of every equation, not only their sums.
    subtracts: show what the held gates change.
    """

    experiment: EditableCase
    computation: Computation
    lang: str
    cursor: Cursor = field(default_factory=Cursor)
    view: str = "results"
    every_term: bool = False
    subtracts: bool = False

    @property
    def grid_view(self) -> GridView:
        """The functions of the view."""
        return VIEWS[self.view]

    @cached_property
    def grids(self) -> list[NumberGrid]:
        """The tables of the view; their differences from the run without held gates if asked."""
        grids = self.grid_view.grids(self.computation, self.cursor, self.lang)
        free = self.computation.without_hold
        if not self.subtracts or free is None or self.grid_view.edit is not None:
            return grids
        return subtract(grids, self.grid_view.grids(free, self.cursor, self.lang), self.lang)

    @property
    def cell(self) -> GridCell:
        """The cell under the cursor."""
        return self.grid_view.locate(self.grids, self.cursor)

    @cached_property
    def explanation(self) -> Explanation:
        """Where the number under the cursor comes from; of an input or a weight, the cursor's time step."""
        found, cursor = self.computation, self.cursor
        place = (cursor.batch, cursor.timestep, cursor.unit)
        if self.view == "gates":
            return found.explain_part(found.parts[cursor.part], *place)
        if self.view == "results" or found.result.outputs[cursor.tensor].label.sequence:
            return found.explain_tensor(cursor.tensor, *place)
        return found.explain_part(found.hidden_part(cursor.tensor), *place)

    @property
    def timestep(self) -> int | None:
        """The time step of the explained number; None for a state that joins two directions."""
        target = self.explanation.target
        is_state = len(target.indices) == 2
        return self.explanation.equations[0].place.timestep if is_state else self.cursor.timestep

    @property
    def step(self) -> StepText:
        """The explanation as text."""
        explanation = self.explanation
        target = explanation.target
        title = f"{visible(target.name)} · {say('unit', self.lang)} {target.indices[-1]}"
        every = self.every_term or bool(explanation.equations[0].function)
        return StepText(title, equation_text.write(explanation, self.lang, every_term=every))
