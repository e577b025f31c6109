"""A hypothesis: how foreign numbers may differ from Keras's, and what Keras computes if it is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnncli import frameworks
from rnncli.commands.port.foreign_weights import ForeignCell, ForeignLayer
from rnncli.known import Known
from rnncli.layers.bidirectional import Bidirectional
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.values import Array, Spec


class ForeignRun(NamedTuple):
    """The inputs of another framework, and the tensors that it returned.

    layer: the weights as their file holds them.
    options: the options of the layer, as Keras's config of one direction.
    merge_mode: how two directions are merged.
    inputs: (batch, timesteps, features), float64.
    expected: the returned tensors: `sequence` (batch, timesteps, units), `output` (batch, units), and for
        each direction `hidden 0`, `cell 0`, `sequence 0`.
    initial_state: in Keras's order, each (batch, units); empty if there is none.
    mask: (batch, timesteps), True for the steps to process, None for all.
    atol, rtol: numbers match if |expected - computed| <= atol + rtol * |expected|.
    """

    layer: ForeignLayer
    options: Mapping[str, Any]
    merge_mode: str | None
    inputs: Array
    expected: Mapping[str, Array]
    initial_state: tuple[Array, ...]
    mask: Array | None
    atol: float
    rtol: float

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates in the order in which Keras packs them."""
        return frameworks.GATES[self.layer.class_name]

    def filled(self, tensor: str) -> Array:
        """Return False for the rows of zeros of the `input` or the `output`, with the axes of the file."""
        outputs = (array for key, array in self.expected.items() if is_sequence(key))
        return np.asarray(np.any(self.inputs if tensor == "input" else next(outputs), axis=-1))


OF_OUTPUTS = ("swap_outputs", "flip_outputs", "states_exchanged", "backward_first", "last_row")
"""Attributes of a Hypothesis that change only the returned tensors, not the computation."""


class Hypothesis:
    """A run with some differences from Keras; an attribute that no difference sets means: as in Keras.

    gates: the order in which the gates are packed; empty for Keras's.
    transposed: `kernel`, `recurrent_kernel` or `both`, where shapes do not show it.
    biases: `first`, `second`, `doubled`, `recurrent` or `none`.
    last_row: whether the output of two directions is the last row of their sequence.
    padding: the tensor, `input` or `output`, and the end, `start` or `end`, whose rows of zeros are padding;
        None for the steps that the run's mask leaves out.
    padded: how padding is treated: "" skipped as Keras does with a mask; `zeros` skipped, with zeros in
        the output; `repeated` skipped, with the row before in the output; `computed` as data; `computed,
        zeros` as data, with zeros in the output; `computed, real end` as data, with the states of the
        last step before it.
    remaining: the largest absolute difference of any number.
    excess: the largest difference divided by the difference that the tolerances allow; at most 1 for a match.
        Both are infinite until they are measured.
    """

    gates: tuple[str, ...] = ()
    transposed = biases = padded = ""
    forget_bias = 0.0
    update_negated = kernels_exchanged = initial_exchanged = states_exchanged = False
    swap_inputs = swap_outputs = flip_inputs = flip_outputs = backward_first = last_row = False
    reset_after: bool | None = None
    activation: str | None = None
    recurrent_activation: str | None = None
    padding: tuple[str, str] | None = None
    remaining = excess = np.inf

    def __init__(self, run: ForeignRun, differences: Iterable[Known] = ()) -> None:
        self.run, self.differences = run, tuple(differences)
        for difference in self.differences:
            vars(self).update(difference.changes)

    @property
    def matches(self) -> bool:
        """Whether every number is within the tolerances."""
        return self.excess <= 1

    @property
    def computation(self) -> frozenset[tuple[str, Any]]:
        """What the differences change in the computation; equal computations are done once."""
        changes = (change for difference in self.differences for change in difference.changes.items())
        return frozenset(change for change in changes if change[0] not in OF_OUTPUTS)

    @property
    def resets_after(self) -> bool:
        """Whether it is a GRU that applies the reset gate after the matrix product."""
        if self.run.layer.class_name != "GRU":
            return False
        after = self.reset_after
        return bool(self.run.options.get("reset_after", True)) if after is None else after

    @property
    def uses_bias(self) -> bool:
        """Whether the layer of Keras has a bias; it has where 1 is added to the forget gate's."""
        unused = self.biases == "none" and not self.forget_bias
        return bool(self.run.options.get("use_bias", True)) and not unused

    @property
    def inputs(self) -> Array:
        """The inputs (batch, timesteps, features) as Keras takes them."""
        return _turn(self.run.inputs, swapped=self.swap_inputs, flipped=self.flip_inputs)

    @property
    def mask(self) -> Array | None:
        """The steps of the inputs, as Keras takes them, that are not padding; None for all."""
        swapped, flipped = self.swap_inputs, self.flip_inputs
        if self.padding is None:
            mask = self.run.mask
            return None if mask is None else _turn(mask, swapped=swapped, flipped=flipped)
        tensor, end = self.padding
        if tensor == "output":
            swapped, flipped = self.swap_outputs, self.flip_outputs
        way = slice(None, None, 1 if end == "start" else -1)
        filled = _turn(self.run.filled(tensor), swapped=swapped, flipped=flipped)
        steps = np.logical_or.accumulate(filled[:, way], axis=1)[:, way]
        return steps if steps.shape == self.inputs.shape[:2] else None  # a probe has no padding

    @property
    def initial_state(self) -> tuple[Array, ...]:
        """The initial states in Keras's order; none for zeros."""
        states = self.run.initial_state
        if self.initial_exchanged:
            return tuple(states[index ^ 1] for index in range(len(states)))
        return states

    @property
    def weights(self) -> dict[str, Array]:
        """The weights in Keras's layout, by Keras's paths."""
        weights: dict[str, Array] = {}
        cells = self.run.layer.cells
        for path, cell in zip(("forward/", "backward/") if len(cells) > 1 else ("",), cells, strict=True):
            kernel, recurrent = cell.kernel, cell.recurrent
            if self.kernels_exchanged:
                kernel, recurrent = recurrent, kernel
            if self.transposed in ("kernel", "both"):
                kernel = kernel.T
            if self.transposed in ("recurrent_kernel", "both"):
                recurrent = recurrent.T
            weights[f"{path}kernel"] = self._arrange_gates(kernel)
            weights[f"{path}recurrent_kernel"] = self._arrange_gates(recurrent)
            if self.uses_bias:
                weights[f"{path}bias"] = self.bias(cell)
        return weights

    def bias(self, cell: ForeignCell) -> Array:
        """Return Keras's bias: a vector, or the two rows of a GRU with reset_after; zeros without a bias."""
        used = cell.biases if self.run.options.get("use_bias", True) else ()
        if used:
            zero = np.zeros_like(used[0])
            forms = {"first": used[:1], "second": used[1:], "doubled": used * 2, "none": ()}
            used = {**forms, "recurrent": (zero, used[0])}.get(self.biases, used)
        units = len(cell.recurrent)
        zeros = np.zeros(len(self.run.gates) * units)
        first, second = [*map(self._arrange_gates, used), zeros, zeros][:2]
        if self.resets_after:
            return np.stack([first, second])
        total: Array = first + second
        if self.forget_bias:
            start = self.run.gates.index("forget") * units
            total[start : start + units] += self.forget_bias
        return total

    def _arrange_gates(self, array: Array) -> Array:
        """Return an array (..., gates * units) with the gates in Keras's order."""
        keras = self.run.gates
        arranged = frameworks.reorder(array, self.gates or keras, keras)
        if self.update_negated:
            signs = [-1 if gate == "update" else 1 for gate in keras]
            arranged = arranged * np.repeat(signs, array.shape[-1] // len(keras))
        return arranged

    def spec(self, **more: Any) -> Spec:
        """Return the layer of Keras.  more: options of one direction, such as return_sequences."""
        names = ("activation", "recurrent_activation", "reset_after")
        changed = {name: value for name in names if (value := getattr(self, name)) is not None}
        if not self.uses_bias:
            changed["use_bias"] = False
        if self.padded == "zeros":
            changed["zero_output_for_mask"] = True
        config = {**self.run.options, **changed, **more}
        if len(self.run.layer.cells) == 1:
            return Spec(self.run.layer.class_name, config)
        inner = Spec(self.run.layer.class_name, {**config, "go_backwards": False})
        outer = {"layer": inner, "merge_mode": None, "backward_layer": None, "dtype": config.get("dtype")}
        return Spec("Bidirectional", outer)

    @property
    def expected(self) -> dict[str, Array]:
        """The expected tensors as Keras would return them; fewer if the hypothesis gives two one name."""
        time_axis = 0 if self.swap_outputs else 1
        return {
            self._name_in_keras(key): self._rearrange(key, array, time_axis)
            for key, array in self.run.expected.items()
        }

    def in_file_form(self, computed: Mapping[str, Array]) -> dict[str, Array]:
        """Return what Keras computed in the form of the expected tensors: the inverse of `expected`."""
        return {
            key: self._rearrange(key, computed[self._name_in_keras(key)], time_axis=1)
            for key in self.run.expected
        }

    def _name_in_keras(self, key: str) -> str:
        part, _, direction = key.partition(" ")
        if self.states_exchanged and part in ("hidden", "cell", "output"):
            return f"{'hidden' if part == 'cell' else 'cell'} {direction or 0}"
        return "last row" if self.last_row and key == "output" else key

    def _rearrange(self, key: str, array: Array, time_axis: int) -> Array:
        """Return an output with batch and time, the order of time, and the directions exchanged.

        time_axis: the time axis of a sequence, before batch and time are swapped.
        """
        if is_sequence(key) and self.flip_outputs:
            array = np.flip(array, time_axis)
        if is_sequence(key) and self.swap_outputs:
            array = array.swapaxes(0, 1)
        if self.backward_first and key in ("sequence", "output"):
            array = np.roll(array, array.shape[-1] // 2, axis=-1)
        return array

    def compute(self, sequences: int | None = None, steps: int | None = None) -> dict[str, Array]:
        """Return what Keras computes, under the names of ForeignRun.expected.

        sequences, steps: how many of the input to compute; None for all.
        """
        mask = self.mask
        if mask is not None:
            mask = np.ascontiguousarray(mask[:sequences, :steps])
        tensors = self._call_layer(None if self.padded.startswith("computed") else mask, sequences, steps)
        if mask is None:
            return tensors
        if self.padded == "computed, real end":
            skipped = self._call_layer(mask, sequences, steps)
            return {key: (tensors if is_sequence(key) else skipped)[key] for key in tensors}
        directions = [tensors[f"sequence {direction}"] for direction in range(len(self.run.layer.cells))]
        if self.padded == "computed, zeros":
            directions = [np.where(mask[..., None], array, 0.0) for array in directions]
        elif self.padded == "repeated":
            forward, backward = directions
            directions = [_repeat(forward, mask), _repeat(backward[:, ::-1], mask[:, ::-1])[:, ::-1]]
        else:
            return tensors
        return tensors | self._name_sequences(directions)

    def _call_layer(self, mask: Array | None, sequences: int | None, steps: int | None) -> dict[str, Array]:
        """Return what Keras computes with this mask, which is already cut to these sequences and steps."""
        from rnncli.compute import engines

        inputs = np.ascontiguousarray(self.inputs[:sequences, :steps])
        states = tuple(state[:sequences] for state in self.initial_state)
        case = Case(Stack((self.spec(),)), inputs, mask, initial_state=states or None, seed=None)
        (tensors,) = engines.get("numpy").Layers(case, self.weights, {})(case).tensors
        count = len(self.run.layer.cells)
        parts = ("hidden", "cell") if self.run.layer.class_name == "LSTM" else ("hidden",)
        names = [f"{part} {direction}" for direction in range(count) for part in parts]
        named = dict(zip(names, tensors[count:], strict=True))
        named["output"] = self._merge([named[f"hidden {direction}"] for direction in range(count)])
        return named | self._name_sequences(tensors[:count])

    def _name_sequences(self, sequences: Sequence[Array]) -> dict[str, Array]:
        """Return the sequence of each direction, the merged one, and its last row."""
        merged = self._merge(sequences)
        named = {f"sequence {direction}": array for direction, array in enumerate(sequences)}
        return {**named, "sequence": merged, "last row": merged[:, -1]}

    def _merge(self, directions: Sequence[Array]) -> Array:
        if len(directions) == 1:
            return directions[0]
        (merged,) = Bidirectional.merge(self.run.merge_mode or "concat", *directions)
        return merged


def _turn(array: Array, *, swapped: bool, flipped: bool) -> Array:
    """Return an array of a file with its first axes as batch, timesteps, in the order of time."""
    array = array.swapaxes(0, 1) if swapped else array
    return array[:, ::-1] if flipped else array


def is_sequence(key: str) -> bool:
    """Return whether an expected tensor, `sequence` or `sequence 0`, has an axis of time."""
    return key.startswith("sequence")


def _repeat(array: Array, mask: Array) -> Array:
    """Return (batch, timesteps, units) with the row before in each padded step; 0 if there is none."""
    last = np.maximum.accumulate(np.where(mask, np.arange(mask.shape[1]), -1), axis=1)[..., None]
    return np.where(last < 0, 0.0, np.take_along_axis(array, np.maximum(last, 0), axis=1))
