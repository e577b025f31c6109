"""matrix: what each return_sequences x return_state combination returns, and what is equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from rnncli import compute
from rnncli.case import Array
from rnncli.commands.matrix import same_numbers
from rnncli.errors import LayerError
from rnncli.layers.case import Case
from rnncli.result import Label, Matrix, Result
from rnncli.show.answer import Answer, Records
from rnncli.show.page import Grid, Line, Page, Span, View, marks, state_part
from rnncli.show.result_answer import head_of, notes_of, records_of, tensor_listing, title

CHOICES = (False, True)
COLUMNS = ("name", "shape", "equals")
"""What the grid shows of a tensor."""


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
            "identities": same_numbers.build_equality_table(results).identities(),
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
        equalities = same_numbers.draw(same_numbers.build_equality_table(results), view)
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
    last = case.stack.layers[-1]
    if not last.recurrent:
        raise LayerError(
            "{class_name} has neither return_sequences nor return_state.",
            "matrix needs a recurrent layer at the end, such as lstm.",
            class_name=last.spec.class_name,
        )
    stacks = {
        (sequences, state): case.stack.with_returns(return_sequences=sequences, return_state=state)
        for sequences, state in product(CHOICES, repeat=2)
    }
    return Matrix({key: compute.run(case._replace(stack=specs), engine) for key, specs in stacks.items()})
