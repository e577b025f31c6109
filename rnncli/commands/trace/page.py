"""Lay out a trace: one table per loop, a row per step, a column per gate or state, as bars and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from rnncli.addresses import cell_number
from rnncli.case import Array
from rnncli.compute.trace import bounds
from rnncli.renderers import statistics
from rnncli.renderers.measure import BETWEEN, Space, flow
from rnncli.renderers.page import (
    Cell,
    Column,
    Forms,
    Line,
    Page,
    Span,
    Table,
    View,
    bar,
    cell,
    line,
    marks,
)
from rnncli.renderers.parts import difference_text, format_difference, note_of, title
from rnncli.renderers.width import longest, width_of
from rnncli.renderers.wording import say
from rnncli.result import STATUSES

if TYPE_CHECKING:
    from rnncli.commands.trace.answer import TraceAnswer
    from rnncli.result import LoopTrace

MOST_ROWS = 24
"""With more steps in all batch entries together, only the edges are shown, unless View.full is set."""
EDGE = 3
MOST_BARS, FEWEST_BARS = 32, 8
MOST_NUMBERS = 12
MOST_TABLES = 2
"""Maximum number of tables used to show a number of every gate; more would be fragmented."""
HELD = "*"
"""Marks an entry that is held at a value instead of computed."""
GAP = -1
"""Marks omitted indices in a list of indices."""


def page(answer: TraceAnswer, view: View) -> Page:
    """Return the loops first to last, then what the bars mean, statistics, and differences from Keras."""
    loops = [_LoopTables(loop, answer, view) for loop in answer.loops]
    parts: list[Table | Forms | Line] = [part for loop in loops for part in loop.tables()]
    parts += [(), *_scales(loops, view)] if loops else []
    if answer.result.hold:
        parts.append(
            line(f"{HELD} {say('with hold', view.lang).format(', '.join(answer.result.hold))}", "dim")
        )
    shown = {name: figures for name, figures in answer.stats.items() if _is_shown(name)}
    parts += statistics.parts(shown, view)
    if answer.result.differences:
        pieces = (f"{name} {format_difference(number)}" for name, number in answer.result.differences.items())
        said = marks(view).dot.join(pieces)
        parts += [(), line(f"{difference_text(answer.result, view.lang)}: {said}", "dim")]
    return Page(title(answer.result.stack, view), (note_of(answer.result, view),), tuple(parts))


def _is_shown(name: str) -> bool:
    return name.endswith(".activation") or ("." not in name and name.rpartition("/")[2] != "output")


@dataclass(frozen=True)
class Quantity:
    """A column: values (batch, steps, units) in processing order, drawn from `low` to `high`.

    texts: the numbers of every shown row.  held: the held entries, (steps, units), if there are any.
    """

    name: str
    values: Array
    low: float
    high: float
    texts: Mapping[tuple[int, int], list[str]]
    held: Array | None = None

    @property
    def label(self) -> str:
        """`forget`, `hidden`."""
        return self.name.removesuffix(".activation")

    @property
    def units(self) -> int:
        """The number of units."""
        return int(self.values.shape[-1])

    @cached_property
    def widest(self) -> int:
        """The width of its longest number."""
        return max((len(text) for row in self.texts.values() for text in row), default=0)


@dataclass(frozen=True)
class Field:
    """What one table column shows of a quantity: which units, as bars, as numbers or both."""

    quantity: Quantity
    bars: tuple[int, ...]
    numbers: tuple[int, ...]
    heading: str

    @property
    def between(self) -> int:
        """The blanks before a number; a single number is close to its bars."""
        return 1 if self.bars and len(self.numbers) == 1 else BETWEEN

    def width(self, view: View) -> int:
        """Return the columns it takes."""
        ellipsis = len(marks(view).ellipsis)
        bars = sum(ellipsis if unit == GAP else 1 for unit in self.bars)
        each = (ellipsis if unit == GAP else self.quantity.widest for unit in self.numbers)
        numbers = sum(self.between + columns for columns in each)
        return max(width_of(self.heading), bars + numbers - (0 if bars else BETWEEN if numbers else 0))

    def with_numbers(self, units: tuple[int, ...]) -> Field:
        """Return the field with these units also shown as numbers."""
        return replace(self, numbers=units)


class _LoopTables:
    """The quantities of one loop, and how they share the width."""

    def __init__(self, loop: LoopTrace, answer: TraceAnswer, view: View) -> None:
        self.loop, self.answer, self.view = loop, answer, view
        self.status = loop.status

    @cached_property
    def quantities(self) -> list[Quantity]:
        """Return the quantities cell by cell: the gates in order, then cell and hidden."""
        gates = (f"{gate}.activation" for gate in self.loop.gates)
        ordered = sorted((*gates, *reversed(self.loop.states)), key=cell_number)
        return [self._quantity(name, self.loop.parts[name]) for name in ordered]

    def _quantity(self, name: str, values: Array) -> Quantity:
        import numpy as np

        from rnncli.renderers.numerals import choose_style, format_number

        counted = values[self.status == 0] if (self.status == 0).any() else values
        finite = counted[np.isfinite(counted)]
        largest = float(np.abs(finite).max()) if finite.size else 1.0
        positive = finite.size and (finite >= 0).all()
        low, high = bounds(self.loop, name) or (0.0 if positive else -largest, largest)
        style = choose_style(values, self.view.precision)
        rows = (row for row in self.rows if GAP not in row)
        held = self.loop.held.get(name.removesuffix(".activation"))
        texts = {
            row: [
                format_number(value, style) + ("" if held is None else HELD if held[row[1], unit] else " ")
                for unit, value in enumerate(values[row])
            ]
            for row in rows
        }
        return Quantity(name, values, low, high, texts, held)

    def tables(self) -> Iterator[Table | Line]:
        """Yield one or more tables, as the width requires, each with a time column; then status meanings."""
        title_, groups = self._title(), list(self._groups(self._fields()))
        for place, fields in enumerate(groups):
            last = place == len(groups) - 1
            yield self._table(fields, title_ if place == 0 else (), last)
        yield from self._reasons(groups[-1])

    @property
    def shows_direction(self) -> bool:
        """Whether to show the direction: it is backward, or one of two."""
        return self.loop.direction == "backward" or self.loop.is_half

    def _title(self) -> Line:
        """Return `layer 0  LSTM(3) · backward`, each part only if there are several."""
        from rnncli.specs import describe

        layers, lang = self.answer.result.layers, self.view.lang
        pieces = [(Span(f"{say('layer', lang)} {self.loop.layer}  ", "dim"),)] if len(layers) > 1 else []
        if len(layers) > 1:
            pieces.append((Span(describe(layers[self.loop.layer]), "strong"),))
        direction = self.loop.direction
        if self.shows_direction:
            before = (Span(marks(self.view).dot, "dim"),) if pieces else ()
            pieces.append((*before, Span(say(direction, lang), "strong")))
        return tuple(span for piece in pieces for span in piece)

    @cached_property
    def row_labels(self) -> list[tuple[str, list[str]]]:
        """The headings and labels before every row: batch, step, t."""
        rows, entries = self.rows, self.status.shape[0]
        ellipsis = marks(self.view).ellipsis
        columns: list[tuple[str, list[str]]] = []
        if entries > 1:
            batch = [ellipsis if entry == GAP else str(self.loop.entry(entry)) for entry, _ in rows]
            news = [text if not place or text != batch[place - 1] else "" for place, text in enumerate(batch)]
            columns.append((say("batch", self.view.lang), news))
        times = [ellipsis if GAP in row else str(self.loop.times[row[1]]) for row in rows]
        if self.shows_direction:
            columns.append(
                (
                    say("step", self.view.lang),
                    ["" if GAP in row else self._count_processed(row[1]) for row in rows],
                )
            )
        return [*columns, ("t", times)]

    def _count_processed(self, place: int) -> str:
        """Return how many steps the layer had processed before."""
        timestep, last = self.loop.times[place], self.answer.result.input_shape[1] - 1
        return str(last - timestep if self.loop.direction == "backward" else timestep)

    @cached_property
    def rows(self) -> list[tuple[int, int]]:
        """Return (batch entry, step) pairs, with a GAP for omitted ones."""
        entries, steps = self.status.shape
        if self.view.full or entries * steps <= MOST_ROWS:
            return [(entry, step) for entry in range(entries) for step in range(steps)]
        kept = _edges(entries, 1)
        inner = _edges(steps, EDGE if entries > 1 else 2 * EDGE)
        return [(entry, step) for entry in kept for step in ((GAP,) if entry == GAP else inner)]

    @cached_property
    def status_keys(self) -> list[str]:
        """The key in wording for why each row was not computed; "" if it was."""
        return ["" if GAP in row or not self.status[row] else self._status_key(*row) for row in self.rows]

    def _has_room_for_reasons(self, fields: Sequence[Field]) -> bool:
        """Return whether there is room beside these columns to explain in a row why it was not computed."""
        words = longest(say(key, self.view.lang) for key in self.status_keys if key)
        return self._fits(fields, words - self._short())

    def _short(self) -> int:
        """Return the width of the longest status word; 0 if every step was computed."""
        words = [say(f"short {key}", self.view.lang) for key in self.status_keys if key]
        return longest([*words, say("status", self.view.lang)]) if words else 0

    def _reasons(self, fields: Sequence[Field]) -> Iterator[Line]:
        """Yield the meanings of the status words, shown below the table if they did not fit inside."""
        if any(self.status_keys) and not self._has_room_for_reasons(fields):
            for key in dict.fromkeys(filter(None, self.status_keys)):
                word = say(f"short {key}", self.view.lang)
                yield line(f"{word} = {say(key, self.view.lang)}", "dim")

    def _status_key(self, entry: int, step: int) -> str:
        status = STATUSES[self.status[entry, step]]
        first = status == "held" and step == 0 and not self.loop.parts["output"][entry, step].any()
        return "first" if first else status

    @property
    def single(self) -> bool:
        """Whether there is only one unit, shown as numbers."""
        return all(quantity.units == 1 for quantity in self.quantities)

    @cached_property
    def space(self) -> Space:
        """The space left for gates and states."""
        taken = [longest([heading, *labels]) for heading, labels in self.row_labels]
        taken += [self._short()] if any(self.status_keys) else []
        taken += [len(self.quantities)] if self.single else []
        return Space.beside(taken, self.view, least=20)

    def _groups(self, fields: Sequence[Field]) -> Iterator[list[Field]]:
        """Yield the columns in groups, as many per table as fit."""
        return self.space.split(fields, lambda one: one.width(self.view))

    def _fits(self, fields: Sequence[Field], more: int = 0) -> bool:
        """Return whether one table holds all of them."""
        return self.space.fits((one.width(self.view) for one in fields), more)

    def _fields(self) -> list[Field]:
        """Return only numbers for one unit; else bars, and numbers of as many quantities as fit."""
        if self.single:
            return [Field(quantity, (), (0,), quantity.label) for quantity in self.quantities]
        if self.view.full:
            return [one for quantity in self.quantities for one in self._every_number(quantity)]
        fields = self._first_units()
        states = [place for place, one in enumerate(fields) if "." not in one.quantity.name]
        gates = [place for place in range(len(fields)) if place not in states]
        for places in (*([place] for place in reversed(states)), gates):
            more = [
                one.with_numbers(_numbers(one.quantity)) if place in places else one
                for place, one in enumerate(fields)
            ]
            if not self._fits(more):
                break
            fields = more
        return fields

    def _first_units(self) -> list[Field]:
        """Return bars, with the first unit's number beside those of every gate, if they fit."""
        fields = [Field(quantity, self._bars(quantity), (), quantity.label) for quantity in self.quantities]
        first = [one.with_numbers((0,)) for one in fields]
        without_cell = [one.with_numbers(()) if _is_cell(one) else one for one in first]
        gates = [one if "." in one.quantity.name else one.with_numbers(()) for one in first]
        for wanted in (first, without_cell, gates):
            if self._fits(wanted):
                return wanted
        few = [replace(one, bars=_select_ends(one.quantity.units, FEWEST_BARS)) for one in first]
        return few if len(list(self._groups(few))) <= MOST_TABLES else fields

    @property
    def lacks_numbers(self) -> bool:
        """Whether some quantity is shown only as bars, or as the number of one of several units."""
        return self.shows_first or any(not one.numbers for one in self._fields())

    @property
    def shows_first(self) -> bool:
        """Whether only the first unit of some quantity is shown as numbers."""
        return any(len(one.numbers) == 1 < one.quantity.units for one in self._fields())

    def _bars(self, quantity: Quantity) -> tuple[int, ...]:
        return _select_ends(quantity.units, self.space.share(len(self.quantities), FEWEST_BARS, MOST_BARS))

    def _every_number(self, quantity: Quantity) -> Iterator[Field]:
        """Yield all numbers, in as many columns as the width requires."""
        each = self.space.count(quantity.widest + 1, quantity.units)
        for start in range(0, quantity.units, each):
            units = tuple(range(start, min(start + each, quantity.units)))
            part = f"[{self.loop.unit(units[0])}:{self.loop.unit(units[-1]) + 1}]"
            yield Field(quantity, units, units, quantity.label + (part if each < quantity.units else ""))

    def _table(self, fields: Sequence[Field], title_: Line, last: bool) -> Table:
        alone = self.single
        columns = [Column(heading, right=heading == "t") for heading, _ in self.row_labels]
        columns += [Column(one.heading, right=alone) for one in fields]
        columns += [Column("")] if alone else []
        status = any(self.status_keys) and last
        columns += [Column(say("status", self.view.lang))] if status else []
        prefix = "" if status and self._has_room_for_reasons(fields) else "short "
        rows = []
        for place, row in enumerate(self.rows):
            cells = [cell(labels[place], "dim") for _, labels in self.row_labels]
            cells += [self._cell(one, row) for one in fields]
            cells += [(self._spark(fields, row),)] if alone else []
            if status:
                key = self.status_keys[place]
                cells.append(cell(say(prefix + key, self.view.lang) if key else "", "dim"))
            rows.append(tuple(cells))
        return Table(tuple(columns), tuple(rows), title_)

    def _cell(self, one: Field, row: tuple[int, int]) -> Cell:
        if GAP in row:
            return ((),)
        quantity, ellipsis = one.quantity, marks(self.view).ellipsis
        texts = quantity.texts[row]
        spans: list[Span] = []
        for unit in one.bars:
            spans.append(Span(ellipsis, "dim") if unit == GAP else self._bar(quantity, unit, row))
        for place, unit in enumerate(one.numbers):
            between = " " * (one.between if one.bars or place else 0)
            text = ellipsis if unit == GAP else texts[unit].rjust(quantity.widest)
            spans.append(Span(between + text, self._choose_style(quantity, text, row)))
        return (tuple(spans),)

    def _spark(self, fields: Sequence[Field], row: tuple[int, int]) -> Line:
        if GAP in row:
            return ()
        return tuple(self._bar(one.quantity, 0, row) for one in fields)

    def _bar(self, quantity: Quantity, unit: int, row: tuple[int, int]) -> Span:
        if quantity.held is not None and quantity.held[row[1], unit]:
            return Span(HELD, "strong")
        drawn = bar(float(quantity.values[row][unit]), quantity.low, quantity.high, self.view)
        return Span(drawn.text, "dim") if self._is_unused(quantity, row) else drawn

    def _choose_style(self, quantity: Quantity, text: str, row: tuple[int, int]) -> str:
        if self._is_unused(quantity, row):
            return "number dim"
        return "number alarm" if text.rstrip().endswith(("NaN", "inf")) else "number"

    def _is_unused(self, quantity: Quantity, row: tuple[int, int]) -> bool:
        """Return whether this is a gate of a masked step, which was computed but not used."""
        return "." in quantity.name and bool(self.status[row])


def _scales(loops: Sequence[_LoopTables], view: View) -> tuple[Line, ...]:
    """`bars: input forget output 0..1 · candidate hidden -1..1 · cell -0.6091..0.6091`."""
    ranges: dict[str, list[str]] = {}
    for loop in loops:
        several = len(loops) > 1
        for quantity in loop.quantities:
            bounded = bounds(loop.loop, quantity.name) is not None
            name = quantity.label if bounded or not several else loop.loop.path + quantity.label
            names = ranges.setdefault(f"{quantity.low:.4g}..{quantity.high:.4g}", [])
            names += [] if name in names else [name]
    pieces = [f"{' '.join(names)} {span}" for span, names in ranges.items()]
    pieces[:1] = [f"{say('bars', view.lang)}: {piece}" for piece in pieces[:1]]
    lines = flow(pieces, view)
    if any(loop.lacks_numbers for loop in loops):
        pieces = [say("numbers", view.lang)]
        if any(loop.shows_first for loop in loops):
            pieces.insert(0, say("single numbers", view.lang).format(unit=loops[0].loop.unit(0)))
        lines.append(marks(view).dot.join(pieces))
    return tuple(line(text, "dim") for text in lines)


def _is_cell(one: Field) -> bool:
    return one.quantity.name.rpartition("/")[2] == "cell"


def _numbers(quantity: Quantity) -> tuple[int, ...]:
    return _select_ends(quantity.units, MOST_NUMBERS)


def _select_ends(size: int, most: int) -> tuple[int, ...]:
    """Return all indices, or the first and last ones."""
    if size <= most:
        return tuple(range(size))
    head = most // 2
    return (*range(head), GAP, *range(size - (most - head - 1), size))


def _edges(size: int, width: int) -> tuple[int, ...]:
    return tuple(range(size)) if size <= 2 * width + 1 else (*range(width), GAP, *range(size - width, size))
