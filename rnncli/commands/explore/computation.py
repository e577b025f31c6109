"""Compute an experiment: what the layers return, and the trace that its numbers are derived from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

from rnncli import compute
from rnncli.case import Array, Case
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.compute import trace as tracing
from rnncli.compute.derivation import explain_number
from rnncli.compute.derivation.explanation import Explanation, Target
from rnncli.result import Label, LoopTrace, Result


class TracePart(NamedTuple):
    """A gate after its activation, or a state, of one loop.  key: in loop.parts."""

    loop: LoopTrace
    key: Label

    @property
    def label(self) -> Label:
        """Its label in the whole trace, by which a user names it: `forward/forget`."""
        return self.loop.label(self.key.short)

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)

    @property
    def values(self) -> Array:
        """Its numbers, (batch, steps, units)."""
        return self.loop.parts[self.key]

    @property
    def hold_mask(self) -> Array | None:
        """Which entries of a gate are held, (steps, units), bool; None if none is."""
        return self.loop.hold_masks.get(self.key)

    @property
    def gate(self) -> str:
        """The name of this gate for --hold; of a state, that of a gate of its loop."""
        gates = self.loop.gates
        gate = self.key if self.key.kind else next((one for one in gates if one.part == "forget"), gates[0])
        return self._replace(key=gate).name


@dataclass(frozen=True, eq=False)
class Computation:
    """The results of an experiment.

    result: what the layers return.  case, trace: the same with the outputs and states of every layer.
    without_hold: the same experiment with every gate computed; None if no gate is held.
    """

    result: Result
    case: Case
    trace: Result
    without_hold: Computation | None = None

    @property
    def parts(self) -> list[TracePart]:
        """The gates and states over time."""
        return [TracePart(loop, key) for loop in self.trace.trace for key in loop.parts if key.is_shown]

    def explain_tensor(self, index: int, batch: int, timestep: int, unit: int) -> Explanation:
        """Return where a number of the returned tensor `index` comes from.

        timestep: the input's index; ignored for a state, which has one time step.
        """
        tensor = self.result.outputs[index]
        time = (
            [(tensor.time or range(tensor.values.shape[1])).index(timestep)] if tensor.label.sequence else []
        )
        return self._explain(Target(tensor.label, (batch, *time, unit)))

    def hidden_part(self, index: int) -> TracePart:
        """Return the hidden state over time in the direction of the returned tensor `index`."""
        direction = self.result.outputs[index].label.direction
        hidden = [part for part in self.parts if part.key.part == "hidden"]
        same = [part for part in hidden if part.loop.direction == direction]
        return (same or hidden)[-1]

    def explain_part(self, part: TracePart, batch: int, timestep: int, unit: int) -> Explanation:
        """Return where one number of a gate or state comes from."""
        return self._explain(Target(part.label, (batch, timestep, min(unit, part.values.shape[-1] - 1))))

    def _explain(self, target: Target) -> Explanation:
        found = explain_number(self.case, self.trace, target)
        if self.without_hold is None:
            return found
        free = explain_number(self.without_hold.case, self.without_hold.trace, target)
        return dataclasses.replace(found, without_hold=free.value)

    def column_place(self, weight: str, column: int) -> tuple[str, int] | None:
        """Return the gate and the unit that a column of a weight belongs to.

        weight: its path, `0/forward/kernel`.  Returns None for the weights of a layer without gates.
        """
        for loop in self.trace.trace:
            for cell in loop.cells:
                if not weight.startswith(loop.path if cell is None else f"{loop.path}{cell}/"):
                    continue
                gates = [gate for gate in loop.gates if gate.cell == cell]
                units = loop.parts[gates[0]].shape[-1]
                return str(gates[column // units].short), column % units
        return None


def compute_experiment(experiment: EditableCase) -> Computation:
    """Compute an experiment.

    Raises RnncliError if its layers, inputs or weights do not fit together, or if numpy cannot trace them.
    """
    case = experiment.case
    found = _compute(case)
    if not case.hold:
        return found
    return dataclasses.replace(found, without_hold=_compute(case._replace(hold=())))


def _compute(case: Case) -> Computation:
    wide = tracing.with_all_outputs(case)
    trace = tracing.trace(wide)  # first, because it says what is wrong with the case
    return Computation(compute.run(case, trace.engines[0]), wide, trace)
