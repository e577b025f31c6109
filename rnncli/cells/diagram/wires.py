"""Wires of a diagram: horizontal and vertical lines around its boxes, with few bends and crossings."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from rnncli.cells.tree import Node


@dataclass(eq=False)
class Slot:
    """A column of the diagram: at most one card for each tier, from 0 at the bottom, and the operators above.

    x: the center of its operators.
    """

    cards: dict[int, Shape] = field(default_factory=dict)
    x: int = 0


@dataclass(eq=False)
class Shape:
    """Something that is drawn.

    kind: `start` or `end` of a rail, `input` (x), `card`, `operator` (a circle) or `function` (a pill).
    line: the line or the state; of an operator or a function, the line in whose equation it stands.
    label: what an operator or a function is called; of a card, the activation, or "".
    tree: the part of an equation that it computes; None for a start, an end and the input.
    rows: the units that there is room for; of the input, the features.
    inputs: how many wires come in.
    slot, offset: of an operator, its column, and how many rows it stands below its rail.
    is_beside: whether it stands to the left of the operators of its slot.
    x, y: the center.  wide, high: the size.
    """

    kind: str
    line: str
    label: str = ""
    tree: Node | None = None
    rows: int = 1
    inputs: int = 1
    slot: Slot | None = None
    offset: int = 0
    is_beside: bool = False
    x: int = 0
    y: int = 0
    wide: int = 24
    high: int = 24
    taken: set[Point] = field(default_factory=set)

    @property
    def box(self) -> Box:
        """Left, top, right and bottom."""
        return (
            self.x - self.wide // 2, self.y - self.high // 2, self.x + self.wide // 2, self.y + self.high // 2
        )  # fmt: skip

    def outs(self) -> list[Port]:
        """Return the ports at which a wire may leave; the first is the best."""
        left, top, right, bottom = self.box
        if self.kind == "input":
            return [(self.x, top, 0, -1)]
        if self.kind == "card":
            over = min(max(self.slot.x if self.slot else self.x, left + 6), right - 6)
            return [(over, top, 0, -1), (right, self.y, 1, 0), (left, self.y, -1, 0)]
        ports = [(right, self.y, 1, 0), (self.x, top, 0, -1), (self.x, bottom, 0, 1)]
        if self.kind == "start":
            return [ports[0], (left, self.y, -1, 0)]
        return [port for port in ports if port[:2] not in self.taken]

    def ins(self) -> list[Port]:
        """Return the ports at which a wire may enter."""
        left, top, right, bottom = self.box
        if self.kind == "end":
            return [(left, self.y, -1, 0)]
        if self.kind == "card":
            sides = [(left, self.y + 12, -1, 0), (right, self.y + 12, 1, 0)]
            shares = [self.x - self.wide // 3, self.x + self.wide // 3]
            ports = [*sides, *((x, edge, 0, out) for x in shares for edge, out in ((top, -1), (bottom, 1)))]
            ports += [(self.x, bottom, 0, 1)] if self.rows == 1 else []
        else:
            spread = [self.x + 7 * (2 * k + 1 - self.inputs) for k in range(self.inputs)]
            spread = spread if self.kind == "function" else [self.x]
            ports = [(left, self.y, -1, 0)]
            ports += [(x, edge, 0, out) for x in spread for edge, out in ((bottom, 1), (top, -1))]
        return [port for port in ports if port[:2] not in self.taken] or ports


class Wire(NamedTuple):
    """A wire.

    source, target: indices of shapes.  The source computes the value; it may begin on another wire of it.
    rail: the state on whose rail it lies; "" for other wires.
    """

    source: int
    target: int
    rail: str
    points: tuple[Point, ...]


class Diagram(NamedTuple):
    """A diagram, in pixels for letters of 12."""

    wide: int
    high: int
    shapes: tuple[Shape, ...]
    wires: tuple[Wire, ...]


Point = tuple[int, int]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""
Port = tuple[int, int, int, int]
"""A point on the edge of a box, and the direction that leads out of the box: x, y, dx, dy."""
State = tuple[int, int, bool]
"""A crossing of the grid, by the indices of its lines, and whether it is reached horizontally.

As an edge of the grid: the crossing at its left or upper end, and whether it is horizontal.
"""

STUB = 7
"""How far a wire goes straight from a port before it may bend."""
CLEAR = 3
"""How near a wire may pass a box."""
BEND, CROSSING, SHARED, BRANCH, SIDE = 30, 16, 400, 6, 60
"""What a bend, a crossing, an edge of another value's wire, a branch, and a port that is not the first of its
shape cost, in units of length."""


class Router:
    """Finds the wires one by one; wires of one value may share their lines, and branch."""

    def __init__(self, boxes: Sequence[Box], ports: Iterable[Port], lanes: Iterable[Point]) -> None:
        self.boxes = boxes
        fixed = [*ports, *((x, y, 0, 0) for x, y in lanes)]
        fixed += [(x + STUB * dx, y + STUB * dy, 0, 0) for x, y, dx, dy in fixed if dx or dy]
        around = [
            ((left - away, right + away), (top - away, bottom + away))
            for left, top, right, bottom in boxes
            for away in (STUB, 2 * STUB)
        ]
        self.xs = _lines({port[0] for port in fixed}, (x for pair, _ in around for x in pair))
        self.ys = _lines({port[1] for port in fixed}, (y for _, pair in around for y in pair))
        self.blocked: set[State] = set()  # the edges that come too near to a box
        for left, top, right, bottom in boxes:
            columns = _near(self.xs, left, right)
            rows = _near(self.ys, top, bottom)
            self.blocked.update((i, j, True) for i in (columns.start - 1, *columns) for j in rows)
            self.blocked.update((i, j, False) for i in columns for j in (rows.start - 1, *rows))
        self.taken: dict[State, int] = {}
        self.points: dict[int, set[Point]] = {}  # the crossings on the wires of a value

    def draw(self, value: int, points: Sequence[Point]) -> None:
        """Note a wire of a value, whose corners lie on lines of the grid."""
        grid = [(bisect_left(self.xs, x), bisect_left(self.ys, y)) for x, y in points]
        seen = self.points.setdefault(value, set())
        for (i, j), (k, m) in pairwise(grid):
            for x in range(min(i, k), max(i, k)):
                self.taken.setdefault((x, j, True), value)
            for y in range(min(j, m), max(j, m)):
                self.taken.setdefault((i, y, False), value)
            seen.update(
                (x, y) for x in range(min(i, k), max(i, k) + 1) for y in range(min(j, m), max(j, m) + 1)
            )

    def connect(self, value: int, sources: Sequence[Port], targets: Sequence[Port]) -> list[Point]:
        """Return the corners of the cheapest wire from a source, or from a wire of the value, to a target."""
        straight = (_straight(source, target) for source in sources for target in targets)
        line = next((line for line in straight if line and self._is_free(value, *line)), None)
        points = list(line) if line else self._search(value, sources, targets)
        self.draw(value, points)
        return points

    def _is_free(self, value: int, start: Point, end: Point) -> bool:
        (x1, y1), (x2, y2) = sorted((start, end))
        others = [box for box in self.boxes if not _touches(box, start) and not _touches(box, end)]
        if any(_meets(box, (x1, y1, x2, y2)) for box in others):
            return False
        i, j = bisect_left(self.xs, x1), bisect_left(self.ys, y1)
        k, m = bisect_left(self.xs, x2), bisect_left(self.ys, y2)
        edges = [(x, j, True) for x in range(i, k)] + [(i, y, False) for y in range(j, m)]
        return all(self.taken.get(edge, value) == value for edge in edges)

    def _search(self, value: int, sources: Sequence[Port], targets: Sequence[Port]) -> list[Point]:
        """Search (A*) the crossings of the grid."""
        queue: list[tuple[int, int, int, int, bool]] = []
        came: dict[State, State | Port | None] = {}
        best: dict[State, int] = {}
        taken = self.taken.get

        def reach(cost: int, state: State, before: State | Port | None) -> None:
            if cost < best.get(state, 1 << 30):
                best[state], came[state] = cost, before
                x, y = self.xs[state[0]], self.ys[state[1]]
                ahead = min(abs(x - port[0]) + abs(y - port[1]) for port in targets) - STUB
                heappush(queue, (cost + ahead, cost, *state))

        ends = {self._stub(port): port for port in targets}
        for number, port in enumerate(sources):
            reach(SIDE * bool(number), self._stub(port), port)
        for i, j in self.points.get(value, ()):
            for level in (True, False):
                reach(BRANCH, (i, j, level), None)
        while queue:
            _, cost, i, j, level = heappop(queue)
            state = i, j, level
            if cost > best[state]:
                continue
            if state in ends:
                return self._corners(state, came, ends[state])
            reach(cost + BEND, (i, j, not level), state)
            for step, side in ((-1, -1), (1, 0)):
                k, m = (i + step, j) if level else (i, j + step)
                is_new = cost < best.get((k, m, level), 1 << 30)
                if is_new and 0 <= k < len(self.xs) and 0 <= m < len(self.ys):
                    edge = (i + side, j, level) if level else (i, j + side, level)
                    if edge not in self.blocked:
                        length = abs(self.xs[k] - self.xs[i]) + abs(self.ys[m] - self.ys[j])
                        other = taken(edge, value) != value
                        after, before = (k, m, not level), ((k, m - 1, False) if level else (k - 1, m, True))
                        crossed = taken(after, value) != value or taken(before, value) != value
                        reach(cost + length + SHARED * other + CROSSING * crossed, (k, m, level), state)
        (x1, y1, *_), (x2, y2, *_) = sources[0], targets[0]  # the boxes leave no way: straight through
        return [(x1, y1), (x2, y1), (x2, y2)]

    def _stub(self, port: Port) -> State:
        x, y, dx, dy = port
        return bisect_left(self.xs, x + STUB * dx), bisect_left(self.ys, y + STUB * dy), bool(dx)

    def _corners(self, state: State, came: dict[State, State | Port | None], target: Port) -> list[Point]:
        """Return the corners of the way that was found, from its source."""
        points = [target[:2]]
        before: State | Port | None = state
        while before is not None:
            is_port = len(before) == 4
            points.append(before[:2] if is_port else (self.xs[before[0]], self.ys[before[1]]))
            before = None if is_port else came[before]  # type: ignore[index]
        points = list(dict.fromkeys(reversed(points)))
        inner = zip(points, points[1:], points[2:], strict=False)
        bends = [b for a, b, c in inner if not (a[0] == b[0] == c[0] or a[1] == b[1] == c[1])]
        return [points[0], *bends, points[-1]]


def _lines(fixed: set[int], others: Iterable[int]) -> list[int]:
    """Return the lines of the grid: the fixed ones, and others that are not close to one."""
    lines = sorted(fixed)
    for other in sorted(set(others)):
        index = bisect_left(lines, other)
        if all(abs(line - other) > CLEAR for line in lines[max(index - 1, 0) : index + 1]):
            lines.insert(index, other)
    return lines


def _near(lines: Sequence[int], start: int, end: int) -> range:
    """Return the indices of the lines of the grid that come too near to a box, along one axis."""
    return range(bisect_right(lines, start - CLEAR), bisect_left(lines, end + CLEAR))


def _straight(source: Port, target: Port) -> tuple[Point, Point] | None:
    """Return the line between two ports that face each other."""
    (x1, y1, dx, dy), (x2, y2, back, up) = source, target
    facing = (dx, dy) == (-back, -up) and (x2 - x1) * dx + (y2 - y1) * dy > 0
    return ((x1, y1), (x2, y2)) if facing and (x1 == x2 or y1 == y2) else None


def _meets(box: Box, line: Box) -> bool:
    """Return whether a line comes too near to a box."""
    left, top, right, bottom = box
    x1, y1, x2, y2 = line
    return left - CLEAR < x2 and x1 < right + CLEAR and top - CLEAR < y2 and y1 < bottom + CLEAR


def _touches(box: Box, point: Point) -> bool:
    left, top, right, bottom = box
    return left <= point[0] <= right and top <= point[1] <= bottom
