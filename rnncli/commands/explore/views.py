"""What the grid shows: returned tensors, the input, the weights or the gates; and what its cells mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rnncli.case import Array, Case, format_shape
from rnncli.commands.explore.computation import Computation, TracePart
from rnncli.commands.explore.cursor import Cursor
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.commands.explore.texts import get_text
from rnncli.result import NamedTensor
from rnncli.show.wording import brief, say


class GridCell(NamedTuple):
    """A cell: which grid, row and column."""

    grid: int
    row: int
    column: int


class NumberGrid(NamedTuple):
    """A table of numbers, shape (rows, columns).

    down, across: the fields of the cursor that choose a row and a column; "" for the only row of a state.
    rows: labels; an empty sequence labels by index.  times: the input's index of each column.
    hold_mask: the entries that are held at a value, shape (rows, columns), bool; None if none can be.
    """

    title: str
    note: str
    values: Array
    down: str
    across: str
    rows: Sequence[str] = ()
    row_prefix: str = ""
    times: Sequence[int] | None = None
    hold_mask: Array | None = None


Edit = Callable[[EditableCase, Computation, Cursor, float], EditableCase]


class GridView(NamedTuple):
    """What is shown.

    grids: returns the tables, top to bottom.  field: of the cursor, chooses a table; "" if there is one.
    edit: returns the experiment with another number under the cursor; None if the numbers are computed.
    """

    grids: Callable[[Computation, Cursor, str], list[NumberGrid]]
    field: str = ""
    edit: Edit | None = None

    def locate(self, grids: Sequence[NumberGrid], cursor: Cursor) -> GridCell:
        """Return the cell under the cursor."""
        number = getattr(cursor, self.field) if self.field else 0
        grid = grids[number]
        row = min(getattr(cursor, grid.down), len(grid.values) - 1) if grid.down else 0
        column = getattr(cursor, grid.across)
        return GridCell(number, row, column if grid.times is None else grid.times.index(column))

    def move_to(self, grids: Sequence[NumberGrid], cursor: Cursor, cell: GridCell) -> Cursor:
        """Return the cursor on another cell."""
        grid = grids[cell.grid]
        column = cell.column if grid.times is None else grid.times[cell.column]
        changes: dict[str, Any] = {self.field: cell.grid, grid.down: cell.row, grid.across: column}
        changes.pop("", None)
        return replace(cursor, **changes)


def show_weights(computation: Computation, cursor: Cursor, lang: str) -> list[NumberGrid]:
    """Return one table per weight, a vector in one row.

    The title of the one under the cursor says which gate and unit the column belongs to.
    """
    found = []
    for index, (path, values) in enumerate(computation.trace.weights.items()):
        note = format_shape(values.shape)
        place = computation.column_place(path, cursor.column) if index == cursor.weight else None
        if place is not None:
            note += f" · {place[0]} · {say('unit', lang)} {place[1]}"
        found.append(NumberGrid(path, note, values.reshape(-1, values.shape[-1]), "row", "column"))
    return found


def edit_weight(
    experiment: EditableCase, computation: Computation, cursor: Cursor, value: float
) -> EditableCase:
    """Return the experiment with another weight."""
    weights = computation.trace.weights
    path = list(weights)[cursor.weight]
    place = (cursor.row, cursor.column)[-weights[path].ndim :]
    return experiment.with_weight(weights, path, place, value)


VIEWS = {
    "results": GridView(
        lambda found, at, lang: [_tensor_grid(one, at.batch, lang) for one in found.result.outputs],
        field="tensor",
    ),
    "input": GridView(
        lambda found, at, _: [_input_grid(found.case, at.batch)],
        edit=lambda now, _, at, value: now.with_input((at.batch, at.timestep, at.feature), value),
    ),
    "weights": GridView(show_weights, "weight", edit_weight),
    "gates": GridView(
        lambda found, at, lang: [_part_grid(one, at.batch, lang) for one in found.parts], field="part"
    ),
}
"""The views, by the keys of their names."""


def subtract(grids: Sequence[NumberGrid], others: Sequence[NumberGrid], lang: str) -> list[NumberGrid]:
    """Return the differences of the first tables from the others, which have the same shapes."""
    note = get_text("difference", lang)
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


def _input_grid(case: Case, batch: int) -> NumberGrid:
    """Return one sequence of the input; features downwards and time to the right."""
    values, shape = case.inputs[batch].T, format_shape(case.inputs.shape)
    times = range(values.shape[1])
    return NumberGrid("input", shape, values, "feature", "timestep", case.feature_names, "x", times)


def _part_grid(part: TracePart, batch: int, lang: str) -> NumberGrid:
    """Return a gate or state of one sequence; units downwards and time to the right, as processed."""
    held = None if part.hold_mask is None else part.hold_mask.T
    note = "" if held is None else f"* {get_text('held', lang)}"
    times = part.loop.times.tolist()
    return NumberGrid(part.name, note, part.values[batch].T, "unit", "timestep", (), "u", times, held)


def _tensor_grid(tensor: NamedTensor, batch: int, lang: str) -> NumberGrid:
    """Return one sequence of a tensor, units downwards and time to the right; a state in one row."""
    values = tensor.values[batch]
    note = f"= {tensor.equals[0]}" if tensor.equals else brief(tensor.label, lang)
    title = f"{tensor.name} {format_shape(tensor.values.shape)}"
    if "timesteps" not in tensor.axes:
        return NumberGrid(title, note, values[None], "", "unit")
    times = tensor.time or range(len(values))
    return NumberGrid(title, note, values.T, "unit", "timestep", (), "u", times)
