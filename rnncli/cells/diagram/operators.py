"""The operators of an equation, as they are drawn."""

from __future__ import annotations

from typing import NamedTuple

from rnncli.cells.tree import Function, Name, Node, Number, Operation, Sum, parts, rebuild, walk

X = Name("x")
MOST_OPERATORS = 7
"""An equation with more is drawn as one function of all that it reads."""


class Operator(NamedTuple):
    """An operator or a function.

    rail: which operand continues the rail to the left; None if the rail begins here.
    """

    label: str
    tree: Node
    operands: tuple[Name | Operator, ...] = ()
    rail: int | None = None


def names_in(node: Node) -> list[Name]:
    """Return the states and lines that a node reads."""
    names = (part for part in walk(node) if isinstance(part, Name) and part.kind not in ("", "input"))
    return list(dict.fromkeys(names))


def reads_input(node: Node) -> bool:
    """Return whether a node reads the input."""
    return any(part == X or (isinstance(part, Name) and part.kind == "input") for part in walk(node))


def is_product(node: Node) -> bool:
    """Return whether an equation has a product with a weight, or reads the input."""
    return reads_input(node) or any(
        isinstance(part, Operation) and part.symbol == "@"
        and isinstance(part.right, Name) and not part.right.kind
        for part in walk(node)
    )  # fmt: skip


def replace_part(node: Node, part: Node, other: Node) -> Node:
    """Return the node with `other` in place of `part`."""
    return other if node == part else rebuild(node, lambda inner: replace_part(inner, part, other))


def rail_part(node: Node, old: Name) -> Name | Operator:
    """Return the operators of a state's equation; all as one function if there are too many."""
    part = part_of(node, old, 0)
    if part is None or _count(part) > MOST_OPERATORS:
        return _fold(node, old)
    return part


def part_of(node: Node, old: Name, depth: int) -> Name | Operator | None:
    """Return the operators of an equation; None for a value that depends on no line and no state.

    old: the state before the step.  depth: how far from its rail, which is 0.
    """
    names = names_in(node)
    if isinstance(node, Name) or not names:
        return node if isinstance(node, Name) and names else None
    inner = [part for part in parts(node) if names_in(part)]
    if len(names) == 1:
        label = _label(node) if inner == names else "f"
        return Operator(label, node, (names[0],), 0 if names == [old] and not depth else None)
    reads = [names_in(part) for part in inner]
    is_shared = sum(map(len, reads)) > len(names)
    if sum(old in read for read in reads) > 1 or depth > 1 or (depth and is_shared):
        return _fold(node, None if depth else old)
    rail = None
    if not depth:  # the operand with the old state, or else the first that has operators of its own
        by_old = (part for part, read in zip(inner, reads, strict=True) if old in read)
        rail = next(
            by_old, next((part for part, read in zip(inner, reads, strict=True) if len(read) > 1), None)
        )
    label = _label(node) if len(inner) == 1 or isinstance(node, Function) else "f"
    match node:
        case Operation("@") if len(inner) == 2:
            label = "@"
        case Sum(terms) if 1 < len(inner) == len(terms) and (len(terms) == 2 or not depth):
            ordered = sorted(terms, key=lambda term: (term[1] is not rail, term[0] < 0))
            if ordered[0][0] > 0:
                return _chain(terms, ordered, rail, old, depth)
        case Operation(symbol, left, _) if len(inner) == 2 and (symbol == "*" or rail in (left, None)):
            label = {"*": "×", "/": "÷"}.get(symbol, "f")
    operands = [part_of(part, old, 0 if part is rail else depth + 1) for part in inner]
    return Operator(
        label, node, tuple(part for part in operands if part), None if rail is None else inner.index(rail)
    )


def _chain(
    terms: tuple[tuple[int, Node], ...],
    ordered: list[tuple[int, Node]],
    rail: Node | None,
    old: Name,
    depth: int,
) -> Name | Operator | None:
    """Return a sum as additions one after the other, in another order than its terms."""
    (_, first), *others = ordered
    total = part_of(first, old, 0 if first is rail else depth + 1)
    for count, (sign, term) in enumerate(others, 2):
        tree = Sum(tuple(each for each in terms if each in ordered[:count]))
        operands = tuple(part for part in (total, part_of(term, old, depth + 1)) if part)
        on_rail = count > 2 or rail is not None
        total = Operator("+" if sign > 0 else "−", tree, operands, 0 if on_rail else None)
    return total


def _fold(node: Node, old: Name | None) -> Operator:
    names = names_in(node)
    return Operator("f", node, tuple(names), names.index(old) if old in names else None)


def _count(part: Name | Operator) -> int:
    return 1 + sum(map(_count, part.operands)) if isinstance(part, Operator) else 0


def _label(node: Node) -> str:
    """Return how a function of one value is written."""
    match node:
        case Sum(((1, Number(value)), (-1, _))):
            return f"{value:g}−"
        case Sum(((-1, _),)):
            return "−"
        case Operation("*", Number(value), _) | Operation("*", _, Number(value)):
            return f"·{value:.3g}"
        case Function(name):
            return name
    return "f"
