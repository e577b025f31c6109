"""Lay out a trace: one table per loop, a row per step, a column per gate or state, as bars and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rnncli.commands.trace.columns import (
    HOLD_MARK,
    Columns,
    Quantity,
    choose_columns,
    is_single,
    list_quantities,
)
from rnncli.commands.trace.rows import (
    TraceRow,
    choose_rows,
    find_status,
    label_rows,
)
from rnncli.compute.trace import part_bounds
from rnncli.result import Label, LoopTrace, Result
from rnncli.show import statistics
from rnncli.show.measure import Room
from rnncli.show.page import (
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
)
from rnncli.show.parts import difference_text, format_difference, note_of, title
from rnncli.show.statistics import Stats
from rnncli.show.wording import say
from rnncli.specs import expressions_of


def page(result: Result, loops: Sequence[LoopTrace], stats: Mapping[Label, Stats], view: View) -> Page:
    """Return the loops first to last, then what the bars mean, statistics, and differences from Keras."""
    tables = [_lay_out(loop, result, view) for loop in loops]
    parts: list[PagePart] = [part for loop in tables for part in loop.parts()]
    parts += [(), *_scales(tables, view)] if tables else []
    if result.hold:
        parts.append(line(f"{HOLD_MARK} {say('with hold', view.lang).format(', '.join(result.hold))}", "dim"))
    shown = {part.short: figures for part, figures in stats.items() if part.is_shown}
    parts += statistics.draw_statistics(shown, view)
    if result.differences:
        pieces = (f"{name} {format_difference(number)}" for name, number in result.differences.items())
        found = marks(view).dot.join(pieces)
        parts += [(), line(f"{difference_text(result, view.lang)}: {found}", "dim")]
    return Page(title(result.specs, view), (note_of(result, view),), tuple(parts))


@dataclass(frozen=True)
class LoopTables:
    """One loop, laid out.

    labels: headings and texts of the columns before the numbers.  statuses: the key in wording of why each
    row was not computed; "" if it was.  groups: the columns of each table.
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
            yield self._table(columns, self.title if place == 0 else (), None)
        head = () if groups else self.title
        if not any(self.statuses):
            yield self._table(last, head, None)
            return
        keys = dict.fromkeys(filter(None, self.statuses))
        words = ((say(f"short {key}", self.view.lang), say(key, self.view.lang)) for key in keys)
        below = (line(f"{word} = {meaning}", "dim") for word, meaning in words)
        wide, narrow = self._table(last, head, ""), self._table(last, head, "short ")
        yield Variants(((wide,), (narrow, *below)))

    def _table(self, shown: Columns, head: Line, prefix: str | None) -> Table:
        """prefix: of the key in wording of a status; None for a table without a status."""
        alone = is_single(self.quantities)
        columns = [Column(heading, right=heading == "t") for heading, _ in self.labels]
        columns += [Column(one.heading, right=alone) for one in shown]
        columns += [Column("")] if alone else []
        columns += [] if prefix is None else [Column(say("status", self.view.lang))]
        rows = []
        for place, (row, status) in enumerate(zip(self.rows, self.statuses, strict=True)):
            cells = [cell(texts[place], "dim") for _, texts in self.labels]
            cells += [(() if row.is_gap else one.draw(row, self.view),) for one in shown]
            if alone:
                bars = (one.quantity.draw_bar(0, row, self.view) for one in shown if not row.is_gap)
                cells.append((tuple(bars),))
            if prefix is not None:
                cells.append(cell(say(prefix + status, self.view.lang) if status else "", "dim"))
            rows.append(tuple(cells))
        return Table(tuple(columns), tuple(rows), head)


def _lay_out(loop: LoopTrace, result: Result, view: View) -> LoopTables:
    rows = choose_rows(loop, view)
    labels = list(label_rows(rows, loop, result.input_shape[1], view))
    statuses = [find_status(row, loop) for row in rows]
    quantities = list_quantities(loop, rows, view)
    beside = [[heading, *texts] for heading, texts in labels]
    if any(statuses):
        words = (say(f"short {key}", view.lang) for key in statuses if key)
        beside.append([say("status", view.lang), *words])
    if is_single(quantities):
        beside.append([marks(view).bars[0] * len(quantities)])
    groups = choose_columns(quantities, Room.beside(beside, view), view)
    return LoopTables(loop, _title(loop, result, view), rows, labels, statuses, quantities, groups, view)


def _title(loop: LoopTrace, result: Result, view: View) -> Line:
    """Return `layer 0  LSTM(3) · backward`, each part only if there are several."""
    spans = []
    if len(result.specs) > 1:
        spans.append(Span(f"{say('layer', view.lang)} {loop.layer}  ", "dim"))
        spans.append(Span(expressions_of(result.specs)[loop.layer], "strong"))
    if loop.shows_direction:
        spans += [Span(marks(view).dot, "dim")] if spans else []
        spans.append(Span(say(loop.direction, view.lang), "strong"))
    return tuple(spans)


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
    yield Paragraph(f"{say('bars', view.lang)}: {marks(view).dot.join(texts)}", "dim", breaks="dots")
    columns = [column for one in loops for group in one.groups for column in group]
    pieces = [say("numbers", view.lang)]
    if any(column.shows_first for column in columns):
        unit = columns[0].quantity.units[0]
        pieces.insert(0, say("single numbers", view.lang).format(unit=unit))
    if len(pieces) > 1 or not all(column.numbers for column in columns):
        yield line(marks(view).dot.join(pieces), "dim")
