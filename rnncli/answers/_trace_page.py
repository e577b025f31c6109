"""How a trace is read: a table a loop, a row a step, a column a gate or state, as bars and in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rnncli.answers import _statistics
from rnncli.answers._parts import note_of, small, title
from rnncli.page import Cell, Column, Line, Page, Span, Table, View, bar, cell, line, marks, room
from rnncli.wording import say

if TYPE_CHECKING:
    from rnncli.answers.trace import TraceAnswer
    from rnncli.case import Array
    from rnncli.tracing import Loop, Trace

BETWEEN = 2
MOST_ROWS = 24
"""More steps of all batch entries together show their edges, unless all of them are wanted."""
EDGE = 3
MOST_BARS, FEWEST_BARS = 32, 8
MOST_NUMBERS = 12
MOST_TABLES = 2
"""Where one table has no room for a number of every gate, so many have; more would be a page of fragments."""
GAP = -1
"""Stands in a list of indices for those that are left out."""


def page(answer: TraceAnswer, view: View) -> Page:
    """Loops first to last, then what the bars mean, figures, and differences from Keras."""
    loops = [_LoopTables(loop, answer, view) for loop in answer.trace.loops]
    parts: list[Table | Line] = [part for loop in loops for part in loop.tables()]
    parts += [(), *_scales(loops, view)] if loops else []
    shown = {name: figures for name, figures in answer.stats.items() if _is_shown(name)}
    parts += _statistics.parts(shown, view)
    if answer.result.differences:
        pieces = (f"{name} {small(number)}" for name, number in answer.result.differences.items())
        said = marks(view).dot.join(pieces)
        parts += [(), line(f"{say('difference', view.lang)}: {said}", "dim")]
    return Page(title(answer.result.layers, view), (note_of(answer.result, view),), tuple(parts))


def _is_shown(name: str) -> bool:
    return name.endswith(".activation") or ("." not in name and name.rpartition("/")[2] != "output")


@dataclass(frozen=True)
class Quantity:
    """A column: values (batch, steps, units) in the order of processing, drawn from `low` to `high`.

    texts: the numbers of every row that is shown.
    """

    name: str
    values: Array
    low: float
    high: float
    texts: Mapping[tuple[int, int], list[str]]

    @property
    def label(self) -> str:
        """`forget`, `hidden`."""
        return self.name.removesuffix(".activation")

    @property
    def units(self) -> int:
        """How many there are."""
        return int(self.values.shape[-1])

    @cached_property
    def widest(self) -> int:
        """The columns of its longest number."""
        return max((len(text) for row in self.texts.values() for text in row), default=0)


@dataclass(frozen=True)
class Field:
    """What one column of a table shows of a quantity: which units, as bars, as numbers or both."""

    quantity: Quantity
    bars: tuple[int, ...]
    numbers: tuple[int, ...]
    heading: str

    @property
    def between(self) -> int:
        """The blanks in front of a number: a single one stands close to its bars."""
        return 1 if self.bars and len(self.numbers) == 1 else BETWEEN

    def width(self, view: View) -> int:
        """The columns it takes."""
        ellipsis = len(marks(view).ellipsis)
        bars = sum(ellipsis if unit == GAP else 1 for unit in self.bars)
        each = (ellipsis if unit == GAP else self.quantity.widest for unit in self.numbers)
        numbers = sum(self.between + columns for columns in each)
        return max(room(line(self.heading)), bars + numbers - (0 if bars else BETWEEN if numbers else 0))

    def with_numbers(self, units: tuple[int, ...]) -> Field:
        """The same with these units in numbers too."""
        return replace(self, numbers=units)


class _LoopTables:
    """One loop's quantities, and how they share the width."""

    def __init__(self, loop: Loop, answer: TraceAnswer, view: View) -> None:
        self.loop, self.answer, self.view = loop, answer, view
        self.trace: Trace = answer.trace
        self.status = loop.status()

    @cached_property
    def quantities(self) -> list[Quantity]:
        """Cell by cell the gates in their order, then cell and hidden."""
        stacked = self.loop.stacked()
        shown = [name for name in stacked if _is_shown(name)]
        states = [name for name in reversed(shown) if "." not in name]
        gates = [name for name in shown if name not in states]
        ordered = sorted((*gates, *states), key=lambda name: int(name.rpartition("/")[0] or 0))
        return [self._quantity(name, stacked[name]) for name in ordered]

    def _quantity(self, name: str, values: Array) -> Quantity:
        import numpy as np

        from rnncli.numerals import style_for, written

        counted = values[self.status == 0] if (self.status == 0).any() else values
        finite = counted[np.isfinite(counted)]
        largest = float(np.abs(finite).max()) if finite.size else 1.0
        positive = finite.size and (finite >= 0).all()
        low, high = self.loop.bounds(name) or (0.0 if positive else -largest, largest)
        style = style_for(values, self.view.precision)
        rows = (row for row in self.rows if GAP not in row)
        texts = {row: [written(value, style) for value in values[row]] for row in rows}
        return Quantity(name, values, low, high, texts)

    def tables(self) -> Iterator[Table | Line]:
        """One, or as many as the width asks for, each with the time in front; then what a status means."""
        title_, groups = self._title(), list(self._groups())
        for place, fields in enumerate(groups):
            last = place == len(groups) - 1
            yield self._table(fields, title_ if place == 0 else (), last)
        yield from self._reasons(groups[-1])

    @property
    def directed(self) -> bool:
        """Whether the direction has to be said: it is backward, or one of two."""
        return self.loop.direction == "backward" or self.loop.path.endswith(f"{self.loop.direction}/")

    def _title(self) -> Line:
        """`layer 0  LSTM(3) · backward`, as far as there are several."""
        from rnncli.specs import describe

        layers, lang = self.answer.result.layers, self.view.lang
        pieces = [(Span(f"{say('layer', lang)} {self.loop.layer}  ", "dim"),)] if len(layers) > 1 else []
        if len(layers) > 1:
            pieces.append((Span(describe(layers[self.loop.layer]), "strong"),))
        direction = self.loop.direction
        if self.directed:
            before = (Span(marks(self.view).dot, "dim"),) if pieces else ()
            pieces.append((*before, Span(say(direction, lang), "strong")))
        return tuple(span for piece in pieces for span in piece)

    @cached_property
    def ahead(self) -> list[tuple[str, list[str]]]:
        """The headings and the labels in front of every row: batch, step, t."""
        rows, entries = self.rows, self.status.shape[0]
        ellipsis = marks(self.view).ellipsis
        columns: list[tuple[str, list[str]]] = []
        if entries > 1:
            batch = [ellipsis if entry == GAP else str(self.trace.entry(entry)) for entry, _ in rows]
            news = [text if not place or text != batch[place - 1] else "" for place, text in enumerate(batch)]
            columns.append((say("batch", self.view.lang), news))
        times = [ellipsis if GAP in row else str(self.loop.steps[row[1]].timestep) for row in rows]
        if self.directed:
            columns.append(
                (say("step", self.view.lang), ["" if GAP in row else self._processed(row[1]) for row in rows])
            )
        return [*columns, ("t", times)]

    def _processed(self, place: int) -> str:
        """How many steps the layer had taken before."""
        timestep, last = self.loop.steps[place].timestep, self.answer.result.input_shape[1] - 1
        return str(last - timestep if self.loop.direction == "backward" else timestep)

    @cached_property
    def rows(self) -> list[tuple[int, int]]:
        """(batch entry, step), with a GAP for those that are left out."""
        entries, steps = self.status.shape
        if self.view.full or entries * steps <= MOST_ROWS:
            return [(entry, step) for entry in range(entries) for step in range(steps)]
        kept = _edges(entries, 1)
        inner = _edges(steps, EDGE if entries > 1 else 2 * EDGE)
        return [(entry, step) for entry in kept for step in ((GAP,) if entry == GAP else inner)]

    @cached_property
    def said(self) -> list[str]:
        """Of every row why it was not computed, as a key of wording; "" where it was."""
        return ["" if GAP in row or not self.status[row] else self._why(*row) for row in self.rows]

    def _spelled_out(self, fields: Sequence[Field]) -> bool:
        """Whether there is room beside these columns to say in a row why it was not computed."""
        if self.left is None:
            return True
        longest = max(room(line(say(key, self.view.lang))) for key in self.said if key)
        return self._taken(fields) + longest <= self.left + self._short()

    def _short(self) -> int:
        """The columns of the longest word for a status; 0 where every step was computed."""
        words = [room(line(say(f"short {key}", self.view.lang))) for key in self.said if key]
        return max((*words, room(line(say("status", self.view.lang))))) if words else 0

    def _reasons(self, fields: Sequence[Field]) -> Iterator[Line]:
        """What the words of the status mean, below the table, where there was no room for it inside."""
        if any(self.said) and not self._spelled_out(fields):
            for key in dict.fromkeys(filter(None, self.said)):
                word = say(f"short {key}", self.view.lang)
                yield line(f"{word} = {say(key, self.view.lang)}", "dim")

    def _why(self, entry: int, step: int) -> str:
        status = self.loop.steps[step].status[entry]
        shown = self.loop.steps[step].output[entry]
        first = status == "held" and step == 0 and not shown.any()
        return "first" if first else status

    @property
    def single(self) -> bool:
        """Whether there is one unit alone, which is shown in numbers."""
        return all(quantity.units == 1 for quantity in self.quantities)

    @property
    def left(self) -> int | None:
        """The columns for gates and states."""
        if self.view.width is None:
            return None
        texts = [(heading, *labels) for heading, labels in self.ahead]
        taken = sum(BETWEEN + max(room(line(text)) for text in column) for column in texts)
        if any(self.said):
            taken += self._short() + BETWEEN
        if self.single:
            taken += len(self.quantities) + BETWEEN
        return max(self.view.width - taken, 20)

    def _groups(self) -> Iterator[list[Field]]:
        """The columns, as many of them a table as fit."""
        yield from self._grouped(self._fields())

    def _grouped(self, fields: Sequence[Field]) -> Iterator[list[Field]]:
        group: list[Field] = []
        for one in fields:
            if group and not self._fits([*group, one]):
                yield group
                group = []
            group.append(one)
        yield group

    def _taken(self, fields: Sequence[Field]) -> int:
        return sum(one.width(self.view) + BETWEEN for one in fields) - BETWEEN

    def _fields(self) -> list[Field]:
        """Numbers alone for one unit; else bars, and numbers of as many quantities as there is room for."""
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
        """Bars, and the first unit's number beside those of every gate, as far as there is room."""
        fields = [Field(quantity, self._bars(quantity), (), quantity.label) for quantity in self.quantities]
        first = [one.with_numbers((0,)) for one in fields]
        without_cell = [one.with_numbers(()) if _is_cell(one) else one for one in first]
        gates = [one if "." in one.quantity.name else one.with_numbers(()) for one in first]
        for wanted in (first, without_cell, gates):
            if self._fits(wanted):
                return wanted
        few = [replace(one, bars=_within(one.quantity.units, FEWEST_BARS)) for one in first]
        return few if len(list(self._grouped(few))) <= MOST_TABLES else fields

    def _fits(self, fields: Sequence[Field]) -> bool:
        """Whether one table holds all of them."""
        return self.left is None or self._taken(fields) <= self.left

    @property
    def lacks_numbers(self) -> bool:
        """Whether some quantity is shown in bars alone, or in the number of one unit of several."""
        return self.shows_first or any(not one.numbers for one in self._fields())

    @property
    def shows_first(self) -> bool:
        """Whether the first unit alone of some quantity is shown in numbers."""
        return any(len(one.numbers) == 1 < one.quantity.units for one in self._fields())

    def _bars(self, quantity: Quantity) -> tuple[int, ...]:
        if self.left is None:
            return _within(quantity.units, MOST_BARS)
        each = self.left // len(self.quantities) - BETWEEN
        return _within(quantity.units, min(MOST_BARS, max(each, FEWEST_BARS)))

    def _every_number(self, quantity: Quantity) -> Iterator[Field]:
        """All of them, in as many columns as the width asks for."""
        each = quantity.units
        if self.left is not None:
            each = max(1, (self.left + BETWEEN) // (quantity.widest + BETWEEN + 1))
        for start in range(0, quantity.units, each):
            units = tuple(range(start, min(start + each, quantity.units)))
            part = f"[{self.trace.unit(units[0])}:{self.trace.unit(units[-1]) + 1}]"
            yield Field(quantity, units, units, quantity.label + (part if each < quantity.units else ""))

    def _table(self, fields: Sequence[Field], title_: Line, last: bool) -> Table:
        alone = self.single
        columns = [Column(heading, right=heading == "t") for heading, _ in self.ahead]
        columns += [Column(one.heading, right=alone) for one in fields]
        columns += [Column("")] if alone else []
        status = any(self.said) and last
        columns += [Column(say("status", self.view.lang))] if status else []
        prefix = "" if status and self._spelled_out(fields) else "short "
        rows = []
        for place, row in enumerate(self.rows):
            cells = [cell(labels[place], "dim") for _, labels in self.ahead]
            cells += [self._cell(one, row) for one in fields]
            cells += [(self._spark(fields, row),)] if alone else []
            if status:
                key = self.said[place]
                cells.append(cell(say(prefix + key, self.view.lang) if key else "", "dim"))
            rows.append(tuple(cells))
        return Table(tuple(columns), tuple(rows), title_)

    def _cell(self, one: Field, row: tuple[int, int]) -> Cell:
        if GAP in row:
            return ((),)
        quantity, ellipsis = one.quantity, marks(self.view).ellipsis
        values, texts = quantity.values[row], quantity.texts[row]
        spans: list[Span] = []
        for unit in one.bars:
            spans.append(Span(ellipsis, "dim") if unit == GAP else self._bar(quantity, values[unit], row))
        for place, unit in enumerate(one.numbers):
            between = " " * (one.between if one.bars or place else 0)
            text = ellipsis if unit == GAP else texts[unit].rjust(quantity.widest)
            spans.append(Span(between + text, self._look(quantity, text, row)))
        return (tuple(spans),)

    def _spark(self, fields: Sequence[Field], row: tuple[int, int]) -> Line:
        if GAP in row:
            return ()
        return tuple(self._bar(one.quantity, one.quantity.values[row][0], row) for one in fields)

    def _bar(self, quantity: Quantity, value: Any, row: tuple[int, int]) -> Span:
        drawn = bar(float(value), quantity.low, quantity.high, self.view)
        return Span(drawn.text, "dim") if self._unused(quantity, row) else drawn

    def _look(self, quantity: Quantity, text: str, row: tuple[int, int]) -> str:
        if self._unused(quantity, row):
            return "number dim"
        return "number alarm" if text.endswith(("NaN", "inf")) else "number"

    def _unused(self, quantity: Quantity, row: tuple[int, int]) -> bool:
        """A gate of a masked step was computed, and nothing was done with it."""
        return "." in quantity.name and bool(self.status[row])


def _scales(loops: Sequence[_LoopTables], view: View) -> tuple[Line, ...]:
    """`bars: input forget output 0..1 · candidate hidden -1..1 · cell -0.6091..0.6091`."""
    ranges: dict[str, list[str]] = {}
    for loop in loops:
        several = len(loops) > 1
        for quantity in loop.quantities:
            bounded = loop.loop.bounds(quantity.name) is not None
            name = quantity.label if bounded or not several else loop.loop.path + quantity.label
            names = ranges.setdefault(f"{quantity.low:.4g}..{quantity.high:.4g}", [])
            names += [] if name in names else [name]
    pieces = [f"{' '.join(names)} {span}" for span, names in ranges.items()]
    lines: list[str] = []
    for piece in pieces:
        joined = f"{lines[-1]}{marks(view).dot}{piece}" if lines else f"{say('bars', view.lang)}: {piece}"
        if lines and view.width is not None and room(line(joined)) > view.width:
            lines.append(f"  {piece}")
        else:
            lines[-1:] = [joined]
    if any(loop.lacks_numbers for loop in loops):
        pieces = [say("numbers", view.lang)]
        if any(loop.shows_first for loop in loops):
            pieces.insert(0, say("single numbers", view.lang).format(unit=loops[0].trace.unit(0)))
        lines.append(marks(view).dot.join(pieces))
    return tuple(line(text, "dim") for text in lines)


def _is_cell(one: Field) -> bool:
    return one.quantity.name.rpartition("/")[2] == "cell"


def _numbers(quantity: Quantity) -> tuple[int, ...]:
    return _within(quantity.units, MOST_NUMBERS)


def _within(size: int, most: int) -> tuple[int, ...]:
    """All indices, or the first and the last of them."""
    if size <= most:
        return tuple(range(size))
    head = most // 2
    return (*range(head), GAP, *range(size - (most - head - 1), size))


def _edges(size: int, width: int) -> tuple[int, ...]:
    return tuple(range(size)) if size <= 2 * width + 1 else (*range(width), GAP, *range(size - width, size))
