"""Where the shapes of a diagram stand."""

from __future__ import annotations

from typing import NamedTuple

from rnncli.cells.diagram.plan import DiagramPlan
from rnncli.cells.diagram.shapes import Shape, Slot
from rnncli.cells.diagram.wires import Point

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
