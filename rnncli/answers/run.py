"""run: what does the layer return?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnncli.answers._parts import (
    axes_of,
    claim_lines,
    head_of,
    name_cell,
    note_of,
    records_header,
    rows_of,
    small,
    tensor_document,
    title,
)
from rnncli.page import Cell, Column, Line, Numbers, Page, Records, Table, View, cell, line, shape_text
from rnncli.result import NamedTensor, Result
from rnncli.wording import brief, say

if TYPE_CHECKING:
    from rnncli.case import Array


@dataclass(frozen=True)
class RunAnswer:
    """Every returned tensor with its name, shape, meaning and numbers."""

    result: Result

    def document(self, view: View) -> dict[str, Any]:
        """The contract's object; `differences` only where they were asked for."""
        outputs = [tensor_document(tensor, view.lang) for tensor in self.result.outputs]
        document = {**head_of(self.result), "outputs": outputs}
        if self.result.differences:
            document["differences"] = dict(self.result.differences)
        return document

    def page(self, view: View) -> Page:
        """One table, a row a tensor."""
        table = table_of(self.result, view)
        return Page(title(self.result.layers, view), (note_of(self.result, view),), (table,))

    def records(self) -> Records:
        """name, batch, timestep, unit, value; an axis that a tensor lacks stays empty."""
        columns = axes_of(self.result.outputs)
        return records_header(columns), (
            row for tensor in self.result.outputs for row in rows_of(tensor, columns)
        )

    def tensors(self) -> dict[str, Array]:
        """What was returned, by name."""
        return {tensor.name: tensor.values for tensor in self.result.outputs}


def table_of(result: Result, view: View) -> Table:
    """Tensors, shapes, numbers."""
    headings = tuple(Column(say(key, view.lang)) for key in ("tensor", "shape", "values"))
    rows = tuple(row_of(tensor, result.differences.get(tensor.name), view) for tensor in result.outputs)
    return Table(headings, rows)


def row_of(tensor: NamedTensor, difference: float | None, view: View) -> tuple[Cell, ...]:
    """A tensor: who it is, how large, which numbers, and what is known of them."""
    known: tuple[Line, ...] = claim_lines(tensor.equals)
    if difference is not None:
        known += (line(f"{say('difference', view.lang)} {small(difference)}", "dim"),)
    under = brief(tensor.name, view.lang)
    return (
        (*name_cell(tensor.name), *((line(under, "dim"),) if under else ())),
        cell(shape_text(tensor.values.shape)),
        (Numbers(tensor.values, tensor.axes), *known),
    )
