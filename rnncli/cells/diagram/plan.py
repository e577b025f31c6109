# ruff: noqa: D101, D102
"""What a diagram shows of a cell: its shapes, their slots and rows, and what each reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rnncli.cells.diagram.operators import Part, count_parts, is_product, names_in, part_of
from rnncli.cells.diagram.shapes import Shape
from rnncli.cells.tree import Function, Name, Node, Number, Operation, rebuild, walk

MOST_ROWS = 4
"""Units for which a card has room."""
MOST_OPERATORS = 7
"""A state with more is drawn as one function of all that it reads."""


class Slot:
    """A column of shapes.  cards: by tier, from 0 at the bottom."""

    def __init__(self) -> None:
        self.cards: dict[int, Shape] = {}
        self.x = 0


class At(NamedTuple):
    """Where a shape stands: a slot or halfway to the slot before, and the rows from the rail of a state."""

    slot: Slot
    state: str
    offset: int
    half: bool = False


class Plan:
    def __init__(
        self, lines: Mapping[str, Node], states: Sequence[str], function: Callable[[str], str],
        units: int, features: int, wide: bool,
    ) -> None:  # fmt: skip
        self.lines, self.states, self.function, self.wide = lines, states, function, wide
        self.rows, self.features = min(units, MOST_ROWS), features
        self.end_wide, self.row_high, self.pitch = (58, 24, 172) if wide else (44, 24, 74)
        self.rails = [*reversed(states)]
        self.shapes: list[Shape] = []
        self.slots: list[Slot] = []
        self.slot_of: dict[Shape, Slot] = {}
        self.tier_of: dict[str, int] = {}
        self.at: dict[Shape, At] = {}
        self.value: dict[tuple[str, bool], Shape] = {}
        self.last_slot: dict[str, Slot] = {}
        self.links: list[tuple[Shape, Shape, str]] = []
        self.buses: list[tuple[Name, Shape]] = []
        self.feeds: dict[Shape, tuple[Shape, ...]] = {}

    def add(self, kind: str, line: str, **more: object) -> Shape:
        shape = Shape(kind, line, **more)  # type: ignore[arg-type]
        self.shapes.append(shape)
        return shape

    # What is drawn

    def plan(self) -> None:
        for line, node in self.lines.items():
            if line in self.states:
                self.rail(line, node)
        for line in self.lines:
            if line not in self.states:
                self.card(line)
        for state in self.states:
            end = self.add("end", state, rows=self.rows)
            self.links.append((self.value[state, True], end, state))

    def read(self, name: Name) -> Shape:
        """Return the shape that computes a value."""
        if name.kind == "before":
            key = name.name, False
            if key not in self.value:
                self.value[key] = self.add("start", name.name, rows=self.rows)
            return self.value[key]
        if (name.name, True) not in self.value:
            self.card(name.name)
        return self.value[name.name, True]

    def card(self, line: str) -> None:
        if (line, True) in self.value:
            return
        node = self.lines[line]
        names = names_in(node)
        label = self.short(node.function) if isinstance(node, Function) and len(node.arguments) == 1 else ""
        has_product = is_product(node)
        for name in names:
            if name.kind != "before":
                self.read(name)
        shape = self.add("card", line, label=label, tree=node, rows=self.rows if has_product else 1)
        self.value[line, True] = shape
        cards = [name.name for name in names if name.name in self.tier_of and name.kind != "before"]
        tier = 0 if has_product else 1 + max((self.tier_of[name] for name in cards), default=0)
        slots = [self.slot_of[self.value[name, True]] for name in cards]
        after = self.after(names)
        slot = next(
            (slot for slot in slots if tier and tier not in slot.cards and self.index(slot) > after), None
        )
        if slot is None:
            self.slots.append(slot := Slot())
        slot.cards[tier] = shape
        self.tier_of[line], self.slot_of[shape] = tier, slot
        if not has_product:
            self.links += [(self.read(name), shape, "") for name in names]
            return
        gate = self.feed(shape, node)
        for name in names:
            if name.kind == "before" and not (gate and name == gate[1] and name not in names_in(gate[2])):
                self.buses.append((name, shape))
            elif name.kind != "before" and not (gate and name == gate[0]):
                self.links.append((self.read(name), shape, ""))
        if Name("x") in walk(node):
            self.buses.append((Name("x"), shape))

    def feed(self, card: Shape, node: Node) -> tuple[Name, Name, Node] | None:
        """Draw `reset * hidden` in front of a card, or `reset * (hidden @ recurrent_kernel + bias)`.

        Returns the gate, the state, and the card's equation without the product; None without such a part.
        """
        for part in walk(node):
            if not (isinstance(part, Operation) and part.symbol == "*"):
                continue
            for gate, other in ((part.left, part.right), (part.right, part.left)):
                old = names_in(other)
                if not (isinstance(gate, Name) and gate.kind in ("line", "free") and len(old) == 1):
                    continue
                rest = _replace(node, part, Number(0.0))
                is_bare = other == old[0]
                if old[0].kind != "before" or gate in names_in(rest) or Name("x") in walk(other):
                    continue
                if not (is_bare or is_product(other)):
                    continue
                times = self.add("operator", card.line, label="×", tree=part)
                product = (
                    () if is_bare else (self.add("function", card.line, label="U", tree=other, wide=28),)
                )
                self.feeds[card] = (times, *product)
                self.links.append((self.read(gate), times, ""))
                self.buses.append((old[0], (times, *product)[-1]))
                return gate, old[0], rest
        return None

    def rail(self, state: str, node: Node) -> None:
        if is_product(node):
            self.card(state)
            self.last_slot[state] = self.slot_of[self.value[state, True]]
            return
        old = Name(state, "before")
        part = part_of(node, 0, old)
        if part is None or count_parts(part) > MOST_OPERATORS:
            names = names_in(node)
            part = Part("f", node, tuple(names), names.index(old) if old in names else None)
        if isinstance(part, Name):
            self.value[state, True] = self.read(part)
            if part.kind != "before" and part.name in self.last_slot:
                self.last_slot[state] = self.last_slot[part.name]
            return
        self.value[state, True] = self.on_rail(state, part)

    def on_rail(self, state: str, part: Part) -> Shape:
        sides = [operand for index, operand in enumerate(part.operands) if index != part.rail]
        before = None
        if part.rail is not None:
            operand = part.operands[part.rail]
            before = self.on_rail(state, operand) if isinstance(operand, Part) else self.read(operand)
        for side in sides:
            for name in names_in(side.tree if isinstance(side, Part) else side):
                self.read(name)
        names = [name for side in sides for name in names_in(side.tree if isinstance(side, Part) else side)]
        cards = [
            self.index(self.slot_of[self.read(name)]) for name in names if self.read(name) in self.slot_of
        ]
        low = max(self.after(names), self.index(self.last_slot[state]) if state in self.last_slot else -1)
        anchor = max(cards, default=-1)
        if anchor > low:
            slot = self.slots[anchor]
        else:
            slot = Slot()
            self.slots.insert(low + 1, slot)
        shape = self.operator(state, part)
        self.at[shape] = At(slot, state, 0)
        self.last_slot[state] = slot
        if before:
            self.links.append((before, shape, state))
        for side in sides:
            self.side(state, side, shape)
        return shape

    def side(self, state: str, part: Name | Part, target: Shape) -> None:
        """Draw an operand beside its operator."""
        if isinstance(part, Name):
            self.links.append((self.read(part), target, ""))
            return
        at = self.at[target]
        here = self.rails.index(state)
        above = all(
            name.name in self.rails and self.rails.index(name.name) < here for name in names_in(part.tree)
        )
        own = any(self.slot_of.get(self.read(name)) is at.slot for name in names_in(part.tree))
        step = -1 if above and at.offset <= 0 else 1
        tries = [At(at.slot, state, at.offset + step)]
        if at.offset:
            beside = At(at.slot, state, at.offset, half=True)
            tries = [*tries, beside] if own else [beside, *tries]
        tries += [At(at.slot, state, at.offset + far, half) for far in (1, 2, 3, 4) for half in (True, False)]
        shape = self.operator(state, part)
        self.at[shape] = next(each for each in tries if each not in self.at.values())
        self.links.append((shape, target, ""))
        for operand in part.operands:
            self.side(state, operand, shape)

    def operator(self, state: str, part: Part) -> Shape:
        if part.label in ("+", "−", "×", "÷") and len(part.operands) > 1:
            return self.add("operator", state, label=part.label, tree=part.tree)
        label = self.short(part.label)
        wide = max(28, 14 + 7 * len(label), 14 * len(part.operands))
        return self.add("function", state, label=label, tree=part.tree, wide=wide, inputs=len(part.operands))

    def short(self, function: str) -> str:
        named = self.function(function)
        return {"sigmoid": "σ", "linear": "", "log_sigmoid": "log σ", "maximum": "max", "minimum": "min"}.get(
            named, named
        )

    def index(self, slot: Slot) -> int:
        return self.slots.index(slot)

    def after(self, names: Sequence[Name]) -> int:
        """Return the last slot in which a new state among the names is computed; -1 for none."""
        new = [name.name for name in names if name.kind != "before" and name.name in self.last_slot]
        return max((self.index(self.last_slot[name]) for name in new), default=-1)


def _replace(node: Node, part: Node, other: Node) -> Node:
    return other if node == part else rebuild(node, lambda inner: _replace(inner, part, other))
