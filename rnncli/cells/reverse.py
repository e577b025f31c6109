"""The derivative of one step of a cell: vectors times its Jacobians, by reverse mode over its equations.

One forward pass keeps the value of every node; from it, any number of vectors go backward at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import mul, truediv
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.cells import activations, slopes
from rnncli.cells.evaluate import columns_of
from rnncli.cells.text import BIASES, CellText
from rnncli.cells.tree import Call, Name, Node, Number, Operation, Sum, parts


class Rule(NamedTuple):
    """How a node is computed, and how vectors go backward through it.

    compute(*operands) returns the value.
    pull(vectors, value, *operands) returns the vectors for each operand, or None for one that is constant.
    """

    compute: Callable[..., Any]
    pull: Callable[..., Sequence[Any]]


class _Entry(NamedTuple):
    """A node: the places of its operands among the values, and its own."""

    place: int
    operands: tuple[int, ...]
    rule: Rule


class ReverseStep:
    """One step of a cell with its weights.

    The values of a step are a list: x, the states before the step, then the nodes, each after its operands.
    wanted: a weight, for which vectors are found, too.
    uses: its uses, as the line, the name, the place of its vectors, and that of what stands left of its @.
    """

    def __init__(
        self,
        text: CellText,
        lines: Mapping[str, Node],
        config: Mapping[str, Any],
        weights: Mapping[str, Array],
        dtype: Any,
        wanted: str = "",
    ) -> None:
        self.wanted = BIASES if wanted == "bias" else {wanted}
        self.uses: list[tuple[str, str, int, int | None]] = []
        self.text, self.config, self.weights, self.dtype = text, config, weights, dtype
        self.rules = _rules()
        count = 1 + len(text.states)
        self.constants: list[Any] = [None] * count
        self.varies = [True] * count
        self.entries: list[_Entry] = []
        self.places: dict[tuple[Node, str], int] = {}
        self.lines: dict[str, int] = {}
        for line, node in lines.items():
            self.lines[line] = self._place(node, line)

    def _place(self, node: Any, line: str) -> int:
        """Return the place of a node's value, which is added if it is new in its line."""
        match node:
            case Name("x"):
                return 0
            case Name(name, "before"):
                return 1 + self.text.states.index(name)
            case Name(name, kind) if kind:
                return self.lines[name]
        if (node, line) not in self.places:
            operands, rule = self._read(node, line)
            self.places[node, line] = place = len(self.constants)
            weight, left = (node.right, *operands) if _is_product(node) else (node, None)
            used = isinstance(weight, Name) and weight.name in self.wanted
            if used:
                self.uses.append((line, weight.name, place, left))
            self.varies.append(used or any(self.varies[one] for one in operands))
            self.constants.append(None if rule else self._constant(node, line))
            if rule:
                self.entries.append(_Entry(place, operands, rule))
        return self.places[node, line]

    def _constant(self, node: Node, line: str) -> Array:
        import numpy as np

        if isinstance(node, Number):
            return np.full(1, node.value, self.dtype)
        assert isinstance(node, Name)
        found: Array = columns_of(self.text, node.name, line, self.weights, self.config["units"])
        return found

    def _read(self, node: Any, line: str) -> tuple[tuple[int, ...], Rule | None]:
        """Return the operands of a node and its rule; None for a number or a weight."""
        if _is_product(node):
            left, weight = self._place(node.left, line), self._constant(node.right, line)
            return (left,), Rule(lambda a: a @ weight, lambda g, y, a: (g @ weight.T,))
        operands = tuple(self._place(part, line) for part in parts(node))
        match node:
            case Sum(terms):
                signs = tuple(sign for sign, _ in terms)
                return operands, Rule(partial(_add, signs), partial(_pull_sum, signs))
            case Operation(symbol):
                return operands, self.rules[symbol]
            case Call(function):
                return operands, self._rule_of(function)
        return (), None

    def _rule_of(self, function: str) -> Rule:
        if function not in self.rules:
            value: Any = self.config.get(function) or self.text.options.get(function, function)
            pull = slopes.get(value)
            self.rules[function] = Rule(activations.get_unguarded(value), lambda g, y, x: (pull(g, y, x),))
        return self.rules[function]

    def forward(self, x: Array, states: Sequence[Array]) -> list[Any]:
        """Return the values of one step.  x: (1, features).  states: (1, units) each."""
        values = [x, *states, *self.constants[1 + len(states) :]]
        for place, operands, rule in self.entries:
            values[place] = rule.compute(*[values[one] for one in operands])
        return values

    def output(self, values: Sequence[Any]) -> Array:
        """Return the first state after the step."""
        import numpy as np

        found = values[self.lines[self.text.states[0]]]
        return np.broadcast_to(found, (1, self.config["units"]))

    def backward(self, values: Sequence[Any], states: Sequence[Array]) -> list[Any]:
        """Return the vectors for every value, (count, its size), None where it has no effect.

        states: the vectors for the states after the step, (count, units) each.
        """
        found: list[Any] = [None] * len(values)

        def add(place: int, vectors: Any) -> None:
            if not self.varies[place] or vectors is None:
                return
            if values[place].shape[-1] < vectors.shape[-1]:  # it was broadcast
                vectors = vectors.sum(axis=-1, keepdims=True)
            found[place] = vectors if found[place] is None else found[place] + vectors

        for state, vectors in zip(self.text.states, states, strict=True):
            add(self.lines[state], vectors)
        for place, operands, rule in reversed(self.entries):
            if found[place] is not None:
                pulled = rule.pull(found[place], values[place], *[values[one] for one in operands])
                for operand, vectors in zip(operands, pulled, strict=True):
                    add(operand, vectors)
        return found


def _is_product(node: Any) -> bool:
    return isinstance(node, Operation) and node.symbol == "@"


def _add(signs: Sequence[int], *terms: Any) -> Any:
    total = terms[0] if signs[0] > 0 else -terms[0]
    for sign, term in zip(signs[1:], terms[1:], strict=True):
        total = total + term if sign > 0 else total - term
    return total


def _pull_sum(signs: Sequence[int], g: Any, *_: Any) -> list[Any]:
    return [g if sign > 0 else -g for sign in signs]


def _rules() -> dict[str, Rule]:
    """Return the rules of operators and functions; where two numbers are equal, the first is the maximum."""
    import numpy as np

    def power(g: Any, y: Any, a: Any, b: Any) -> Sequence[Any]:
        return g * b * a ** (b - 1), g * y * np.where(a > 0, np.log(np.where(a > 0, a, 1)), 0)

    def clip(g: Any, y: Any, a: Any, low: Any, high: Any) -> Sequence[Any]:
        raised = np.maximum(a, low)
        below = np.where(raised <= high, g, 0)
        return np.where(a >= low, below, 0), np.where(a >= low, 0, below), np.where(raised <= high, 0, g)

    def mean(g: Any, y: Any, a: Any) -> Sequence[Any]:
        return (np.broadcast_to(g / a.shape[-1], (*g.shape[:-1], a.shape[-1])),)

    computes: Mapping[str, Callable[..., Any]] = {
        "*": mul,
        "/": truediv,
        "**": pow,
        **activations.array_functions(np),
    }
    pulls: Mapping[str, Callable[..., Sequence[Any]]] = {
        "*": lambda g, y, a, b: (g * b, g * a),
        "/": lambda g, y, a, b: (g / b, g * (-a / b / b)),
        "**": power,
        "exp": lambda g, y, a: (g * y,),
        "log": lambda g, y, a: (g / a,),
        "sqrt": lambda g, y, a: (g * 0.5 / y,),
        "abs": lambda g, y, a: (g * np.sign(a),),
        "maximum": lambda g, y, a, b: (np.where(a >= b, g, 0), np.where(a >= b, 0, g)),
        "minimum": lambda g, y, a, b: (np.where(a <= b, g, 0), np.where(a <= b, 0, g)),
        "clip": clip,
        "mean": mean,
        "variance": lambda g, y, a: (g * (2 / a.shape[-1]) * (a - np.mean(a, axis=-1, keepdims=True)),),
        "sum": lambda g, y, a: (np.broadcast_to(g, (*g.shape[:-1], a.shape[-1])),),
    }
    return {name: Rule(computes[name], pull) for name, pull in pulls.items()}
