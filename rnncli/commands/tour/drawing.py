"""Draw returned tensors for the lesson: one line per row of numbers, and `<-` where rows are equal.

Which rows are equal is taken from the tensors' verified equalities, see `result.NamedTensor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from string import ascii_lowercase
from typing import NamedTuple

from rnncli.commands.tour.lesson import say
from rnncli.result import Claim, NamedTensor
from rnncli.show.answer import headings
from rnncli.show.page import (
    Code,
    Column,
    Line,
    PagePart,
    Span,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    line,
    name_line,
)
from rnncli.show.visible import longest
from rnncli.values import Array, format_shape

COLORS = 4
UNNAMED = line("", "dim")


class RowAddress(NamedTuple):
    """Where a row of numbers stands: a tensor's name, the index on its time axis, and its columns."""

    name: str
    row: int | None
    start: int
    stop: int


class RowLine(NamedTuple):
    """One line of a table.

    values, address: its numbers, and where they stand; None for a line without numbers.
    drawn: the time and the numbers as text.  mark: what follows them, such as `<- a`.
    """

    name: Line
    shape: str
    time: str = ""
    values: Array | None = None
    address: RowAddress | None = None
    drawn: Line = ()
    mark: Line = ()


def draw_tensors(
    outputs: Sequence[NamedTensor],
    view: View,
    remarks: Mapping[int, str] = {},
    units: int | None = None,
    layer: str = "",
) -> Variants:
    """Return the table of tensors of one sequence.

    remarks: by the index of the row.  units: the column where the backward half of the output begins.
    layer: the layer that returned the tensors, if there are tables of several layers.
    """
    rows = [row for tensor in outputs for row in _rows(tensor, units, view)]
    marks = _mark_rows(rows, find_equal_rows(outputs), view)
    texts = format_rows([row.values for row in rows], view)
    width = longest(row.time for row in rows)
    drawn = []
    for row, text in zip(rows, texts, strict=True):
        mark = marks.get(row.address) if row.address else None
        remark = remarks.get(row.address.row, "") if row.address and row.address.row is not None else ""
        after = [Span(f" {remark}" if mark else remark, "strong")] if remark else []
        numbers = Span(text, f"number {mark.style}" if mark else "number")
        time = f"{row.time:{width}}  " if width and row.values is not None else ""
        whole = (*([mark] if mark else []), *after)
        drawn.append(row._replace(drawn=(Span(time, "dim"), numbers), mark=whole))
    beside = tuple(((row.name,), cell(row.shape), (row.drawn,), (row.mark,)) for row in drawn)
    wide = Table((*headings((layer or "tensor", "shape", "values"), view), Column("")), beside)
    below: list[tuple[TableCell, ...]] = []
    for row in drawn:
        if row.name != UNNAMED:
            below.append((((*row.name, Span(f"  {row.shape}")),), ()))
        if row.values is not None:
            below.append((((Span("  "), *row.drawn),), (row.mark,)))
    return Variants(((wide,), (Table((Column(layer), Column("")), tuple(below)),)))


def draw_text(text: str) -> Iterator[PagePart]:
    """Yield the lines of a text; its indented lines are code."""
    for is_code, group in groupby(text.splitlines(), lambda words: words.startswith(" ")):
        lines = list(group)
        yield from [Code("\n".join(lines))] if is_code else map(line, lines)


def draw_beside(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Variants:
    """Return a table of texts; if it does not fit, one table per column, each with the first column."""
    below = []
    for column, heading in list(enumerate(headings))[1:]:
        below.append(draw_grid(("", heading), [(row[0], row[column]) for row in rows], right=False))
    return Variants(((draw_grid(headings, rows, right=False),), tuple(below)))


def draw_grid(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool = True) -> Table:
    """Return a table of texts.  right: right-align the columns, except for the first."""
    columns = tuple(Column(heading, right=right and index > 0) for index, heading in enumerate(headings))
    styles = ("", *["number"] * (len(headings) - 1))
    return Table(columns, tuple(tuple(map(cell, row, styles)) for row in rows))


def draw_rows(name: str, rows: Array, view: View, label: str) -> Table:
    """Return one line per row of numbers.  label: what stands before each row, with {} for its number."""
    texts = format_rows([*rows], view)
    return draw_grid(("", name), [(label.format(row), text) for row, text in enumerate(texts)])


def format_rows(rows: Sequence[Array | None], view: View) -> list[str]:
    """Return each row of numbers as one text, all with the same decimals and column width; "" for None."""
    import numpy as np

    from rnncli.show.digits import choose_style, format_number

    numbers = [row for row in rows if row is not None]
    style = choose_style(np.concatenate(numbers), view.precision) if numbers else ""
    texts = [[format_number(value, style) for value in (() if row is None else row)] for row in rows]
    width = longest(text for row in texts for text in row)
    return [" ".join(text.rjust(width) for text in row) for row in texts]


def _rows(tensor: NamedTensor, units: int | None, view: View) -> Iterator[RowLine]:
    """Yield the lines of a tensor; an output with two halves has a line for its name first."""
    name = name_line(tensor.label)
    values, shape = tensor.values[0], format_shape(tensor.values.shape)
    halves = [(name, shape, 0, values.shape[-1])]
    if units is not None and not tensor.label.last:
        yield RowLine(name, shape)
        ways = ("forward", 0, units), ("backward", units, values.shape[-1])
        halves = [(line(f"  {say(f'{way} half', view.lang)}", "dim"), "", *ends) for way, *ends in ways]
    for name, shape, start, stop in halves:
        if "timesteps" not in tensor.axes:
            address = RowAddress(tensor.name, None, start, stop)
            yield RowLine(name, shape, values=values[start:stop], address=address)
            continue
        for row, time in enumerate(tensor.time or range(len(values))):
            address = RowAddress(tensor.name, row, start, stop)
            named = (name, shape) if row == 0 else (UNNAMED, "")
            yield RowLine(*named, f"t={time}", values[row, start:stop], address)


def find_equal_rows(outputs: Sequence[NamedTensor]) -> list[list[RowAddress]]:
    """Return the rows with the same numbers, one list per set, from the verified equalities."""
    by_name = {tensor.name: tensor for tensor in outputs}
    groups: list[list[RowAddress]] = []
    for tensor in outputs:
        if "timesteps" in tensor.axes:
            continue
        row = RowAddress(tensor.name, None, 0, tensor.values.shape[-1])
        for claim in tensor.equals:
            other = locate_row(claim, by_name[str(claim.label)])
            group = next((group for group in groups if other in group), None)
            if group is None:
                groups.append(group := [other])
            group.append(row)
    return groups


def locate_row(claim: Claim, tensor: NamedTensor) -> RowAddress:
    """Return the row of the tensor that a claim names."""
    index = dict(zip(tensor.axes, claim.slices, strict=False))
    *_, steps, size = tensor.values.shape
    part, time = index.get(tensor.axes[-1]), index.get("timesteps")
    columns = range(size)[part] if isinstance(part, slice) else range(size)
    row = time % steps if isinstance(time, int) else None
    return RowAddress(tensor.name, row, columns.start, columns.stop)


def _mark_rows(
    rows: Sequence[RowLine], sets: Sequence[Sequence[RowAddress]], view: View
) -> dict[RowAddress, Span]:
    """Return a mark for each row that equals another: `<- a`, and `= a` for a later row."""
    order = [row.address for row in rows]
    if len(sets) == 1:
        last, same = max(sets[0], key=order.index), f"<- {say('the same numbers', view.lang)}"
        return {row: Span(same if row == last else "<-", "same0") for row in sets[0]}
    marks: dict[RowAddress, Span] = {}
    for number, (letter, equal_rows) in enumerate(zip(ascii_lowercase, sets, strict=False)):
        first, *others = sorted(equal_rows, key=order.index)
        texts = {first: f"<- {letter}", **dict.fromkeys(others, f"= {letter}")}
        marks |= {row: Span(text, f"same{number % COLORS}") for row, text in texts.items()}
    return marks
