"""run: show what a layer returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rnncli.case import format_shape
from rnncli.result import ChunkedTensor, Label, NamedTensor, Result
from rnncli.show.answer import Answer, DeferredValue, Records, claim_lines, headings
from rnncli.show.page import Numbers, Page, PagePart, Table, TableCell, View, cell, line, name_line
from rnncli.show.parts import (
    ResultAnswer,
    difference_text,
    differences_document,
    format_difference,
    head_of,
    note_of,
    records_of,
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
class RunAnswer(ResultAnswer):
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
        by_call = groupby(self.result.outputs, key=lambda tensor: tensor.label.call)
        calls = [list(call) for _, call in by_call] or [[]]
        last = [self._document(_without_call(tensor), view, tensor.label) for tensor in calls[-1]]
        document = {**head, "outputs": last}
        if any(tensor.label.call is not None for tensor in calls[-1]):
            document["calls"] = [
                {"outputs": [self._document(one, view, one.label) for one in call]} for call in calls
            ]
        return {**document, **differences_document(self.result)}

    def page(self, view: View) -> Page:
        """Return one table, a row per tensor, and another with statistics if requested."""
        notes = (note_of(self.result, view, self.line),)
        return Page(title(self.result.specs, view), notes, self._tables(view))

    def records(self, view: View) -> Records:
        """Return name, batch, timestep, unit, value; empty for axes that a tensor lacks."""
        return records_of([((), self.result.outputs)], view)

    def first_nan(self) -> str | None:
        """Return the location of the first NaN: `hidden_states[0, 2, 1]`; None if there is none."""
        from rnncli.show import statistics

        for tensor in self.result.outputs:
            place = statistics.first_nan(tensor.values)
            if place is not None:
                return f"{tensor.name}{list(place)}"
        return None

    def _document(self, tensor: NamedTensor, view: View, label: Label) -> dict[str, Any]:
        """Return a tensor with its statistics, if requested.  label: its own."""
        document = tensor_document(tensor, view.lang)
        if label in self.stats:
            from rnncli.show import statistics

            document["stats"] = statistics.document(self.stats[label], tensor.axes)
        return document

    def _tables(self, view: View) -> tuple[PagePart, ...]:
        """Return a table of tensors, shapes and numbers, and the statistics."""
        from_what = view.say(difference_text(self.result))
        differences = {
            name: f"{from_what} {format_difference(difference)}"
            for name, difference in self.result.differences.items()
        }
        rows = tuple(_row(tensor, differences.get(tensor.name), view) for tensor in self.result.outputs)
        table = Table(headings(("tensor", "shape", "values"), view), rows)
        if not self.stats:
            return (table,)
        from rnncli.show import statistics

        return (table, *statistics.draw_statistics(self.stats, view))


def _row(tensor: NamedTensor, difference: str | None, view: View) -> tuple[TableCell, ...]:
    """Return the row of a tensor: name, shape, numbers and remarks."""
    below = brief(tensor.label, view.lang)
    return (
        (name_line(tensor.label), *(cell(below, "dim") if below else ())),
        cell(format_shape(tensor.values.shape)),
        (
            Numbers(tensor.values, tensor.axes, tensor.time),
            *claim_lines(tensor.equals),
            *((line(difference, "dim"),) if difference is not None else ()),
        ),
    )


def _without_call(tensor: NamedTensor) -> NamedTensor:
    """Return a tensor with the names that it has if no other call is shown."""
    call = tensor.label.call
    if call is None:
        return tensor
    equals = tuple(
        claim.with_place(call=None) if claim.label.call == call else claim for claim in tensor.equals
    )
    return tensor._replace(label=tensor.label.without_call, equals=equals)


class ChunkedRunAnswer(Answer):
    """A large run, written while it is computed, for the formats that support it.

    Its arrays arrive in parts, in the order of the document; only one form can be read, and only once.
    """

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
        """Return the records as RunAnswer does."""
        return records_of([((), self.chunked.outputs)], view)

    def tensors(self) -> dict[str, ChunkedArray]:
        """Return the returned tensors by name, in the order in which they can be read."""
        return {tensor.name: tensor.values for tensor in self.chunked.outputs}


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
