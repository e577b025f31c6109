"""run: show what a layer returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, format_shape
from rnncli.result import ChunkedTensor, Label, NamedTensor, Result
from rnncli.show.page import (
    Answer,
    ChunkedAnswer,
    DeferredValue,
    Line,
    Numbers,
    Page,
    PagePart,
    Records,
    Table,
    TableCell,
    View,
    cell,
    line,
)
from rnncli.show.parts import (
    axes_of,
    claim_lines,
    difference_text,
    differences_document,
    format_difference,
    head_of,
    headings,
    name_cell,
    note_of,
    records_header,
    rows_of,
    short_head_of,
    tensor_document,
    tensor_head,
    title,
)
from rnncli.show.wording import brief

if TYPE_CHECKING:
    from rnncli.arrays import ChunkedArray
    from rnncli.compute.chunks import ChunkedResult
    from rnncli.show.statistics import Stats


@dataclass(frozen=True, eq=False)
class RunAnswer(Answer):
    """Every returned tensor with its name, shape, meaning and numbers.

    stats: empty if not requested.
    line: the line of a stream that this answers; None outside a stream.
    """

    result: Result
    stats: Mapping[Label, Stats] = field(default_factory=dict)
    line: int | None = None

    def document(self, view: View) -> dict[str, Any]:
        """Return the documented object, short in a stream; `differences` only if requested.

        `outputs` are those of the last call; if all calls are requested, `calls` has the outputs of each.
        """
        head = head_of(self.result) if self.line is None else short_head_of(self.result, self.line)
        calls = _group_by_call(self.result.outputs)
        last = [self._document(tensor, view, alone=True) for tensor in calls[-1]]
        document = {**head, "outputs": last}
        if any(tensor.label.call is not None for tensor in calls[-1]):
            document["calls"] = [{"outputs": [self._document(one, view) for one in call]} for call in calls]
        return {**document, **differences_document(self.result)}

    def page(self, view: View) -> Page:
        """Return one table, a row per tensor, and another with statistics if requested."""
        parts: tuple[PagePart, ...] = (table_of(self.result, view),)
        if self.stats:
            from rnncli.show import statistics

            parts += statistics.draw_statistics(self.stats, view)
        return Page(title(self.result.specs, view), (note_of(self.result, view, self.line),), parts)

    def records(self, view: View) -> Records:
        """Return name, batch, timestep, unit, value; empty for axes that a tensor lacks."""
        return records_of(self.result.outputs, view)

    def tensors(self) -> dict[str, Array]:
        """Return the returned tensors, by name."""
        return {tensor.name: tensor.values for tensor in self.result.outputs}

    def named_tensors(self) -> tuple[NamedTensor, ...]:
        """Return the same with the names of their axes."""
        return self.result.outputs

    def first_nan(self) -> str | None:
        """Return the location of the first NaN: `hidden_states[0, 2, 1]`; None if there is none."""
        from rnncli.show import statistics

        for tensor in self.result.outputs:
            place = statistics.first_nan(tensor.values)
            if place is not None:
                return f"{tensor.name}{list(place)}"
        return None

    def _document(self, tensor: NamedTensor, view: View, *, alone: bool = False) -> dict[str, Any]:
        """alone: use the names a tensor has if no other call is shown."""
        own: dict[str, Any] = {}
        if tensor.label in self.stats:
            from rnncli.show import statistics

            own["stats"] = statistics.document(self.stats[tensor.label], tensor.axes)
        own_call = tensor.label.call
        if alone and own_call is not None:
            equals = tuple(
                claim.with_place(call=None) if claim.label.call == own_call else claim
                for claim in tensor.equals
            )
            tensor = tensor._replace(label=tensor.label.without_call, equals=equals)
        return {**tensor_document(tensor, view.lang), **own}


def _group_by_call(tensors: Sequence[NamedTensor]) -> list[list[NamedTensor]]:
    """Return the tensors of each call, or of the only one if not every call is shown."""
    calls = groupby(tensors, key=lambda tensor: tensor.label.call)
    return [list(call) for _, call in calls] or [[]]


class ChunkedRunAnswer(ChunkedAnswer):
    """A large run, written while it is computed; only one of these forms can be read, and only once."""

    def __init__(self, chunked: ChunkedResult) -> None:
        self.chunked = chunked

    def document(self, view: View) -> dict[str, Any]:
        """Return the documented object; entries known only after the last chunk follow the values."""
        agreed = self.chunked.summary

        def output(tensor: ChunkedTensor) -> dict[str, Any]:
            equals = DeferredValue(lambda: list(map(str, agreed.equals[tensor.label])))
            return {**tensor_head(tensor, view.lang), "values": tensor.values, "equals": equals}

        head = head_of(self.chunked.result)
        del head["engine"]
        outputs = [output(tensor) for tensor in self.chunked.outputs]
        return {**head, "outputs": outputs, "engine": DeferredValue(lambda: ", ".join(agreed.engines))}

    def records(self, view: View) -> Records:
        """Same as RunAnswer."""
        return records_of(self.chunked.outputs, view)

    def tensors(self) -> dict[str, ChunkedArray]:
        """Return the returned tensors by name, in the order in which they can be read."""
        return {tensor.name: tensor.values for tensor in self.chunked.outputs}


def records_of(tensors: Sequence[NamedTensor | ChunkedTensor], view: View) -> Records:
    """Return the records of one tensor after the other."""
    columns = axes_of(tensors)
    rows = (row for tensor in tensors for row in rows_of(tensor, columns, view))
    return records_header(columns), rows


def stats_of(result: Result) -> dict[Label, Stats]:
    """Return the statistics of every tensor."""
    from rnncli.compute import trace
    from rnncli.show import statistics

    once = replace(
        result, outputs=tuple(one._replace(label=one.label.without_call) for one in result.outputs)
    )
    bounds = trace.tensor_bounds(once)
    return {
        one.label: statistics.summarize(one.values, bounds[one.label.without_call]) for one in result.outputs
    }


def table_of(result: Result, view: View) -> Table:
    """Return a table of tensors, shapes and numbers."""
    differences = {
        name: f"{difference_text(result, view.lang)} {format_difference(difference)}"
        for name, difference in result.differences.items()
    }
    rows = tuple(row_of(tensor, differences.get(tensor.name), view) for tensor in result.outputs)
    return Table(headings(("tensor", "shape", "values"), view), rows)


def row_of(tensor: NamedTensor, difference: str | None, view: View) -> tuple[TableCell, ...]:
    """Return the row of a tensor: name, shape, numbers and remarks."""
    known: tuple[Line, ...] = claim_lines(tensor.equals)
    if difference is not None:
        known += (line(difference, "dim"),)
    below = brief(tensor.label, view.lang)
    return (
        (*name_cell(tensor.label), *((line(below, "dim"),) if below else ())),
        cell(format_shape(tensor.values.shape)),
        (Numbers(tensor.values, tensor.axes, tensor.time), *known),
    )
