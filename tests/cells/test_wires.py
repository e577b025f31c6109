"""Wires go around boxes and beside wires of other values."""

from itertools import pairwise

import pytest

from rnncli.cells.diagram.wires import Box, Point, Port, Router


def turned(points: list[Point]) -> list[Point]:
    return [(y, x) for x, y in points]


@pytest.mark.parametrize("is_down", [False, True])
def test_a_wire_between_two_ports_is_straight_unless_a_box_or_another_wire_is_there(is_down: bool) -> None:
    """The ways of a wire to the right are those of a wire downwards, with x and y exchanged."""

    def wire(boxes: list[Box], drawn: list[Point]) -> list[Point]:
        ends: list[Port] = [(0, 50, 1, 0), (100, 50, -1, 0)]
        if is_down:
            ends = [(y, x, dy, dx) for x, y, dx, dy in ends]
            boxes = [(top, left, bottom, right) for left, top, right, bottom in boxes]
            drawn = turned(drawn)
        router = Router(boxes, ends, [(30, 30)])
        router.draw(0, drawn)
        points = router.connect(1, ends[:1], ends[1:])
        return turned(points) if is_down else points

    assert wire([], []) == [(0, 50), (100, 50)]
    over = wire([], [(0, 50), (100, 50)])
    assert over == [(0, 50), (7, 50), (7, 30), (93, 30), (93, 50), (100, 50)]
    around = wire([(40, 40, 60, 60)], [])
    assert (around[0], around[-1]) == ((0, 50), (100, 50))
    for (x1, y1), (x2, y2) in pairwise(around):
        assert max(x1, x2) < 40 or min(x1, x2) > 60 or max(y1, y2) < 40 or min(y1, y2) > 60
