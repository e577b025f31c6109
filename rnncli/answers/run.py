"""run: what does the layer return?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rnncli.answers import _statistics
from rnncli.answers._parts import (
    axes_of,
    claim_lines,
    head_of,
    name_cell,
    note_of,
    records_header,
    rows_of,
    short_head_of,
    small,
    tensor_document,
    tensor_head,
    title,
)
from rnncli.indexing import without_call
from rnncli.page import Cell, Column, Later, Line, Numbers, Page, Records, Table, View, cell, line, shape_text
from rnncli.result import NamedTensor, Result
from rnncli.wording import brief, say

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.mapped import Growing
    from rnncli.stats import Stats
    from rnncli.unfolding import GrowingTensor, Unfolded


@dataclass(frozen=True, eq=False)
class RunAnswer:
    """Every returned tensor with its name, shape, meaning and numbers.

    stats: by the tensor's name; empty where they were not asked for.
    line: which line of a stream this answers; None outside a stream.
    """

    result: Result
    stats: dict[str, Stats] = field(default_factory=dict)
    line: int | None = None

    def document(self, view: View) -> dict[str, Any]:
        """The contract's object, short in a stream; `differences` only where they were asked for.

        `outputs` are those of the last call; where all were asked for, `calls` has the outputs of each.
        """
        head = head_of(self.result) if self.line is None else short_head_of(self.result, self.line)
        calls = _by_call(self.result.outputs)
        last = [self._document(tensor, view, alone=True) for tensor in calls[-1]]
        document = {**head, "outputs": last}
        if any(tensor.name.startswith("call ") for tensor in calls[-1]):
            document["calls"] = [{"outputs": [self._document(one, view) for one in call]} for call in calls]
        if self.result.differences:
            document["differences"] = dict(self.result.differences)
        return document

    def page(self, view: View) -> Page:
        """One table, a row a tensor; figures, where they were asked for, in another."""
        parts = (table_of(self.result, view), *_statistics.parts(self.stats, view))
        return Page(title(self.result.layers, view), (note_of(self.result, view, self.line),), parts)

    def records(self, view: View) -> Records:
        """name, batch, timestep, unit, value; an axis that a tensor lacks stays empty."""
        return records_of(self.result.outputs, view)

    def tensors(self) -> dict[str, Array]:
        """What was returned, by name."""
        return {tensor.name: tensor.values for tensor in self.result.outputs}

    def _document(self, tensor: NamedTensor, view: View, *, alone: bool = False) -> dict[str, Any]:
        """alone: under the names that it has where no other call is shown."""
        figures = self.stats.get(tensor.name)
        if alone:
            call = tensor.name.removesuffix(without_call(tensor.name))
            equals = tuple(claim.removeprefix(call) for claim in tensor.equals)
            tensor = tensor._replace(name=without_call(tensor.name), equals=equals)
        own = {} if figures is None else {"stats": _statistics.document(figures, tensor.axes)}
        return {**tensor_document(tensor, view.lang), **own}


def _by_call(tensors: Sequence[NamedTensor]) -> list[list[NamedTensor]]:
    """The tensors of each call; of one alone, where not every call is shown."""
    calls = groupby(tensors, key=lambda tensor: tensor.name.removesuffix(without_call(tensor.name)))
    return [list(call) for _, call in calls] or [[]]


class GrowingRunAnswer:
    """The same of a large run, told while it is computed; one of these forms can be taken, once."""

    def __init__(self, unfolded: Unfolded) -> None:
        self.unfolded = unfolded

    def document(self, view: View) -> dict[str, Any]:
        """The contract's object; what only the last chunk decides comes behind the values."""
        agreed = self.unfolded.agreed

        def output(tensor: GrowingTensor) -> dict[str, Any]:
            equals = Later(lambda: agreed.equals[tensor.name])
            return {**tensor_head(tensor, view.lang), "values": tensor.values, "equals": equals}

        head = head_of(self.unfolded.result)
        del head["engine"]
        outputs = [output(tensor) for tensor in self.unfolded.outputs]
        return {**head, "outputs": outputs, "engine": Later(lambda: agreed.engine)}

    def records(self, view: View) -> Records:
        """As of RunAnswer."""
        return records_of(self.unfolded.outputs, view)

    def tensors(self) -> dict[str, Growing]:
        """What is returned, by name, in the order in which it can be taken."""
        return {tensor.name: tensor.values for tensor in self.unfolded.outputs}


def records_of(tensors: Sequence[NamedTensor | GrowingTensor], view: View) -> Records:
    """One tensor after the other."""
    columns = axes_of(tensors)
    rows = (row for tensor in tensors for row in rows_of(tensor, columns, view))
    return records_header(columns), rows


def stats_of(result: Result) -> dict[str, Stats]:
    """The figures of every tensor."""
    from rnncli import stats, tracing

    plain = {tensor.name: without_call(tensor.name) for tensor in result.outputs}
    once = replace(result, outputs=tuple(one._replace(name=plain[one.name]) for one in result.outputs))
    bounds = tracing.bounds_of(once)
    return {one.name: stats.of(one.values, bounds[plain[one.name]]) for one in result.outputs}


def first_nan(result: Result) -> str | None:
    """The first tensor with a NaN, and where: `hidden_states[0, 2, 1]`; None without one."""
    from rnncli import stats

    for tensor in result.outputs:
        place = stats.first_nan(tensor.values)
        if place is not None:
            return f"{tensor.name}{list(place)}"
    return None


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
        (Numbers(tensor.values, tensor.axes, tensor.time), *known),
    )
