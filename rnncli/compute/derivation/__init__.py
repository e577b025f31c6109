"""Derive one number of a result: the equations that computed it, with the numbers of a trace.

Each equation is spread into terms: products of numbers that say where they come from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import copysign, inf, prod
from typing import Any

from rnncli import addresses
from rnncli.cells.evaluate import offset_of
from rnncli.cells.sizes import Axes, axes_of
from rnncli.cells.text import BIASES, PACKED, old_state, to_symbols
from rnncli.cells.tree import AXES, REDUCTIONS, Function, Name, Node, Number, Operation, Sum, parts, write
from rnncli.compute import trace as tracing
from rnncli.compute.derivation.explanation import (
    MINUS,
    Equation,
    Explanation,
    Factor,
    Note,
    OtherTerms,
    Target,
    Term,
    parse_target,
)
from rnncli.compute.derivation.locate import CaseTrace, TraceNode
from rnncli.errors import Message
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import OUTPUT, Claim, Result, TensorInfo
from rnncli.values import Array, Shape, Spec

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


Indices = Mapping[str, int]
"""The index of a number on each of its axes, by the name of the axis."""


class NamedSpread(Spread):
    """The terms of one number: of `outer(key, value)` at heads 2, keys 1, values 3, `key[2,1] · value[2,3]`.

    A part of the equation has some of the axes of the number, and its own, over which it is summed.
    """

    def __init__(self, source: CaseTrace, number: TraceNode) -> None:
        super().__init__(source, number)
        self.cell, self.sizes = source.maker(number), source.sizes(number)
        self.indices: Indices = source.indices(number)

    def value(self, node: Node, indices: Indices | None = None) -> float:
        """Return a number of a part of the equation."""
        indices = self.indices if indices is None else indices
        row = self.source.evaluate(self.number, node)
        return float(row[self.sizes.place(self._axes(node), indices)])

    def terms(
        self, node: Node, sign: int = 1, indices: Indices | None = None
    ) -> Iterator[tuple[str, list[Term]]]:
        """Yield each term of a sum in textbook notation, and its products, one per entry of an axis."""
        at = self.indices if indices is None else indices
        minus, before = ("-", [MINUS]) if sign < 0 else ("", [])
        match node:
            case Sum(terms):
                for inverted, term in terms:
                    yield from self.terms(term, sign * inverted, at)
            case Operation("@", left, right):
                self.has_rows = True
                is_packed = isinstance(right, Name) and right.name in PACKED
                text = self._row_symbol(left, right.name) if is_packed else self.text(node)[1:-1]  # type: ignore[union-attr]
                yield (
                    minus + text,
                    [product(*before, *entry) for entry in self._products_over(left, right, at)],
                )
            case Function("sum" | "mean" | "variance", (inner, *_)):
                self.has_rows = True
                entries = self._reduced(node, inner, at)
                yield minus + self.text(node), [product(*before, *entry) for entry in entries]
            case Function("join", (inner,)):
                yield from self.terms(inner, sign, self._split(self._axes(inner), at))
            case Function("shift", (window, entry)):
                first = self._axes(window)[0]
                is_old = at[first] + 1 < (self.sizes.size(first) or 1)
                moved = {**at, first: at[first] + 1} if is_old else at
                yield from self.terms(window if is_old else entry, sign, moved)
            case _ if (positive := without_minus(node)) is not None:
                yield from self.terms(positive, -sign, at)
            case _:
                symbols = map(self._symbol, self._factors_of(node))
                yield minus + " · ".join(symbols), [product(*before, *self.factors(node, at))]

    def reads(self, node: Node) -> tuple[Factor, ...]:
        """Return the arguments of a function of several numbers, or those along the axis of softmax."""
        match node:
            case Function(function, (inner, *axis)) if function not in ("maximum", "minimum", "clip"):
                name = axis[0].name if axis and isinstance(axis[0], Name) else self._axes(inner)[-1]
                return tuple(self._single(inner, at) for at in self._along(name, self.indices))
        return tuple(self._single(argument, self.indices) for argument in parts(node))

    def factors(self, node: Node, unit: Any, size: int = 0) -> Iterator[Factor]:
        """Yield the factors of a product.  unit: the Indices of the number.  size: not used."""
        match node:
            case Function("outer", (left, right)):
                yield from self.factors(left, unit)
                yield from self.factors(right, unit)
            case Function("index", (Name(axis),)):
                yield Factor(f"index({axis})", float(unit[axis]))
            case Name("x"):
                yield from self._inputs("", unit["features"])
            case Name(name) if name in self.cell.text.inputs:
                start, _ = self.sizes.inputs[name]
                axes = tuple(map(str, self.cell.text.inputs[name]))
                yield from self._inputs(name + _written(axes, unit), start + self.sizes.place(axes, unit))
            case _:
                yield from super().factors(node, unit)

    def _factor(self, node: Node, unit: Any, size: int) -> Factor:
        match node:
            case Function(function) if function in AXES:
                return self._piece(node, unit, size)
            case Name(name, "") if name in BIASES and not self.cell.config["use_bias"]:
                return Factor(name, 0.0)
            case Name(name, "") if name in (*self.cell.text.weights, *BIASES):
                return self._weight(name, unit)
            case Name(name, ""):
                return Factor(name, self.value(node, unit))  # a size
        return super()._factor(node, unit, size)

    def _line(self, text: str, node: Node, name: str, unit: Any, size: int) -> Factor:
        axes = self.sizes.axes[name]
        other = self.source.beside(self.number, name)._replace(unit=self.sizes.place(axes, unit))
        return Factor(text + _written(axes, unit), self.value(node, unit), node=other)

    def _piece(self, node: Node, unit: Any, size: int) -> Factor:
        axes, text = self._axes(node), self.text(node)
        place, line = self.sizes.place(axes, unit), self.source.beside(self.number, self.number.part.part)
        part = line._replace(unit=place, piece=node, name=text)
        return Factor(text + _written(axes, unit), self.value(node, unit), node=part)

    def _previous(self, name: str, unit: Any, size: int) -> Factor:
        axes = self.sizes.axes[name]
        state = self.source.beside(self.number, name)._replace(unit=self.sizes.place(axes, unit))
        return self._before(state, name + _written(axes, unit))

    def _inputs(self, name: str, column: int) -> Iterator[Factor]:
        factor = self._input(column, 0)
        yield factor._replace(name=name, shown="") if name else factor
        if (mask := self.source.mask(self.number, "inputs")) is not None:
            yield Factor("dropout", float(mask[column]))

    def _weight(self, name: str, at: Indices, *rows: int) -> Factor:
        """Return an entry of a weight.  rows: the index of its summed axis, if it stands right of @."""
        array = self.source.weight(self.number, name)
        if name in PACKED:
            axes = self.cell.text.axes(self.number.part.part)
            return self._entry(name, array, (*rows, self.sizes.place(axes, at)))
        index = [0 if axis == 1 else at[str(axis)] for axis in self.cell.text.weights[name].shape]
        return self._entry(name, array, tuple(index))

    def _products_over(self, left: Node, right: Node, at: Indices) -> Iterator[list[Factor]]:
        """Yield the factors of each product of `left @ right`, which sums over the last axis of `left`."""
        summed = self._axes(left)[-1]
        mask = self.source.mask(self.number, "recurrent") if right == Name("recurrent_kernel") else None
        for index, inside in enumerate(self._along(summed, at)):
            factors = list(self.factors(left, inside))
            if mask is not None:
                factors.append(Factor("dropout", float(mask[index])))
            match right:
                case Name(name, "") if name in PACKED:
                    factors.append(self._weight(name, at, index))
                case Name(name, "") if name in self.cell.text.weights:
                    factors.append(self._summed_entry(name, summed, index, at))
                case _:
                    factors += self.factors(right, inside)
            yield factors

    def _summed_entry(self, name: str, summed: str, index: int, at: Indices) -> Factor:
        """Return an entry of a weight right of @; of an axis that it has twice, the first is summed."""
        shape = [str(axis) for axis in self.cell.text.weights[name].shape]
        first = shape.index(summed)
        place = [
            index if axis == first else 0 if size == "1" else at[size] for axis, size in enumerate(shape)
        ]
        return self._entry(name, self.source.weight(self.number, name), tuple(place))

    def _reduced(self, node: Function, inner: Node, at: Indices) -> Iterator[list[Factor]]:
        """Yield the factors of each term of a sum, a mean or a variance over an axis."""
        axes, (_, *axis) = self._axes(inner), node.arguments
        name = axis[0].name if axis and isinstance(axis[0], Name) else (axes or ("",))[-1]
        count = self.sizes.size(name) or 1 if name else 1
        if node.function == "variance":  # the mean of the squared distances
            distance = Sum(((1, inner), (-1, Function("mean", node.arguments))))
            inner = Operation("**", distance, Number(2.0))
        share = [] if node.function == "sum" else [Factor(f"1 / {count}", 1 / count)]
        for inside in self._along(name, at) if name else [at]:
            yield [*self.factors(inner, inside), *share]

    def _along(self, axis: str, at: Indices) -> Iterator[Indices]:
        return ({**at, axis: index} for index in range(self.sizes.size(axis) or 0))

    def _split(self, axes: Axes, at: Indices) -> Indices:
        """Return the indices of a number of `join`, whose only axis is units."""
        import numpy as np

        shape = self.sizes.shape(axes)
        return dict(zip(axes, map(int, np.unravel_index(at["units"], shape)), strict=False))

    def _axes(self, node: Node) -> Axes:
        return axes_of(node, self.cell.text, self.cell.config, self.sizes, self.number.part.part)


def _written(axes: Axes, at: Indices) -> str:
    """Return `[2,1,3]`; "" without axes."""
    return f"[{','.join(str(at[axis]) for axis in axes)}]" if axes else ""


def explain(
    case: Case, text: str, depth: int = 1, terms: int | None = None, layer: str = ""
) -> tuple[Explanation, Result]:
    """Return where the number named by `text` comes from, and the trace it was read from.

    See `explain_number`.  layer: see addresses.find_tensor.
    Raises UsageError if `text` does not name a single number.
    """
    try:
        address = addresses.parse(text)
    except ValueError:  # parse_target says what is wrong
        address = None
    wide = tracing.with_all_outputs(case)
    # With the sequence, if the number is in it; no other number changes.
    if address is not None and address.label.sequence and case.stack.layers[-1].recurrent:
        wide = wide._replace(stack=wide.stack.with_returns(return_sequences=True))
    infos = list_tensors(wide.stack, wide.inputs.shape)
    if address is not None and str(address.label) not in {info.name for info in infos}:
        part = tracing.list_loop_parts(wide.stack, wide.inputs.shape).get(address.label)
        if part is not None:  # a gate or a state, with or without a time axis, depending on the index
            batch, steps = wide.inputs.shape[:2]
            axes = {"batch": batch, "timesteps": steps, **part.axes}
            if len(address.texts) == 1 + len(part.axes):
                del axes["timesteps"]
            infos = (*infos, TensorInfo(address.label, tuple(axes), tuple(axes.values())))
    target = parse_target(text, infos, layer)
    result = tracing.trace(wide)
    explanation = explain_number(case, result, target, depth, terms)
    if case.hold:
        free = wide._replace(hold=())
        source = CaseTrace(free, tracing.trace(free))
        explanation = replace(explanation, without_hold=source.value(source.node(target)))
    return explanation, replace(result, specs=case.stack)


def list_tensors(stack: Stack, input_shape: Shape) -> tuple[TensorInfo, ...]:
    """Return the tensors a user may name: of the last layer, then of every layer, named with its number."""
    both = (*stack.outputs(input_shape), *stack.outputs(input_shape, all_layers=True))
    return tuple(dict.fromkeys(both))


def example(stack: Stack) -> str:
    """Return a number that `explain` accepts for any sizes: `last_cell_state[0,0]`."""
    last, shape = stack.layers[-1], (1,) * stack.input_rank
    info = last.states(shape)[-1] if last.recurrent else stack.outputs(shape)[0]
    return f"{info.name}[{','.join('0' for _ in info.axes)}]"


def explain_number(
    case: Case, result: Result, target: Target, depth: int = 1, terms: int | None = None
) -> Explanation:
    """Explain how `target` was computed.

    result: the trace of tracing.with_all_outputs(case), with every layer's tensors.  depth: 1 stops at
    the previous states and at the layer below; each further level goes on from the numbers listed there.
    terms: how many terms of a sum to list, None for all.
    """
    source = CaseTrace(case, result)
    by_key: dict[str, Equation] = {}
    asked = source.node(target)
    level: list[TraceNode] = [asked, *(source.kept(asked) if source.is_unused(asked) else ())]
    while level and depth:
        queue, level, depth = deque(level), [], depth - 1
        while queue:
            node = source.follow_copies(queue.popleft())
            key = source.key(node)
            if key in by_key:
                continue
            by_key[key] = _equation(source, node, terms)
            for factor in by_key[key].factors:
                if factor.node is not None:
                    (level if factor.further else queue).append(factor.node)

    def link(factor: Factor) -> Factor:
        """Name the equation of the factor, if it was followed so far."""
        key = "" if factor.node is None else source.key(source.follow_copies(factor.node))
        return factor._replace(explained=key) if key in by_key else factor

    equations = [
        equation._replace(
            terms=tuple(Term(value, tuple(map(link, factors))) for value, factors in equation.terms),
            reads=tuple(map(link, equation.reads)),
        )
        for equation in by_key.values()
    ]
    value, equals = source.value(source.node(target)), equal_entries(case, result, target)
    return Explanation(target, value, result.input_dtype, equals, tuple(equations))


def locate_number(case: Case, result: Result, target: Target) -> Explanation:
    """Explain of a number alone what it is: the equation of its line in symbols, without terms."""
    source = CaseTrace(case, result)
    node = source.follow_copies(source.node(target))
    maker, value = source.maker(node), source.value(node)
    lines = {} if node.is_returned else to_symbols(maker.text, maker.config)
    symbols = tuple(text for line, text in lines.items() if line == node.part.part)
    equation = Equation(source.key(node), node.title, source.location(node), value, value, symbols=symbols)
    unusual = _note_mask(source, node, value)
    equation = equation._replace(note=unusual[0]) if unusual else equation
    return Explanation(target, value, result.input_dtype, equal_entries(case, result, target), (equation,))


def _equation(source: CaseTrace, node: TraceNode, most: int | None) -> Equation:
    """Return the equation of one number, with the `most` largest terms."""
    key, value = source.key(node), source.value(node)
    name = key if node.is_returned else node.title
    bare = Equation(key, name, source.location(node), value, value)
    unusual = _note_mask(source, node, value)
    if unusual is not None:
        note, instead = unusual
        return _with_terms(bare._replace(note=note), [product(instead)] if instead else [], most)
    piece, computed = source.equation(node)
    if not computed.is_returned and computed.piece is None:
        held = source.loop(computed).hold_masks.get(computed.part)
        if held is not None and held[computed.position, computed.unit]:
            return bare._replace(is_held=True)
    spread = (NamedSpread if source.has_axes(computed) else Spread)(source, computed)
    if reads_several(piece):
        return bare._replace(symbols=(spread.text(piece),), reads=spread.reads(piece))
    if isinstance(piece, Function) and piece.function not in (*REDUCTIONS, *AXES):
        function = source.function(computed, piece.function)
        (inner,) = piece.arguments
        total, applied = _apply(source, computed, spread, piece)
        bare = bare._replace(total=total, rounding=value - applied)
        reads = spread.reads(piece) if function in OF_ALL_UNITS else ()
        bare, piece = bare._replace(function="" if function == IDENTITY else function, reads=reads), inner
    symbols, products = zip(*spread.terms(piece), strict=True)
    terms = [term for together in products for term in together]
    if spread.has_rows:
        # Non-finite products come first, since they make the sum non-finite; then the largest.
        terms.sort(key=lambda term: (term.value == term.value, -abs(term.value)))
    equation = _with_terms(bare._replace(symbols=symbols), terms, most)
    largest = max((abs(term.value) for term in terms), default=0.0)
    is_exact = node.piece is not None and abs(equation.remainder) <= 1e-12 * largest
    return equation._replace(remainder=0.0) if is_exact else equation  # only the order of adding differs


def _apply(source: CaseTrace, computed: TraceNode, spread: Spread, piece: Function) -> tuple[float, float]:
    """Return the argument of the function in an equation, and the function of it."""
    (inner,) = piece.arguments
    part = computed.part._replace(kind="preactivation")
    is_traced = not computed.is_returned and computed.piece is None and not isinstance(spread, NamedSpread)
    if not is_traced or part not in source.loop(computed).parts:
        return spread.value(inner), spread.value(piece)
    totals = source.row(computed._replace(part=part))  # for all units, since softmax needs them together
    applied = source.apply(computed, piece.function, totals.astype("float64"))
    return float(totals[computed.unit]), float(applied[computed.unit])


def _with_terms(equation: Equation, terms: list[Term], most: int | None) -> Equation:
    listed = terms[:most]
    left = terms[len(listed) :]
    others = OtherTerms(len(left), sum(term.value for term in left)) if left else None
    remainder = equation.total - sum(term.value for term in terms) if terms else 0.0
    return equation._replace(terms=tuple(listed), others=others, remainder=remainder)


def _note_mask(source: CaseTrace, node: TraceNode, value: float) -> tuple[Note, Factor | None] | None:
    """Return the note on a masked number, and the earlier number that it repeats; None if computed."""
    if node.is_returned:
        if source.equation(node)[0] != Name("x") or value != 0:
            return None
        given = float(source.inputs[node.layer][node.row][node.unit])
        return (Note("masked"), None) if given != value else None
    if source.is_unused(node):
        return Note("unused"), None
    if source.status(node) == "computed":
        return None
    is_output = node.part == OUTPUT
    if is_output and source.status(node) == "zeroed":
        return Note("zeroed"), None
    part = source.output_of(node) if is_output else node.part
    steps = (node._replace(position=step, part=part) for step in reversed(range(node.position)))
    earlier = next((step for step in steps if source.status(step) == "computed"), None)
    state = part.part
    if earlier is not None:
        timestep = source.timestep(earlier)
        shown = Message("{state} at t={timestep}", state=state, timestep=timestep)
        return Note("held", timestep), Factor(str(shown), source.value(earlier), shown, node=earlier)
    if is_output:
        return Note("silent"), None
    start = float(source.row_before(node._replace(position=0))[node.unit])
    return Note("start"), Factor(f"{state} at start", start, Message("{state} at start", state=state))


def symbols_of(explanation: Explanation, specs: tuple[Spec, ...]) -> dict[str, dict[str, str]]:
    """Return the equations of the cells in an explanation in symbols, by the name of the cell and line."""
    layers = Stack(specs).layers
    used = dict.fromkeys(equation.location.layer for equation in explanation.equations)
    loops: list[Any] = [loop for layer in used for loop in layers[layer].loops.values()]
    cells = [cell for loop in loops if hasattr(loop, "cell") for cell in loop.cell.by_index.values()]
    return {cell.text.name: to_symbols(cell.text, cell.config) for cell in cells}


def equal_entries(case: Case, result: Result, target: Target) -> tuple[Claim, ...]:
    """Return the returned entries that hold the same number, according to the layers' claims."""
    import numpy as np

    stack, shape = case.stack, case.inputs.shape
    last = len(stack.layers) - 1
    is_returned = target.label in {info.label for info in Stack(result.specs).outputs(shape)}
    label = stack.label(last, target.label) if is_returned else target.label
    known = {stack.label(last, info.label) for info in stack.outputs(shape)}
    known |= {info.label for info in stack.outputs(shape, all_layers=True)}
    tensors = {tensor.label: tensor.values for tensor in result.outputs}
    claims: list[Claim] = []
    for tensor in result.outputs:
        for other, window in tensor.equals:
            whole = tensors[other]
            places = np.arange(whole.size).reshape(whole.shape)[window]  # in the other tensor
            named, indices = tensor.label, np.zeros((0, 0), int)
            if tensor.label == label and other in known:
                named, indices = other, np.array([np.unravel_index(places[target.indices], whole.shape)])
            elif other == label and tensor.label in known:
                indices = np.argwhere(places == np.ravel_multi_index(target.indices, whole.shape))
            claims += [Claim(named, tuple(index)) for index in indices.tolist()]
    return tuple(
        claim.with_place(layer=None) if is_returned and claim.label.layer == last else claim
        for claim in claims
    )
