"""The cursor: which sequence, time step, unit, feature and weight the explorer shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rnncli.commands.explore.computation import Computation


@dataclass(frozen=True)
class Cursor:
    """Selected indices.  tensor: of the returned tensors.  weight: of the weights; row and column inside it.

    part: of the gates and states of the trace.
    """

    batch: int = 0
    timestep: int = 0
    unit: int = 0
    feature: int = 0
    tensor: int = 0
    weight: int = 0
    row: int = 0
    column: int = 0
    part: int = 0

    def within(self, computation: Computation) -> Cursor:
        """Return the nearest cursor that exists in `computation`."""
        batch, steps, features = computation.case.inputs.shape
        outputs = computation.result.outputs
        tensor = _clamp(self.tensor, len(outputs))
        weights = list(computation.trace.weights.values())
        weight = _clamp(self.weight, len(weights))
        shape = (1, *weights[weight].shape)[-2:] if weights else (1, 1)
        return replace(
            self,
            batch=_clamp(self.batch, batch),
            timestep=_clamp(self.timestep, steps),
            feature=_clamp(self.feature, features),
            tensor=tensor,
            unit=_clamp(self.unit, outputs[tensor].values.shape[-1]),
            weight=weight,
            row=_clamp(self.row, shape[0]),
            column=_clamp(self.column, shape[1]),
            part=_clamp(self.part, len(computation.parts)),
        )


def _clamp(index: int, size: int) -> int:
    return max(min(index, size - 1), 0)
