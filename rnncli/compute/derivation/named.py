"""Spread the equation of a number of a cell whose axes have names: values meet by the names of their axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnncli.cells.sizes import Axes, axes_of
from rnncli.cells.text import BIASES, PACKED
from rnncli.cells.tree import AXES, Function, Name, Node, Number, Operation, Sum, parts
from rnncli.compute.derivation.explanation import MINUS, Factor, Term
from rnncli.compute.derivation.locate import CaseTrace, TraceNode
from rnncli.compute.derivation.terms import Spread, product, without_minus

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
