"""Lay out a trace: one table per loop, a row per step, a column per gate or state, as bars and numbers.

Each column has bars, numbers or both, as many as fit.

No list of fields describes such a table: which columns it has, and what they show, depends on the width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rnncli.errors import format_names
from rnncli.result import OUTPUT, Label, LoopTrace, Result
from rnncli.show import statistics
from rnncli.show.layout import BETWEEN
from rnncli.show.page import (
    GAP,
    Column,
    Line,
    Page,
    PagePart,
    Paragraph,
    Span,
    Table,
    Variants,
    View,
    bar,
    cell,
    line,
    marks,
    select_ends,
    text_of,
)
from rnncli.show.result_answer import difference_text, format_difference, held_text, notes_of, title_of
from rnncli.show.statistics import Stats
from rnncli.show.visible import ENDLESS, longest, name_text, visible, width_of
from rnncli.show.wording import name_layer, new_state
from rnncli.specs import expressions_of
from rnncli.values import STATUSES, Array

MOST_ROWS = 24
"""With more steps in all sequences together, some are omitted, unless View.full is set."""
STEPS_OF_ONE, STEPS_OF_EACH = 13, 7
"""Maximum number of rows then, including a gap: of a single sequence, or of each of several."""
LEAST_ROOM = 20
"""What the columns of gates and states get at least."""
STATUS_TEXTS = {
    "held": ("masked: state carried over, output repeated", "carried"),
    "first": ("masked: state carried over, output zero (no earlier output)", "carried, 0"),
    "zeroed": ("masked: state carried over, output zeroed", "zeroed"),
}
"""Why a step was not computed: in a sentence, and in a few words for a narrow table."""
MOST_BARS, FEWEST_BARS = 32, 8
MOST_NUMBERS = 12
MOST_ANSWERS = 4
"""With more units, there are no answers beside the outputs."""
MOST_TABLES = 2
"""Maximum number of tables used to show a number of every gate; more would be fragmented."""
HOLD_MARK = "*"
"""Marks an entry that is held at a value instead of computed."""


class TraceRow(NamedTuple):
    """One time step of one sequence, as indices in the arrays of a loop; GAP for omitted rows."""

    entry: int
    step: int

    @property
    def is_gap(self) -> bool:
        """Whether the row only marks that others are omitted."""
        return GAP in self


@dataclass(frozen=True)
class Quantity:
    """A gate or state: values (batch, steps, units), drawn from `low` to `high`.

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
        """Return whether this is a gate of a masked step, which nothing uses: it is left out."""
        return self.is_gate and bool(self.status[row])

    def draw_bar(self, unit: int, row: TraceRow, view: View) -> Span:
        """Return the bar of one number, a blank if nothing uses it."""
        if self.is_unused(row):
            return Span(" ")
        if self.hold_mask is not None and self.hold_mask[row.step, unit]:
            return Span(HOLD_MARK, "strong")
        return bar(float(self.values[row][unit]), self.low, self.high, view)


@dataclass(frozen=True)
class QuantityColumn:
    """What one table column shows of a quantity.  bars, numbers: the indices of the units shown as such."""

    quantity: Quantity
    heading: str
    bars: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()

    @property
    def shows_first(self) -> bool:
        """Whether only the first of several units is shown as a number."""
        return len(self.numbers) == 1 < len(self.quantity.units)

    def width(self, view: View) -> int:
        """Return the width in terminal columns, the same in every row."""
        row = next(iter(self.quantity.texts))
        return longest((self.heading, text_of(self._draw_numbers(row, view))))

    def draw(self, row: TraceRow, view: View) -> Line:
        """Return the bars and the numbers of a row; nothing for a gate of a masked step."""
        return () if self.quantity.is_unused(row) else self._draw_numbers(row, view)

    def _draw_numbers(self, row: TraceRow, view: View) -> Line:
        quantity, ellipsis = self.quantity, marks(view).ellipsis
        spans = [
            Span(ellipsis, "dim") if unit == GAP else quantity.draw_bar(unit, row, view) for unit in self.bars
        ]
        gap = 1 if self.bars and len(self.numbers) == 1 else BETWEEN
        for unit in self.numbers:
            text = ellipsis if unit == GAP else quantity.texts[row][unit].rjust(quantity.widest)
            alarm = text.rstrip().endswith(("NaN", "inf"))
            style = " alarm" if alarm else ""
            spans.append(Span((" " * gap if spans else "") + text, f"number{style}"))
        return tuple(spans)


Columns = list[QuantityColumn]


Ranges = Mapping[Label, tuple[float, float]]
"""The lowest and the highest number of each part's bars, the same in every table of an answer."""


def find_ranges(loops: Sequence[LoopTrace]) -> Ranges:
    """Return the limits of each part's activation; without limits, the range of the computed numbers."""
    import numpy as np

    ranges: dict[Label, tuple[float, float]] = {}
    numbers: dict[Label, list[Array]] = {}
    for loop in loops:
        computed = loop.status == 0
        for part in (*loop.gates, *loop.states):
            bounds, values = loop.bounds.get(part), loop.parts[part]
            if bounds is None:
                values = values[computed] if computed.any() else values
                numbers.setdefault(part, []).append(values[np.isfinite(values)])
            else:
                low, high = ranges.get(part, bounds)
                ranges[part] = min(low, bounds[0]), max(high, bounds[1])
    for part, several in numbers.items():
        largest = max((float(np.abs(some).max()) for some in several if some.size), default=1.0)
        positive = any(some.size for some in several) and all((some >= 0).all() for some in several)
        low, high = ranges.get(part, (0.0, 0.0))
        ranges[part] = min(low, 0.0 if positive else -largest), max(high, largest)
    return ranges


def list_quantities(loop: LoopTrace, rows: Sequence[TraceRow], ranges: Ranges, view: View) -> list[Quantity]:
    """Return the quantities cell by cell: the gates in order, then cell and hidden."""
    from rnncli.show.digits import choose_style, format_number

    quantities = []
    for part in sorted((*loop.gates, *reversed(loop.states)), key=lambda part: part.cell or 0):
        values, held = loop.parts[part], loop.hold_masks.get(part)
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
        quantities.append(Quantity(part, values, *ranges[part], units, texts, widest, loop.status, held))
    return quantities


def is_single(quantities: Sequence[Quantity]) -> bool:
    """Return whether there is only one unit, whose bars stand together after the numbers."""
    return all(len(quantity.units) == 1 for quantity in quantities)


def choose_columns(quantities: Sequence[Quantity], room: int, view: View) -> list[Columns]:
    """Return the columns of each table: numbers of a single unit; else bars, and the numbers that fit.

    room: the terminal columns for all of them.
    """
    if is_single(quantities):
        columns = [
            QuantityColumn(quantity, str(quantity.part.short), numbers=(0,)) for quantity in quantities
        ]
    elif view.full:
        columns = [column for quantity in quantities for column in _every_number(quantity, room)]
    else:
        columns = _add_numbers(_first_units(quantities, room, view), room, view)
    return _split(columns, room, view)


def _fits(columns: Columns, room: int, view: View) -> bool:
    return sum(column.width(view) + BETWEEN for column in columns) - BETWEEN <= room


def _split(columns: Columns, room: int, view: View) -> list[Columns]:
    """Return the columns of each table: all, or gates and states apart, or as many as fit, at least one."""
    gates = [column for column in columns if column.quantity.is_gate]
    states = columns[len(gates) :]
    apart = columns[: len(gates)] == gates and _fits(gates, room, view) and _fits(states, room, view)
    if apart and not _fits(columns, room, view):
        return [gates, states]
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
    size, indices = len(quantity.units), quantity.units
    each = max(1, min(size, (room + BETWEEN) // (quantity.widest + 1 + BETWEEN)))
    for start in range(0, size, each):
        units = tuple(range(start, min(start + each, size)))
        part = f"[{indices[units[0]]}:{indices[units[-1]] + 1}]" if each < size else ""
        yield QuantityColumn(quantity, f"{quantity.part.short}{part}", units, units)


def _first_units(quantities: Sequence[Quantity], room: int, view: View) -> Columns:
    """Return bars, and beside them the number of the first unit, if that fits.

    Where there is not room for all, the states keep their numbers, since they carry over to the next step.
    """

    def draw(bars: int, *, gates: bool, states: bool = True) -> Columns:
        return [
            QuantityColumn(
                quantity,
                str(quantity.part.short),
                select_ends(len(quantity.units), bars),
                (0,) if (gates if quantity.is_gate else states) else (),
            )
            for quantity in quantities
        ]

    most = min(MOST_BARS, max(room // len(quantities) - BETWEEN, FEWEST_BARS))
    for wanted, tables in (
        (draw(most, gates=True), 1),
        (draw(FEWEST_BARS, gates=True), MOST_TABLES),
        (draw(FEWEST_BARS, gates=False), MOST_TABLES),
    ):
        if len(_split(wanted, room, view)) <= tables:
            return wanted
    return draw(most, gates=False, states=False)


def _add_numbers(columns: Columns, room: int, view: View) -> Columns:
    states = [[index] for index, column in enumerate(columns) if not column.quantity.is_gate]
    gates = [index for index, column in enumerate(columns) if column.quantity.is_gate]
    for widened in (*reversed(states), gates):
        more = [
            replace(column, numbers=select_ends(len(column.quantity.units), MOST_NUMBERS))
            if index in widened
            else column
            for index, column in enumerate(columns)
        ]
        if not _fits(more, room, view):
            break
        columns = more
    return columns


def page(
    result: Result, loops: Sequence[LoopTrace], stats: Mapping[Label, Stats], view: View,
    advice: str = "--full shows all, --unit N one unit",
) -> Page:  # fmt: skip
    """Return the loops first to last, then what the bars mean, statistics, and differences from Keras.

    loops: with their steps in the order of the rows that the layers return.  advice: on hidden numbers.
    """
    ranges = find_ranges(loops)
    tables = [_lay_out(loop, result, ranges, view) for loop in loops]
    parts: list[PagePart] = [part for loop in tables for part in loop.parts()]
    parts += [(), *_scales(tables, ranges, view, advice)] if tables else []
    parts += _new_states(loops, view)
    if result.hold:
        parts.append(line(f"{HOLD_MARK} {view.say(held_text(result))}", "dim"))
    shown = {part.short: figures for part, figures in stats.items() if part.is_shown}
    parts += statistics.draw_statistics(shown, view)
    parts += draw_units(loops, view) if stats else ()
    if result.differences:
        differ = result.differences.items()
        pieces = (f"{name} {format_difference(number, result.ulps.get(name))}" for name, number in differ)
        differences = marks(view).dot.join(pieces)
        parts += [(), line(f"{view.say(difference_text(result))}: {differences}", "dim")]
    return Page(title_of(result, view), notes_of(result, view), tuple(parts))


def _new_states(loops: Sequence[LoopTrace], view: View) -> Iterator[Line]:
    states = {
        loop.label(gate.short)._replace(direction=""): state
        for loop in loops
        for gate, state in loop.new_states.items()
        if gate in loop.parts
    }
    for gate, state in states.items():
        what = view.say("the {new_state}, not a gate", new_state=new_state(state.part))
        yield line(f"{gate}: {what}", "dim")


@dataclass(frozen=True)
class LoopTables:
    """One loop, laid out.

    labels: headings and texts of the columns before the numbers.  statuses: why each row was not computed,
    a key of STATUS_TEXTS; "" if it was.  groups: the columns of each table.
    answers: what the output of each row means; () without answers.
    """

    loop: LoopTrace
    title: Line
    rows: list[TraceRow]
    labels: list[tuple[str, list[str]]]
    statuses: list[str]
    answers: list[str]
    quantities: list[Quantity]
    groups: list[Columns]
    view: View

    def parts(self) -> Iterator[Table | Variants]:
        """Yield one or more tables, each with a time column; the last one has the status of the steps."""
        *groups, last = self.groups
        for index, columns in enumerate(groups):
            yield self._table(columns, self.title if index == 0 else ())
        head = () if groups else self.title
        if not any(self.statuses):
            yield self._table(last, head)
            return
        long, short = (
            {key: self.view.say(texts[form]) for key, texts in STATUS_TEXTS.items()} for form in (0, 1)
        )
        keys = dict.fromkeys(filter(None, self.statuses))
        below = (line(f"{short[key]} = {long[key]}", "dim") for key in keys)
        yield Variants(((self._table(last, head, long),), (self._table(last, head, short), *below)))

    def _table(self, shown: Columns, head: Line, statuses: Mapping[str, str] | None = None) -> Table:
        alone, view = is_single(self.quantities), self.view
        columns = [Column(heading, right=heading == "t") for heading, _ in self.labels]
        columns += [Column(column.heading, right=alone) for column in shown]
        answers = self.answers if any(not column.quantity.is_gate for column in shown) else []
        columns += [Column("")] * (bool(answers) + alone)
        columns += [] if statuses is None else [Column(view.say("status"))]
        rows = []
        for index, (row, status) in enumerate(zip(self.rows, self.statuses, strict=True)):
            cells = [cell(texts[index], "dim") for _, texts in self.labels]
            cells += [(() if row.is_gap else column.draw(row, view),) for column in shown]
            if statuses is None and status and shown[0].quantity.is_gate:
                masked = view.say("masked")
                cells[len(self.labels)] = cell(
                    masked if width_of(masked) <= shown[0].width(view) else "", "dim"
                )
            cells += [cell(text) for text in answers[index : index + 1]]
            if alone:
                bars = (column.quantity.draw_bar(0, row, view) for column in shown if not row.is_gap)
                cells.append((tuple(bars),))
            if statuses is not None:
                cells.append(cell(statuses.get(status, ""), "dim"))
            rows.append(tuple(cells))
        return Table(tuple(columns), tuple(rows), head)


def _lay_out(loop: LoopTrace, result: Result, ranges: Ranges, view: View) -> LoopTables:
    rows = _choose_rows(loop, view)
    labels = list(_label_rows(rows, loop, view))
    statuses = [_find_status(row, loop) for row in rows]
    quantities = list_quantities(loop, rows, ranges, view)
    is_last = not isinstance(loop.layer, int) or loop.layer == len(result.specs) - 1
    answers = [_answer(row, loop) if is_last else "" for row in rows]
    answers = answers if any(answers) else []
    beside = [[heading, *texts] for heading, texts in labels] + ([answers] if answers else [])
    if any(statuses):
        words = (view.say(STATUS_TEXTS[key][1]) for key in statuses if key)
        beside.append([view.say("status"), *words])
    if is_single(quantities):
        beside.append([marks(view).bars[0] * len(quantities)])
    taken = sum(longest(texts) + BETWEEN for texts in beside)
    room = ENDLESS if view.width is None else max(view.width - taken, LEAST_ROOM)
    groups = choose_columns(quantities, room, view)
    return LoopTables(
        loop, _title(loop, result, view), rows, labels, statuses, answers, quantities, groups, view
    )


def _title(loop: LoopTrace, result: Result, view: View) -> Line:
    """Return `layer 0  LSTM(3) · backward`, or `encoder  LSTM(3)`, each part only if there are several."""
    spans = []
    if isinstance(loop.layer, int) and len(result.specs) > 1:
        spans.append(Span(f"{name_layer(loop.layer, view.lang)}  ", "dim"))
        spans.append(Span(expressions_of(result.specs)[loop.layer], "strong"))
    elif isinstance(loop.layer, str):
        layers = {} if result.model is None else result.model.layers
        is_second = loop.is_half and loop.direction == "backward"
        words = expressions_of((layers[loop.layer],)) if loop.layer in layers and not is_second else ()
        spans += [Span(f"{loop.layer}  ", "strong"), *map(Span, words)]
    if loop.shows_direction:
        spans += [Span(marks(view).dot, "dim")] if spans else []
        spans.append(Span(view.say(loop.direction), "strong"))
    return tuple(spans)


def _choose_rows(loop: LoopTrace, view: View) -> list[TraceRow]:
    entries, steps = loop.status.shape
    if view.full or entries * steps <= MOST_ROWS:
        return [TraceRow(entry, step) for entry in range(entries) for step in range(steps)]
    inner = select_ends(steps, STEPS_OF_EACH if entries > 1 else STEPS_OF_ONE)
    return [
        TraceRow(entry, step)
        for entry in select_ends(entries, 3)
        for step in ((GAP,) if entry == GAP else inner)
    ]


def _label_rows(rows: Sequence[TraceRow], loop: LoopTrace, view: View) -> Iterator[tuple[str, list[str]]]:
    ellipsis = marks(view).ellipsis
    if len(loop.status) > 1:
        entries = [ellipsis if row.entry == GAP else visible(str(loop.sequence(row.entry))) for row in rows]
        new = [text if not index or text != entries[index - 1] else "" for index, text in enumerate(entries)]
        yield view.say("batch"), new
    times = [None if row.is_gap else int(loop.times[row.step]) for row in rows]
    yield "t", [ellipsis if time is None else str(time) for time in times]
    if loop.names.steps:
        words = ["" if row.is_gap else name_text(loop.word(*row)) for row in rows]
        yield view.say(loop.names.heading), words


def _answer(row: TraceRow, loop: LoopTrace) -> str:
    """Return what the output of a computed step means, of each unit; "" if nothing says it."""
    if row.is_gap or loop.status[row]:
        return ""
    texts = [loop.names.answer(float(value)) for value in loop.parts[OUTPUT][row]]
    return ", ".join(map(name_text, texts)) if len(texts) <= MOST_ANSWERS and any(texts) else ""


def _find_status(row: TraceRow, loop: LoopTrace) -> str:
    """Return the key in STATUS_TEXTS of why a row was not computed; "" if it was."""
    if row.is_gap or not loop.status[row]:
        return ""
    status = STATUSES[loop.status[row]]
    first_read = len(loop.times) - 1 if loop.is_turned else 0
    is_first = status == "held" and row.step == first_read and not loop.parts[OUTPUT][row].any()
    return "first" if is_first else status


def _scales(loops: Sequence[LoopTables], ranges: Ranges, view: View, advice: str) -> Iterator[Paragraph]:
    """Yield `bars ▁..█: input forget output 0..1 · candidate hidden -1..1 · cell -0.61..0.61`."""
    names: dict[str, list[str]] = {}
    for part in dict.fromkeys(quantity.part for tables in loops for quantity in tables.quantities):
        low, high = ranges[part]
        names.setdefault(f"{low:.2g}..{high:.2g}", []).append(str(part.short))
    texts = (f"{' '.join(parts)} {span}" for span, parts in names.items())
    signs = marks(view).bars
    head = view.say("bars {low}..{high}:", low=signs[0], high=signs[-1])
    yield Paragraph(f"{head} {marks(view).dot.join(texts)}", "dim", breaks="dots")
    columns = [column for tables in loops for group in tables.groups for column in group]
    pieces = [view.say(advice)]
    if any(column.shows_first for column in columns):
        unit = columns[0].quantity.units[0]
        pieces.insert(0, view.say("a column with one number shows unit {unit}", unit=unit))
    if len(pieces) > 1 or not all(column.numbers for column in columns):
        yield Paragraph(marks(view).dot.join(pieces), "dim", breaks="dots")


NEAR = 0.01
"""A gate is saturated this near to one of its limits: below 0.01 or above 0.99, of tanh beyond ±0.99."""
DEAD = 1e-6
"""A unit is dead if its state, positive or negative, is never larger."""
OFTEN = 0.5
"""The share of its steps in which a unit is saturated if the page names it."""


def saturated_units(loops: Sequence[LoopTrace]) -> dict[str, list[float | None]]:
    """Return by gate, `forget` or `backward/forget`, the share of saturated steps of each of its units.

    A gate without limits, such as relu, is left out.  Masked steps and numbers that are not finite are not
    counted; None for a unit of which none is left.
    """
    import numpy as np

    shares: dict[str, list[float | None]] = {}
    for loop in loops:
        for gate in (gate for gate in loop.gates if gate in loop.bounds):
            low, high = loop.bounds[gate]
            values = loop.parts[gate][loop.status == 0].astype(np.float64)
            finite = np.isfinite(values)
            near = finite & ((values < low + NEAR) | (values > high - NEAR))
            shares[str(loop.label(gate).short)] = [
                float(hits / steps) if steps else None
                for hits, steps in zip(near.sum(axis=0), finite.sum(axis=0), strict=True)
            ]
    return shares


def dead_units(loops: Sequence[LoopTrace]) -> list[int | str]:
    """Return the units whose first state, which the cell returns, is about 0 at every computed step.

    Units of several loops have their loop in front, `forward/2`; of an RNN of cells also the cell.
    """
    import numpy as np

    dead: list[int | str] = []
    for loop in loops:
        firsts = {state.cell: state for state in reversed(loop.states)}
        for state in reversed(firsts.values()):
            values = loop.parts[state][loop.status == 0]
            near = (np.abs(values) <= DEAD).all(axis=0) & bool(len(values))  # NaN is not below the limit
            path = str(loop.label(state._replace(part="")))
            dead += [
                f"{path}{unit}" if path else unit for unit in map(loop.unit, np.flatnonzero(near).tolist())
            ]
    return dead


def draw_units(loops: Sequence[LoopTrace], view: View) -> Iterator[PagePart]:
    """Yield the units that are saturated in at least half of their steps, and the dead ones."""
    often = [
        f"{gate}[{loop.unit(column)}] {share:.0%}"
        for loop in loops
        for gate, shares in saturated_units([loop]).items()
        for column, share in enumerate(shares)
        if share is not None and share >= OFTEN
    ]
    if often:
        text = "saturated in at least half of the steps (within 0.01 of a limit): {units}"
        yield Paragraph(view.say(text, units=format_names(often)), "dim")
    if dead := list(map(str, dead_units(loops))):
        text = "dead units (the state is never beyond 1e-6): {units}"
        yield Paragraph(view.say(text, units=format_names(dead)), "dim")
    if not often and not dead:
        yield Paragraph(view.say("no unit is dead, or saturated in half of its steps"), "dim")
