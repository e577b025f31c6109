"""Which entries of the returned tensors are the same numbers: one letter, one set of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.page import Cell, Column, Line, Span, Table, View, cell, idea, line, marks, room
from rnncli.result import NamedTensor, Result
from rnncli.wording import say

if TYPE_CHECKING:
    from rnncli.case import Array

SOURCES = ((False, True), (True, True))
"""With the state returned, which the other two leave out."""
GAP = -1
LETTERS = ascii_lowercase + ascii_uppercase
COLORS = 4
BETWEEN = 2
MOST_COLUMNS = 7


class Row(NamedTuple):
    """A tensor, or one half of it: `hidden_states[:, t, 3:]`.

    half: `forward half`, `backward half` or "".  entries: by the row of the sequence at which they
    stand; a tensor without time has one entry, where the sequence it belongs to ends.
    """

    name: str
    subscript: str
    half: str
    entries: Mapping[int, Array]

    def at(self, place: int, steps: int) -> str:
        """One entry, as NumPy takes it: `hidden_states[:, -1, 3:]`."""
        return self.name + self.subscript.replace("t", "-1" if place == steps - 1 else str(place))


class Scheme(NamedTuple):
    """The rows, how many time steps there are, and the letter of each (row, place) that has an equal.

    time: the input's index of each place.
    """

    rows: tuple[Row, ...]
    steps: int
    letters: Mapping[tuple[int, int], str]
    time: Sequence[int]

    def identities(self) -> list[list[str]]:
        """Every set of entries that are the same numbers, each entry as NumPy takes it."""
        sets: dict[str, list[str]] = {}
        for (row, place), letter in sorted(self.letters.items()):
            sets.setdefault(letter, []).append(self.rows[row].at(place, self.steps))
        return [sets[letter] for letter in sorted(sets, key=list(self.letters.values()).index)]


def of(results: Mapping[tuple[bool, bool], Result]) -> Scheme:
    """The scheme of the four results of a matrix: each tensor from where most is returned."""
    tensors = {tensor.name: tensor for key in SOURCES for tensor in results[key].outputs}
    timed = next(tensor for tensor in tensors.values() if "timesteps" in tensor.axes)
    steps = timed.values.shape[1]
    units = _forward_units(results[True, True])
    ordered = sorted(tensors.values(), key=lambda tensor: ("last_" in tensor.name, -len(tensor.axes)))
    rows = tuple(row for tensor in ordered for row in _rows(tensor, steps, units))
    return Scheme(rows, steps, _letters(rows), timed.time or range(steps))


def _forward_units(result: Result) -> int | None:
    """Where the backward half of a concatenated output begins; None where there are no halves."""
    from rnncli.layers import make

    layer: Any = make(result.layers[-1])
    halved = layer.config.get("merge_mode") == "concat"
    return int(layer.forward.cell.units) if halved else None


def _rows(tensor: NamedTensor, steps: int, units: int | None) -> Iterator[Row]:
    """The tensor; of an output with two halves, both."""
    values, timed = tensor.values, "timesteps" in tensor.axes
    index = ["", *([":", "t"] if timed else [":"] if units else []), *[":"] * (values.ndim - 1 - timed)]
    halves: list[tuple[str, slice]] = [("", slice(None))]
    if units is not None and "last_" not in tensor.name:
        halves = [("forward half", slice(None, units)), ("backward half", slice(units, None))]
    for half, part in halves:
        if half:
            index[-1] = f":{units}" if half == "forward half" else f"{units}:"
        backward = half == "backward half" or tensor.name.startswith("backward_")
        cut = values[..., part]
        entries = {t: cut[:, t] for t in range(steps)} if timed else {0 if backward else steps - 1: cut}
        yield Row(tensor.name, f"[{', '.join(index[1:])}]" if timed or half else "", half, entries)


def _letters(rows: Sequence[Row]) -> dict[tuple[int, int], str]:
    """The letter of every entry that has an equal, to the last bit, in the order of reading."""
    places: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for number, row in enumerate(rows):
        for place, values in row.entries.items():
            places.setdefault((values.shape, (values + 0).tobytes()), []).append((number, place))
    equal = (found for found in places.values() if len(found) > 1)
    return {place: _letter(number) for number, found in enumerate(equal) for place in found}


def _letter(number: int) -> str:
    round_, place = divmod(number, len(LETTERS))
    return LETTERS[place] + (str(round_) if round_ else "")


def parts(scheme: Scheme, view: View) -> tuple[Table | Line, ...]:
    """A row a tensor, a column a time step; where that does not fit, the sets of equal entries in lines."""
    dot = marks(view).dot.strip().replace(",", ".")
    said = line(say("letters", view.lang).format(dot=dot), "dim")
    for halves in (True, False):
        taken = max(room(_name(row)) for row in scheme.rows) + BETWEEN + (len("-1-") if scheme.time[0] else 0)
        if halves and any(row.half for row in scheme.rows):
            taken += max(room(line(_half(row, view))) for row in scheme.rows) + BETWEEN
        shown = _shown(scheme, None if view.width is None else view.width - taken)
        if shown:
            return (_table(scheme, shown, halves, view), said)
    sets = (" = ".join(entries) for entries in scheme.identities())
    return ((), line(say("scheme", view.lang), "dim"), *(line(text) for text in sets))


def _shown(scheme: Scheme, left: int | None) -> tuple[int, ...]:
    """Which time steps there is room for, the first and the last at least; none where not even they fit."""
    each = len(f"t={scheme.steps - 1}") + BETWEEN
    most = MOST_COLUMNS if left is None else min(MOST_COLUMNS, (left + BETWEEN) // each)
    if scheme.steps <= most:
        return tuple(range(scheme.steps))
    if most < len((0, GAP, -1)):
        return ()
    tail = (most - 1) // 2
    return (*range(most - 1 - tail), GAP, *range(scheme.steps - tail, scheme.steps))


def _table(scheme: Scheme, shown: Sequence[int], halves: bool, view: View) -> Table:
    halves = halves and any(row.half for row in scheme.rows)
    times = (marks(view).ellipsis if place == GAP else f"t={scheme.time[place]}" for place in shown)
    columns = [Column(say("tensor", view.lang)), *([Column("")] if halves else []), *map(Column, times)]
    rows = []
    for number, row in enumerate(scheme.rows):
        half = (cell(_half(row, view), "dim"),) if halves else ()
        cells = (_entry(scheme, number, place, view) for place in shown)
        name = _name(
            row if scheme.time[0] == 0 else row._replace(subscript=row.subscript.replace("t", "-1-t"))
        )
        rows.append(((name,), *half, *cells))
    return Table(tuple(columns), tuple(rows), line(say("scheme", view.lang), "dim"))


def _name(row: Row) -> Line:
    return (Span(row.name, f"strong {idea(row.name)}".strip()), Span(row.subscript, "dim"))


def _half(row: Row, view: View) -> str:
    return say(row.half, view.lang) if row.half else ""


def _entry(scheme: Scheme, number: int, place: int, view: View) -> Cell:
    if place not in scheme.rows[number].entries:
        return cell("")
    letter = scheme.letters.get((number, place))
    if letter is None:
        return cell(marks(view).dot.strip().replace(",", "."), "dim")
    return cell(letter, f"strong same{LETTERS.index(letter[0]) % COLORS}")
