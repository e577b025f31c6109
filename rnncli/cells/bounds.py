"""The ranges that a cell's activations leave to its lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from rnncli.cells import activations
from rnncli.cells.tree import FUNCTIONS, Function, Name, Node, Number, Operation, Sum

Range = tuple[float, float]


def bounds_of(lines: Mapping[str, Node], activation: Callable[[str], str]) -> dict[str, Range | None]:
    """Return the range of each line; None if no activation limits it.

    lines: resolved.  activation: the activation that a function of a line is.
    An activation limits the line around which it stands, a product of such lines, and what blends two of
    them, as `update * hidden + (1 - update) * candidate`, which stays where it starts.
    """
    found: dict[str, Range | None] = {}

    def limit(node: Node) -> Range | None:
        match node:
            case Name(name):
                return found.get(name)
            case Function(function) if function not in FUNCTIONS:
                return activations.bounds(activation(function))
            case Operation("*", left, right):
                one, two = limit(left), limit(right)
                products = [a * b for a, b in product(one, two)] if one and two else []
                return (min(products), max(products)) if products else None
            case Sum(((1, Operation("*", share, first)), (1, Operation("*", rest, second)))):
                if limit(share) == (0.0, 1.0) and _is_rest(rest, share):
                    return _join(first, second)
                if limit(rest) == (0.0, 1.0) and _is_rest(share, rest):
                    return _join(first, second)
        return None

    def _join(*nodes: Node) -> Range | None:
        ranges = [limit(node) for node in nodes if node != Name(line, "before")]
        known = [one for one in ranges if one]
        return (
            (min(low for low, _ in known), max(high for _, high in known))
            if len(known) == len(ranges)
            else None
        )

    for line, node in lines.items():
        found[line] = limit(node)
    return found


def _is_rest(node: Node, share: Node) -> bool:
    """Return whether the node is 1 - share."""
    return node == Sum(((1, Number(1.0)), (-1, share)))
