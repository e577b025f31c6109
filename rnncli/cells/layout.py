"""The arrays of equations without names of axes, for scripts: shapes, and the index of a number in a loop.

A loop over all numbers of an array has one counter, `j`.  The index along each axis, and in other arrays,
follows from it by divisions: in an array of shape (2, 3, 4) a number is at `j / 12`, `j / 4 % 3`, `j % 4`.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from rnncli.cells import tree
from rnncli.cells.sizes import ALONG, CellSizes
from rnncli.cells.text import PACKED, CellText, packed_in


def without_zeros(total: tree.Sum) -> tree.Sum:
    """Return a sum without the zeros in place of a bias, where it has a packed product of their shape."""
    inner = [term.part if isinstance(term, tree.Reshape) else term for _, term in total.terms]
    if not any(isinstance(term, tree.Operation) and packed_in(term.right) for term in inner):
        return total
    zeros = [isinstance(term, tree.Operation) and isinstance(term.right, tree.Index) for term in inner]
    return tree.Sum(tuple(pair for pair, is_zero in zip(total.terms, zeros, strict=True) if not is_zero))


def move_inside(view: tree.Reshape) -> tree.Node:
    """Return a Reshape where a person would write it: inside functions and sums of one array and numbers.

    So `reshape(sqrt(reshape(sum_and_keep_axis) + 1))` is often `sqrt(sum_and_keep_axis + 1)`.
    """

    def keeps_order(view: tree.Reshape) -> bool:
        return view.order == tuple(range(len(view.before)))

    match view.part:
        case tree.Number() as number:
            return number
        case tree.Reshape() as first if keeps_order(first) and keeps_order(view):
            both = view._replace(part=first.part, before=first.before, order=first.order)
            return first.part if view.shape == first.before else move_inside(both)
        case tree.Function(function) if function in (*tree.REDUCTIONS, *ALONG):
            return view
        case tree.Sum() | tree.Function() | tree.Operation("*" | "/" | "**") as part:
            if sum(not isinstance(operand, tree.Number) for operand in tree.parts(part)) == 1:
                return tree.rebuild(part, lambda operand: move_inside(view._replace(part=operand)))
    return view


def shape_of(node: tree.Node, text: CellText, sizes: CellSizes, line: str) -> tuple[int, ...]:
    """Return the sizes of the axes of a node of a line."""

    def shape(part: tree.Node) -> tuple[int, ...]:
        return shape_of(part, text, sizes, line)

    match node:
        case tree.Name("x", ""):
            return sizes.shape(("features",))
        case tree.Name(name, "input"):
            return sizes.inputs[name][1:]
        case tree.Name(name, kind) if kind:
            return sizes.shape(sizes.axes[name])
        case tree.Operation("@", _, tree.Name(name) as weight) if name not in PACKED:
            return shape(weight)[1:]
        case tree.Name(name) if name not in PACKED:
            return sizes.shape(tuple(map(str, text.weights[name].shape)))
        case tree.Name() | tree.Operation("@"):
            return (sizes.numbers(text.axes(line)) or 0,)
        case tree.Index(size):
            return (size,)
        case tree.Reshape():
            return node.shape
        case tree.Shift(window):
            return shape(window)
        case tree.Einsum(left, right, (before, other, after)):
            known = dict(zip(before + other, shape(left) + shape(right), strict=True))
            return tuple(known[mark] for mark in after)
        case tree.Function("mean" | "variance" | "sum", (inner,)):
            return (*shape(inner)[:-1], 1)
    shapes = [shape(part) for part in tree.parts(node)] or [(1,)]
    rank = max(map(len, shapes))
    return tuple(map(max, zip(*((1,) * (rank - len(each)) + each for each in shapes), strict=True)))


class Digit(NamedTuple):
    """A part of the loop's counter: `j / step % size`; the first part needs no `%`."""

    step: int
    size: int
    is_first: bool


Place = tuple[tuple[Digit, ...], ...]
"""The index of a number along each axis of an array, as digits, the most significant first; () for 0."""


def places(shape: Sequence[int]) -> Place:
    """Return the place of the number with the index j in an array of this shape."""
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    digits = [Digit(*pair, pair[0] * pair[1] == prod(shape)) for pair in zip(steps, shape, strict=True)]
    return tuple((digit,) if digit.size > 1 else () for digit in digits)


def regroup(place: Place, shape: Sequence[int]) -> Place:
    """Return the same place in an array of the same numbers with another shape."""
    digits = [digit for axis in place for digit in axis]
    axes: list[tuple[Digit, ...]] = []
    for size in reversed(shape):
        axis: list[Digit] = []
        while size > 1 and digits:
            step, whole, is_first = digits.pop()
            if whole > size:  # the digit is of several axes
                digits.append(Digit(step * size, whole // size, is_first))
                whole, is_first = size, False
            axis.insert(0, Digit(step, whole, is_first))
            size, rest = divmod(size, whole)
            assert not rest
        axes.insert(0, tuple(axis))
    return tuple(axes)


def index(place: Place, shape: Sequence[int], start: int = 0) -> str:
    """Return the index of a place in the numbers of an array that stand one after another from `start`."""
    terms: list[tuple[int, int, bool, int]] = []
    factor = prod(shape)
    for axis, size in zip(place, shape, strict=True):
        factor //= size
        inner = prod(digit.size for digit in axis)
        for step, count, is_first in axis:
            inner //= count
            if terms and (terms[-1][0], terms[-1][3]) == (step * count, factor * inner * count):
                count, is_first = terms[-1][1] * count, terms.pop()[2]
            terms.append((step, count, is_first, factor * inner))
    texts = [str(start)] if start or not terms else []
    for step, count, is_first, by in terms:
        text = "j" + (f" / {step}" if step > 1 else "") + ("" if is_first else f" % {count}")
        texts.append(f"{text} * {by}" if by > 1 else text)
    return " + ".join(texts)


def spread(place: Place, shape: Sequence[int]) -> Place:
    """Return the place in an array that has size 1 in some axes, and is repeated along them."""
    return tuple(() if size == 1 else axis for axis, size in zip(place, shape, strict=True))
