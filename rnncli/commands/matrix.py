"""`rnncli matrix`: each combination of return_sequences and return_state, and what is equal: same letter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.ask import Ask, subject_of
from rnncli.errors import Either, Flag, LayerError, Message, UsageError
from rnncli.options import flag_name, refused_by
from rnncli.result import Label, Matrix, NamedTensor, Result
from rnncli.show.answer import LAYERS_HEAD, Answer, Records, Reply
from rnncli.show.page import (
    GAP,
    Column,
    Grid,
    Line,
    Page,
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
    state_part,
)
from rnncli.show.result_answer import TENSORS, head_of, notes_of, records_of, tensor_listing, title
from rnncli.values import Array

if TYPE_CHECKING:
    from rnncli.layers.case import Case

EXAMPLES = """\
rnncli matrix --layer lstm
rnncli matrix --layer bigru --units 2 --seed 42 --format json
"""

OTHER = "run"
"""The command that takes them."""


def matrix(ask: Ask) -> Reply[MatrixAnswer]:
    """All combinations of return_sequences and return_state, side by side, and which entries are equal."""
    for name in refused_by("matrix"):
        if name in ask.options:
            flag = Flag(flag_name(name, ask.options[name]))
            run = Either(Message("rnncli run {flag}", flag=flag), OTHER)
            what = "matrix does not take {flag}: it shows the layer with and without {name}."
            raise UsageError(what, "Leave {flag} out, or use {run}.", flag=flag, name=name, run=run)
    parts = subject_of(ask).parts(alone=True)
    return Reply(MatrixAnswer(combinations(parts.case, ask.engine)), parts.remarks)


COMBINATION = {"return_sequences": bool, "return_state": bool, "outputs": [TENSORS]}
DOCUMENTS = (LAYERS_HEAD | {"matrix": [COMBINATION], "identities": list[list[str]]},)
CHOICES = (False, True)
COLUMNS = ("name", "shape", "equals")
"""What the grid shows of a tensor."""
SOURCES = ((False, True), (True, True))
"""Combinations that return the state; the other two omit it."""
LETTERS = ascii_lowercase + ascii_uppercase
COLORS = 4
"""Of letters."""
MOST_COLUMNS, FEWEST_COLUMNS = 7, 3


@dataclass(frozen=True)
class MatrixAnswer(Answer):
    """The four results side by side."""

    matrix: Matrix

    def results(self) -> tuple[Result, ...]:
        """Return the four runs."""
        return tuple(self.matrix.results.values())

    def document(self, view: View) -> dict[str, Any]:
        """Take engine, seed, layer and input from the result without sequences or state; add equalities."""
        results = self.matrix.results
        return {
            **head_of(results[False, False]),
            "matrix": [
                {
                    "return_sequences": sequences,
                    "return_state": state,
                    "outputs": tensor_listing(result.outputs, view).objects(),
                }
                for (sequences, state), result in results.items()
            ],
            "identities": build_equality_table(results).identities(),
        }

    def page(self, view: View) -> Page:
        """Return a grid of names and shapes, the equal entries, and what all four have in common."""
        results = self.matrix.results
        grid = Grid(
            tuple(f"return_sequences={sequences}" for sequences in CHOICES),
            tuple(f"return_state={state}" for state in CHOICES),
            tuple(
                tuple(
                    tensor_listing(results[row, column].outputs, view, columns=COLUMNS).table(view)
                    for column in CHOICES
                )
                for row in CHOICES
            ),
        )
        equalities = draw_equalities(build_equality_table(results), view)
        first, comparison = results[False, False], self._compare_combinations(view)
        return Page(title(first.specs, view), notes_of(first, view), (grid, equalities, (), *comparison))

    def records(self, view: View) -> Records:
        """Return the records as in `run`, with columns for the two options first."""
        groups = [(options, result.outputs) for options, result in self.matrix.results.items()]
        return records_of(groups, view, "return_sequences", "return_state")

    def tensors(self) -> dict[str, Array]:
        """Return tensors by options and name: `return_sequences=True,return_state=False/hidden_states`."""
        return {
            f"return_sequences={sequences},return_state={state}/{tensor.name}": tensor.values
            for (sequences, state), result in self.matrix.results.items()
            for tensor in result.outputs
        }

    def _compare_combinations(self, view: View) -> Iterator[Line]:
        import numpy as np

        by_label: dict[Label, list[Array]] = {}
        for result in self.matrix.results.values():
            for tensor in result.outputs:
                by_label.setdefault(tensor.label, []).append(tensor.values)
        equal = {  # bit for bit, with NaN in the same places
            label: all(np.array_equal(value, first, equal_nan=True) for value in others)
            for label, (first, *others) in by_label.items()
        }
        for is_equal, words in (
            (True, view.say("the same numbers wherever they are returned:")),
            (False, view.say("different numbers where they are returned:")),
        ):
            labels = sorted((of for of in by_label if equal[of] == is_equal), key=lambda label: label.last)
            spans = [Span(f"{words} ", "dim")]
            for label in labels:
                spans += [Span(str(label), state_part(label)), Span(marks(view).dot, "dim")]
            if labels:
                yield tuple(spans[:-1])


def combinations(case: Case, engine: str = "auto") -> Matrix:
    """Run the last layer with every combination of return_sequences and return_state."""
    from rnncli import compute

    last = case.stack.layers[-1]
    if not last.recurrent:
        what = "{class_name} has neither return_sequences nor return_state."
        advice = "matrix needs a recurrent layer at the end, such as lstm."
        raise LayerError(what, advice, class_name=last.spec.class_name)
    stacks = {
        (sequences, state): case.stack.with_returns(return_sequences=sequences, return_state=state)
        for sequences, state in product(CHOICES, repeat=2)
    }
    return Matrix({key: compute.run(case._replace(stack=specs), engine) for key, specs in stacks.items()})


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
    from rnncli.layers.stack import Stack

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


def draw_equalities(table: EqualityTable, view: View) -> Variants:
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
