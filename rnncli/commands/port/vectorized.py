"""Compute many hypotheses at once: each is another row of one loop over time.

Gates in another order are other columns of the same product, so hypotheses share their products as long as
their kernels have the same orientation.  The search confirms its findings with the numpy engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.port.hypothesis import (
    ForeignRun,
    Hypothesis,
    bias_of,
    initial_state_of,
    inputs_of,
    is_reset_after,
    kernels_of,
    mask_of,
    name_tensors,
    without_outputs,
)
from rnncli.frameworks import GATES
from rnncli.layers import activations

TOGETHER, KEPT = 2**21, 2**24
"""The number of preactivations of one time step, and of outputs of all steps, that are computed at once."""

States = tuple[Array, ...]


def compute_all(
    run: ForeignRun, hypotheses: Sequence[Hypothesis], sequences: int, steps: int
) -> list[dict[str, Array]]:
    """Return what `hypothesis.compute` returns for each of the hypotheses, apart from rounding."""
    plain = [without_outputs(hypothesis) for hypothesis in hypotheses]
    groups: dict[tuple[object, ...], list[Hypothesis]] = {}
    for hypothesis in dict.fromkeys(plain):
        groups.setdefault(_form(run, hypothesis), []).append(hypothesis)
    tensors: dict[Hypothesis, dict[str, Array]] = {}
    units = sequences * len(run.layer.cells[0].recurrent)
    most = KEPT // (units * min(steps, max(run.inputs.shape[:2])) * len(run.layer.cells))
    size = max(1, min(TOGETHER // (units * len(GATES[run.layer.class_name])), most))
    with np.errstate(all="ignore"):
        for group in groups.values():
            for start in range(0, len(group), size):
                part = group[start : start + size]
                tensors |= dict(zip(part, _compute(run, part, sequences, steps), strict=True))
    return [tensors[hypothesis] for hypothesis in plain]


def _form(run: ForeignRun, one: Hypothesis) -> tuple[object, ...]:
    """Return what all hypotheses of one loop have in common."""
    reset = is_reset_after(run, one)
    kernels = one.transposed, one.kernels_exchanged
    return *kernels, one.activation, one.recurrent_activation, reset, one.swap_inputs


def _compute(
    run: ForeignRun, group: Sequence[Hypothesis], sequences: int, steps: int
) -> Iterator[dict[str, Array]]:
    """Yield the tensors of each hypothesis by name."""
    results = [
        HypothesisLoop.of(run, group, place, sequences, steps).run() for place in range(len(run.layer.cells))
    ]
    for number in range(len(group)):
        rows = [sequence[number] for sequence, _ in results]
        halves = [row if place == 0 else row[:, ::-1] for place, row in enumerate(rows)]
        states = [state[number] for _, last in results for state in last]
        yield name_tensors(run, (*halves, *states))


class HypothesisLoop(NamedTuple):
    """One direction of a layer under several hypotheses.

    orders, signs: (hypotheses, gates): where each of Keras's gates stands in the file, and its sign.
    inputs: (variants, batch, timesteps, gates * units): x W of each way in which the input may be read.
    masks: (variants, batch, timesteps), None for no mask.  variants: the variant of each hypothesis.
    input_biases, recurrent_biases: (hypotheses, gates, 1, units): the biases of the input and of the state.
    start: the initial states, each (hypotheses, batch, units).
    functions: the activations of the gates and of the candidate.  recurrent: (units, gates * units).
    zeroing: whether masked steps output zeros, as in Bidirectional, rather than the previous output.
    """

    class_name: str
    functions: Mapping[str, Callable[[Array], Array]]
    reset_after: bool
    orders: Array
    signs: Array
    variants: Array
    inputs: Array
    masks: Array | None
    recurrent: Array
    input_biases: Array
    recurrent_biases: Array
    start: States
    zeroing: bool

    @classmethod
    def of(
        cls, run: ForeignRun, group: Sequence[Hypothesis], place: int, sequences: int, steps: int
    ) -> HypothesisLoop:
        """Return the loop of a direction over the first sequences and steps."""
        cell, gates = run.layer.cells[place], GATES[run.layer.class_name]
        kernel, recurrent = kernels_of(cell, group[0])
        backwards = -1 if place or run.options.get("go_backwards") else 1
        variants = list(dict.fromkeys(one.flip_inputs for one in group))
        plain = [Hypothesis(flip_inputs=flip, swap_inputs=group[0].swap_inputs) for flip in variants]
        inputs = np.stack([inputs_of(run, one)[:sequences, :steps][:, ::backwards] for one in plain])
        masks = [mask_of(run, one) for one in plain]
        shown = [mask[:sequences, :steps][:, ::backwards] for mask in masks if mask is not None]
        biases = np.stack([bias_of(run, cell, one) for one in group])
        units, after = len(recurrent), run.layer.class_name == "GRU" and is_reset_after(run, group[0])
        rows = biases.reshape(len(group), -1, len(gates), 1, units)
        return cls(
            class_name=run.layer.class_name,
            functions=_functions(run, group[0]),
            reset_after=after,
            orders=np.array([[(one.gates or gates).index(gate) for gate in gates] for one in group]),
            signs=np.array([[_sign(one, gate) for gate in gates] for one in group])[..., None, None],
            variants=np.array([variants.index(one.flip_inputs) for one in group]),
            inputs=inputs @ kernel,
            masks=np.stack(shown) if shown else None,
            recurrent=recurrent,
            input_biases=rows[:, 0],
            recurrent_biases=rows[:, 1] if after else np.zeros(()),
            start=_start(run, group, place, sequences),
            zeroing=len(run.layer.cells) == 2,
        )

    def run(self) -> tuple[Array, States]:
        """Return the outputs in the order of processing, and the last states, each (hypotheses, ...)."""
        states, outputs = self.start, []
        before = np.zeros_like(states[0])
        for t in range(self.inputs.shape[2]):
            after = self._step(self.pick(self.inputs[self.variants, :, t]) + self.input_biases, states)
            output = after[0]
            if self.masks is not None:
                counts = self.masks[self.variants, :, t, None]
                after = tuple(np.where(counts, new, old) for new, old in zip(after, states, strict=True))
                output = np.where(counts, output, 0 if self.zeroing else before)
            outputs.append(output)
            before, states = output, after
        return np.stack(outputs, axis=2), states

    def pick(self, packed: Array) -> Array:
        """Return Keras's gates, (hypotheses, gates, batch, units), of (hypotheses, batch, gates * units)."""
        count, batch, _ = packed.shape
        parts = packed.reshape(count, batch, self.orders.shape[1], -1)
        picked: Array = parts[np.arange(count)[:, None], :, self.orders]
        return picked if (self.signs == 1).all() else picked * self.signs

    def _product(self, hidden: Array) -> Array:
        """Return h U of every gate, as `pick` arranges it."""
        count, batch, units = hidden.shape
        flat = hidden.reshape(count * batch, units)
        width = self.recurrent.shape[1]
        product = flat @ self.recurrent if flat.any() else np.zeros((count * batch, width))
        return self.pick(product.reshape(count, batch, width))

    def _step(self, x: Array, states: States) -> States:
        """Return the states after one time step.  x: (hypotheses, gates, batch, units), x W + b."""
        gate, activate = self.functions["gate"], self.functions["candidate"]
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


def _functions(run: ForeignRun, one: Hypothesis) -> dict[str, Callable[[Array], Array]]:
    """Return the activations of the gates and of the candidate."""
    names = {
        "gate": one.recurrent_activation or run.options.get("recurrent_activation", "sigmoid"),
        "candidate": one.activation or run.options["activation"],
    }
    return {part: activations.get_unguarded(name) for part, name in names.items()}


def _sign(one: Hypothesis, gate: str) -> int:
    return -1 if one.update_negated and gate == "update" else 1


def _start(run: ForeignRun, group: Sequence[Hypothesis], place: int, sequences: int) -> States:
    """Return the initial states of one direction, each (hypotheses, batch, units)."""
    count, units = 2 if run.layer.class_name == "LSTM" else 1, len(run.layer.cells[place].recurrent)
    batch = min(sequences, len(inputs_of(run, group[0])))
    if not run.initial_state:
        return tuple(np.zeros((len(group), batch, units)) for _ in range(count))
    given = [initial_state_of(run, one) or () for one in group]
    return tuple(
        np.stack([states[count * place + part][:batch] for states in given]) for part in range(count)
    )
