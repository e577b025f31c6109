"""--stats of a trace by unit: how often each gate is saturated, and which units are dead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.errors import format_names
from rnncli.result import LoopTrace
from rnncli.show.page import PagePart, Paragraph, View

NEAR = 0.01
"""A gate is saturated this near to one of its limits: below 0.01 or above 0.99, of tanh beyond ±0.99."""
DEAD = 1e-6
"""A unit is dead if its state, positive or negative, is never larger."""
OFTEN = 0.5
"""The share of its steps in which a unit is saturated if the page names it."""


def saturated_units(loops: Sequence[LoopTrace]) -> dict[str, list[float | None]]:
    """Return by gate, `forget` or `backward/forget`, the share of saturated steps of each of its units.

    A gate without limits, such as relu, is left out.  Masked steps and numbers that are not finite are not
    counted; None for a unit of which none is left.
    """
    import numpy as np

    shares: dict[str, list[float | None]] = {}
    for loop in loops:
        for gate in (gate for gate in loop.gates if gate in loop.bounds):
            low, high = loop.bounds[gate]
            values = loop.parts[gate][loop.status == 0].astype(np.float64)
            finite = np.isfinite(values)
            near = finite & ((values < low + NEAR) | (values > high - NEAR))
            shares[str(loop.label(gate).short)] = [
                float(hits / steps) if steps else None
                for hits, steps in zip(near.sum(axis=0), finite.sum(axis=0), strict=True)
            ]
    return shares


def dead_units(loops: Sequence[LoopTrace]) -> list[int | str]:
    """Return the units whose first state, which the cell returns, is about 0 at every computed step.

    Units of several loops have their loop in front, `forward/2`; of an RNN of cells also the cell.
    """
    import numpy as np

    dead: list[int | str] = []
    for loop in loops:
        firsts = {state.cell: state for state in reversed(loop.states)}
        for state in reversed(firsts.values()):
            values = loop.parts[state][loop.status == 0]
            near = (np.abs(values) <= DEAD).all(axis=0) & bool(len(values))  # NaN is not below the limit
            path = str(loop.label(state._replace(part="")))
            dead += [
                f"{path}{unit}" if path else unit for unit in map(loop.unit, np.flatnonzero(near).tolist())
            ]
    return dead


def draw_units(loops: Sequence[LoopTrace], view: View) -> Iterator[PagePart]:
    """Yield the units that are saturated in at least half of their steps, and the dead ones."""
    often = [
        f"{gate}[{loop.unit(column)}] {share:.0%}"
        for loop in loops
        for gate, shares in saturated_units([loop]).items()
        for column, share in enumerate(shares)
        if share is not None and share >= OFTEN
    ]
    if often:
        text = "saturated in at least half of the steps (within 0.01 of a limit): {units}"
        yield Paragraph(view.say(text, units=format_names(often)), "dim")
    if dead := list(map(str, dead_units(loops))):
        text = "dead units (the state is never beyond 1e-6): {units}"
        yield Paragraph(view.say(text, units=format_names(dead)), "dim")
    if not often and not dead:
        yield Paragraph(view.say("no unit is dead, or saturated in half of its steps"), "dim")
