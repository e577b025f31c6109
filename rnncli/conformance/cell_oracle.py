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
from rnncli.cells.evaluate import columns_of, evaluate
from rnncli.cells.program import shift, view
from rnncli.cells.sizes import lower
from rnncli.cells.tree import AXES, Einsum, Function, Index, Name, Node, Reshape, Shift, walk
from rnncli.conformance.oracle import Changes, IsPossible, KitCase, compute, rounding_of
from rnncli.errors import LayerError
from rnncli.layers.recurrent import Cell
from rnncli.values import Array

NONE: Changes = {}
MOVED = "moved"
"""A function of faults: moved(v, n) gives the numbers of v other indices, by the n-th function of `moves`."""
MOST_KNOWN = 20_000
"""Arrays that are kept for a case."""
STEPS = 8
"""How much farther than by a change of the last digits of its inputs a number may be off."""


class CellEquation:
    """An equation without names of axes.  read: the lines and states in it."""

    def __init__(self, line: str, node: Node, written: Node) -> None:
        self.line, self.node = line, node
        names = dict.fromkeys(part for part in walk(written) if isinstance(part, Name))
        self.read = [name for name in names if name.kind in ("before", "line", "free")]


class CellForm:
    """A cell for one number of features.

    names: of its states in its file.  lines: its equations, as they are written.
    windows: the axes along which states are shifted.  moves: what `moved` does to an array.
    """

    def __init__(self, cell: Cell, features: int) -> None:
        self.cell, self.text, self.features = cell, cell.text, features
        self.sizes, self.lines = cell.sizes(features), cell.written
        self.names = {state: self.name_of(state) for state in self.text.states}
        self.windows = {
            self.sizes.axes[line][0]
            for line, node in self.lines.items()
            for part in walk(node)
            if isinstance(part, Function) and part.function == "shift"
        }
        self.moves: list[Callable[[Array], Array]] = []
        self.functions = activations.array_functions(np)
        self.functions[MOVED] = lambda value, number: self.moves[int(number)](value)
        self._equations: dict[tuple[str, Node], CellEquation | None] = {}

    def name_of(self, line: str) -> str:
        """Return what the file calls a line."""
        return self.text.first if line == "hidden" else line

    def equation(self, line: str, node: Node) -> CellEquation:
        """Return an equation for a line.  Raises ValueError for one that does not fit its axes."""
        if (line, node) not in self._equations:
            try:
                lowered = lower(self.text, self.cell.config, {line: node}, self.sizes)[line]
                made: CellEquation | None = CellEquation(line, lowered, node)
                if any(isinstance(part, Function) and part.function in AXES for part in walk(lowered)):
                    made = None
            except (LayerError, ValueError):  # ValueError: an axis that the line does not have
                made = None
            self._equations[line, node] = made
        if (found := self._equations[line, node]) is None:
            raise ValueError(line)
        return found

    def call(self, name: str, given: Sequence[Any]) -> Any:
        """Return a function of the equations, or an activation, of its arguments."""
        if name not in self.functions:
            self.functions[name] = activations.get_unguarded(self.text.function(name, self.cell.config))
        return self.functions[name](*given)


class CachedArray:
    """An array of a computation; equations that read the same arrays give the same one."""

    def __init__(self, array: Array) -> None:
        self.array = array


class CellCase(KitCase):
    """A case of a cell.  operator: the name of the cell.  attributes: those of this class."""

    @property
    def form(self) -> CellForm:
        """The cell."""
        form: CellForm = self.attributes["form"]
        return form

    @property
    def exact(self) -> dict[str, Array]:
        """The inputs in float64."""
        exact: dict[str, Array] = self.attributes["exact"]
        return exact

    @property
    def padded(self) -> Array:
        """Which time steps are behind the end of a sequence, (batch, timesteps)."""
        padded: Array = self.attributes["padded"]
        return padded

    @property
    def known(self) -> dict[Any, CachedArray]:
        """What was computed for the case with any changes, by what it was computed from."""
        known: dict[Any, CachedArray] = self.attributes["known"]
        return known


class CellRun:
    """The computation of one case.

    now: the time step.  before: the states before it.  values: of its lines.  previous: of the step before.
    """

    def __init__(self, case: CellCase, changes: Changes) -> None:
        self.case, self.changes, self.form, self.inputs = case, changes, case.form, case.exact
        lines = self.form.lines.items()
        self.equations = [self.form.equation(line, self.at(line, node)) for line, node in lines]
        self.now = 0
        self.before: dict[str, CachedArray] = {}
        self.values: dict[str, CachedArray] = {}
        self.previous: dict[str, CachedArray] = {}

    def at(self, place: str, value: Any, *more: Any) -> Any:
        """Return what the changes make of the value at a place."""
        for change in self.changes.get(place, ()):
            value = change(value, self, *more)
        return value

    def state_at(self, place: str, state: str, value: CachedArray) -> CachedArray:
        """Return what the changes make of a state."""
        array = self.at(f"{place} {state}", value.array, state)
        return (
            value if array is value.array else self.recall(lambda: array, state, array.shape, array.tobytes())
        )

    def recall(self, compute: Callable[[], Array], *key: Any) -> CachedArray:
        """Return the array of a key; it is computed if no run of the case has computed it."""
        known = self.case.known
        if key not in known:
            if len(known) > MOST_KNOWN:
                known.clear()
            known[key] = CachedArray(compute())
        return known[key]

    def outputs(self, is_possible: IsPossible | None = None) -> dict[str, Array]:
        """Return `outputs`, 0 in padded steps, and `last_NAME` of each state, in the type of the case.

        is_possible: raise ValueError at the first step that is not.
        """
        padded, states, rows = self.case.padded, dict[str, CachedArray](), []
        for state, name in self.form.names.items():
            start = self.recall(partial(self.inputs.__getitem__, f"initial_{name}"), state)
            states[state] = self.state_at("start", state, start)
        for self.now in range(padded.shape[1]):
            self.before = {state: self.state_at("carried", state, value) for state, value in states.items()}
            self.step()
            ended = padded[:, self.now]
            states = {state: self.keep(state, value, ended) for state, value in states.items()}
            rows.append(np.where(ended[:, None], 0.0, self.values["hidden"].array))
            row = rows[-1].astype(self.case.dtype)
            if is_possible and "outputs" not in self.changes and not is_possible(self.now, row):
                raise ValueError(self.now)
        returned = {"outputs": self.at("outputs", np.stack(rows, axis=1))}
        if returned["outputs"].shape[:2] == padded.shape:
            returned["outputs"] = np.where(padded[..., None], 0.0, returned["outputs"])
        for state, name in self.form.names.items():
            returned[f"last_{name}"] = self.state_at("last", state, states[state]).array
        return {name: array.astype(self.case.dtype) for name, array in returned.items()}

    def keep(self, state: str, before: CachedArray, ended: Array) -> CachedArray:
        """Return a state after a step, in which the sequences that have ended keep the one before."""
        after, ended = self.values[state], self.at(f"ended {state}", ended)
        if not ended.any():
            return after
        shape = -1, *[1] * (after.array.ndim - 1)
        return self.recall(
            lambda: np.where(ended.reshape(shape), before.array, after.array), ended.tobytes(), before, after
        )

    def step(self) -> None:
        """Compute the lines of a step."""
        self.values, computed = {}, dict[str, CachedArray]()
        columns = self.changes.get("columns", ())
        for equation in self.equations:
            line = equation.line
            read = [
                self.before[name.name] if name.kind == "before" else self.values[name.name]
                for name in equation.read
            ]
            key = equation, self.now, *columns, *read
            self.values[line] = computed[line] = self.recall(partial(self.compute, equation), *key)
            if self.at(f"late {line}", False):
                zeros = self.recall(partial(np.zeros_like, computed[line].array), "zeros", line)
                self.values[line] = self.previous.get(line, zeros)
        self.previous = computed

    def compute(self, equation: CellEquation) -> Array:
        """Return the value of a line, (batch, axes...)."""
        line, sizes = equation.line, self.form.sizes
        read, product = partial(self.read, line), partial(self.product, line)
        value = evaluate(equation.node, read, self.form.call, product, self.move)
        shape = len(self.case.padded), *sizes.shape(sizes.axes[line])
        array = np.asarray(value, np.float64)
        return array if array.shape == shape else np.broadcast_to(array, shape)

    def read(self, line: str, name: Name) -> Any:
        """Return the value of a name in a line."""
        if name.kind == "before":
            return self.before[name.name].array
        if name.kind in ("line", "free"):
            return self.values[name.name].array
        if name.kind == "input" or name.name == "x":
            given = self.inputs[name.name][:, self.now]
            return given.reshape(len(given), -1)
        source, form = self.at("columns", line, name.name), self.form
        columns = partial(columns_of, form.text, name.name, source, self.inputs, form.sizes)
        return self.recall(columns, name.name, source).array

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
def _(case: CellCase, changes: Changes = NONE, is_possible: IsPossible | None = None) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        return CellRun(case, changes).outputs(is_possible)


@rounding_of.register
def _(case: CellCase, changes: Changes, outputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return how far outputs move if the inputs do, by their last digits."""
    near = compute(case._replace(attributes={**case.attributes, **case.attributes["near"]}), changes)
    moves = {name: np.abs(near[name] - array.astype(np.float64)) for name, array in outputs.items()}
    return {
        name: STEPS * np.nan_to_num(move, posinf=0).max(axis=-1, keepdims=True)
        for name, move in moves.items()
    }
