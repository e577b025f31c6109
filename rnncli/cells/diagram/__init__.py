"""The diagram of a cell, laid out from its equations.

A state is a rail: its value before the step comes in at the left, its new value leaves at the right, and the
operators on the way stand on it.  A line with a product of a weight is a card below the rails; another line
that is not a state is a small card between them.  Cards and operators stand in slots, from left to right in
the order in which the rails meet them.

`operators.py` finds the operators of an equation, `plan.py` what each shape reads, `place.py` where it
stands, and `wires.py` the way of a wire around the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from rnncli.cells.diagram.place import Spacing, place
from rnncli.cells.diagram.plan import DiagramPlan
from rnncli.cells.diagram.shapes import Diagram, Shape, Wire
from rnncli.cells.diagram.wires import Router
from rnncli.cells.tree import Node


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
