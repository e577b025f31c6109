"""The range of each line of a cell, as far as its activations limit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from rnncli.cells import activations
from rnncli.cells.tree import AXES, FUNCTIONS, Function, Name, Node, Number, Operation, Sum

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
