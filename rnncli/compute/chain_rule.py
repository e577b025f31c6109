"""Gradients by the chain rule in NumPy: from the chosen numbers back through the layers and their steps.

The layers run once, with a trace.  Vectors, one for each number, then go backward through them together; of
each step only the norms are kept, because all Jacobians of a long sequence would not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple

from rnncli import compute
from rnncli.cells.reverse import ReverseStep
from rnncli.compute.engines import numpy as engine
from rnncli.layers.case import Case
from rnncli.layers.layer import Layer, within
from rnncli.layers.stack import Stack
from rnncli.result import OUTPUT, Label, LoopTrace
from rnncli.values import STATUSES, Array

MOST_NUMBERS = 8_000_000
"""Approximate limit on the numbers held for the vectors that go backward together."""
MOST_VECTORS = MOST_STEPS = 256

TrackedState = tuple[str, Label]
"""Direction and part of a state."""


class Norms(NamedTuple):
    """Frobenius norms of d(entries)/d(state) and d(entries)/d(input), by time step.

    states: by direction and part, each (timesteps,) of float64, by time of the last recurrent layer's
    input.  inputs: by name of the input, each (timesteps,), by time of the stack's input; the only input
    of most stacks has the name "".
    masked_steps: (timesteps,) of bool, True for masked steps.
    by_line: by state, the norms of the parts that return through each reader of the state: through a gate
        (`forget`), or through a product in the equation of a state (`forget * cell`); by time of the
        step that reads the state.
    """

    states: Mapping[TrackedState, Array]
    inputs: Mapping[str, Array]
    masked_steps: Array
    by_line: Mapping[TrackedState, Mapping[str, Array]] = MappingProxyType({})


def find_missing_rule(stack: Stack) -> str:
    """Return the class of a layer without a rule for its gradients; "" if every layer has one.

    The rule of a class does not hold for a subclass that computes something else.
    """
    for layer in stack.layers:
        kinds = type(layer).__mro__
        defines = {
            name: next((kind for kind in kinds if name in vars(kind)), object)
            for name in ("pull_back", "call", "compute")
        }
        rule = defines.pop("pull_back")
        if not layer.loops and (
            rule is Layer or not all(issubclass(rule, kind) for kind in defines.values())
        ):
            return layer.spec.class_name
    return ""


def norms(case: Case, layer: int, batch: int, tensor: int, entries: Array) -> Norms:
    """Compute norms for entries (flat indices) of one sequence's tensor.  layer: the last recurrent one.

    The gradient of a state is taken where the next step reads the state, of each part separately: a cell
    state's effect on the hidden state of the same step does not count.
    """
    import numpy as np

    walk = _BackwardWalk(case, batch, layer)
    inputs = dict.fromkeys(input_columns(case.stack), np.zeros(case.inputs.shape[1]))
    for vectors in walk.from_entries(tensor, entries):
        for name, columns in input_columns(case.stack).items():
            inputs[name] = inputs[name] + sum_squares(vectors[..., columns], by_time=True)
    first = next(trace for (index, _), trace in walk.traces.items() if index == layer)
    masked = first.status[walk.row][first.times] != 0  # the order of processing, back to the input's
    by_line: dict[TrackedState, dict[str, Array]] = {}
    for (state, gate), squares in walk.squares.items():
        by_line.setdefault(state, {})[gate] = np.sqrt(squares)
    states = {state: by_gate.pop("") for state, by_gate in by_line.items()}
    return Norms(states, {name: np.sqrt(of_input) for name, of_input in inputs.items()}, masked, by_line)


def input_columns(stack: Stack) -> dict[str, slice]:
    """Return the columns of each input by its name; {"": all} for a stack whose input has no names."""
    columns, start = {}, 0
    for name, axes in stack.input_axes.items():
        columns[name] = slice(start, start + prod(axes.values()))
        start = columns[name].stop
    return columns or {"": slice(None)}


def weight_norms(case: Case, weight: str, batch: int, tensor: int, entries: Array) -> dict[str, float]:
    """Return the norm of d(entries)/d(weight) by line: of the line's columns, or of its part in a sum.

    weight: the path of a weight of a recurrent layer.
    """
    walk = _BackwardWalk(case, batch, wanted=weight)
    squares: dict[str, float] = {}
    for _ in walk.from_entries(tensor, entries):
        squares = dict.fromkeys(walk.lines, 0.0) | squares
        for (line, _), vectors in walk.of_weight.items():
            squares[line] = squares.get(line, 0.0) + float(sum_squares(vectors))
        walk.of_weight.clear()
    return {line: total**0.5 for line, total in squares.items()}


class _BackwardWalk:
    """The layers of a case, computed once, through which vectors for one sequence go backward.

    row: the index of the sequence in the traces.
    tracked: the index of the layer whose squares are kept, if any.
    squares: by state and reader (see Norms; "" for the whole), the squares of the vectors, summed by time.
    lines: the lines that read the weight `wanted`, even if no step was computed.
    of_weight: the vectors for `wanted`, by line and name of the weight.
    """

    def __init__(self, case: Case, batch: int, tracked: int | None = None, wanted: str = "") -> None:
        self.stack, self.tracked = case.stack, tracked
        weights, seeds = compute.weights_and_seeds(case, self.stack, "numpy")
        self.row = batch if case.training else 0  # dropout is drawn for the whole batch
        if not case.training:
            case = compute.take_chunk(case, slice(batch, batch + 1))
        computed = engine.Layers(case._replace(with_trace=True), weights, seeds)(case)
        self.wanted = weights.get(wanted)
        self.weights = self.stack.split(weights)
        self.tensors = [[values[[self.row]] for values in tensors] for tensors in computed.tensors]
        self.inputs = (case.inputs[[self.row]], *(tensors[0] for tensors in self.tensors))
        self.traces = {(trace.layer, trace.direction): trace for trace in computed.trace}
        self.squares: dict[tuple[TrackedState, str], Array] = {}
        self.lines: list[str] = []
        self.of_weight: dict[tuple[str, str], Any] = {}
        self.loops: dict[int, list[_LoopSteps]] = {
            index: [
                _LoopSteps(self, index, name, loop, self._trace(index, name, loop))
                for name, loop in layer.loops.items()
            ]
            for index, layer in enumerate(self.stack.layers)
        }

    def _trace(self, index: int, name: str, loop: Any) -> LoopTrace:
        return self.traces[index, name or ("backward" if loop.config["go_backwards"] else "forward")]

    def from_entries(self, tensor: int, entries: Array) -> Iterator[Any]:
        import numpy as np

        steps = [step for loops in self.loops.values() for loop in loops for step in loop.steps]
        sizes = [*(values[0].size for values in self.inputs), *(step.numbers for step in steps)]
        widest = max(getattr(self.wanted, "size", 0), *sizes)
        together = int(max(1, min(MOST_VECTORS, MOST_NUMBERS // widest)))
        for start in range(0, len(entries), together):
            chosen = entries[start : start + together]
            vectors = [_zeros(len(chosen), values) for values in self.tensors[-1]]
            vectors[tensor].reshape(len(chosen), -1)[np.arange(len(chosen)), chosen] = 1
            with np.errstate(all="ignore"):
                of_input = self.to_inputs(vectors)
            yield of_input

    def to_inputs(self, vectors: list[Any]) -> Any:
        """Return the vectors for the input.  vectors: for each tensor of the last layer."""
        for index in reversed(range(len(self.stack.layers))):
            layer: Any = self.stack.layers[index]
            if layer.loops:
                outputs, states = self._split(layer, [steps.trace for steps in self.loops[index]], vectors)
                total = _zeros(len(vectors[0]), self.inputs[index])
                for steps, output in zip(self.loops[index], outputs, strict=True):
                    count = len(steps.trace.states)
                    last, states = states[:count], states[count:]
                    steps.backward(steps.loop.arrange(output), last, total)
                vectors = [total]
            else:
                vectors = [layer.pull_back(vectors[0], self.inputs[index], self.weights[index])]
        return vectors[0]

    def _split(
        self, layer: Any, traces: Sequence[LoopTrace], vectors: list[Any]
    ) -> tuple[list[Any], list[Any]]:
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
                loop.arrange(trace.parts[OUTPUT][[self.row]])
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

    def __init__(self, walk: _BackwardWalk, index: int, name: str, loop: Any, trace: LoopTrace) -> None:
        import numpy as np

        self.walk, self.loop, self.trace, self.inputs = walk, loop, trace, walk.inputs[index][0]
        self.is_tracked = index == walk.tracked
        weights = within(walk.weights[index], name) if name else walk.weights[index]
        self.steps = []
        features = self.inputs.shape[-1]
        for key, cell in loop.cell.by_index.items():
            own = weights if key is None else within(weights, str(key))
            dropout = trace.dropout if key is None else trace.dropout[str(key)]
            step = ReverseStep(cell, own, features, self.inputs.dtype, dropout, walk.row, walk.wanted)
            self.steps.append(step)
            features = cell.units
        columns = sum(values.shape[-1] for values in weights.values())
        self.numbers = max(1, columns, sum(step.numbers for step in self.steps))
        walk.lines += [line for step in self.steps for line, *_ in step.uses]
        before = [trace.start[part][[walk.row]] for part in trace.states]
        after = [trace.parts[part][walk.row] for part in trace.states]
        self.states = [np.concatenate(both) for both in zip(before, after, strict=True)]

    def backward(self, output: Array, last: Sequence[Array], of_inputs: Array) -> None:
        """Add the vectors for the input.

        output: vectors for the output, in order of processing.  last: for the last states, if returned.
        """
        import numpy as np

        times, status, sequences = self.trace.times, self.trace.status[self.walk.row], self.loop.sequences
        count, hidden = len(output), self.trace.states.index(self.loop.cell.output_state.in_loop)
        states = [vectors.reshape(count, -1) for vectors in last]
        states = states or [np.zeros((count, state.shape[-1]), output.dtype) for state in self.states]
        first = int(np.argmax(status == 0)) if (status == 0).any() else len(times)
        together = max(1, min(MOST_STEPS, MOST_NUMBERS // (count * self.numbers)))
        for stop in range(len(times), 0, -together):
            start = max(0, stop - together)
            values = self._forward(start, stop)
            uses: dict[tuple[str, str], list[tuple[Any, Any]]] = {}
            for processed in reversed(range(start, stop)):
                shown = processed >= first and STATUSES[status[processed]] != "zeroed"
                if shown and (sequences or processed == len(times) - 1):
                    states[hidden] = states[hidden] + (output[:, processed] if sequences else output)
                for part, vectors in zip(self.trace.states, states, strict=True):
                    self._add_squares(processed, part, "", vectors)
                if not status[processed]:
                    at = [[value[processed - start] for value in of_cell] for of_cell in values]
                    states, of_input = self._step(processed, at, states, uses)
                    of_inputs[:, times[processed]] += of_input
            for key, pairs in uses.items():  # one product for many time steps
                lefts, vectors = map(np.stack, zip(*pairs, strict=True))
                total = np.tensordot(lefts, vectors, (0, 0))
                self.walk.of_weight[key] = self.walk.of_weight.get(key, 0) + total

    def _forward(self, start: int, stop: int) -> list[list[Any]]:
        x, states, values = self.inputs[self.trace.times[start:stop]], self.states, []
        for step in self.steps:
            before, states = states[: len(step.text.states)], states[len(step.text.states) :]
            values.append(step.forward(x, [state[start:stop] for state in before]))
            x = step.output(values[-1])
        return values

    def _step(
        self, processed: int, values: Sequence[Sequence[Any]], states: list[Array], uses: dict[Any, Any]
    ) -> tuple[list[Array], Array]:
        """Return the vectors for the states before a step, and for its input.

        states: the vectors for the states after the step.
        uses: by line and name of the weight, gets pairs of the values left of the weight's @ and the vectors.
        """
        import numpy as np

        before: list[Array] = []
        below: Any = 0
        for step, computed in zip(self.steps[::-1], values[::-1], strict=True):
            count = len(step.text.states)
            last, states = states[-count:], states[:-count]
            last[0] = last[0] + below
            pulled = step.backward(computed, last)
            for line, name, used, left in step.uses:
                if pulled[used] is not None:
                    beside = np.ones(1) if left is None else computed[left]
                    uses.setdefault((line, name), []).append((beside, pulled[used]))
            for (state, _), (read, gate) in step.reads.items():
                self._add_squares(processed, self.trace.states[len(states) + state], gate, pulled[read])
            below, *first = [
                np.zeros((len(last[0]), value.size), value.dtype) if vectors is None
                else vectors.reshape(len(vectors), -1)
                for vectors, value in zip(pulled[: 1 + count], computed, strict=False)
            ]  # fmt: skip
            before = [*first, *before]
        return before, below

    def _add_squares(self, processed: int, part: Label, gate: str, vectors: Any) -> None:
        import numpy as np

        if self.is_tracked and vectors is not None:
            key = (self.trace.direction, part), gate
            squares = self.walk.squares.setdefault(key, np.zeros(len(self.trace.times)))
            squares[self.trace.times[processed]] += sum_squares(vectors)


def _zeros(count: int, like: Array) -> Array:
    """Return zeros for `count` vectors of the size of one value, (1, ...)."""
    import numpy as np

    return np.zeros((count, *like.shape[1:]), like.dtype)


def sum_squares(values: Any, *, by_time: bool = False) -> Any:
    """Return the sum of the squares in float64.  by_time: one sum for each index of the middle axis."""
    import numpy as np

    wide = np.asarray(values).astype(np.float64)
    return np.einsum("nti,nti->t", wide, wide) if by_time else wide.ravel() @ wide.ravel()
