"""What a diagram consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from rnncli.cells.diagram.wires import Box, Point, Port
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
