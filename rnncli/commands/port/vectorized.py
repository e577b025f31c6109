"""Compute many hypotheses at once: each is another row of one loop over time.

Gates in another order are other columns of the same product, so hypotheses share their products as long as
their kernels have the same orientation.  The search confirms its findings with the numpy engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnncli.case import Array
from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis, name_tensors
from rnncli.layers import activations

TOGETHER, KEPT = 2**21, 2**24
"""The number of preactivations of one time step, and of outputs of all steps, that are computed at once."""

States = tuple[Array, ...]


def compute_all(hypotheses: Sequence[Hypothesis], sequences: int, steps: int) -> list[dict[str, Array]]:
    """Return what `compute` of each of the hypotheses returns, apart from rounding.  All are of one run."""
    if not hypotheses:
        return []
    run = hypotheses[0].run
    groups: dict[tuple[object, ...], list[Hypothesis]] = {}
    for one in {one.computation: one for one in hypotheses}.values():
        shared = (one.transposed, one.kernels_exchanged, one.activation, one.recurrent_activation)
        groups.setdefault((*shared, one.resets_after, one.swap_inputs), []).append(one)
    units = sequences * len(run.layer.cells[0].recurrent)
    most = KEPT // (units * min(steps, max(run.inputs.shape[:2])) * len(run.layer.cells))
    size = max(1, min(TOGETHER // (units * len(run.gates)), most))
    tensors: dict[object, dict[str, Array]] = {}
    with np.errstate(all="ignore"):
        for group in groups.values():
            for start in range(0, len(group), size):
                part = group[start : start + size]
                computed = _compute(run, part, sequences, steps)
                tensors |= {one.computation: found for one, found in zip(part, computed, strict=True)}
    return [tensors[one.computation] for one in hypotheses]


def _compute(
    run: ForeignRun, group: Sequence[Hypothesis], sequences: int, steps: int
) -> Iterator[dict[str, Array]]:
    """Yield the tensors of each hypothesis by name."""
    results = [_Loop(group, place, sequences, steps).run() for place in range(len(run.layer.cells))]
    for number in range(len(group)):
        rows = [sequence[number] for sequence, _ in results]
        halves = [row if place == 0 else row[:, ::-1] for place, row in enumerate(rows)]
        states = [state[number] for _, last in results for state in last]
        yield name_tensors(run, (*halves, *states))


class _Loop:
    """One direction of a layer, over the first sequences and steps, under several hypotheses.

    orders, signs: (hypotheses, gates): where each of Keras's gates stands in the file, and its sign.
    inputs: (variants, batch, timesteps, gates * units): x W of each way in which the input may be read.
    masks: (variants, batch, timesteps), None for no mask.  variants: the variant of each hypothesis.
    input_biases, recurrent_biases: (hypotheses, gates, 1, units): the biases of the input and of the state.
    start: the initial states, each (hypotheses, batch, units).
    gate, candidate: the activations.  recurrent: (units, gates * units).
    zeroing: whether masked steps output zeros, as in Bidirectional, rather than the previous output.
    """

    def __init__(self, group: Sequence[Hypothesis], place: int, sequences: int, steps: int) -> None:
        first, run = group[0], group[0].run
        cell, gates, options = run.layer.cells[place], run.gates, run.options
        kernel, self.recurrent = first.kernels(cell)
        self.class_name, self.zeroing = run.layer.class_name, len(run.layer.cells) == 2
        self.gate = activations.get_unguarded(
            first.recurrent_activation or options.get("recurrent_activation", "sigmoid")
        )
        self.candidate = activations.get_unguarded(first.activation or options["activation"])

        ways = {one.flip_inputs: one for one in group}
        self.variants = np.array([list(ways).index(one.flip_inputs) for one in group])
        turn = -1 if place or options.get("go_backwards") else 1
        shown = [one.inputs[:sequences, :steps][:, ::turn] for one in ways.values()]
        self.inputs = np.stack(shown) @ kernel
        masks = [
            mask[:sequences, :steps][:, ::turn] for one in ways.values() if (mask := one.mask) is not None
        ]
        self.masks = np.stack(masks) if masks else None

        self.orders = np.array([[(one.gates or gates).index(gate) for gate in gates] for one in group])
        negated = [[one.update_negated and gate == "update" for gate in gates] for one in group]
        self.signs = np.where(negated, -1, 1)[..., None, None]
        units, self.reset_after = len(self.recurrent), first.resets_after
        biases = np.stack([one.bias(cell) for one in group]).reshape(len(group), -1, len(gates), 1, units)
        self.input_biases = biases[:, 0]
        self.recurrent_biases = biases[:, 1] if self.reset_after else np.zeros(())

        count, batch = 2 if self.class_name == "LSTM" else 1, self.inputs.shape[1]
        self.start: States = tuple(
            np.stack([one.initial_state[count * place + part][:batch] for one in group])
            if run.initial_state
            else np.zeros((len(group), batch, units))
            for part in range(count)
        )

    def run(self) -> tuple[Array, States]:
        """Return the outputs in the order of processing, and the last states, each (hypotheses, ...)."""
        states, outputs = self.start, []
        before = np.zeros_like(states[0])
        for t in range(self.inputs.shape[2]):
            after = self._step(self._pick(self.inputs[self.variants, :, t]) + self.input_biases, states)
            output = after[0]
            if self.masks is not None:
                counts = self.masks[self.variants, :, t, None]
                after = tuple(np.where(counts, new, old) for new, old in zip(after, states, strict=True))
                output = np.where(counts, output, 0 if self.zeroing else before)
            outputs.append(output)
            before, states = output, after
        return np.stack(outputs, axis=2), states

    def _pick(self, packed: Array) -> Array:
        """Return Keras's gates, (hypotheses, gates, batch, units), of (hypotheses, batch, gates * units)."""
        count, batch, _ = packed.shape
        parts = packed.reshape(count, batch, self.orders.shape[1], -1)
        picked: Array = parts[np.arange(count)[:, None], :, self.orders]
        return picked if (self.signs == 1).all() else picked * self.signs

    def _product(self, hidden: Array) -> Array:
        """Return h U of every gate, as `_pick` arranges it."""
        count, batch, units = hidden.shape
        flat = hidden.reshape(count * batch, units)
        width = self.recurrent.shape[1]
        product = flat @ self.recurrent if flat.any() else np.zeros((count * batch, width))
        return self._pick(product.reshape(count, batch, width))

    def _step(self, x: Array, states: States) -> States:
        """Return the states after one time step.  x: (hypotheses, gates, batch, units), x W + b."""
        gate, activate = self.gate, self.candidate
        hidden, recurrent = states[0], self._product(states[0]) + self.recurrent_biases
        if self.class_name == "SimpleRNN":
            return (activate(x[:, 0] + recurrent[:, 0]),)
        if self.class_name == "LSTM":
            z = x + recurrent
            cell = gate(z[:, 1]) * states[1] + gate(z[:, 0]) * activate(z[:, 2])
            return gate(z[:, 3]) * activate(cell), cell
        update, reset = gate(x[:, 0] + recurrent[:, 0]), gate(x[:, 1] + recurrent[:, 1])
        inner = reset * recurrent[:, 2] if self.reset_after else self._product(reset * hidden)[:, 2]
        return (update * hidden + (1 - update) * activate(x[:, 2] + inner),)
