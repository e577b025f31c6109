"""The rows of a trace's table: the time steps of each sequence, their labels, and their status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rnncli.result import OUTPUT, STATUSES, LoopTrace
from rnncli.show.page import GAP, View, marks, select_ends
from rnncli.show.wording import say

MOST_ROWS = 24
"""With more steps in all sequences together, some are omitted, unless View.full is set."""
STEPS_OF_ONE, STEPS_OF_EACH = 13, 7
"""Maximum number of rows then, a gap included: of the only sequence, or of each of several."""


class TraceRow(NamedTuple):
    """One time step of one sequence, as indices in the arrays of a loop; GAP for omitted ones."""

    entry: int
    step: int

    @property
    def is_gap(self) -> bool:
        """Whether the row only marks that others are omitted."""
        return GAP in self


def choose_rows(loop: LoopTrace, view: View) -> list[TraceRow]:
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


def label_rows(
    rows: Sequence[TraceRow], loop: LoopTrace, steps: int, view: View
) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns before the numbers, headings and texts: batch, step, t.

    steps: of the whole input.  step: how many steps the layer had processed before.
    """
    ellipsis = marks(view).ellipsis
    if len(loop.status) > 1:
        entries = [ellipsis if row.entry == GAP else str(loop.entry(row.entry)) for row in rows]
        new = [text if not place or text != entries[place - 1] else "" for place, text in enumerate(entries)]
        yield say("batch", view.lang), new
    times = [None if row.is_gap else int(loop.times[row.step]) for row in rows]
    if loop.shows_direction:
        backward = loop.direction == "backward"
        processed = ["" if time is None else str(steps - 1 - time if backward else time) for time in times]
        yield say("step", view.lang), processed
    yield "t", [ellipsis if time is None else str(time) for time in times]


def find_status(row: TraceRow, loop: LoopTrace) -> str:
    """Return the key in wording of why a row was not computed; "" if it was."""
    if row.is_gap or not loop.status[row]:
        return ""
    status = STATUSES[loop.status[row]]
    is_first = status == "held" and row.step == 0 and not loop.parts[OUTPUT][row].any()
    return "first" if is_first else status
