"""The gates of one loop that are held at a value, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rnncli.case import Array, Hold
from rnncli.result import Label


class GateHolds:
    """The holds of one loop over time, as its cell takes them.

    cell: of the loop; its gates may have different numbers of units.  inputs: (batch, timesteps, features).
    """

    def __init__(self, holds: Sequence[Hold], cell: Any, inputs: Array) -> None:
        self.holds, self.dtype = tuple(holds), inputs.dtype
        self.units = {index: one.units for index, one in cell.by_index.items()}
        self._arrays = lru_cache(64)(self._make)

    def at(self, timestep: int) -> Any:
        """Return the gates held in this step of the layer's input, as its cell takes them; None for none."""
        now = tuple(hold for hold in self.holds if timestep in hold.steps)
        return self._arrays(now) if now else None

    def masks(self, order: Sequence[int]) -> dict[Label, Array]:
        """Return which entries are held, by gate: (steps, units) in the order of processing."""
        import numpy as np

        found: dict[Label, Array] = {}
        for hold in self.holds:
            shape = len(order), self.units[hold.cell]
            label = Label(hold.gate, cell=hold.cell, kind="activation")
            entries = found.setdefault(label, np.zeros(shape, bool))
            entries[np.ix_(np.isin(order, hold.steps), np.isin(range(shape[1]), hold.units))] = True
        return found

    def _make(self, now: tuple[Hold, ...]) -> Any:
        import numpy as np

        found: dict[int | None, dict[str, tuple[Array, Array]]] = {}
        for hold in now:
            units, own = self.units[hold.cell], found.setdefault(hold.cell, {})
            which, values = own.setdefault(hold.gate, (np.zeros(units, bool), np.zeros(units, self.dtype)))
            place = list(hold.units)
            which[place], values[place] = True, hold.value
        return found.get(None, found)
