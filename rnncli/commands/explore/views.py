"""What the grid shows: returned tensors, the input, the weights or the gates; and what its cells mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rnncli.case import Array, format_shape
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.cursor import Cursor
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.commands.explore.texts import text
from rnncli.renderers.wording import brief, say
from rnncli.result import NamedTensor


class GridCell(NamedTuple):
    """A cell: which grid, row and column."""

    grid: int
    row: int
    column: int


class NumberGrid(NamedTuple):
    """A table of numbers, shape (rows, columns).

    rows: labels; an empty sequence labels by index.  times: the input's index of each column.
    held: the entries that are held at a value, shape (rows, columns), bool; None if none can be.
    """

    title: str
    note: str
    values: Array
    rows: Sequence[str] = ()
    row_prefix: str = ""
    times: Sequence[int] | None = None
    held: Array | None = None


class GridView(ABC):
    """What is shown, and how a cell and the cursor correspond.  editable: whether its numbers can change."""

    editable = False

    @abstractmethod
    def grids(self, computation: Computation, cursor: Cursor, lang: str) -> list[NumberGrid]:
        """Return the tables, top to bottom."""

    @abstractmethod
    def locate(self, computation: Computation, cursor: Cursor) -> GridCell:
        """Return the cell under the cursor."""

    @abstractmethod
    def move_to(self, computation: Computation, cursor: Cursor, place: GridCell) -> Cursor:
        """Return the cursor on another cell."""

    def edit(
        self, experiment: EditableCase, computation: Computation, cursor: Cursor, value: float
    ) -> EditableCase:
        """Return the experiment with another number under the cursor; unchanged if it is computed."""
        return experiment


class ResultsView(GridView):
    """Every returned tensor of one sequence; units downwards and time to the right."""

    def grids(self, computation: Computation, cursor: Cursor, lang: str) -> list[NumberGrid]:
        """Return one table per tensor; a state is one row."""
        return [_tensor_grid(tensor, cursor.batch, lang) for tensor in computation.result.outputs]

    def locate(self, computation: Computation, cursor: Cursor) -> GridCell:
        """Return the cell of the unit, and of the time step if the tensor has one."""
        tensor = computation.result.outputs[cursor.tensor]
        if "timesteps" not in tensor.axes:
            return GridCell(cursor.tensor, 0, cursor.unit)
        return GridCell(cursor.tensor, cursor.unit, _times(tensor).index(cursor.timestep))

    def move_to(self, computation: Computation, cursor: Cursor, place: GridCell) -> Cursor:
        """Return the cursor on that unit and time step."""
        tensor = computation.result.outputs[place.grid]
        if "timesteps" not in tensor.axes:
            return replace(cursor, tensor=place.grid, unit=place.column)
        return replace(cursor, tensor=place.grid, unit=place.row, timestep=_times(tensor)[place.column])


class InputView(GridView):
    """One sequence of the input; features downwards and time to the right."""

    editable = True

    def grids(self, computation: Computation, cursor: Cursor, lang: str) -> list[NumberGrid]:
        """Return one table."""
        case = computation.case
        values = case.inputs[cursor.batch].T
        times = range(values.shape[1])
        return [NumberGrid("input", format_shape(case.inputs.shape), values, case.feature_names, "x", times)]

    def locate(self, computation: Computation, cursor: Cursor) -> GridCell:
        """Return the cell of the feature and the time step."""
        return GridCell(0, cursor.feature, cursor.timestep)

    def move_to(self, computation: Computation, cursor: Cursor, place: GridCell) -> Cursor:
        """Return the cursor on that feature and time step."""
        return replace(cursor, feature=place.row, timestep=place.column)

    def edit(
        self, experiment: EditableCase, computation: Computation, cursor: Cursor, value: float
    ) -> EditableCase:
        """Return the experiment with another input."""
        return experiment.with_input((cursor.batch, cursor.timestep, cursor.feature), value)


class WeightsView(GridView):
    """Every weight; a vector is one row."""

    editable = True

    def grids(self, computation: Computation, cursor: Cursor, lang: str) -> list[NumberGrid]:
        """Return one table per weight; the one under the cursor says what its column belongs to."""
        found = []
        for index, (path, values) in enumerate(computation.trace.weights.items()):
            note = format_shape(values.shape)
            place = computation.column_place(path, cursor.column) if index == cursor.weight else None
            if place is not None:
                note += f" · {place[0]} · {say('unit', lang)} {place[1]}"
            found.append(NumberGrid(path, note, values.reshape(-1, values.shape[-1])))
        return found

    def locate(self, computation: Computation, cursor: Cursor) -> GridCell:
        """Return the cell of the row and column."""
        return GridCell(cursor.weight, cursor.row, cursor.column)

    def move_to(self, computation: Computation, cursor: Cursor, place: GridCell) -> Cursor:
        """Return the cursor on that weight."""
        return replace(cursor, weight=place.grid, row=place.row, column=place.column)

    def edit(
        self, experiment: EditableCase, computation: Computation, cursor: Cursor, value: float
    ) -> EditableCase:
        """Return the experiment with another weight."""
        weights = computation.trace.weights
        path = list(weights)[cursor.weight]
        place = (cursor.row, cursor.column)[-weights[path].ndim :]
        return experiment.with_weight(weights, path, place, value)


class GatesView(GridView):
    """Every gate and state at every time step, in the order of processing."""

    def grids(self, computation: Computation, cursor: Cursor, lang: str) -> list[NumberGrid]:
        """Return one table per gate and state; units downwards and time to the right."""
        return [_part_grid(computation, part, cursor.batch, lang) for part in range(len(computation.parts))]

    def locate(self, computation: Computation, cursor: Cursor) -> GridCell:
        """Return the cell of the unit and the time step."""
        loop, name = computation.parts[cursor.part]
        unit = min(cursor.unit, loop.parts[name].shape[-1] - 1)
        return GridCell(cursor.part, unit, loop.times.tolist().index(cursor.timestep))

    def move_to(self, computation: Computation, cursor: Cursor, place: GridCell) -> Cursor:
        """Return the cursor on that unit and time step."""
        loop, _ = computation.parts[place.grid]
        return replace(cursor, part=place.grid, unit=place.row, timestep=int(loop.times[place.column]))


VIEWS: dict[str, GridView] = {
    "results": ResultsView(),
    "input": InputView(),
    "weights": WeightsView(),
    "gates": GatesView(),
}
"""By the key of its name."""


def subtract(grids: Sequence[NumberGrid], others: Sequence[NumberGrid], lang: str) -> list[NumberGrid]:
    """Return the differences of the first tables from the others, which have the same shapes."""
    note = text("difference", lang)
    return [
        grid._replace(values=_difference(grid.values, other.values), note=note)
        for grid, other in zip(grids, others, strict=True)
    ]


def _difference(values: Array, others: Array) -> Array:
    """Return values - others; 0 where both are the same infinity or NaN."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        same = (values == others) | (np.isnan(values) & np.isnan(others))
        return np.where(same, 0, values - others)


def _part_grid(computation: Computation, part: int, batch: int, lang: str) -> NumberGrid:
    """Return the table of one gate or state; units downwards and time to the right."""
    loop, name = computation.parts[part]
    held = computation.held(part)
    marks = None if held is None else held.T
    note = "" if marks is None else f"* {text('held', lang)}"
    times = loop.times.tolist()
    return NumberGrid(computation.part_name(part), note, loop.parts[name][batch].T, (), "u", times, marks)


def _times(tensor: NamedTensor) -> Sequence[int]:
    return tensor.time or range(tensor.values.shape[1])


def _tensor_grid(tensor: NamedTensor, batch: int, lang: str) -> NumberGrid:
    values = tensor.values[batch]
    note = f"= {tensor.equals[0]}" if tensor.equals else brief(tensor.label, lang)
    title = f"{tensor.name} {format_shape(tensor.values.shape)}"
    if "timesteps" not in tensor.axes:
        return NumberGrid(title, note, values[None])
    return NumberGrid(title, note, values.T, (), "u", _times(tensor))
