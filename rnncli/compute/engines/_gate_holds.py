"""The gates of one loop that are held at a value, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Hold

if TYPE_CHECKING:
    from rnncli.layers import StepHolds


class GateHolds:
    """The holds of one loop over time, as its cell takes them.

    cell: of the loop; its gates may have different numbers of units.  inputs: (batch, timesteps, features).
    """

    def __init__(self, holds: Sequence[Hold], cell: Any, inputs: Array) -> None:
        self.holds, self.dtype = tuple(holds), inputs.dtype
        self.units = {
            f"{prefix}{gate}": one.units for prefix, one in cell.by_prefix.items() for gate in one.gates
        }
        self._arrays = lru_cache(64)(self._make)

    def at(self, timestep: int) -> StepHolds | None:
        """Return the gates held in this step of the layer's input; None if there are none."""
        now = tuple(hold for hold in self.holds if timestep in hold.steps)
        return self._arrays(now) if now else None

    def masks(self, order: Sequence[int]) -> dict[str, Array]:
        """Return which entries are held, by gate: (steps, units) in the order of processing."""
        import numpy as np

        found: dict[str, Array] = {}
        for hold in self.holds:
            shape = len(order), self.units[hold.gate]
            entries = found.setdefault(hold.gate, np.zeros(shape, bool))
            entries[np.ix_(np.isin(order, hold.steps), np.isin(range(shape[1]), hold.units))] = True
        return found

    def _make(self, now: tuple[Hold, ...]) -> StepHolds:
        import numpy as np

        found: dict[str, tuple[Array, Array]] = {}
        for hold in now:
            units = self.units[hold.gate]
            which, values = found.setdefault(hold.gate, (np.zeros(units, bool), np.zeros(units, self.dtype)))
            place = list(hold.units)
            which[place], values[place] = True, hold.value
        return found
