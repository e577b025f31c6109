"""Compute an experiment: what the layers return, and the trace that its numbers are derived from."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

from rnncli import compute
from rnncli.case import Array, Case
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.compute import trace as tracing
from rnncli.compute.derivation.explanation import Explanation, Target
from rnncli.compute.derivation.terms import explain_number
from rnncli.result import LoopTrace, NamedTensor, Result


@dataclass(frozen=True, eq=False)
class Computation:
    """What came of an experiment.

    result: what the layers return.  case, trace: the same with every sequence and state.
    without_hold: the same experiment with every gate computed; None if no gate is held.
    """

    result: Result
    case: Case
    trace: Result
    without_hold: Computation | None = None

    @property
    def parts(self) -> list[tuple[LoopTrace, str]]:
        """The gates and states over time, each with its loop and its name there."""
        return [(loop, name) for loop in self.trace.trace for name in loop.parts if _is_shown(name)]

    def sequence(self, index: int) -> NamedTensor | None:
        """Return the sequence of the last layer that has the direction of the returned tensor `index`."""
        stack = self.trace.stack
        prefix = stack.prefix(len(stack.layers) - 1)
        own = [tensor for tensor in self.trace.outputs if tensor.name.startswith(prefix)]
        timed = [tensor for tensor in own if "timesteps" in tensor.axes]
        direction = self.result.outputs[index].label.direction
        same = [tensor for tensor in timed if tensor.label.direction == direction]
        return next(iter(same or timed), None)

    def explain_unit(self, tensor: NamedTensor, batch: int, timestep: int, unit: int) -> Explanation:
        """Return where the number of one unit at one time step of the input comes from."""
        row = list(tensor.time).index(timestep) if tensor.time else timestep
        unit = min(unit, tensor.values.shape[-1] - 1)
        return self._explain(Target(tensor.name, (batch, row, unit)))

    def explain_part(self, part: int, batch: int, timestep: int, unit: int) -> Explanation:
        """Return where one number of a gate or state comes from.  part: index in `parts`."""
        loop, name = self.parts[part]
        unit = min(unit, loop.parts[name].shape[-1] - 1)
        return self._explain(Target(self.part_name(part), (batch, timestep, unit)))

    def _explain(self, target: Target) -> Explanation:
        found = explain_number(self.case, self.trace, target)
        if self.without_hold is None:
            return found
        free = explain_number(self.without_hold.case, self.without_hold.trace, target)
        return dataclasses.replace(found, without_hold=free.value)

    def held(self, part: int) -> Array | None:
        """Return which entries of a gate are held, shape (steps, units), bool; None if none is."""
        loop, name = self.parts[part]
        return loop.held.get(name.removesuffix(".activation"))

    def column_place(self, weight: str, column: int) -> tuple[str, int] | None:
        """Return the gate and the unit that a column of a weight belongs to.

        weight: its path, `0/forward/kernel`.  Returns None for the weights of a layer without gates.
        """
        for loop in self.trace.trace:
            for prefix in loop.cells:
                if not weight.startswith(loop.path + prefix.removeprefix("cell_")):
                    continue
                gates = [gate for gate in loop.gates if gate.startswith(prefix)]
                units = loop.parts[f"{gates[0]}.activation"].shape[-1]
                return gates[column // units], column % units
        return None

    def gate_name(self, part: int) -> str:
        """Return the name of this gate for --hold; of a state, the name of a gate of its loop."""
        loop, name = self.parts[part]
        if name.endswith(".activation"):
            return self.part_name(part)
        gates = list(loop.gates)
        gate = next((gate for gate in gates if gate.endswith("forget")), gates[0])
        return f"{loop.path}{gate}"

    def part_name(self, part: int) -> str:
        """Return the name of a gate or state, `forward/forget`.  part: index in `parts`."""
        loop, name = self.parts[part]
        return f"{loop.path}{name.removesuffix('.activation')}"


def compute_experiment(experiment: EditableCase) -> Computation:
    """Compute an experiment.

    Raises RnncliError if its layers, inputs or weights do not fit together, or if numpy cannot trace them.
    """
    case = experiment.case
    found = _compute(case)
    if not case.hold:
        return found
    return dataclasses.replace(found, without_hold=_compute(dataclasses.replace(case, hold=())))


def _compute(case: Case) -> Computation:
    wide = tracing.with_all_outputs(case)
    if wide.stack.layers[-1].recurrent:
        wide = dataclasses.replace(wide, stack=wide.stack.with_returns(return_sequences=True))
    trace = tracing.trace(wide)  # first: it says what is wrong with the case
    return Computation(compute.run(case, trace.engine), wide, trace)


def start_computation(experiment: EditableCase) -> asyncio.Future[Computation]:
    """Compute an experiment in a thread of its own, which does not keep the program from ending.

    The future raises what `compute_experiment` raises.
    """
    done: Future[Computation] = Future()
    done.set_running_or_notify_cancel()

    def work() -> None:
        try:
            done.set_result(compute_experiment(experiment))
        except BaseException as error:
            done.set_exception(error)

    Thread(target=work, daemon=True).start()
    return asyncio.wrap_future(done)


def _is_shown(part: str) -> bool:
    """Whether a part of a trace is a gate after its activation, or a state."""
    return part != "output" and not part.endswith((".preactivation", ".recurrent"))
