"""The NumPy engine: a loop over the layers' own steps, which records every gate for a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rnncli.cells.program import Gate
from rnncli.compute.engines import STEPS, EngineOutput, LayerRunner, reason_for_keras
from rnncli.errors import Message, RnncliError, Text
from rnncli.layers.case import Case, Hold
from rnncli.layers.recurrent import sizes_by_cell
from rnncli.process import memory, progress
from rnncli.result import OUTPUT, Label, LoopTrace
from rnncli.values import STATUSES, Array, walk

if TYPE_CHECKING:
    from rnncli.layers.layer import LayerCall
    from rnncli.layers.recurrent import RecurrentLayer

PACKAGES = ("numpy",)
NOTE = Message("fast, and records every gate of every step")


def refusal(case: Case) -> Text | None:
    """Return why this engine cannot give Keras's numbers for the case; None if it can."""
    dtypes = {spec.config["dtype"] for spec in walk(case.stack) if "dtype" in spec.config}
    if len(dtypes) > 1:
        return Message("its layers mix {dtypes}", dtypes=" and ".join(sorted(dtypes)))
    if not dtypes <= {"float32", "float64"}:
        return Message("it does not round as Keras does in {dtype}", dtype=dtypes.pop())
    stacked = any(isinstance(spec.config.get("cell"), tuple) for spec in walk(case.stack))
    if stacked and dtypes != {"float32"}:
        return Message("Keras rounds to float32 between the cells of RNN")
    for layer in case.stack.layers:
        if case.with_trace and layer.is_opaque:
            return Message("it does not look into {class_name}", class_name=layer.spec.class_name)
    return reason_for_keras(case)


class Layers(LayerRunner):
    """rnncli's own layers, step by step.  A call continues the sequence of dropout masks drawn before."""

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        super().__init__(case, weights, seeds)
        self.training, self.with_trace, self.hold = case.training, case.with_trace, case.hold
        self.draw_counts: dict[str, int] = {}

    def __call__(self, case: Case) -> EngineOutput:
        before = dict(self.draw_counts)
        try:
            return super().__call__(case)
        except RnncliError:
            self.draw_counts = before  # a failed call draws nothing
            raise

    def steps_of(self, layer: RecurrentLayer, call: LayerCall, state: Any) -> tuple[Array, Any]:
        import numpy as np

        cell, config, loop, (batch, timesteps) = layer.cell, layer.config, call.place, call.inputs.shape[:2]
        order = range(timesteps)[::-1] if config["go_backwards"] else range(timesteps)
        dropout, dtype = cell.no_dropout(), call.inputs.dtype
        if self.training:
            shape = batch, call.inputs.shape[-1]
            dropout = cell.dropout_of(shape, str(dtype), loop.path, self.seeds, self.draw_counts)
        loop_holds = [
            hold for hold in self.hold if (hold.layer, hold.direction) == (loop.layer, loop.direction)
        ]
        holds = _GateHolds(loop_holds, cell, call.inputs.shape[-1], dtype) if loop_holds else None
        if not self.with_trace:
            return _run(layer, call, state, order, dropout, holds, None)
        recorder = _TraceRecorder(cell, timesteps)
        outputs, after = _run(layer, call, state, order, dropout, holds, recorder)
        status = np.zeros((batch, timesteps), np.int8)
        if call.mask is not None:
            masked = "zeroed" if config["zero_output_for_mask"] else "held"
            status[~call.mask[:, order]] = STATUSES.index(masked)
        self.traces.append(
            LoopTrace(
                layer=loop.layer,
                direction=loop.direction or ("backward" if config["go_backwards"] else "forward"),
                columns={index: inner.text.packing() for index, inner in cell.by_index.items()},
                times=np.array(order),
                status=status,
                parts=recorder.parts(),
                bounds=list_bounds(cell),
                start=dict(zip(_state_labels(cell), cell.unpack(state), strict=True)),
                dropout=dropout,
                hold_masks=holds.masks(order) if holds else {},
                new_states={
                    Label(line, cell=index, kind="activation"): Label(state, cell=index, kind="")
                    for index, inner in cell.by_index.items()
                    for line, state in inner.new_states.items()
                },
                in_stack=len(self.stack.layers) > 1,
                is_half=bool(loop.direction),
            )
        )
        return outputs, after


def _run(
    layer: RecurrentLayer,
    call: LayerCall,
    state: Any,
    order: range,
    dropout: Any,
    gate_holds: _GateHolds | None,
    recorder: _TraceRecorder | None,
) -> tuple[Array, Any]:
    """Run one layer over the time steps in this order; return (outputs, last state).

    outputs: (batch, timesteps, units), or (batch, units) of the last step.
    """
    import numpy as np

    cell, inputs, weights, mask = layer.cell, call.inputs, call.weights, call.mask
    sequences, zeroes_masked = layer.sequences, layer.config["zero_output_for_mask"]
    outputs = np.empty((len(inputs), len(order) if sequences else 1, cell.units), inputs.dtype)
    output = np.zeros((len(inputs), cell.units), inputs.dtype)
    features, holds_lines = inputs.shape[-1], gate_holds is not None
    chained = not holds_lines and mask is None and None in cell.by_index and cell.text.has_axes
    given = {"holds": holds_lines, "chained": True} if chained else {"holds": holds_lines}
    project, step = cell.bind(weights, dropout, features, inputs.dtype, **given)
    before = (lambda: state) if chained else None
    blocks = _project_inputs(project, call, order, cell.widest(features), before)
    for processed, (timestep, projected) in enumerate(blocks):
        holds = None if gate_holds is None else gate_holds.at(timestep)
        after, gates = step(projected, state, holds)
        computed = cell.output(after)
        if mask is None:
            output, state = computed, after
        else:
            unmasked = mask[:, timestep]
            output = _select_state(unmasked, computed, np.zeros_like(output) if zeroes_masked else output)
            state = _select_state(unmasked, after, state)
        outputs[:, processed if sequences else 0] = output
        if recorder is not None:
            recorder.add(gates(), (*cell.unpack(state), output))
    return (outputs if sequences else outputs[:, 0]), state


def _project_inputs(
    project: Any, call: LayerCall, order: range, widest: int, before: Any = None
) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Yield every time step and its projected inputs, computed for several megabytes of steps at once.

    Time is the first axis, so that the numbers of one step are contiguous.
    widest: the most numbers of a value in one step.
    before: returns the states before the next step; None if `project` needs none.
    """
    from rnncli import arrays

    widest = widest or max((weight.shape[-1] for weight in call.weights.values()), default=1)
    together = max(1, arrays.BLOCK // (len(call.inputs) * widest))
    for block in progress.blocks(STEPS, len(order), together):
        times = order[block]
        first = min(times[0], times[-1])
        inputs = call.inputs[:, first : first + len(times)].swapaxes(0, 1)
        if before is not None:
            projected = project(inputs if order.step > 0 else inputs[::-1], before())
            yield from (
                (time, tuple([values[index] for values in projected])) for index, time in enumerate(times)
            )
            continue
        projected = project(inputs)
        yield from ((time, tuple([values[time - first] for values in projected])) for time in times)


class _GateHolds:
    """The gates of one loop over time that are held at a value, step by step, as its cell takes them.

    cell: the cell of the loop, whose gates may have different numbers of units.
    features: how many numbers its input has per step.
    """

    def __init__(self, holds: Sequence[Hold], cell: Any, features: int, dtype: Any) -> None:
        self.holds, self.dtype = tuple(holds), dtype
        self.sizes = sizes_by_cell(cell, features)
        self._arrays = lru_cache(64)(self._make)

    def at(self, timestep: int) -> Any:
        """Return the gates held in this step of the layer's input, as its cell takes them; None for none."""
        now = tuple(hold for hold in self.holds if timestep in hold.steps)
        return self._arrays(now) if now else None

    def masks(self, order: Sequence[int]) -> dict[Label, Array]:
        """Return which entries are held, by gate: (steps, units) in the order of processing."""
        import numpy as np

        hold_masks: dict[Label, Array] = {}
        for hold in self.holds:
            shape = len(order), self.sizes[hold.cell][hold.gate]
            label = Label(hold.gate, cell=hold.cell, kind="activation")
            entries = hold_masks.setdefault(label, np.zeros(shape, bool))
            entries[np.ix_(np.isin(order, hold.steps), np.isin(range(shape[1]), hold.units))] = True
        return hold_masks

    def _make(self, now: tuple[Hold, ...]) -> Any:
        import numpy as np

        by_cell: dict[int | None, dict[str, tuple[Array, Array]]] = {}
        for hold in now:
            units, gates = self.sizes[hold.cell][hold.gate], by_cell.setdefault(hold.cell, {})
            which, values = gates.setdefault(hold.gate, (np.zeros(units, bool), np.zeros(units, self.dtype)))
            chosen = list(hold.units)
            which[chosen], values[chosen] = True, hold.value
        return by_cell.get(None, by_cell)


class _TraceRecorder:
    """Copies the parts of every step into arrays of all steps, (steps, batch, units)."""

    def __init__(self, cell: Any, steps: int) -> None:
        self.cell, self.steps, self.count = cell, steps, 0
        self.arrays: dict[Label, Array] = {}

    def add(self, gates: Sequence[Gate], others: Sequence[Array]) -> None:
        """Add one step.  others: the state and the output, each (batch, units).

        Raises InputError if the whole trace does not fit in memory.
        """
        parts = [*(part for gate in gates for part in gate.kinds.values()), *others]
        if not self.arrays:
            import numpy as np

            memory.refuse_beyond(self.steps * sum(part.nbytes for part in parts), "the trace")
            inner = ((index, name) for index, cell in self.cell.by_index.items() for name in cell.gates)
            labels = [
                Label(name, cell=index, kind=kind)
                for (index, name), gate in zip(inner, gates, strict=True)
                for kind in gate.kinds
            ]
            arrays = (np.empty((self.steps, *part.shape), part.dtype) for part in parts)
            self.arrays = dict(zip([*labels, *_state_labels(self.cell), OUTPUT], arrays, strict=True))
        for values, part in zip(self.arrays.values(), parts, strict=True):
            values[self.count] = part
        self.count += 1

    def parts(self) -> dict[Label, Array]:
        """Return all parts by label, each (batch, steps, units)."""
        return {label: values.swapaxes(0, 1) for label, values in self.arrays.items()}


def list_bounds(cell: Any) -> dict[Label, tuple[float, float]]:
    """Return the ranges of the gates, states and the output that activations limit."""
    bounds = {
        Label(line, cell=index, kind="activation" if line in inner.gates else ""): limits
        for index, inner in cell.by_index.items()
        for line, limits in inner.bounds.items()
        if limits
    }
    last = list(cell.by_index.values())[-1]
    limits_of_output = last.bounds[last.states[0]]
    return {**bounds, OUTPUT: limits_of_output} if limits_of_output else bounds


def _state_labels(cell: Any) -> list[Label]:
    return [label.in_loop for label in cell.state_labels]


def _select_state(unmasked: Array, new: Any, old: Any) -> Any:
    """Select `new` for unmasked batch entries and `old` for masked entries, in every part of a state."""
    import numpy as np

    if isinstance(new, tuple):
        parts = [_select_state(unmasked, *pair) for pair in zip(new, old, strict=True)]
        return type(new)(*parts) if hasattr(new, "_fields") else tuple(parts)
    return np.where(unmasked[:, None], new, old)
