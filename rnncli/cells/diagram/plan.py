"""What a diagram shows of a cell: cards, operators, and what each of them reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from rnncli.cells.diagram.operators import (
    Operator,
    X,
    is_product,
    names_in,
    rail_part,
    reads_input,
    replace_part,
)
from rnncli.cells.diagram.shapes import Shape, Slot
from rnncli.cells.tree import Function, Name, Node, Number, Operation, rebuild, walk

MOST_ROWS = 4
"""Units for which a card or a state has room."""
SHORT = {"sigmoid": "σ", "log_sigmoid": "log σ", "linear": "", "maximum": "max", "minimum": "min"}


class DiagramPlan:
    """The shapes of a diagram without their positions, and its wires without their routes.

    rails: the states from the top down; the first state of the cell is the lowest.
    slots: from left to right.
    room: how many numbers of each line are shown.  rows: the most of them.
    values: the shape that computes a state or a line, by its name; by `name[t-1]` a state before the step.
    links: the wires: source, target, the state on whose rail it lies or "".
    buses: the wires to the cards' bottoms: source, card, target, which is the card or a shape below it.
    feeds: by card, the shapes below it, from the top down.
    last: by state, the slot in which its new value is known.
    """

    def __init__(
        self, lines: Mapping[str, Node], states: Sequence[str], function: Callable[[str], str],
        *, sizes: Mapping[str, int], features: int, inputs: Collection[str],
    ) -> None:  # fmt: skip
        lines = {line: _mark(node, inputs) for line, node in lines.items()}
        self.lines, self.function, self.rails = lines, function, [*states][::-1]
        self.room = {line: min(size, MOST_ROWS) for line, size in sizes.items()}
        self.rows, self.features = max(self.room.values()), features
        self.shapes: list[Shape] = []
        self.slots: list[Slot] = []
        self.values: dict[str, Shape] = {}
        self.links: list[tuple[Shape, Shape, str]] = []
        self.buses: list[tuple[Shape, Shape, Shape]] = []
        self.feeds: dict[Shape, tuple[Shape, ...]] = {}
        self.last: dict[str, Slot] = {}
        for line, node in lines.items():
            if line in self.rails:
                self._add_rail(line, node)
        for name in (*(line for line in lines if line not in self.rails), *states):
            source = self.read(Name(name, "line"))
            if name in self.rails:
                self.links.append((source, self._add("end", name, rows=self.room[name]), name))

    def read(self, name: Name) -> Shape:
        """Return the shape that computes a value; it is added when it is first read."""
        key = f"{name.name}[t-1]" if name.kind == "before" else "x" if name.kind == "input" else name.name
        if key not in self.values:
            if name.kind == "input" or name == X:
                self.values[key] = self._add("input", "", rows=self.features)
            elif name.kind == "before":
                self.values[key] = self._add("start", name.name, rows=self.room[name.name])
            else:
                self._add_card(name.name)
        return self.values[key]

    def operators(self, state: str) -> list[Shape]:
        """Return the operators on, above and below the rail of a state."""
        return [shape for shape in self.shapes if shape.slot and shape.kind != "card" and shape.line == state]

    def starts_on_rail(self, state: str) -> bool:
        """Return whether a rail begins with the state before the step; else only cards may read that."""
        return any(source.kind == "start" and source.line == state for source, _, _ in self.links)

    @property
    def bus_starts(self) -> list[Shape]:
        """The states before the step that cards read."""
        return list(dict.fromkeys(source for source, _, _ in self.buses if source.kind == "start"))

    def bottom_x(self, card: Shape, source: Shape) -> int:
        """Return where a wire from below meets a card."""
        sources = list(dict.fromkeys(bus[0] for bus in self.buses if bus[1] is card))
        space = 30 if card in self.feeds else 18
        return card.x + space * sources.index(source) - space * (len(sources) - 1) // 2

    def _add(self, kind: str, line: str, **more: object) -> Shape:
        self.shapes.append(shape := Shape(kind, line, **more))  # type: ignore[arg-type]
        return shape

    def _add_card(self, line: str) -> None:
        node = self.lines[line]
        sources = [self.read(name) for name in names_in(node)]
        has_product = is_product(node)
        is_activated = isinstance(node, Function) and len(node.arguments) == 1
        label = self._short(node.function) if is_activated else ""  # type: ignore[union-attr]
        card = self._add("card", line, label=label, tree=node, rows=self.room[line] if has_product else 1)
        self.values[line] = card
        below = [source for source in sources if source.kind == "card"]
        tiers = {source: tier for slot in self.slots for tier, source in slot.cards.items()}
        tier = 0 if has_product else 1 + max((tiers[source] for source in below), default=0)
        after = self._after(names_in(node))
        shared = (source.slot for source in below if tier and source.slot and tier not in source.slot.cards)
        card.slot = next((slot for slot in shared if self.slots.index(slot) > after), None)
        if card.slot is None:
            self.slots.append(slot := Slot())
            card.slot = slot
        card.slot.cards[tier] = card
        if line in self.rails:
            self.last[line] = card.slot
        if has_product:
            node = self._add_feed(card, node)
        for name in (*names_in(node), *([X] if reads_input(node) else [])):
            if has_product and (name == X or name.kind == "before"):
                self.buses.append((self.read(name), card, card))
            else:
                self.links.append((self.read(name), card, ""))

    def _add_feed(self, card: Shape, node: Node) -> Node:
        """Draw `gate * hidden` or `gate * (hidden @ recurrent_kernel + bias)` below a card.

        Returns the equation without it; as it is if it has no such part, or reads the gate elsewhere, too.
        """
        for part in walk(node):
            if not (isinstance(part, Operation) and part.symbol == "*"):
                continue
            for gate, other in ((part.left, part.right), (part.right, part.left)):
                old, rest = names_in(other), replace_part(node, part, Number(0.0))
                is_gate = (
                    isinstance(gate, Name) and gate.kind in ("line", "free") and gate not in names_in(rest)
                )
                if not is_gate or [name.kind for name in old] != ["before"] or reads_input(other):
                    continue
                if other == old[0] or is_product(other):
                    times = self._add("operator", card.line, label="×", tree=part)
                    product = () if other == old[0] else (
                        self._add("function", card.line, label="U", tree=other, wide=28),
                    )  # fmt: skip
                    self.feeds[card] = (times, *product)
                    self.links.append((self.read(gate), times, ""))  # type: ignore[arg-type]
                    self.buses.append((self.read(old[0]), card, self.feeds[card][-1]))
                    return rest
        return node

    def _add_rail(self, state: str, node: Node) -> None:
        if is_product(node):
            self.read(Name(state, "line"))
            return
        part = rail_part(node, Name(state, "before"))
        if isinstance(part, Operator):
            self.values[state] = self._add_on_rail(state, part)
        else:
            self.values[state] = self.read(part)
            if part.kind != "before" and part.name in self.last:
                self.last[state] = self.last[part.name]

    def _add_on_rail(self, state: str, part: Operator) -> Shape:
        """Add an operator that stands on a rail, and what is left of it."""
        before = None
        if part.rail is not None:
            operand = part.operands[part.rail]
            before = (
                self._add_on_rail(state, operand) if isinstance(operand, Operator) else self.read(operand)
            )
        sides = [operand for index, operand in enumerate(part.operands) if index != part.rail]
        names = [name for side in sides for name in _names(side)]
        slots = [shape.slot for shape in map(self.read, names) if shape.kind == "card" and shape.slot]
        low = max(self._after(names), self.slots.index(self.last[state]) if state in self.last else -1)
        above = max(map(self.slots.index, slots), default=-1)  # the newest card
        if above <= low:
            self.slots.insert(above := low + 1, Slot())
        shape = self._add_operator(state, part, self.slots[above], 0)
        self.last[state] = self.slots[above]
        if before:
            self.links.append((before, shape, state))
        for side in sides:
            self._add_side(side, shape)
        return shape

    def _add_side(self, part: Name | Operator, target: Shape) -> None:
        """Add an operand of an operator, beside it."""
        if isinstance(part, Name):
            self.links.append((self.read(part), target, ""))
            return
        names, state, slot, offset = _names(part), target.line, target.slot, target.offset
        assert slot
        rail = self.rails.index(state)
        is_above = all(name.name in self.rails[:rail] for name in names) and offset <= 0
        tries = [(offset + (-1 if is_above else 1), False)]
        if offset:
            tries.insert(any(self.read(name).slot is slot for name in names), (offset, True))
        tries += [(offset + far, is_beside) for far in (1, 2, 3, 4) for is_beside in (True, False)]
        taken = {(other.offset, other.is_beside) for other in self.operators(state) if other.slot is slot}
        where = next(each for each in tries if each not in taken)
        shape = self._add_operator(state, part, slot, *where)
        self.links.append((shape, target, ""))
        for operand in part.operands:
            self._add_side(operand, shape)

    def _add_operator(
        self, state: str, part: Operator, slot: Slot, offset: int, is_beside: bool = False
    ) -> Shape:
        label, count = self._short(part.label), len(part.operands)
        is_circle = count > 1 and label in ("+", "−", "×", "÷")
        wide = 24 if is_circle else max(28, 14 + 7 * len(label), 14 * count)
        kind = "operator" if is_circle else "function"
        return self._add(
            kind, state, label=label, tree=part.tree, inputs=count, slot=slot, offset=offset, wide=wide,
            is_beside=is_beside,
        )  # fmt: skip

    def _short(self, function: str) -> str:
        named = self.function(function)
        return SHORT.get(named, named)

    def _after(self, names: Sequence[Name]) -> int:
        """Return the last slot in which a new state among the names is computed; -1 if there is none."""
        new = [name.name for name in names if name.kind != "before" and name.name in self.last]
        return max((self.slots.index(self.last[name]) for name in new), default=-1)


def _names(part: Name | Operator) -> Iterator[Name]:
    """Yield the states and lines that an operand reads."""
    yield from names_in(part.tree if isinstance(part, Operator) else part)


def _mark(node: Node, inputs: Collection[str]) -> Node:
    """Return the node in which a part of the input has the kind `input`."""
    if isinstance(node, Name):
        return Name(node.name, "input") if node.name in inputs else node
    return rebuild(node, lambda part: _mark(part, inputs))
