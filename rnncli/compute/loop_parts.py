"""The gates and the parts of the state inside the loops over time, by the names that people give them."""

from __future__ import annotations

from typing import Any, NamedTuple

from rnncli.layers.stack import Stack


class LoopPart(NamedTuple):
    """A gate or a part of the state of one loop over time.  name: in its trace, `cell_0/forget`."""

    layer: int
    direction: str
    name: str
    units: int
    is_gate: bool


def parts(stack: Stack) -> dict[str, LoopPart]:
    """Return the parts a user may name: `forget`, `forward/forget`, `1/cell_0/reset`; default: last layer."""
    found: dict[str, LoopPart] = {}
    for index, layer in enumerate(stack.layers):
        for direction, loop in layer.loops.items():
            made: Any = getattr(loop, "cell", None)
            if made is None:
                continue
            for place, cell in made.by_prefix.items():
                for name in (*cell.gates, *cell.State._fields):
                    path = f"{direction}/{place}{name}" if direction else place + name
                    part = LoopPart(index, direction, place + name, cell.units, name in cell.gates)
                    found[stack.prefix(index) + path] = part
                    if index == len(stack.layers) - 1:
                        found[path] = part
    return found
