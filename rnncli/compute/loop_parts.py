"""The gates and the parts of the state inside the loops over time, by the names that people give them."""

from __future__ import annotations

from typing import Any, NamedTuple

from rnncli.result import Label
from rnncli.specs.stack import Stack


class LoopPart(NamedTuple):
    """A gate or a part of the state of one loop over time.  label: in its trace."""

    layer: int
    direction: str
    label: Label
    units: int


def list_loop_parts(stack: Stack) -> dict[Label, LoopPart]:
    """Return the parts a user may name: `forget`, `forward/forget`, `1/cell_0/reset`; default: last layer."""
    found: dict[Label, LoopPart] = {}
    for index, layer in enumerate(stack.layers):
        for direction, loop in layer.loops.items():
            made: Any = getattr(loop, "cell", None)
            if made is None:
                continue
            for place, cell in made.by_index.items():
                for name in (*cell.gates, *cell.State._fields):
                    label = Label(name, cell=place, kind="activation" if name in cell.gates else "")
                    part = LoopPart(index, direction, label, cell.units)
                    typed = label.short._replace(direction=direction)
                    if len(stack) > 1:
                        found[typed._replace(layer=index)] = part
                    if index == len(stack) - 1:
                        found[typed] = part
    return found
