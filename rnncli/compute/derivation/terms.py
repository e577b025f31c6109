"""Spread the equation of a number into terms: products of numbers that say where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import copysign, inf, prod
from typing import Any

from rnncli.cells.evaluate import offset_of
from rnncli.cells.text import BIASES, PACKED
from rnncli.cells.tree import AXES, REDUCTIONS, Function, Name, Node, Number, Operation, Sum, parts, write
from rnncli.cells.writing import old_state
from rnncli.compute.derivation.explanation import MINUS, Factor, Term
from rnncli.compute.derivation.locate import CaseTrace, TraceNode
from rnncli.errors import Message
from rnncli.values import Array

IDENTITY = "linear"
"""The activation that is not shown."""
OF_ALL_UNITS = ("softmax", "log_softmax", "sparsemax")
"""Activations that read the numbers of all units."""


def reads_several(node: Node) -> bool:
    """Return whether the node is a function of several numbers, which is no sum of terms."""
    match node:
        case Operation("**", _, exponent):
            return exponent != Number(2.0)
        case Function(function, arguments):
            return len(arguments) > 1 and function not in (*REDUCTIONS, *AXES)
    return False


def product(*factors: Factor) -> Term:
    """Return the term of these factors."""
    return Term(prod(factor.value for factor in factors), factors)


class Spread:
    """The terms of one number's equation.

    number: the number; the nodes that methods take are of its equation.
    has_rows: whether the equation has a product of a row and a matrix, or a sum over units.
    recurrent: the part of the equation that a trace shows as `recurrent`; None if there is none.
    """

    def __init__(self, source: CaseTrace, number: TraceNode) -> None:
        self.source, self.number = source, number
        self.has_rows = False
        self.recurrent: Node | None = None
        if not number.is_returned and number.part.kind != "recurrent":
            cell = source.maker(number)
            self.recurrent = cell.recurrent_parts(cell.written).get(number.part.part)

    def value(self, node: Node) -> float:
        """Return the number of a part of the equation."""
        row = self.source.evaluate(self.number, node)
        return float(row[self.number.unit if len(row) > 1 else 0])

    def terms(self, node: Node, sign: int = 1) -> Iterator[tuple[str, list[Term]]]:
        """Yield each term of a sum in textbook notation, and its products: one, or one per entry of a row."""
        minus, before = ("-", [MINUS]) if sign < 0 else ("", [])
        match node:
            case Sum(terms):
                for inverted, term in terms:
                    yield from self.terms(term, sign * inverted)
            case Operation("@", left, Name(weight)):
                self.has_rows = True
                yield minus + self._row_symbol(left, weight), list(self._products(before, left, weight))
            case Function("sum" | "mean" | "variance" as function, (inner,)):
                self.has_rows = True
                summed: Node = inner
                if function == "variance":  # the mean of the squared distances
                    distance = Sum(((1, inner), (-1, Function("mean", (inner,)))))
                    summed = Operation("**", distance, Number(2.0))
                size = len(self.source.evaluate(self.number, summed))
                share = [] if function == "sum" else [Factor(f"1 / {size}", 1 / size)]
                entries = (self.factors(summed, index, size) for index in range(size))
                yield minus + self.text(node), [product(*before, *entry, *share) for entry in entries]
            case _ if (positive := without_minus(node)) is not None:
                yield from self.terms(positive, -sign)
            case _:
                factors = [*before, *self.factors(node, self.number.unit)]
                symbols: Iterator[str] = map(self._symbol, self._factors_of(node))
                if self.number.is_returned and node != Name("bias"):
                    symbols = (factor.name for factor in factors)
                yield minus + " · ".join(symbols), [product(*factors)]

    def _symbol(self, factor: Node) -> str:
        """Return a factor in textbook notation; a state is `before` even at the first step."""
        match factor:
            case _ if factor == self.recurrent:
                return "recurrent"
            case Name("bias" | "recurrent_bias" as name):
                two = not self.number.is_returned and self.source.maker(self.number).text.has_two_biases
                return f"b[{0 if name == 'bias' else 1}]" if two else "b"
            case Name(name, "before"):
                return f"{name} before"
            case Operation("/"):
                return self.text(factor)[1:-1]
        return self.text(factor)

    def _factors_of(self, node: Node) -> list[Node]:
        match node:
            case Operation("*", left, right) | Function("outer", (left, right)):
                return [*self._factors_of(left), *self._factors_of(right)]
        return [node]

    def _row_symbol(self, left: Node, weight: str) -> str:
        """Return `x W`, `(forget · h) U` or `(x · dropout) W`."""
        factors = self._factors_of(left)
        shown = [self.text(factor, old_state) for factor in factors]
        inputs = self.source.mask(self.number, "inputs") is not None and Name("x") in factors
        recurrent = self.source.mask(self.number, "recurrent") is not None and weight == "recurrent_kernel"
        shown += ["dropout"] * (inputs + recurrent)
        symbol = {"kernel": "W", "recurrent_kernel": "U"}.get(weight, weight)
        return f"({' · '.join(shown)}) {symbol}" if len(shown) > 1 else f"{shown[0]} {symbol}"

    def _products(self, before: list[Factor], left: Node, weight: str) -> Iterator[Term]:
        matrix = self.source.weight(self.number, weight)
        mask = self.source.mask(self.number, "recurrent") if weight == "recurrent_kernel" else None
        for index in range(len(matrix)):
            factors = [*before, *self.factors(left, index, len(matrix))]
            if mask is not None:
                factors.append(Factor("dropout", float(mask[index])))
            yield product(*factors, self._entry(weight, matrix, (index, self.number.unit)))

    def reads(self, node: Node) -> tuple[Factor, ...]:
        """Return the arguments of a function of several numbers, or the numbers of all units for softmax."""
        match node:
            case Function(_, (inner,)):
                row = self.source.evaluate(self.number, inner)
                if isinstance(inner, Name) and not self.number.is_returned:
                    return tuple(self._single(inner, unit, len(row)) for unit in range(len(row)))
                return tuple(
                    Factor(f"unit {unit}", value, Message("unit {index}", index=unit))
                    for unit, value in enumerate(row.tolist())
                )
        return tuple(self._single(argument, self.number.unit) for argument in parts(node))

    def factors(self, node: Node, unit: Any, size: int = 0) -> Iterator[Factor]:
        """Yield the factors of a product.

        unit: the index of the number in its row.  size: the length of a row of which every number is listed,
            with its index; 0 for a single number, without an index.
        """
        if node == self.recurrent:
            other = self.source.beside(self.number, self.number.part.part, "recurrent")
            yield Factor("recurrent", self.source.value(other), node=other)
            return
        match node:
            case Number(value):
                yield Factor(write(node), value)
            case Operation("*", left, right):
                yield from self.factors(left, unit, size)
                yield from self.factors(right, unit, size)
            case Operation("/", left, right):
                yield from self.factors(left, unit, size)
                below = self._single(right, unit, size)
                shown = Message("1 / {number}", number=below.shown) if below.shown else ""
                inverse = 1 / below.value if below.value else copysign(inf, below.value)
                yield below._replace(name=f"1 / {below.name}", value=inverse, shown=shown)
            case Operation("**", left, Number(2.0)):
                yield from 2 * [self._single(left, unit, size)]
            case Sum(((-1, inner),)):
                yield MINUS
                yield from self.factors(inner, unit, size)
            case Name("x"):
                yield self._input(unit, size)
                if (mask := self.source.mask(self.number, "inputs")) is not None:
                    yield Factor("dropout", float(mask[unit]))
            case _:
                yield self._factor(node, unit, size)

    def _single(self, node: Node, unit: Any, size: int = 0) -> Factor:
        factors = list(self.factors(node, unit, size))
        return factors[0] if len(factors) == 1 else self._piece(node, unit, size)

    def _factor(self, node: Node, unit: Any, size: int) -> Factor:
        source = self.source
        match node:
            case Name(name) if self.number.is_returned:
                return self._of_layer(name)
            case Name(name, "before"):
                return self._previous(name, unit, size)
            case Name(name, ""):
                return self._entry(name, source.weight(self.number, name), (unit,))
            case Name(name):
                return self._line(name, node, name, unit, size)
            case Sum(((1, Number(1.0)), (-1, Name(name, "line" | "free")))):
                return self._line(f"(1 - {name})", node, name, unit, size)
            case Function(function, (Name(name, "line" | "free") as line,)):
                applied = source.function(self.number, function)
                if applied == IDENTITY:
                    return self._line(name, line, name, unit, size)
                if applied not in (*OF_ALL_UNITS, *REDUCTIONS):
                    return self._line(f"{applied}({name})", node, name, unit, size)
        return self._piece(node, unit, size)

    def _line(self, text: str, node: Node, name: str, unit: Any, size: int) -> Factor:
        row = self.source.evaluate(self.number, node)
        index, text = _name_entry(text, row, unit, size)
        other = self.source.beside(self.number, name)._replace(unit=index)
        return Factor(text, float(row[index]), node=other)

    def _piece(self, node: Node, unit: Any, size: int) -> Factor:
        """Return a part of the equation as a factor, named by its text; another equation explains it."""
        row = self.source.evaluate(self.number, node)
        text = self.text(node)
        index, shown = _name_entry(text, row, unit, size)
        line = self.source.beside(self.number, self.number.part.part)
        return Factor(shown, float(row[index]), node=line._replace(unit=index, piece=node, name=text))

    def text(self, node: Node, old: Callable[[str], str] = str) -> str:
        """Return a node as it is written, with the names of its activations; in parentheses if needed.

        old: returns how a state before the step is written, by its name.
        """

        def name(named: Name) -> str:
            return old(named.name) if named.kind == "before" else named.name

        def call(function: str, given: list[str]) -> str:
            applied = self.source.function(self.number, function)
            if applied == IDENTITY:
                return given[0] if given[0].isidentifier() else f"({given[0]})"
            return f"{applied}({', '.join(given)})"

        text = write(node, name, call)
        return f"({text})" if isinstance(node, (Sum, Operation)) else text

    def _previous(self, name: str, unit: Any, size: int) -> Factor:
        """Return the state before this step: `hidden`, or `hidden 1` for one unit of several."""
        state = self.source.beside(self.number, name)
        index, name = _name_entry(name, self.source.row_before(state), unit, size)
        return self._before(state._replace(unit=index), name)

    def _before(self, state: TraceNode, name: str) -> Factor:
        value = float(self.source.row_before(state)[state.unit])
        if state.position == 0:
            return Factor(f"{name} at start", value, Message("{state} at start", state=name))
        before, shown = state._replace(position=state.position - 1), Message("previous {state}", state=name)
        return Factor(f"{name} before", value, shown, node=before, further=True)

    def _entry(self, name: str, array: Array, index: tuple[int, ...]) -> Factor:
        index = (*index[:-1], index[-1] if array.shape[-1] > 1 else 0)
        entry, is_kernel = index, array.ndim == 2
        value = float(array[index])
        if name in PACKED and not self.number.is_returned:
            cell = self.source.maker(self.number)
            *row, start = offset_of(cell.text, name, self.number.part.part, self.source.sizes(self.number))
            entry = (*row, *index[:-1], start + index[-1])
        return Factor(f"{'bias' if name in BIASES else name}{list(entry)}", value, is_weight=is_kernel)

    def _of_layer(self, name: str) -> Factor:
        node, entries = self.number, self.source.layer_equation(self.number).entries
        if name not in entries:
            return self._entry(name, self.source.weight(node, name), (self.number.unit,))
        entry = entries[name]
        inner = self.source.at(node, entry)
        return Factor(f"{entry.direction} {entry.part}", self.source.value(inner), node=inner)

    def _input(self, unit: int, size: int) -> Factor:
        """Return an entry of the input: a feature, or an output of the cell or the layer below."""
        source, node = self.source, self.number
        value, layer = float(source.input_row(node)[unit]), node.layer
        if node.part.cell and not node.is_returned:
            name, below = f"cell {node.part.cell - 1} hidden {unit}", source.below(node)
            return Factor(name, value, node=below._replace(unit=unit), further=True)
        if layer:
            time = node.position if node.is_returned else source.timestep(node)
            lower = TraceNode(layer - 1, None, time, source.passed_on[layer - 1], node.batch, unit)
            name = f"layer {layer - 1} {lower.part}{[*lower.row, unit]}"
            return Factor(name, value, node=lower, further=True)
        names = source.case.names.features
        if unit < len(names):
            return Factor(names[unit], value)
        return Factor(f"feature {unit}", value, Message("feature {index}", index=unit))


def _name_entry(text: str, row: Array, unit: int, size: int) -> tuple[int, str]:
    """Return the index in a row of the number for a unit, and its name; a single number is for all units."""
    index = unit if len(row) > 1 else 0
    return index, f"{text} {index}" if size and len(row) == size else text


def without_minus(node: Node) -> Node | None:
    """Return `half * tanh(memory)` for `-half * tanh(memory)`; None where no minus stands before."""
    match node:
        case Sum(((-1, inner),)):
            return inner
        case Operation("*" | "/" as symbol, left, right):
            positive = without_minus(left)
            return None if positive is None else Operation(symbol, positive, right)
    return None
