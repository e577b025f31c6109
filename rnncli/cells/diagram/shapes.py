"""What a diagram consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from rnncli.cells.diagram.wires import Point, Port
from rnncli.cells.tree import Node


@dataclass(eq=False)
class Shape:
    """What is drawn at a place.

    kind: `start` and `end` of a rail, `input` (x), `card`, `operator` (a circle) or `function` (a pill).
    line: the line or state; of an operator, the line in which it stands; "" for x.
    label: what is written in it, `×`; of a card, the name of its activation, or "".
    tree: the part of the equation whose value it is; None for a start, an end and x.
    rows: units for which there is room.
    x, y: the center.  wide, high: the size.
    """

    kind: str
    line: str
    label: str = ""
    tree: Node | None = None
    rows: int = 1
    x: int = 0
    y: int = 0
    wide: int = 24
    high: int = 24
    inputs: int = 1
    ports: set[Port] = field(default_factory=set, repr=False)


class Wire(NamedTuple):
    """A wire.

    source, target: indices of shapes; the source computes the value, and the wire may begin on another
        wire of it.
    rail: the state whose rail it is part of; "" for other wires.
    """

    source: int
    target: int
    rail: str
    points: tuple[Point, ...]


class Diagram(NamedTuple):
    """A diagram in units of a pixel, for letters of 12."""

    wide: int
    high: int
    shapes: tuple[Shape, ...]
    wires: tuple[Wire, ...]
