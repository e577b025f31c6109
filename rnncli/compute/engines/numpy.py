"""The NumPy engine: a loop over the layers' own steps, which records every gate for a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Case, walk
from rnncli.compute.engines import About, EngineOutput, LayerCaller
from rnncli.compute.engines._layer_runner import LayerRunner, without_step
from rnncli.errors import RnncliError
from rnncli.result import STATUSES, Gate, LoopTrace
from rnncli.specs import memory

if TYPE_CHECKING:
    from rnncli.compute.engines._gate_holds import GateHolds
    from rnncli.layers import Call, RecurrentLayer

ABOUT = About(("numpy",), "fast, and records every gate of every step")
TOGETHER = 1024
"""Number of steps of a trace that are stacked at once."""


def refusal(case: Case) -> str | None:
    """Return why this engine cannot give Keras's numbers for the case; None if it can."""
    dtypes = {spec.config["dtype"] for spec in walk(case.layers) if "dtype" in spec.config}
    if len(dtypes) > 1:
        return f"its layers mix {' and '.join(sorted(dtypes))}"
    if not dtypes <= {"float32", "float64"}:
        return f"it does not round as Keras does in {dtypes.pop()}"
    stacked = any(isinstance(spec.config.get("cell"), tuple) for spec in walk(case.layers))
    if stacked and dtypes != {"float32"}:
        return "Keras rounds to float32 between the cells of RNN"
    return without_step(case)


def build_layers(case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> LayerCaller:
    """Build the layers of `case` with these weights; return a function that calls them."""
    return _NumpyRun(case, weights, seeds)


class _NumpyRun(LayerRunner):
    """Counts the dropout masks drawn so far; each call of a layer continues its random sequence."""

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        super().__init__(case, weights)
        self.training, self.with_trace, self.hold = case.training, case.with_trace, case.hold
        self.seeds = seeds
        self.draw_counts: dict[str, int] = {}

    def __call__(self, case: Case) -> EngineOutput:
        before = dict(self.draw_counts)
        try:
            return super().__call__(case)
        except RnncliError:
            self.draw_counts = before  # a failed call draws nothing
            raise

    def steps_of(self, layer: RecurrentLayer, call: Call, state: Any) -> tuple[Array, Any]:
        loop = _TimeLoop(layer, call, self._dropout(layer, call), self._holds(layer, call))
        if not self.with_trace:
            return loop.run(state, None)
        recorder = _Recorder(call.inputs.shape[1])
        outputs, after = loop.run(state, recorder)
        self.traces.append(loop.trace(recorder.parts(), state))
        return outputs, after

    def _holds(self, layer: RecurrentLayer, call: Call) -> GateHolds | None:
        """Return the gates of this loop that are held at a value; None if there are none."""
        place = call.place.layer, call.place.direction
        holds = [hold for hold in self.hold if (hold.layer, hold.direction) == place]
        if not holds:
            return None
        from rnncli.compute.engines._gate_holds import GateHolds

        return GateHolds(holds, layer.cell, call.inputs)

    def _dropout(self, layer: RecurrentLayer, call: Call) -> Any:
        if not self.training:
            return layer.cell.no_dropout()
        shape, dtype = (call.inputs.shape[0], call.inputs.shape[-1]), str(call.inputs.dtype)
        return layer.cell.dropout_of(shape, dtype, call.place.path, self.seeds, self.draw_counts)


class _TimeLoop:
    """Runs one layer over the time steps of one call."""

    def __init__(self, layer: RecurrentLayer, call: Call, dropout: Any, holds: GateHolds | None) -> None:
        self.layer, self.call, self.dropout, self.gate_holds = layer, call, dropout, holds
        self.backwards: bool = layer.config["go_backwards"]
        self.zeroes_masked: bool = layer.config["zero_output_for_mask"]
        steps = range(call.inputs.shape[1])
        self.order = steps[::-1] if self.backwards else steps

    def run(self, state: Any, recorder: _Recorder | None) -> tuple[Array, Any]:
        """Return (outputs, last state).

        outputs: (batch, timesteps, units), or (batch, units) of the last step.
        """
        import numpy as np

        cell, inputs, weights = self.layer.cell, self.call.inputs, self.call.weights
        batch, timesteps = inputs.shape[:2]
        sequences, gate_holds = self.layer.sequences, self.gate_holds
        outputs = np.empty((batch, timesteps if sequences else 1, cell.units), inputs.dtype)
        output = np.zeros((batch, cell.units), inputs.dtype)
        for processed, (timestep, projected) in enumerate(self._project_inputs(self.order)):
            holds = None if gate_holds is None else gate_holds.at(timestep)
            after, gates = cell.step(projected, state, weights, self.dropout, holds)
            counts = None if self.call.mask is None else self.call.mask[:, timestep]
            computed = cell.output(after)
            if counts is None:
                output, state = computed, after
            else:
                output = _select_state(
                    counts, computed, np.zeros_like(output) if self.zeroes_masked else output
                )
                state = _select_state(counts, after, state)
            outputs[:, processed if sequences else 0] = output
            if recorder is not None:
                recorder.add(dict(_parts(gates(), cell.unpack(state), output)))
        return (outputs if sequences else outputs[:, 0]), state

    def _project_inputs(self, order: range) -> Iterator[tuple[int, Array]]:
        """Yield every time step and its input projection, computed for several megabytes of steps at once.

        Time is the first axis, so that the numbers of one step are contiguous.
        """
        from rnncli import arrays

        widest = max(weight.shape[-1] for weight in self.call.weights.values())
        together = max(1, arrays.BLOCK // (len(self.call.inputs) * widest))
        for start in range(0, len(order), together):
            times = order[start : start + together]
            first = min(times[0], times[-1])
            inputs = self.call.inputs[:, first : first + len(times)].swapaxes(0, 1)
            projected = self.layer.cell.project(inputs, self.call.weights, self.dropout)
            yield from ((time, projected[time - first]) for time in times)

    def trace(self, parts: Mapping[str, Array], start: Any) -> LoopTrace:
        """Return the trace.

        parts: arrays (batch, steps, units) by name.
        start: the state before the first step.
        """
        import numpy as np

        cell, place, mask = self.layer.cell, self.call.place, self.call.mask
        status = np.zeros(self.call.inputs.shape[:2], np.int8)
        if mask is not None:
            masked = ~mask[:, self.order]
            status[masked] = STATUSES.index("zeroed" if self.zeroes_masked else "held")
        return LoopTrace(
            place.layer,
            place.direction or ("backward" if self.backwards else "forward"),
            place.path,
            {prefix: one.config for prefix, one in cell.by_prefix.items()},
            np.array(self.order),
            status,
            parts,
            cell.unpack(start),
            self.dropout,
            hold_masks={} if self.gate_holds is None else self.gate_holds.masks(self.order),
        )


class _Recorder:
    """Stacks the parts of every step into arrays; a million steps take only the memory of their numbers."""

    def __init__(self, steps: int) -> None:
        self.steps, self.count = steps, 0
        self.arrays: dict[str, Array] = {}  # (steps, batch, units)
        self.waiting: list[dict[str, Array]] = []

    def add(self, parts: dict[str, Array]) -> None:
        """Add one step.  Raises InputError if the whole trace does not fit in memory."""
        if not self.arrays:
            import numpy as np

            memory.refuse_beyond(self.steps * sum(values.nbytes for values in parts.values()), "the trace")
            self.arrays = {
                name: np.empty((self.steps, *values.shape), values.dtype) for name, values in parts.items()
            }
        self.waiting.append(parts)
        if len(self.waiting) == TOGETHER:
            self._flush()

    def parts(self) -> dict[str, Array]:
        """Return all parts by name, each (batch, steps, units)."""
        self._flush()
        return {name: values.swapaxes(0, 1) for name, values in self.arrays.items()}

    def _flush(self) -> None:
        if not self.waiting:
            return
        import numpy as np

        end = self.count + len(self.waiting)
        for name, values in self.arrays.items():
            block = values[self.count : end].reshape(-1, values.shape[-1])
            np.concatenate([parts[name] for parts in self.waiting], out=block)
        self.count, self.waiting = end, []


def _parts(
    gates: Mapping[str, Gate], state: Mapping[str, Array], output: Array
) -> Iterator[tuple[str, Array]]:
    """Yield every part of one step, (batch, units), with its name in a LoopTrace."""
    for name, gate in gates.items():
        yield f"{name}.preactivation", gate.preactivation
        if gate.recurrent is not None:
            yield f"{name}.recurrent", gate.recurrent
        yield f"{name}.activation", gate.activation
    yield from state.items()
    yield "output", output


def _select_state(counts: Array, new: Any, old: Any) -> Any:
    """Select `new` for the unmasked batch entries and `old` for the masked ones, in every part of a state."""
    import numpy as np

    if isinstance(new, tuple):
        parts = [_select_state(counts, *pair) for pair in zip(new, old, strict=True)]
        return type(new)(*parts) if hasattr(new, "_fields") else tuple(parts)
    return np.where(counts[:, None], new, old)
