"""Compute equations node by node, on the arrays and with the functions of any library, or on ranges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from rnncli.cells import activations, tree
from rnncli.cells.sizes import CellSizes
from rnncli.cells.text import BIASES, PACKED, CellText
from rnncli.cells.tree import AXES, FUNCTIONS, Function, Name, Node, Number, Operation, Sum


def evaluate(
    node: tree.Node,
    read: Callable[[tree.Name], Any],
    call: Callable[[str, list[Any]], Any],
    product: Callable[[tree.Node, Any, tree.Name], Any],
    move: Callable[..., Any] | None = None,
) -> Any:
    """Return the value of a resolved node.

    read: the value of a name.  call: applies a function to values.
    product: the matrix product of a node, whose value is given, with a weight.
    move: the value of a Reshape, Einsum, Shift or Index, from the values of its operands.
    """

    def value(part: tree.Node) -> Any:
        return evaluate(part, read, call, product, move)

    match node:
        case tree.Number(number):
            return number
        case tree.Name():
            return read(node)
        case tree.Function(function, arguments):
            return call(function, [value(argument) for argument in arguments])
        case tree.Operation("@", left, tree.Name() as weight):
            return product(left, value(left), weight)
        case tree.Operation(symbol, left, right):
            return tree.ARITHMETIC[symbol](value(left), value(right))
        case tree.Sum(terms):
            return tree.add([sign for sign, _ in terms], [value(term) for _, term in terms])
        case _ if move is not None:
            return move(node, *map(value, tree.parts(node)))
    raise TypeError(node)


def move_array(node: tree.Node, *given: Any) -> Any:
    """Return the value of a Reshape, Einsum, Shift or Index of NumPy arrays, for one sequence and step."""
    import numpy as np

    match node:
        case tree.Index(size):
            return np.arange(size, dtype=np.float64)
        case tree.Shift():
            window, value = given
            return np.concatenate([window[1:], np.broadcast_to(value, window[:1].shape)])
        case tree.Reshape(_, before, order, shape):
            return np.broadcast_to(given[0], before).transpose(order).reshape(shape)
        case tree.Einsum(_, _, (left, right, after)):
            return np.einsum(f"{left},{right}->{after}", *given)
    raise TypeError(node)


def columns_of(text: CellText, weight: str, line: str, weights: Mapping[str, Any], sizes: CellSizes) -> Any:
    """Return the part of a weight that a line reads: of a packed weight, the line's columns."""
    if weight not in PACKED:
        return weights[weight]
    *row, start = offset_of(text, weight, line, sizes)
    array = weights["bias" if weight in BIASES else weight]
    return (array[row[0]] if row else array)[..., start : start + (sizes.numbers(text.axes(line)) or 0)]


def offset_of(text: CellText, weight: str, line: str, sizes: CellSizes) -> tuple[int, ...]:
    """Return the line's first column in a packed weight: (column,); of two biases, (row, column)."""
    lines = text.packing()[weight]
    start = sum(sizes.numbers(text.axes(other)) or 0 for other in lines[: lines.index(line)])
    if weight in BIASES and text.has_two_biases:
        return 0 if weight == "bias" else 1, start
    return (start,)


Range = tuple[float, float]


def bounds_of(lines: Mapping[str, Node], activation: Callable[[str], str]) -> dict[str, Range | None]:
    """Return the range of each line; None if no activation limits it.

    lines: resolved.  activation: returns the activation that a function of a line stands for.
    Limited are: an activation's value; a product of limited values; and a blend of them, such as
    `update * hidden + (1 - update) * candidate`, which also stays within the range of its start value.
    """
    ranges: dict[str, Range | None] = {}

    def limit(node: Node) -> Range | None:
        match node:
            case Name(name):
                return ranges.get(name)
            case Function(function) if function not in FUNCTIONS and function not in AXES:
                return activations.bounds(activation(function))
            case Operation("*", left, right):
                first, second = limit(left), limit(right)
                products = [a * b for a, b in product(first, second)] if first and second else []
                return (min(products), max(products)) if products else None
            case Sum(((1, Operation("*", share, old)), (1, Operation("*", rest, new)))):
                for part, other in ((share, rest), (rest, share)):
                    if limit(part) == (0.0, 1.0) and other == Sum(((1, Number(1.0)), (-1, part))):
                        return _join(old, new)
        return None

    def _join(*nodes: Node) -> Range | None:
        limits = [limit(node) for node in nodes if node != Name(line, "before")]
        known = [bounds for bounds in limits if bounds]
        if len(known) < len(limits):
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    for line, node in lines.items():
        ranges[line] = limit(node)
    return ranges
