"""matrix: what each return_sequences x return_state combination returns, and what is equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from rnncli import compute
from rnncli.case import Array, Case, format_shape
from rnncli.commands.matrix import same_numbers
from rnncli.commands.matrix.matrix_words import say
from rnncli.errors import LayerError
from rnncli.layers.stack import Stack
from rnncli.result import Label, Matrix, Result
from rnncli.show.page import (
    Answer,
    Grid,
    Line,
    Page,
    Records,
    Span,
    Table,
    View,
    cell,
    marks,
    state_part,
)
from rnncli.show.parts import (
    axes_of,
    claim_lines,
    head_of,
    headings,
    name_cell,
    note_of,
    records_header,
    rows_of,
    tensor_document,
    title,
)

CHOICES = (False, True)


@dataclass(frozen=True)
class MatrixAnswer(Answer):
    """The four results side by side."""

    matrix: Matrix

    def document(self, view: View) -> dict[str, Any]:
        """Take engine, seed, layer and input from the result without sequences or state; add equalities."""
        return {
            **head_of(self.default_result),
            "matrix": [
                {
                    "return_sequences": sequences,
                    "return_state": state,
                    "outputs": [tensor_document(tensor, view.lang) for tensor in result.outputs],
                }
                for (sequences, state), result in self.matrix.results.items()
            ],
            "identities": same_numbers.build_equality_table(self.matrix.results).identities(),
        }

    def page(self, view: View) -> Page:
        """Return a grid of names and shapes, the equal entries, and what all four have in common."""
        results, first = self.matrix.results, self.default_result
        grid = Grid(
            tuple(f"return_sequences={sequences}" for sequences in CHOICES),
            tuple(f"return_state={state}" for state in CHOICES),
            tuple(tuple(_quadrant(results[row, column], view) for column in CHOICES) for row in CHOICES),
        )
        scheme = same_numbers.draw(same_numbers.build_equality_table(results), view)
        comparison = self._compare_combinations(view)
        return Page(title(first.specs, view), (note_of(first, view),), (grid, scheme, (), *comparison))

    def records(self, view: View) -> Records:
        """Same as in `run`, with columns for the two options first."""
        columns = axes_of(tensor for result in self.matrix.results.values() for tensor in result.outputs)
        header = ("return_sequences", "return_state", *records_header(columns))
        rows = (
            (sequences, state, *row)
            for (sequences, state), result in self.matrix.results.items()
            for tensor in result.outputs
            for row in rows_of(tensor, columns, view)
        )
        return header, rows

    def tensors(self) -> dict[str, Array]:
        """Return tensors by options and name: `return_sequences=True,return_state=False/hidden_states`."""
        return {
            f"return_sequences={sequences},return_state={state}/{tensor.name}": tensor.values
            for (sequences, state), result in self.matrix.results.items()
            for tensor in result.outputs
        }

    @property
    def default_result(self) -> Result:
        """The result without sequences or state."""
        return self.matrix.results[False, False]

    def _compare_combinations(self, view: View) -> Iterator[Line]:
        found: dict[Label, list[Array]] = {}
        for result in self.matrix.results.values():
            for tensor in result.outputs:
                found.setdefault(tensor.label, []).append(tensor.values)
        equal = [label for label, values in found.items() if _all_equal(values)]
        others = [label for label in found if label not in equal]
        for key, labels in (("same", equal), ("different", others)):
            if labels:
                ordered = sorted(labels, key=lambda label: label.last)
                yield _list_identities(say(key, view.lang), ordered, view)


def _quadrant(result: Result, view: View) -> Table:
    rows = tuple(
        (name_cell(tensor.label), cell(format_shape(tensor.values.shape)), claim_lines(tensor.equals))
        for tensor in result.outputs
    )
    return Table(headings(("tensor", "shape", "equal"), view), rows)


def _list_identities(words: str, labels: list[Label], view: View) -> Line:
    spans = [Span(f"{words} ", "dim")]
    for label in labels:
        spans += [Span(str(label), state_part(label)), Span(marks(view).dot, "dim")]
    return tuple(spans[:-1])


def _all_equal(values: list[Array]) -> bool:
    """Return whether all are equal bit for bit, with NaN in the same places."""
    import numpy as np

    first = values[0]
    return all(
        value.shape == first.shape and np.array_equal(value, first, equal_nan=True) for value in values
    )


def combinations(case: Case, engine: str = "auto") -> Matrix:
    """Run the last layer with every combination of return_sequences and return_state."""
    last = Stack(case.specs).layers[-1]
    if not last.recurrent:
        raise LayerError(
            "{class_name} has neither return_sequences nor return_state.",
            "matrix needs a recurrent layer at the end, such as lstm.",
            class_name=last.spec.class_name,
        )
    stacks = {
        (sequences, state): Stack(case.specs).with_returns(return_sequences=sequences, return_state=state)
        for sequences, state in product(CHOICES, repeat=2)
    }
    return Matrix({key: compute.run(case._replace(specs=specs), engine) for key, specs in stacks.items()})
