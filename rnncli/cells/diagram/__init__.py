"""The diagram of a cell, laid out from its equations.

A state is a rail: its value before the step comes in at the left, its new value leaves at the right, and the
operators on the way stand on it.  A line with a matrix product is a card below the rails; another line that
is not a state is a small card between them.  Cards and operators stand in slots, from left to right in the
order in which the rails meet them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rnncli.cells.diagram.place import Layout
from rnncli.cells.diagram.shapes import Diagram
from rnncli.cells.tree import Node


def lay_out(
    lines: Mapping[str, Node],
    states: Sequence[str],
    function: Callable[[str], str],
    *,
    units: int,
    features: int,
    wide: bool = True,
) -> Diagram:
    """Return the diagram of a cell.

    lines: the resolved equations, in the order in which they are written.
    function: returns the activation that a function of a line stands for.
    wide: for a page of 820 pixels; else for a phone.
    """
    return Layout(lines, states, function, units, features, wide).diagram()
