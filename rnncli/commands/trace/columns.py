"""The columns of a trace's table: each gate and state as bars, as numbers or as both, as many as fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rnncli.case import Array
from rnncli.compute.trace import part_bounds
from rnncli.result import Label, LoopTrace
from rnncli.show.layout import BETWEEN
from rnncli.show.page import GAP, Line, Span, View, bar, marks, select_ends, text_of
from rnncli.show.visible import longest

MOST_BARS, FEWEST_BARS = 32, 8
MOST_NUMBERS = 12
MOST_TABLES = 2
"""Maximum number of tables used to show a number of every gate; more would be fragmented."""
HOLD_MARK = "*"
"""Marks an entry that is held at a value instead of computed."""


class TraceRow(NamedTuple):
    """One time step of one sequence, as indices in the arrays of a loop; GAP for omitted ones."""

    entry: int
    step: int

    @property
    def is_gap(self) -> bool:
        """Whether the row only marks that others are omitted."""
        return GAP in self


@dataclass(frozen=True)
class Quantity:
    """A gate or state: values (batch, steps, units) in processing order, drawn from `low` to `high`.

    units: the layer's own index of each unit.  texts: the numbers of every shown row.
    widest: the width of the longest number.
    status: (batch, steps).  hold_mask: the held entries, (steps, units), if there are any.
    """

    part: Label
    values: Array
    low: float
    high: float
    units: Sequence[int]
    texts: Mapping[TraceRow, list[str]]
    widest: int
    status: Array
    hold_mask: Array | None = None

    @property
    def is_gate(self) -> bool:
        """Whether it is a gate; else a state."""
        return bool(self.part.kind)

    def is_unused(self, row: TraceRow) -> bool:
        """Return whether this is a gate of a masked step, which was computed but not used."""
        return self.is_gate and bool(self.status[row])

    def draw_bar(self, unit: int, row: TraceRow, view: View) -> Span:
        """Return the bar of one number."""
        if self.hold_mask is not None and self.hold_mask[row.step, unit]:
            return Span(HOLD_MARK, "strong")
        drawn = bar(float(self.values[row][unit]), self.low, self.high, view)
        return Span(drawn.text, "dim") if self.is_unused(row) else drawn


@dataclass(frozen=True)
class QuantityColumn:
    """What one table column shows of a quantity: the places of units as bars, as numbers or as both."""

    quantity: Quantity
    heading: str
    bars: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()

    @property
    def shows_first(self) -> bool:
        """Whether only the first of several units is shown as a number."""
        return len(self.numbers) == 1 < len(self.quantity.units)

    def width(self, view: View) -> int:
        """Return the terminal columns that it takes, the same in every row."""
        row = next(iter(self.quantity.texts))
        return longest((self.heading, text_of(self.draw(row, view))))

    def draw(self, row: TraceRow, view: View) -> Line:
        """Return the bars of a row, then its numbers; a single number is close to its bars."""
        quantity, ellipsis = self.quantity, marks(view).ellipsis
        spans = [
            Span(ellipsis, "dim") if unit == GAP else quantity.draw_bar(unit, row, view) for unit in self.bars
        ]
        gap = 1 if self.bars and len(self.numbers) == 1 else BETWEEN
        for unit in self.numbers:
            text = ellipsis if unit == GAP else quantity.texts[row][unit].rjust(quantity.widest)
            alarm = text.rstrip().endswith(("NaN", "inf"))
            style = " dim" if quantity.is_unused(row) else " alarm" if alarm else ""
            spans.append(Span((" " * gap if spans else "") + text, f"number{style}"))
        return tuple(spans)


Columns = list[QuantityColumn]


def list_quantities(loop: LoopTrace, rows: Sequence[TraceRow], view: View) -> list[Quantity]:
    """Return the quantities cell by cell: the gates in order, then cell and hidden."""
    import numpy as np

    from rnncli.show.numerals import choose_style, format_number

    found = []
    for part in sorted((*loop.gates, *reversed(loop.states)), key=lambda part: part.cell or 0):
        values, computed, held = loop.parts[part], loop.status == 0, loop.hold_masks.get(part)
        counted = values[computed] if computed.any() else values
        finite = counted[np.isfinite(counted)]
        largest = float(np.abs(finite).max()) if finite.size else 1.0
        positive = finite.size and (finite >= 0).all()
        low, high = part_bounds(loop, part) or (0.0 if positive else -largest, largest)
        style = choose_style(values, view.precision)
        texts = {
            row: [
                format_number(value, style)
                + ("" if held is None else HOLD_MARK if held[row.step, unit] else " ")
                for unit, value in enumerate(values[row])
            ]
            for row in rows
            if not row.is_gap
        }
        widest = max((len(text) for row in texts.values() for text in row), default=0)
        units = range(values.shape[-1]) if loop.units is None else loop.units
        found.append(Quantity(part, values, low, high, units, texts, widest, loop.status, held))
    return found


def is_single(quantities: Sequence[Quantity]) -> bool:
    """Return whether there is only one unit, whose bars stand together after the numbers."""
    return all(len(one.units) == 1 for one in quantities)


def choose_columns(quantities: Sequence[Quantity], room: int, view: View) -> list[Columns]:
    """Return the columns of each table: numbers of a single unit; else bars, and the numbers that fit.

    room: the terminal columns for all of them.
    """
    if is_single(quantities):
        columns = [QuantityColumn(one, str(one.part.short), numbers=(0,)) for one in quantities]
    elif view.full:
        columns = [column for one in quantities for column in _every_number(one, room)]
    else:
        columns = _add_numbers(_first_units(quantities, room, view), room, view)
    return _split(columns, room, view)


def _fits(columns: Columns, room: int, view: View) -> bool:
    return sum(column.width(view) + BETWEEN for column in columns) - BETWEEN <= room


def _split(columns: Columns, room: int, view: View) -> list[Columns]:
    """Return the columns of each table, if each holds as many as fit, at least one."""
    tables: list[Columns] = [[]]
    left = room
    for column in columns:
        width = column.width(view)
        if width > left and tables[-1]:
            tables.append([])
            left = room
        tables[-1].append(column)
        left -= width + BETWEEN
    return tables


def _every_number(quantity: Quantity, room: int) -> Iterator[QuantityColumn]:
    """Yield all numbers, in as many columns as the width requires; each number has a bar in front."""
    size, own = len(quantity.units), quantity.units
    each = max(1, min(size, (room + BETWEEN) // (quantity.widest + 1 + BETWEEN)))
    for start in range(0, size, each):
        units = tuple(range(start, min(start + each, size)))
        part = f"[{own[units[0]]}:{own[units[-1]] + 1}]" if each < size else ""
        yield QuantityColumn(quantity, f"{quantity.part.short}{part}", units, units)


def _first_units(quantities: Sequence[Quantity], room: int, view: View) -> Columns:
    """Return bars, with the number of the first unit beside those of every gate, if they fit."""
    most = min(MOST_BARS, max(room // len(quantities) - BETWEEN, FEWEST_BARS))
    bars = [QuantityColumn(one, str(one.part.short), select_ends(len(one.units), most)) for one in quantities]

    gates = {column.heading for column in bars if column.quantity.is_gate}
    others = {column.heading for column in bars if column.quantity.part.part != "cell"}
    for chosen in ({column.heading for column in bars}, others, gates):
        wanted = [replace(one, numbers=(0,)) if one.heading in chosen else one for one in bars]
        if _fits(wanted, room, view):
            return wanted
    few = [
        replace(column, bars=select_ends(len(column.quantity.units), FEWEST_BARS), numbers=(0,))
        for column in bars
    ]
    return few if len(_split(few, room, view)) <= MOST_TABLES else bars


def _add_numbers(columns: Columns, room: int, view: View) -> Columns:
    """Return the columns with numbers of more units, as far as they fit: state by state, then all gates."""
    states = [[place] for place, column in enumerate(columns) if not column.quantity.is_gate]
    gates = [place for place, column in enumerate(columns) if column.quantity.is_gate]
    for places in (*reversed(states), gates):
        more = [
            replace(column, numbers=select_ends(len(column.quantity.units), MOST_NUMBERS))
            if place in places
            else column
            for place, column in enumerate(columns)
        ]
        if not _fits(more, room, view):
            break
        columns = more
    return columns
