"""The diagram of a cell, laid out from its equations.

A state is a rail: its value before the step comes in at the left, its new value leaves at the right, and the
operators on the way stand on it.  A line with a product of a weight is a card below the rails; another line
that is not a state is a small card between them.  Cards and operators stand in slots, from left to right in
the order in which the rails meet them.

First come the operators of an equation, then what each shape reads, then where it stands; `wires.py` has the
shapes, and the way of a wire around them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rnncli.cells.diagram.wires import Diagram, Point, Router, Shape, Slot, Wire
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


ROW, LABEL, GAP = 24, 22, 40
"""Height of a number and of a label, and between the rows of operators."""
LANE, BESIDE = 12, 30
"""Between the wires below the cards, and from the center of an operator to a function at its left."""


class Placed(NamedTuple):
    """The size of a diagram; and of each source of wires below the cards: its exit, their turn and level."""

    width: int
    height: int
    lanes: dict[Shape, tuple[Point, int, int]]


class Spacing:
    """What differs between a wide drawing and one for a phone.

    end: the width of a state.  margin: beside the cards.  least, most: width of a card and its gap.
    gap: between two cards.  header: height of a card without its numbers.  feature: width of a feature.
    """

    def __init__(self, *, wide: bool) -> None:
        self.wide = wide
        self.end, self.width, self.features = (58, 420, 8) if wide else (44, 300, 5)
        self.least, self.most, self.gap = (104, 172, 24) if wide else (66, 110, 14)
        self.header, self.feature, self.number = (26, 56, 40) if wide else (40, 44, 0)


def place(plan: DiagramPlan, sizes: Spacing) -> Placed:
    """Give each shape its center and size."""
    turning = [start for start in plan.bus_starts if plan.starts_on_rail(start.line)]
    if sizes.wide:  # the first state below is level with its wire
        turning += [start for start in plan.bus_starts if start not in turning][1:]
    taps = LANE * len(turning)
    width = _place_across(plan, sizes, taps)
    bottom = _place_down(plan, sizes, width, taps)
    levels = _place_below(plan, sizes, width, bottom)
    lanes = {}
    for source, level in levels.items():
        left, top, right, _ = source.box
        if source in turning:
            side, way = (right, 1) if sizes.wide else (left, -1)
            lanes[source] = (side, source.y), side + way * (10 + LANE * turning.index(source)), level
        elif source.kind == "start" and sizes.wide:
            lanes[source] = (right, source.y), right + 10, level
        else:
            lanes[source] = (source.x, top), source.x, level
    return Placed(width, max(shape.box[3] for shape in plan.shapes) + 16, lanes)


def _place_across(plan: DiagramPlan, sizes: Spacing, taps: int) -> int:
    """Give each slot and card its x.  taps: the width of the wires that go down at the left."""
    slots, wide = plan.slots, sizes.wide
    sides = {slot: _sides(plan, slot, sizes.number) for slot in slots}
    cards = [slot for slot in slots if slot.cards]
    free = {slot: 0 if slot.cards else sum(sides[slot]) + 12 for slot in slots}
    left, right = (sizes.end + 16 + taps, sizes.end + 16) if wide else (3 + taps, 3)
    room = (820 if wide else 300) - left - right - sum(free.values())
    pitch = max(sizes.least, min(sizes.most, room // max(len(cards), 1)))
    used = pitch * len(cards) + sum(free.values())
    ends = sizes.end + taps + 16, sizes.end + 16
    needed = sum(ends) + sum(sum(both) + 8 for both in sides.values())
    width = max(left + used + right, sizes.width, needed)
    x = left + (width - left - right - used) // 2
    for slot in slots:
        slot.x = x + pitch // 2 if slot.cards else x + sides[slot][0] + 6
        x += pitch if slot.cards else free[slot]
        for card in slot.cards.values():
            card.x, card.wide = slot.x, pitch - sizes.gap
    low, high = ends[0], width - ends[1]
    for slot in slots:  # operators stand between the states, and apart
        slot.x = max(slot.x, low + sides[slot][0])
        low = slot.x + sides[slot][1] + 8
    for slot in reversed(slots):
        slot.x = min(slot.x, high - sides[slot][1])
        high = slot.x - sides[slot][0] - 8
    for shape in plan.shapes:
        if shape.slot and shape.kind != "card":
            shape.x = shape.slot.x - (shape.is_beside and BESIDE + shape.wide // 2)
    return width


def _sides(plan: DiagramPlan, slot: Slot, number: int) -> tuple[int, int]:
    """Return how far the operators of a slot reach to the left and to the right."""
    shapes = [shape for shape in plan.shapes if shape.slot is slot and shape.kind != "card"]
    left = (BESIDE + shape.wide if shape.is_beside else shape.wide // 2 for shape in shapes)
    return max(left, default=0), max((shape.wide // 2 + number for shape in shapes), default=0)


def _rail_rows(plan: DiagramPlan) -> dict[str, int]:
    """Return the row of each rail from the top: as high as there is room for its operators."""
    taken: set[tuple[int, int]] = set()
    rows: dict[str, int] = {}
    row = -1
    for state in plan.rails:
        squares = {
            (2 * plan.slots.index(op.slot) - op.is_beside, op.offset)
            for op in plan.operators(state)
            if op.slot
        }
        first = min((column for column, offset in squares if not offset), default=2 * len(plan.slots))
        first = 0 if plan.starts_on_rail(state) else first
        squares |= {(column, 0) for column in range(first, 2 * len(plan.slots))}
        row += 1 - min(offset for _, offset in (*squares, (0, 0)))
        while any((column, row + offset) in taken for column, offset in squares):
            row += 1
        rows[state] = row
        taken |= {(column, row + offset) for column, offset in squares}
    return rows


def _place_down(plan: DiagramPlan, sizes: Spacing, width: int, taps: int) -> int:
    tall, rows = plan.rows * ROW, _rail_rows(plan)
    lowest = plan.rails[-1]
    card = plan.values[lowest]
    is_card_end = (  # its end stands beside the card that computes it
        sizes.wide and card.kind == "card" and card.slot is plan.slots[-1] and 0 in card.slot.cards
        and card.slot.cards[0] is card and not plan.starts_on_rail(lowest)
    )  # fmt: skip
    if is_card_end:
        del rows[lowest]
    operators = [shape for state in rows for shape in plan.operators(state)]
    last = max((*rows.values(), *(rows[shape.line] + shape.offset for shape in operators)), default=-1)
    heights = {-1: 0}
    for row in range(last + 1):
        rails = [
            heights[other] + tall + LABEL for other in rows.values() if other < row and row in rows.values()
        ]
        heights[row] = max([heights[row - 1] + GAP if row else 18 + tall // 2, *rails])
    for shape in operators:
        shape.y = heights[rows[shape.line] + shape.offset]
    bottom = heights[last] + 12
    if not sizes.wide and rows:
        bottom = max(bottom, heights[max(rows.values())] + tall // 2)
    for tier in sorted({tier for slot in plan.slots for tier in slot.cards}, reverse=True):
        high = sizes.header + (ROW if tier else tall)
        for slot in plan.slots:
            if tier in slot.cards:
                slot.cards[tier].y, slot.cards[tier].high = bottom + 22 + high // 2, high
        bottom += 22 + high
    for shape in plan.shapes:
        if shape.kind in ("start", "end"):
            shape.wide, shape.high = sizes.end, tall
            shape.x = (
                width - sizes.end // 2 if shape.kind == "end" else sizes.end // 2 + (not sizes.wide and taps)
            )
            shape.y = heights[rows[shape.line]] if shape.line in rows else card.y
    return bottom


def _place_below(plan: DiagramPlan, sizes: Spacing, width: int, bottom: int) -> dict[Shape, int]:
    """Place what stands below the cards: what feeds one, states that only cards read, and x.

    Returns the height of the wires that begin at each.
    """
    for card, feed in plan.feeds.items():
        source = next(source for source, _, target in plan.buses if target is feed[-1])
        for index, shape in enumerate(feed):
            shape.x, shape.y = plan.bottom_x(card, source), card.box[3] + 26 + 36 * index
    tall = plan.rows * ROW
    lane = bottom + 14 + max((4 + 36 * len(feed) for feed in plan.feeds.values()), default=0)
    below = [start for start in plan.bus_starts if not plan.starts_on_rail(start.line)]
    top = max(
        (shape.box[3] + LABEL for shape in plan.shapes if shape.kind == "start" and shape not in below),
        default=0,
    )
    if sizes.wide and below:
        lane = max(lane, top + len(below) * (tall + LABEL) - LABEL - tall // 2)
    levels = {
        start: lane + LANE * index
        for index, start in enumerate([*below, *(s for s in plan.bus_starts if s not in below)])
    }
    level = lane + LANE * len(levels)
    for index, start in enumerate(below):
        if sizes.wide:
            start.y = lane - index * (tall + LABEL)
        else:
            start.x, start.y = sizes.end // 2 + index * (sizes.end + 8), level + LABEL + 8 + tall // 2
    if x := plan.values.get("x"):
        taken = len(below) * (sizes.end + 8)
        room = width - 2 * (sizes.end + 40) if sizes.wide else width - taken - 2
        x.rows = min(x.rows, sizes.features)
        x.wide, x.high = min(room, x.rows * sizes.feature), 28
        x.x, x.y = (width if sizes.wide else width + taken) // 2, level + 12 + 14
        levels[x] = level
    return levels


def lay_out(
    lines: Mapping[str, Node],
    states: Sequence[str],
    function: Callable[[str], str],
    *,
    sizes: Mapping[str, int],
    features: int,
    inputs: Collection[str] = (),
    wide: bool = True,
) -> Diagram:
    """Return the diagram of a cell.

    lines: the resolved equations, in the order in which they are written.
    function: returns the activation that a function of a line stands for.
    sizes: how many numbers each line has.
    inputs: names of parts of the input, in place of x.
    wide: for a page of 820 pixels; else for a phone.
    """
    plan = DiagramPlan(lines, states, function, sizes=sizes, features=features, inputs=inputs)
    placed = place(plan, Spacing(wide=wide))
    shapes = plan.shapes
    index = {shape: number for number, shape in enumerate(shapes)}
    buses = []
    for source, card, target in plan.buses:
        exit_point, turn, level = placed.lanes[source]
        at = plan.bottom_x(card, source)
        corners = [exit_point, (turn, exit_point[1]), (turn, level), (at, level), (at, target.box[3])]
        buses.append((source, target, list(dict.fromkeys(corners))))
    for card, feed in plan.feeds.items():
        for inner, outer in zip(feed[::-1], (*feed[-2::-1], card), strict=True):
            buses.append((inner, outer, [(inner.x, inner.box[1]), (inner.x, outer.box[3])]))
    ports = [port for shape in shapes for port in (*shape.outs(), *shape.ins())]
    router = Router([shape.box for shape in shapes], ports, [corner for bus in buses for corner in bus[2]])
    wires = []
    for source, target, corners in buses:
        router.draw(index[source], corners)
        wires.append(Wire(index[source], index[target], "", tuple(corners)))
        _take(source, target, wires[-1])

    def distance(link: tuple[Shape, Shape, str]) -> tuple[bool, int]:
        source, target, rail = link
        return not rail, abs(source.x - target.x) + abs(source.y - target.y)

    for source, target, rail in sorted(plan.links, key=distance):
        outs, ins = source.outs(), target.ins()
        if rail:
            outs = outs if source.kind == "card" else outs[:1]
            ins = [port for port in ins if port[2] < 0]
        wires.append(
            Wire(index[source], index[target], rail, tuple(router.connect(index[source], outs, ins)))
        )
        _take(source, target, wires[-1])
    return Diagram(placed.width, placed.height, tuple(shapes), tuple(wires))


def _take(source: Shape, target: Shape, wire: Wire) -> None:
    """Note the ports at which a wire leaves and enters."""
    source.taken.add(wire.points[0])
    target.taken.add(wire.points[-1])


def mirror(diagram: Diagram) -> Diagram:
    """Return the diagram from right to left, for a layer that reads backwards."""
    shapes = tuple(replace(shape, x=diagram.wide - shape.x) for shape in diagram.shapes)
    wires = (
        wire._replace(points=tuple((diagram.wide - x, y) for x, y in wire.points)) for wire in diagram.wires
    )
    return diagram._replace(shapes=shapes, wires=tuple(wires))


def straighten(diagram: Diagram) -> Diagram:
    """Return the rails alone, each a straight wire: at a masked step, every state is kept."""
    ends = [shape for shape in diagram.shapes if shape.kind == "end"]
    starts = [replace(end, kind="start", x=diagram.wide - end.x) for end in ends]
    wires = (
        Wire(index, len(ends) + index, end.line, ((start.box[2], end.y), (end.box[0], end.y)))
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    high = max(end.box[3] for end in ends) + 16
    return Diagram(diagram.wide, high, (*starts, *ends), tuple(wires))
