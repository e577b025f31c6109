"""The operators of an equation, without a place."""

from __future__ import annotations

from typing import NamedTuple

from rnncli.cells.tree import Function, Name, Node, Number, Operation, Sum, parts, walk


class Part(NamedTuple):
    """An operator.  rail: which operand is the rail that it stands on; None if the rail begins here."""

    label: str
    tree: Node
    operands: tuple[Name | Part, ...] = ()
    rail: int | None = None


def names_in(node: Node) -> list[Name]:
    """Return the states and lines that a node reads."""
    return list(dict.fromkeys(part for part in walk(node) if isinstance(part, Name) and part.kind))


def is_product(node: Node) -> bool:
    """Return whether a line has a product with a weight, or reads x."""
    return any(
        part == Name("x") or (isinstance(part, Operation) and part.symbol == "@") for part in walk(node)
    )


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


def part_of(node: Node, depth: int, old: Name) -> Name | Part | None:
    """Return the operators of an equation; None for a value that depends on no line and no state.

    depth: how far from the rail, which is 0.  old: the state's value before the step.
    """
    names = names_in(node)
    if isinstance(node, Name) or not names:
        return node if isinstance(node, Name) and names else None
    inner = [part for part in parts(node) if names_in(part)]
    if len(names) == 1:
        return Part(_label(node) if inner == names else "f", node, (names[0],), 0 if names == [old] else None)
    on_rail = next((part for part in inner if old in names_in(part)), None) if not depth else None
    if on_rail is None and not depth:
        on_rail = next((part for part in inner if len(names_in(part)) > 1), None)
    shared = len({name for part in inner for name in names_in(part)}) < sum(
        len(names_in(part)) for part in inner
    )
    twice = sum(old in names_in(part) for part in inner) > 1
    if twice or depth > 1 or (depth and shared):
        return Part("f", node, tuple(names), names.index(old) if old in names and not depth else None)
    label = _label(node) if len(inner) == 1 else "f"
    match node:
        case Sum(terms) if 1 < len(inner) == len(terms):
            ordered = sorted(terms, key=lambda term: (term[1] is not on_rail, term[0] < 0))
            if ordered[0][0] > 0 and (len(terms) == 2 or not depth):
                return _chain(terms, ordered, depth, old, on_rail)
        case Operation(symbol, left, _) if len(inner) == 2 and (symbol == "*" or on_rail in (left, None)):
            label = {"*": "×", "/": "÷"}.get(symbol, "f")
    operands = [part_of(part, 0 if part is on_rail else depth + 1, old) for part in inner]
    rail = inner.index(on_rail) if on_rail is not None else None
    return Part(label, node, tuple(part for part in operands if part), rail)


def _chain(terms: tuple, ordered: list, depth: int, old: Name, on_rail: Node | None) -> Name | Part | None:  # type: ignore[type-arg]
    """Return a sum as additions one after the other."""
    total = part_of(ordered[0][1], 0 if ordered[0][1] is on_rail else depth + 1, old)
    for count, (sign, term) in enumerate(ordered[1:], 2):
        added = part_of(term, depth + 1, old)
        tree = Sum(tuple(each for each in terms if each in ordered[:count]))
        rail = 0 if count > 2 or on_rail is not None else None
        assert total
        assert added
        total = Part("+" if sign > 0 else "−", tree, (total, added), rail)
    return total


def count_parts(part: Name | Part | None) -> int:
    """Return the number of operators."""
    return 1 + sum(map(count_parts, part.operands)) if isinstance(part, Part) else 0
