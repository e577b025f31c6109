"""Lay out a trace: one table per loop, a row per step, a column per gate or state, as bars and numbers.

No list of fields describes such a table: which columns it has, and what they show, depends on the width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rnncli.commands.trace.columns import (
    HOLD_MARK,
    Columns,
    Quantity,
    TraceRow,
    choose_columns,
    is_single,
    list_quantities,
)
from rnncli.compute.trace import part_bounds
from rnncli.result import OUTPUT, STATUSES, Label, LoopTrace, Result
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
    cell,
    line,
    marks,
    select_ends,
)
from rnncli.show.parts import difference_text, format_difference, held_text, note_of, title
from rnncli.show.statistics import Stats
from rnncli.show.visible import ENDLESS, longest
from rnncli.specs import expressions_of

MOST_ROWS = 24
"""With more steps in all sequences together, some are omitted, unless View.full is set."""
STEPS_OF_ONE, STEPS_OF_EACH = 13, 7
"""Maximum number of rows then, a gap included: of the only sequence, or of each of several."""
LEAST_ROOM = 20
"""What the columns of gates and states get at least."""
STATUS_TEXTS = {
    "held": ("masked: state carried over, output repeated", "carried"),
    "first": ("masked: state carried over, output zero (no earlier output)", "carried, 0"),
    "zeroed": ("masked: state carried over, output zeroed", "zeroed"),
}
"""Why a step was not computed, and that in a narrow table."""


def page(result: Result, loops: Sequence[LoopTrace], stats: Mapping[Label, Stats], view: View) -> Page:
    """Return the loops first to last, then what the bars mean, statistics, and differences from Keras."""
    tables = [_lay_out(loop, result, view) for loop in loops]
    parts: list[PagePart] = [part for loop in tables for part in loop.parts()]
    parts += [(), *_scales(tables, view)] if tables else []
    if result.hold:
        parts.append(line(f"{HOLD_MARK} {view.say(held_text(result))}", "dim"))
    shown = {part.short: figures for part, figures in stats.items() if part.is_shown}
    parts += statistics.draw_statistics(shown, view)
    if result.differences:
        pieces = (f"{name} {format_difference(number)}" for name, number in result.differences.items())
        found = marks(view).dot.join(pieces)
        parts += [(), line(f"{view.say(difference_text(result))}: {found}", "dim")]
    return Page(title(result.specs, view), (note_of(result, view),), tuple(parts))


@dataclass(frozen=True)
class LoopTables:
    """One loop, laid out.

    labels: headings and texts of the columns before the numbers.  statuses: why each row was not computed,
    a key of STATUS_TEXTS; "" if it was.  groups: the columns of each table.
    """

    loop: LoopTrace
    title: Line
    rows: list[TraceRow]
    labels: list[tuple[str, list[str]]]
    statuses: list[str]
    quantities: list[Quantity]
    groups: list[Columns]
    view: View

    def parts(self) -> Iterator[Table | Variants]:
        """Yield one or more tables, each with a time column; the last one has the status of the steps."""
        *groups, last = self.groups
        for place, columns in enumerate(groups):
            yield self._table(columns, self.title if place == 0 else ())
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
        """Return a table of these columns.  statuses: the texts of its last column, if it has that."""
        alone, view = is_single(self.quantities), self.view
        columns = [Column(heading, right=heading == "t") for heading, _ in self.labels]
        columns += [Column(one.heading, right=alone) for one in shown]
        columns += [Column("")] if alone else []
        columns += [] if statuses is None else [Column(view.say("status"))]
        rows = []
        for place, (row, status) in enumerate(zip(self.rows, self.statuses, strict=True)):
            cells = [cell(texts[place], "dim") for _, texts in self.labels]
            cells += [(() if row.is_gap else one.draw(row, view),) for one in shown]
            if alone:
                bars = (one.quantity.draw_bar(0, row, view) for one in shown if not row.is_gap)
                cells.append((tuple(bars),))
            if statuses is not None:
                cells.append(cell(statuses.get(status, ""), "dim"))
            rows.append(tuple(cells))
        return Table(tuple(columns), tuple(rows), head)


def _lay_out(loop: LoopTrace, result: Result, view: View) -> LoopTables:
    rows = _choose_rows(loop, view)
    labels = list(_label_rows(rows, loop, result.input_shape[1], view))
    statuses = [_find_status(row, loop) for row in rows]
    quantities = list_quantities(loop, rows, view)
    beside = [[heading, *texts] for heading, texts in labels]
    if any(statuses):
        words = (view.say(STATUS_TEXTS[key][1]) for key in statuses if key)
        beside.append([view.say("status"), *words])
    if is_single(quantities):
        beside.append([marks(view).bars[0] * len(quantities)])
    taken = sum(longest(texts) + BETWEEN for texts in beside)
    room = ENDLESS if view.width is None else max(view.width - taken, LEAST_ROOM)
    groups = choose_columns(quantities, room, view)
    return LoopTables(loop, _title(loop, result, view), rows, labels, statuses, quantities, groups, view)


def _title(loop: LoopTrace, result: Result, view: View) -> Line:
    """Return `layer 0  LSTM(3) · backward`, each part only if there are several."""
    spans = []
    if len(result.specs) > 1:
        spans.append(Span(f"{view.say('layer')} {loop.layer}  ", "dim"))
        spans.append(Span(expressions_of(result.specs)[loop.layer], "strong"))
    if loop.shows_direction:
        spans += [Span(marks(view).dot, "dim")] if spans else []
        spans.append(Span(view.say(loop.direction), "strong"))
    return tuple(spans)


def _choose_rows(loop: LoopTrace, view: View) -> list[TraceRow]:
    """Return every row, or the first and last ones."""
    entries, steps = loop.status.shape
    if view.full or entries * steps <= MOST_ROWS:
        return [TraceRow(entry, step) for entry in range(entries) for step in range(steps)]
    inner = select_ends(steps, STEPS_OF_EACH if entries > 1 else STEPS_OF_ONE)
    return [
        TraceRow(entry, step)
        for entry in select_ends(entries, 3)
        for step in ((GAP,) if entry == GAP else inner)
    ]


def _label_rows(
    rows: Sequence[TraceRow], loop: LoopTrace, steps: int, view: View
) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns before the numbers, headings and texts: batch, step, t.

    steps: of the whole input.  step: how many steps the layer had processed before.
    """
    ellipsis = marks(view).ellipsis
    if len(loop.status) > 1:
        entries = [ellipsis if row.entry == GAP else str(loop.entry(row.entry)) for row in rows]
        new = [text if not place or text != entries[place - 1] else "" for place, text in enumerate(entries)]
        yield view.say("batch"), new
    times = [None if row.is_gap else int(loop.times[row.step]) for row in rows]
    if loop.shows_direction:
        backward = loop.direction == "backward"
        processed = ["" if time is None else str(steps - 1 - time if backward else time) for time in times]
        yield view.say("step"), processed
    yield "t", [ellipsis if time is None else str(time) for time in times]


def _find_status(row: TraceRow, loop: LoopTrace) -> str:
    """Return the key in STATUS_TEXTS of why a row was not computed; "" if it was."""
    if row.is_gap or not loop.status[row]:
        return ""
    status = STATUSES[loop.status[row]]
    is_first = status == "held" and row.step == 0 and not loop.parts[OUTPUT][row].any()
    return "first" if is_first else status


def _scales(loops: Sequence[LoopTables], view: View) -> Iterator[Paragraph | Line]:
    """Yield `bars: input forget output 0..1 · candidate hidden -1..1 · cell -0.6091..0.6091`."""
    ranges: dict[str, dict[str, None]] = {}
    for one in loops:
        for quantity in one.quantities:
            is_one = len(loops) == 1 or part_bounds(one.loop, quantity.part) is not None
            part = quantity.part if is_one else one.loop.label(quantity.part)
            names = ranges.setdefault(f"{quantity.low:.4g}..{quantity.high:.4g}", {})
            names[str(part.short)] = None
    texts = (f"{' '.join(names)} {span}" for span, names in ranges.items())
    yield Paragraph(f"{view.say('bars')}: {marks(view).dot.join(texts)}", "dim", breaks="dots")
    columns = [column for one in loops for group in one.groups for column in group]
    pieces = [view.say("--full shows all, --unit N one unit")]
    if any(column.shows_first for column in columns):
        unit = columns[0].quantity.units[0]
        pieces.insert(0, view.say("a single number is that of unit {unit}", unit=unit))
    if len(pieces) > 1 or not all(column.numbers for column in columns):
        yield line(marks(view).dot.join(pieces), "dim")
