"""Find entries of the returned tensors that hold the same numbers: same letter = same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from rnncli.case import Array
from rnncli.layers.stack import Stack
from rnncli.result import Label, NamedTensor, Result
from rnncli.show.page import (
    GAP,
    Column,
    Line,
    Span,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    line,
    marks,
    name_line,
    select_ends,
)

SOURCES = ((False, True), (True, True))
"""Combinations that return the state; the other two omit it."""
LETTERS = ascii_lowercase + ascii_uppercase
COLORS = 4
MOST_COLUMNS, FEWEST_COLUMNS = 7, 3


class EqualityRow(NamedTuple):
    """A tensor, or one half of it: `hidden_states[:, t, 3:]`.

    half: `forward half`, `backward half` or "".  entries: by their index in the sequence; a tensor
    without a time axis has one entry, at the end of the sequence it belongs to.
    """

    label: Label
    subscript: str
    half: str
    entries: Mapping[int, Array]

    def at(self, step: int, steps: int) -> str:
        """Return one entry in NumPy notation: `hidden_states[:, -1, 3:]`."""
        return str(self.label) + self.subscript.replace("t", "-1" if step == steps - 1 else str(step))


class EqualityTable(NamedTuple):
    """The rows, the number of time steps, and the letter of each (row, step) that equals another.

    time: the input's index of each step.
    """

    rows: tuple[EqualityRow, ...]
    steps: int
    letters: Mapping[tuple[int, int], str]
    time: Sequence[int]

    def identities(self) -> list[list[str]]:
        """Return every set of equal entries, each in NumPy notation."""
        sets: dict[str, list[str]] = {}
        for (row, step), letter in sorted(self.letters.items()):
            sets.setdefault(letter, []).append(self.rows[row].at(step, self.steps))
        return [sets[letter] for letter in sorted(sets, key=list(self.letters.values()).index)]


def build_equality_table(results: Mapping[tuple[bool, bool], Result]) -> EqualityTable:
    """Return the table of the four results; each tensor is from the result that returns the most."""
    tensors = {tensor.name: tensor for key in SOURCES for tensor in results[key].outputs}
    timed = next(tensor for tensor in tensors.values() if "timesteps" in tensor.axes)
    steps = timed.values.shape[1]
    ordered = sorted(tensors.values(), key=lambda tensor: (tensor.label.last, -len(tensor.axes)))
    half = Stack(results[True, True].specs).forward_units
    rows = tuple(row for tensor in ordered for row in _rows(tensor, steps, half))
    return EqualityTable(rows, steps, _letters(rows), timed.time or range(steps))


def _rows(tensor: NamedTensor, steps: int, units: int | None) -> Iterator[EqualityRow]:
    values, timed = tensor.values, "timesteps" in tensor.axes
    index = ["", *([":", "t"] if timed else [":"] if units else []), *[":"] * (values.ndim - 1 - timed)]
    halves: list[tuple[str, slice]] = [("", slice(None))]
    if units is not None and not tensor.label.last:
        halves = [("forward half", slice(None, units)), ("backward half", slice(units, None))]
    for half, part in halves:
        if half:
            index[-1] = f":{units}" if half == "forward half" else f"{units}:"
        backward = half == "backward half" or tensor.label.direction == "backward"
        cut = values[..., part]
        entries = {t: cut[:, t] for t in range(steps)} if timed else {0 if backward else steps - 1: cut}
        yield EqualityRow(tensor.label, f"[{', '.join(index[1:])}]" if timed or half else "", half, entries)


def _letters(rows: Sequence[EqualityRow]) -> dict[tuple[int, int], str]:
    entries: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for number, row in enumerate(rows):
        for step, values in row.entries.items():
            entries.setdefault((values.shape, (values + 0).tobytes()), []).append((number, step))
    groups = (group for group in entries.values() if len(group) > 1)
    rounds = ((divmod(number, len(LETTERS)), group) for number, group in enumerate(groups))
    return {entry: f"{LETTERS[index]}{times or ''}" for (times, index), group in rounds for entry in group}


def draw(table: EqualityTable, view: View) -> Variants:
    """Return one row per tensor and one column per time step, or if too wide, lines of equal entries."""

    def variants() -> Iterator[tuple[Table | Line, ...]]:
        """Yield tables with the halves named, then without, with ever fewer time steps; then lines."""
        dot = marks(view).dot.strip().replace(",", ".")
        legend = line(view.say("same letter = same numbers; {dot} = unlike all others", dot=dot), "dim")
        most = min(table.steps, MOST_COLUMNS)
        for halves in (True, False):
            for columns in range(most, min(most, FEWEST_COLUMNS) - 1, -1):
                yield _table(table, select_ends(table.steps, columns), halves, view), legend
        sets = (" = ".join(entries) for entries in table.identities())
        yield (), line(view.say("entries with the same numbers"), "dim"), *(line(text) for text in sets)

    return Variants(variants())


def _table(table: EqualityTable, shown: Sequence[int], halves: bool, view: View) -> Table:
    halves = halves and any(row.half for row in table.rows)
    times = (marks(view).ellipsis if step == GAP else f"t={table.time[step]}" for step in shown)
    columns = [Column(view.say("tensor")), *([Column("")] if halves else []), *map(Column, times)]
    rows = []
    for number, row in enumerate(table.rows):
        half = (cell(view.say(row.half) if row.half else "", "dim"),) if halves else ()
        cells = (_entry(table, number, step, view) for step in shown)
        subscript = row.subscript if table.time[0] == 0 else row.subscript.replace("t", "-1-t")
        name = (*name_line(row.label), Span(subscript, "dim"))
        rows.append(((name,), *half, *cells))
    return Table(tuple(columns), tuple(rows), line(view.say("entries with the same numbers"), "dim"))


def _entry(table: EqualityTable, number: int, step: int, view: View) -> TableCell:
    if step not in table.rows[number].entries:
        return cell("")
    letter = table.letters.get((number, step))
    if letter is None:
        return cell(marks(view).dot.strip().replace(",", "."), "dim")
    return cell(letter, f"strong same{LETTERS.index(letter[0]) % COLORS}")
