"""Gradients by the chain rule in NumPy: from the chosen numbers back through the layers and their steps.

The layers run once, with a trace.  Vectors, one for each number, then go backward through them together; of
each step only the norms are kept, because all Jacobians of a long sequence would not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rnncli import compute
from rnncli.case import Array, Case
from rnncli.cells import activations, slopes
from rnncli.cells.reverse import ReverseStep
from rnncli.compute.engines import numpy as engine
from rnncli.layers.layer import within
from rnncli.layers.stack import Stack
from rnncli.result import OUTPUT, STATUSES, Label, LoopTrace

MOST_NUMBERS = 4_000_000
"""Approximate limit on the numbers held for the vectors that go backward together."""
MOST_VECTORS = 256

TrackedState = tuple[str, Label]
"""Direction and part of a state."""


class Norms(NamedTuple):
    """Frobenius norms of d(entries)/d(state) and d(entries)/d(input), by time step.

    states: by direction and part, each (timesteps,) of float64, by time of the last recurrent layer's
    input.  inputs: (timesteps,), by time of the stack's input.
    masked_steps: (timesteps,) of bool, True for masked steps.
    """

    states: Mapping[TrackedState, Array]
    inputs: Array
    masked_steps: Array


def norms(
    case: Case, weights: Mapping[str, Array], layer: int, batch: int, tensor: int, entries: Array
) -> Norms:
    """Compute norms for entries (flat indices) of one sequence's tensor.  layer: the last recurrent one.

    A state means what the next step reads, each part on its own: a cell state's effect on the hidden
    state of its own step is not part of it.
    """
    import numpy as np

    one = compute.take_chunk(case, slice(batch, batch + 1))._replace(training=False, with_trace=True)
    walk = _BackwardWalk(one, weights, layer)
    inputs: Any = 0
    for found in walk.from_entries(tensor, entries):
        inputs = inputs + np.sum(square(found), axis=(0, 2))
    first = next(trace for (place, _), trace in walk.traces.items() if place == layer)
    masked = np.zeros(len(first.times), bool)
    masked[first.times] = first.status[0] != 0
    return Norms({key: np.sqrt(found) for key, found in walk.squares.items()}, np.sqrt(inputs), masked)


def weight_norms(
    case: Case, weights: Mapping[str, Array], weight: str, batch: int, tensor: int, entries: Array
) -> dict[str, float]:
    """Return the norm of d(entries)/d(weight) by line: of the line's columns, or of its part in a sum.

    weight: the path of a weight of a recurrent layer.
    """
    one = compute.take_chunk(case, slice(batch, batch + 1))._replace(training=False, with_trace=True)
    walk = _BackwardWalk(one, weights, wanted=weight)
    squares: dict[str, float] = {}
    for _ in walk.from_entries(tensor, entries):
        for (line, _), vectors in walk.of_weight.items():
            squares[line] = squares.get(line, 0.0) + float(square(vectors).sum())
        walk.of_weight.clear()
    return {line: found**0.5 for line, found in squares.items()}


class _BackwardWalk:
    """The layers of a case of one sequence, computed once, through which vectors go backward.

    squares: sums of the squares of the vectors at each state of the layer `place`, by time.
    of_weight: the vectors for the weight `wanted`, by line and name.
    """

    def __init__(
        self, case: Case, weights: Mapping[str, Array], place: int | None = None, wanted: str = ""
    ) -> None:
        self.stack, self.place, self.wanted = Stack(case.specs), place, wanted
        self.of_weight: dict[tuple[str, str], Any] = {}
        self.size = weights[wanted].size if wanted else 1
        self.weights = self.stack.split(weights)
        computed = engine.Layers(case, weights, {})(case)
        self.tensors = computed.tensors
        self.inputs = (case.inputs, *(tensors[0] for tensors in computed.tensors))
        self.traces = {(trace.layer, trace.direction): trace for trace in computed.trace}
        self.squares: dict[TrackedState, Array] = {}

    def from_entries(self, tensor: int, entries: Array) -> Iterator[Any]:
        """Yield the vectors for the input, of as many entries as fit in memory together."""
        import numpy as np

        widest = max(self.size, *(values[0].size for values in self.inputs))
        together = int(max(1, min(MOST_VECTORS, MOST_NUMBERS // widest)))
        for start in range(0, len(entries), together):
            chosen = entries[start : start + together]
            vectors = [_zeros(len(chosen), values) for values in self.tensors[-1]]
            vectors[tensor].reshape(len(chosen), -1)[np.arange(len(chosen)), chosen] = 1
            with np.errstate(all="ignore"):
                found = self.to_inputs(vectors)
            yield found

    def to_inputs(self, vectors: list[Any]) -> Any:
        """Return the vectors for the input.  vectors: for each tensor of the last layer."""
        for index in reversed(range(len(self.stack.layers))):
            layer: Any = self.stack.layers[index]
            x = self.inputs[index]
            if layer.loops:
                found = self._through_loops(index, layer, vectors)
            elif layer.makes_mask:
                found = vectors[0] * layer.next_mask(x, None)[..., None]
            elif "kernel" in self.weights[index]:
                found = self._through_dense(index, vectors[0])
            else:
                found = vectors[0]
            vectors = [found]
        return vectors[0]

    def _through_dense(self, index: int, vectors: Array) -> Any:
        weights, name = self.weights[index], self.stack.layers[index].config["activation"]
        argument = self.inputs[index] @ weights["kernel"] + weights.get("bias", 0)
        pulled = slopes.get(name)(vectors, activations.get(name)(argument), argument)
        return pulled @ weights["kernel"].T

    def _through_loops(self, index: int, layer: Any, vectors: list[Any]) -> Array:
        """Return the vectors for the input of a recurrent layer, of one direction or both."""
        weights, total = self.weights[index], None
        traces = [
            self.traces[index, name or ("backward" if loop.config["go_backwards"] else "forward")]
            for name, loop in layer.loops.items()
        ]
        outputs, states = self._split(layer, traces, vectors)
        for (name, loop), trace, output in zip(layer.loops.items(), traces, outputs, strict=True):
            own, states = states[: len(trace.states)], states[len(trace.states) :]
            prefix = self.stack.prefix(index) + (f"{name}/" if name else "")
            wanted = self.wanted.removeprefix(prefix) if self.wanted.startswith(prefix) else ""
            own_weights = within(weights, name) if name else weights
            steps = _LoopSteps(loop, trace, own_weights, self.inputs[index], wanted, self.of_weight)
            found = _zeros(len(vectors[0]), self.inputs[index])
            for time, vectors_of_states, of_input in steps.backward(loop.arrange(output), own):
                if index == self.place:
                    self._add_squares(trace, time, vectors_of_states)
                if of_input is not None:
                    found[:, time] = of_input
            total = found if total is None else total + found
        assert total is not None
        return total

    def _add_squares(self, trace: LoopTrace, time: int, states: Sequence[Array]) -> None:
        import numpy as np

        for label, vectors in zip(trace.states, states, strict=True):
            key = trace.direction, label
            squares = self.squares.setdefault(key, np.zeros(len(trace.times)))
            squares[time] += np.sum(square(vectors))

    def _split(
        self, layer: Any, traces: Sequence[LoopTrace], vectors: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return the vectors for the output of each direction, in its own order, and for the last states."""
        if len(traces) == 1:
            return vectors[:1], vectors[1:]
        output, *states = vectors
        mode = layer.config["merge_mode"]
        if mode is None:
            second, *states = states
            both = [output, second]
        elif mode == "concat":
            both = [output[..., : layer.forward_units], output[..., layer.forward_units :]]
        elif mode == "mul":
            ahead, back = (
                loop.arrange(trace.parts[OUTPUT])
                for loop, trace in zip(layer.loops.values(), traces, strict=True)
            )
            ahead, back = (ahead, back[:, ::-1]) if layer.sequences else (ahead[:, -1], back[:, -1])
            both = [output * back, output * ahead]
        else:
            both = [output / 2 if mode == "ave" else output] * 2
        if layer.sequences:
            both[1] = both[1][:, ::-1]
        return both, states


class _LoopSteps:
    """The steps of a loop over time, from the last to the first."""

    def __init__(
        self,
        loop: Any,
        trace: LoopTrace,
        weights: Mapping[str, Array],
        inputs: Array,
        wanted: str,
        of_weight: dict[tuple[str, str], Any],
    ) -> None:
        self.sequences, self.trace, self.inputs, self.of_weight = loop.sequences, trace, inputs, of_weight
        self.steps = [
            ReverseStep(
                cell.text,
                cell.lines,
                cell.config,
                weights if index is None else within(weights, str(index)),
                inputs.dtype,
                wanted if index is None else wanted.removeprefix(f"{index}/"),
            )
            for index, cell in loop.cell.by_index.items()
        ]
        self.output_state = trace.states.index(loop.cell.output_state.in_loop)

    def backward(self, output: Array, last: Sequence[Array]) -> Iterator[tuple[int, list[Array], Any]]:
        """Yield each time step, the vectors for the states after it, and those for its input, if it counts.

        output: those for the output, in the order of processing.  last: for the last states, if returned.
        """
        import numpy as np

        times, status = self.trace.times, self.trace.status[0]
        count = len(output)
        states = list(last) or [
            np.zeros((count, values.shape[-1]), output.dtype) for values in self.trace.start.values()
        ]
        first = int(np.argmax(status == 0)) if (status == 0).any() else len(times)
        for processed in reversed(range(len(times))):
            shown = processed >= first and STATUSES[status[processed]] != "zeroed"
            if shown and (self.sequences or processed == len(times) - 1):
                place = self.output_state
                states[place] = states[place] + (output[:, processed] if self.sequences else output)
            if status[processed]:
                yield int(times[processed]), states, None
                continue
            before, of_input = self._step(processed, states)
            yield int(times[processed]), states, of_input
            states = before

    def _step(self, processed: int, states: Sequence[Array]) -> tuple[list[Array], Array]:
        """Return the vectors for the states before a step and for its input.  states: for those after it."""
        trace = self.trace
        before = [
            trace.parts[label][:, processed - 1] if processed else trace.start[label]
            for label in trace.states
        ]
        x, computed, given = self.inputs[:, trace.times[processed]], [], list(states)
        for step in self.steps:
            own, before = before[: len(step.text.states)], before[len(step.text.states) :]
            computed.append(step.forward(x, own))
            x = step.output(computed[-1])
        found: list[Array] = []
        below: Any = 0
        for step, values in zip(self.steps[::-1], computed[::-1], strict=True):
            count = len(step.text.states)
            own, given = given[-count:], given[:-count]
            own[0] = own[0] + below
            pulled = step.backward(values, own)
            for line, name, used, left in step.uses:
                if (vectors := pulled[used]) is not None:
                    vectors = vectors if left is None else values[left][..., None] * vectors[:, None]
                    self.of_weight[line, name] = self.of_weight.get((line, name), 0) + vectors
            below, *after = [
                _zeros(len(own[0]), value) if one is None else one
                for one, value in zip(pulled[: 1 + count], values, strict=False)
            ]
            found = [*after, *found]
        return found, below


def _zeros(count: int, like: Array) -> Array:
    """Return zeros for `count` vectors of the size of one value, (1, ...)."""
    import numpy as np

    return np.zeros((count, *like.shape[1:]), like.dtype)


def square(values: Any) -> Array:
    """Return the squares in float64."""
    import numpy as np

    return np.square(np.asarray(values).astype(np.float64))
