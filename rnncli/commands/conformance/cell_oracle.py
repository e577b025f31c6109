"""The outputs of a cell in float64, from its equations; every value that a fault changes has a place.

The inputs of a case are `x`, or the parts that the cell names, the weights, `initial_NAME` of each state, and
`lengths`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from rnncli.cells import activations
from rnncli.cells.arrays import shift, view
from rnncli.cells.evaluate import columns_of, evaluate
from rnncli.cells.sizes import lower
from rnncli.cells.tree import Einsum, Index, Name, Node, Reshape, Shift, walk
from rnncli.commands.conformance.cases import KitCase
from rnncli.commands.conformance.oracle import Changes, compute
from rnncli.errors import LayerError
from rnncli.layers.recurrent import Cell
from rnncli.values import Array

NONE: Changes = {}
MOVED = "moved"
"""A function of faults: moved(v, n) gives the numbers of v other indices, by the n-th function of `moves`."""


class CellForm:
    """A cell for one number of features.

    names: of its states in its file.  lines: its equations, as they are written.
    moves: what `moved` does to an array.
    """

    def __init__(self, cell: Cell, features: int) -> None:
        self.cell, self.text, self.features = cell, cell.text, features
        self.sizes, self.lines = cell.sizes(features), cell.written
        self.names = {state: self.name_of(state) for state in self.text.states}
        self.moves: list[Callable[[Array], Array]] = []
        self.functions = activations.array_functions(np)
        self.functions[MOVED] = lambda value, number: self.moves[int(number)](value)
        self._lowered: dict[tuple[str, Node], Node | None] = {}

    def name_of(self, line: str) -> str:
        """Return what the file calls a line."""
        return self.text.first if line == "hidden" else line

    def lower(self, line: str, node: Node) -> Node:
        """Return an equation without names of axes.  Raises ValueError for one that does not fit its line."""
        if (line, node) not in self._lowered:
            try:
                made: Node | None = lower(self.text, self.cell.config, {line: node}, self.sizes)[line]
            except (LayerError, ValueError):  # ValueError: an axis that the line does not have
                made = None
            self._lowered[line, node] = made
        if (found := self._lowered[line, node]) is None:
            raise ValueError(line)
        return found

    def call(self, name: str, given: Sequence[Any]) -> Any:
        """Return a function of the equations, or an activation, of its arguments."""
        if name not in self.functions:
            self.functions[name] = activations.get_unguarded(self.text.function(name, self.cell.config))
        return self.functions[name](*given)


class CellCase(KitCase):
    """A case of a cell.  operator: the name of the cell.  attributes: `form` and `shape`."""

    @property
    def form(self) -> CellForm:
        """The cell."""
        form: CellForm = self.attributes["form"]
        return form

    @property
    def shape(self) -> tuple[int, int]:
        """The number of sequences and of time steps."""
        batch, steps = self.attributes["shape"]
        return batch, steps

    @property
    def padded(self) -> Array:
        """Which time steps are behind the end of a sequence, (batch, timesteps)."""
        return np.asarray(np.arange(self.shape[1]) >= self.inputs["lengths"][:, None])


class CellRun:
    """The computation of one case.

    lines: by name, the equations that are computed in each step.
    free: the values of the others, which no state changes, (timesteps, batch, axes...) each.
    values: of the lines of this step, (batch, axes...) each.  previous: of the step before.
    """

    def __init__(self, case: CellCase, changes: Changes) -> None:
        self.case, self.changes, self.form = case, changes, case.form
        self.inputs = {
            name: array.astype(np.float64) if array.dtype.kind == "f" else array
            for name, array in case.inputs.items()
        }
        self.weights = {name: self.at(f"weight {name}", array) for name, array in self.inputs.items()}
        self.columns: dict[tuple[str, str], Any] = {}
        self.free: dict[str, Array] = {}
        self.values: dict[str, Array] = {}
        self.previous: dict[str, Array] = {}
        self.before: Mapping[str, Array] = {}
        self.now: Any = slice(None)
        self.lines: dict[str, Node] = {}
        for line, node in self.form.lines.items():
            edited = self.at(line, node)
            lowered = self.form.lower(line, edited)
            names = [part for part in walk(edited) if isinstance(part, Name)]
            if all(name.name in self.free if name.kind == "free" else not name.kind for name in names):
                value = self.compute(line, lowered, case.shape[::-1])
                earlier = np.concatenate([0 * value[:1], value[:-1]])
                self.free[line] = self.at(f"value {line}", value, earlier)
            else:
                self.lines[line] = lowered

    def at(self, place: str, value: Any, *more: Any) -> Any:
        """Return what the changes make of the value at a place."""
        for change in self.changes.get(place, ()):
            value = change(value, self, *more)
        return value

    def outputs(self) -> dict[str, Array]:
        """Return `outputs`, 0 in padded steps, and `last_NAME` of each state, in the type of the case."""
        lengths, names = self.inputs["lengths"], self.form.names
        starts = {state: self.inputs[f"initial_{name}"] for state, name in names.items()}
        states = {state: self.at(f"start {state}", array) for state, array in starts.items()}
        rows = []
        for step in range(self.case.shape[1]):
            self.now = step
            before = {state: self.at(f"carried {state}", array, state) for state, array in states.items()}
            after = self.step(before)
            real = step < lengths
            kept = {state: self.at(f"real {state}", real) for state in states}
            states = {
                state: np.where(kept[state].reshape(-1, *[1] * (array.ndim - 1)), after[state], array)
                for state, array in states.items()
            }
            rows.append(np.where(real[:, None], after["hidden"], 0.0))
        returned = {"outputs": np.stack(rows, axis=1)}
        returned |= {f"last_{name}": self.at(f"last {state}", states[state]) for state, name in names.items()}
        return {name: array.astype(self.case.dtype) for name, array in returned.items()}

    def step(self, before: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the states after a step."""
        self.before, self.values, computed = before, {}, {}
        for line, node in self.lines.items():
            computed[line] = value = self.compute(line, node, self.case.shape[:1])
            self.values[line] = self.at(f"value {line}", value, self.previous.get(line, 0 * value))
        self.previous = computed
        return {state: self.values[state] if state in self.values else self.free[state][self.now]
                for state in before}  # fmt: skip

    def compute(self, line: str, node: Node, front: tuple[int, ...]) -> Array:
        """Return the value of a line.  front: the sizes of the axes before its own."""
        sizes, read = self.form.sizes, partial(self.read, line)
        value = evaluate(node, read, self.form.call, partial(self.product, line), self.move)
        shape = *front, *sizes.shape(sizes.axes[line])
        array = np.asarray(value, np.float64)
        return array if array.shape == shape else np.broadcast_to(array, shape)

    def read(self, line: str, name: Name) -> Any:
        """Return the value of a name in a line."""
        form = self.form
        if name.kind == "before":
            return self.before[name.name]
        if name.kind in ("line", "free"):
            return self.values[name.name] if name.name in self.values else self.free[name.name][self.now]
        if name.kind == "input" or name.name == "x":
            given = self.inputs[name.name].swapaxes(0, 1)
            return given.reshape(*given.shape[:2], -1)[self.now]
        if (line, name.name) not in self.columns:
            read = self.at("columns", line, name.name)
            self.columns[line, name.name] = columns_of(form.text, name.name, read, self.weights, form.sizes)
        return self.columns[line, name.name]

    def product(self, line: str, _: Node, value: Array, weight: Name) -> Any:
        """Return the matrix product of a value with a weight, or with the line's columns of it."""
        return value @ self.read(line, weight)

    def move(self, node: Any, *given: Any) -> Any:
        """Return the value of a Reshape, Einsum, Shift or Index."""
        match node:
            case Reshape(_, before, order, shape):
                return view(np.asarray(given[0]), len(before), order, shape)
            case Shift(_, _, rank):
                return shift(given[0], given[1], rank)
            case Index(size):
                return np.arange(size, dtype=np.float64)
            case Einsum(_, _, (left, right, after)):
                return np.einsum(f"...{left},...{right}->...{after}", *given)
        raise TypeError(node)


@compute.register
def _(case: CellCase, changes: Changes = NONE) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        return CellRun(case, changes).outputs()
