"""Draw returned tensors for the lesson: one line per row of numbers, and `<-` where rows are equal.

Which rows are equal is taken from the tensors' verified equalities, see `result.NamedTensor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import NamedTuple

from rnncli.case import Array, format_shape
from rnncli.commands.tour.lesson_words import say
from rnncli.renderers.page import Column, Line, Span, Table, TableCell, Variants, View, cell, line
from rnncli.renderers.parts import name_cell
from rnncli.renderers.width import longest
from rnncli.result import Claim, Label, NamedTensor, Result

COLORS = 4


class RowPlace(NamedTuple):
    """Where a row of numbers stands: a tensor's name, the index on its time axis, and its columns."""

    name: str
    row: int | None
    start: int
    stop: int


class RowLine(NamedTuple):
    """One line of a table.  place, values: None for a line without numbers.

    label: of the tensor, on its first line.  text: what stands in the column of names otherwise.
    """

    label: Label | None
    text: str = ""
    shape: str = ""
    time: str = ""
    values: Array | None = None
    place: RowPlace | None = None


DrawnRow = tuple[RowLine, Line, Line]
"""A line of a table, its time and numbers as drawn, and its mark."""


def draw_tensors(result: Result, view: View, remarks: Mapping[str, str] = {}) -> tuple[Variants | Line, ...]:
    """Return the table of a result, and a line that explains its marks if there are several.

    remarks: on single rows by their address, `hidden_states[2]` or `last_hidden_state`.
    """
    return draw_table(result.outputs, view, remarks, result.forward_units)


def draw_table(
    outputs: Sequence[NamedTensor], view: View, remarks: Mapping[str, str] = {}, units: int | None = None
) -> tuple[Variants | Line, ...]:
    """Return the table of tensors of one sequence, and the line on its marks.

    units: where the backward half of the output begins.
    """
    rows = [row for tensor in outputs for row in _rows(tensor, units, view)]
    marks, legend = _mark_rows(rows, find_equal_rows(outputs), view)
    texts = format_rows([row.values for row in rows], view)
    width = longest(row.time for row in rows)
    drawn = []
    for row, text in zip(rows, texts, strict=True):
        mark = marks.get(row.place) if row.place else None
        remark = remarks.get(_address(row.place), "") if row.place else ""
        numbers = Span(text, f"number {mark.style}" if mark else "number")
        time = f"{row.time:{width}}  " if width and row.values is not None else ""
        drawn.append((row, (Span(time, "dim"), numbers), _join_mark(mark, remark)))
    return Variants(((_wide(drawn, view),), (_narrow(drawn),))), *legend


def _wide(drawn: Iterable[DrawnRow], view: View) -> Table:
    """Return a table with names, shapes and numbers side by side."""
    columns = (*(Column(say(key, view.lang)) for key in ("tensor", "shape", "values")), Column(""))
    rows = ((_name(row), cell(row.shape), (numbers,), (mark,)) for row, numbers, mark in drawn)
    return Table(columns, tuple(rows))


def _narrow(drawn: Iterable[DrawnRow]) -> Table:
    """Return a table with the numbers below the names and shapes."""
    rows: list[tuple[TableCell, ...]] = []
    for row, numbers, mark in drawn:
        if row.label or row.text:
            (name, *_) = _name(row)
            with_shape: Line = (*name, Span(f"  {row.shape}"))
            rows.append(((with_shape,), ()))
        if row.values is not None:
            below: Line = (Span("  "), *numbers)
            rows.append(((below,), (mark,)))
    return Table((Column(""), Column("")), tuple(rows))


def _name(row: RowLine) -> TableCell:
    return name_cell(row.label) if row.label else cell(row.text, "dim")


def _join_mark(mark: Span | None, remark: str) -> Line:
    """Return a mark, and a remark after it."""
    after = Span(f" {remark}" if mark else remark, "strong")
    return (*((mark,) if mark else ()), *((after,) if remark else ()))


def draw_beside(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Variants:
    """Return a table of texts; where it does not fit, a table for each column but the first, with it."""
    below = (
        draw_grid(("", heading), [(row[0], row[place]) for row in rows], right=False)
        for place, heading in enumerate(headings)
        if place
    )
    return Variants(((draw_grid(headings, rows, right=False),), tuple(below)))


def draw_grid(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool = True) -> Table:
    """Return a table of texts.  right: right-align the columns, except for the first."""
    columns = tuple(Column(heading, right=right and place > 0) for place, heading in enumerate(headings))
    styles = ("", *["number"] * (len(headings) - 1))
    return Table(columns, tuple(tuple(map(cell, row, styles)) for row in rows))


def draw_rows(name: str, rows: Array, view: View, label: str) -> Table:
    """Return one line per row of numbers.  label: of each, with {} for its number."""
    texts = format_rows([*rows], view)
    return draw_grid(("", name), [(label.format(row), text) for row, text in enumerate(texts)])


def format_rows(rows: Sequence[Array | None], view: View) -> list[str]:
    """Return each row of numbers as one text, all with the same decimals and column width; "" for None."""
    import numpy as np

    from rnncli.renderers.numerals import choose_style, format_number

    numbers = [row for row in rows if row is not None]
    style = choose_style(np.concatenate(numbers), view.precision) if numbers else ""
    texts = [[format_number(value, style) for value in (() if row is None else row)] for row in rows]
    width = longest(text for row in texts for text in row)
    return [" ".join(text.rjust(width) for text in row) for row in texts]


def _rows(tensor: NamedTensor, units: int | None, view: View) -> Iterator[RowLine]:
    """Yield the lines of a tensor; an output with two halves has a line for its name first."""
    values, shape = tensor.values[0], format_shape(tensor.values.shape)
    if units is None or tensor.label.last:
        yield from _part(tensor, values, slice(None))
        return
    yield RowLine(tensor.label, shape=shape)
    for key, part in (("forward half", slice(None, units)), ("backward half", slice(units, None))):
        rows = _part(tensor, values, part)
        yield next(rows)._replace(label=None, text=f"  {say(key, view.lang)}", shape="")
        yield from rows


def _part(tensor: NamedTensor, values: Array, part: slice) -> Iterator[RowLine]:
    start, stop, _ = part.indices(values.shape[-1])
    first = RowLine(tensor.label, shape=format_shape(tensor.values.shape))
    if "timesteps" not in tensor.axes:
        yield first._replace(values=values[part], place=RowPlace(tensor.name, None, start, stop))
        return
    times = tensor.time or range(len(values))
    for row, (time, numbers) in enumerate(zip(times, values, strict=True)):
        own = first if row == 0 else RowLine(None)
        yield own._replace(
            time=f"t={time}", values=numbers[part], place=RowPlace(tensor.name, row, start, stop)
        )


def find_equal_rows(outputs: Sequence[NamedTensor]) -> list[list[RowPlace]]:
    """Return the rows with the same numbers, one list per set, from the verified equalities."""
    by_name = {tensor.name: tensor for tensor in outputs}
    groups: list[list[RowPlace]] = []
    for tensor in outputs:
        if "timesteps" in tensor.axes:
            continue
        row = RowPlace(tensor.name, None, 0, tensor.values.shape[-1])
        for claim in tensor.equals:
            other = locate_row(claim, by_name)
            known = next((group for group in groups if other in group), None)
            if known is None:
                groups.append([other, row])
            else:
                known.append(row)
    return groups


def locate_row(claim: Claim, by_name: Mapping[str, NamedTensor]) -> RowPlace:
    """Return the row that a claim names."""
    tensor = by_name[str(claim.label)]
    index = dict(zip(tensor.axes, claim.slices, strict=False))
    part, time = index.get(tensor.axes[-1], slice(None)), index.get("timesteps")
    start, stop, _ = (part if isinstance(part, slice) else slice(part, part + 1)).indices(
        tensor.values.shape[-1]
    )
    row = None if not isinstance(time, int) else time % tensor.values.shape[1]
    return RowPlace(tensor.name, row, start, stop)


def _mark_rows(
    rows: Sequence[RowLine], sets: Sequence[Sequence[RowPlace]], view: View
) -> tuple[dict[RowPlace, Span], tuple[Line, ...]]:
    """Return a mark for each row that equals another, and the line that says what the marks mean."""
    same = say("the same numbers", view.lang)
    order = [row.place for row in rows if row.place]
    marks: dict[RowPlace, Span] = {}
    for number, places in enumerate(sets):
        style = f"same{number % COLORS}"
        for place in places:
            marks[place] = Span("<-" if len(sets) == 1 else f"<- {ascii_lowercase[number]}", style)
        if len(sets) == 1:
            marks[max(places, key=order.index)] = Span(f"<- {same}", style)
    if len(sets) < 2:
        return marks, ()
    letters = ", ".join(f"<- {letter}" for letter in ascii_lowercase[: len(sets)])
    return marks, (line(f"{letters}: {say('the same numbers each', view.lang)}", "dim"),)


def _address(place: RowPlace) -> str:
    """Return the address of a remark: `hidden_states[2]`, or the tensor's name alone."""
    return place.name if place.row is None else f"{place.name}[{place.row}]"


def describe_layer(result: Result) -> str:
    """Return the layer as a Keras script contains it."""
    from rnncli.specs import describe

    return describe(result.stack.specs[-1])
