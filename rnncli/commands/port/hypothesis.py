"""A hypothesis: how foreign numbers may differ from Keras's, and what Keras computes if it is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rnncli import frameworks
from rnncli.case import Array, Case, Spec
from rnncli.commands.port.foreign_weights import ForeignCell, ForeignLayer
from rnncli.errors import Message
from rnncli.layers.bidirectional import Bidirectional


class ForeignRun(NamedTuple):
    """What another framework was given, and what it returned.

    layer: what the weights' file holds.
    options: of the layer, as Keras's config of one direction.
    merge_mode: of two directions.
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


class Difference(NamedTuple):
    """A known difference from Keras.

    name: for scripts, `gates=reset,update,candidate`.
    changes: the attributes of a Hypothesis that it sets; two that set the same one exclude each other.
    """

    name: str
    text: Message
    changes: Mapping[str, Any]


OF_OUTPUTS = ("swap_outputs", "flip_outputs", "states_exchanged", "backward_first", "last_row")
"""Attributes of a Hypothesis that change only the returned tensors, not the computation."""


class Hypothesis:
    """A run with some differences from Keras; an attribute that no difference sets means: as in Keras.

    gates: the order in which the gates are packed; empty for Keras's.
    transposed: `kernel`, `recurrent_kernel` or `both`, where shapes do not show it.
    biases: `first`, `second`, `doubled`, `recurrent` or `none`.
    last_row: whether the output of two directions is the last row of their sequence.
    remaining: the largest absolute difference of any number.
    excess: the largest difference in units of what the tolerances allow; at most 1 for a match.
        Both are infinite until they are measured.
    """

    gates: tuple[str, ...] = ()
    update_negated = False
    transposed = ""
    kernels_exchanged = False
    biases = ""
    forget_bias = 0.0
    reset_after: bool | None = None
    activation: str | None = None
    recurrent_activation: str | None = None
    swap_inputs = False
    swap_outputs = False
    flip_inputs = False
    flip_outputs = False
    states_exchanged = False
    initial_exchanged = False
    backward_first = False
    last_row = False

    remaining: float = np.inf
    excess: float = np.inf

    def __init__(self, run: ForeignRun, differences: Iterable[Difference] = ()) -> None:
        self.run, self.differences = run, tuple(differences)
        for difference in self.differences:
            vars(self).update(difference.changes)

    @property
    def matches(self) -> bool:
        """Whether every number is within the tolerances."""
        return self.excess <= 1

    @property
    def computation(self) -> frozenset[tuple[str, Any]]:
        """What it changes in the computation; hypotheses that change the same are computed once."""
        changes = (change for one in self.differences for change in one.changes.items())
        return frozenset(change for change in changes if change[0] not in OF_OUTPUTS)

    @property
    def resets_after(self) -> bool:
        """Whether it is a GRU that applies the reset gate after the matrix product."""
        if self.run.layer.class_name != "GRU":
            return False
        after = self.reset_after
        return bool(self.run.options.get("reset_after", True)) if after is None else after

    @property
    def inputs(self) -> Array:
        """The inputs (batch, timesteps, features) as Keras takes them."""
        return self._turn(self.run.inputs)

    @property
    def mask(self) -> Array | None:
        """The mask (batch, timesteps) of the inputs as Keras takes them."""
        return None if self.run.mask is None else self._turn(self.run.mask)

    def _turn(self, array: Array) -> Array:
        array = array.swapaxes(0, 1) if self.swap_inputs else array
        return array[:, ::-1] if self.flip_inputs else array

    @property
    def initial_state(self) -> tuple[Array, ...]:
        """The initial states in Keras's order; none for zeros."""
        states = self.run.initial_state
        if self.initial_exchanged:
            return tuple(states[place ^ 1] for place in range(len(states)))
        return states

    @property
    def weights(self) -> dict[str, Array]:
        """The weights in Keras's layout, by Keras's paths."""
        found: dict[str, Array] = {}
        cells = self.run.layer.cells
        for path, cell in zip(("forward/", "backward/") if len(cells) > 1 else ("",), cells, strict=True):
            kernel, recurrent = cell.kernel, cell.recurrent
            if self.kernels_exchanged:
                kernel, recurrent = recurrent, kernel
            if self.transposed in ("kernel", "both"):
                kernel = kernel.T
            if self.transposed in ("recurrent_kernel", "both"):
                recurrent = recurrent.T
            found[f"{path}kernel"] = self._arrange_gates(kernel)
            found[f"{path}recurrent_kernel"] = self._arrange_gates(recurrent)
            if self.run.options.get("use_bias", True):
                found[f"{path}bias"] = self.bias(cell)
        return found

    def bias(self, cell: ForeignCell) -> Array:
        """Return Keras's bias: one, or the two rows of a GRU with reset_after; zeros without a bias."""
        used = cell.biases if self.run.options.get("use_bias", True) else ()
        match self.biases if used else "":
            case "first":
                used = used[:1]
            case "second":
                used = used[1:]
            case "doubled":
                used = (*used, *used)
            case "recurrent":
                used = (np.zeros_like(used[0]), used[0])
            case "none":
                used = ()
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
        config = {**self.run.options, **changed, **more}
        if len(self.run.layer.cells) == 1:
            return Spec(self.run.layer.class_name, config)
        inner = Spec(self.run.layer.class_name, {**config, "go_backwards": False})
        outer = {"layer": inner, "merge_mode": None, "backward_layer": None, "dtype": config.get("dtype")}
        return Spec("Bidirectional", outer)

    @property
    def expected(self) -> dict[str, Array]:
        """The expected tensors as Keras would return them; fewer if the hypothesis makes two the same."""
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
        """Return the name under which Keras computes an expected tensor."""
        part, _, place = key.partition(" ")
        if self.states_exchanged and part in ("hidden", "cell", "output"):
            return f"{'hidden' if part == 'cell' else 'cell'} {place or 0}"
        return "last row" if self.last_row and key == "output" else key

    def _rearrange(self, key: str, array: Array, time_axis: int) -> Array:
        """Return an output with batch and time, the order of time, and the directions exchanged.

        time_axis: of a sequence, before batch and time are swapped.
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

        sequences, steps: of the input, how many to compute; None for all.
        """
        from rnncli.compute import engines

        inputs, mask = np.ascontiguousarray(self.inputs[:sequences, :steps]), self.mask
        if mask is not None:
            mask = np.ascontiguousarray(mask[:sequences, :steps])
        states = tuple(state[:sequences] for state in self.initial_state)
        case = Case((self.spec(),), inputs, mask, initial_state=states or None, seed=None)
        (tensors,) = engines.get("numpy").Layers(case, self.weights, {})(case).tensors
        return _name_tensors(self.run, tensors)


def is_sequence(key: str) -> bool:
    """Return whether an expected tensor, `sequence` or `sequence 0`, has an axis of time."""
    return key.startswith("sequence")


def _name_tensors(run: ForeignRun, tensors: tuple[Array, ...]) -> dict[str, Array]:
    """Return the tensors of a layer with every sequence and state under the names of ForeignRun.expected."""
    count = len(run.layer.cells)
    parts = ("hidden", "cell") if run.layer.class_name == "LSTM" else ("hidden",)
    names = [f"{part} {place}" for place in range(count) for part in parts]
    named = dict(zip(names, tensors[count:], strict=True))
    sequences = tensors[:count]
    named |= {f"sequence {place}": array for place, array in enumerate(sequences)}
    if count == 1:
        return named | {"sequence": sequences[0], "output": named["hidden 0"]}
    mode = run.merge_mode or "concat"
    (named["sequence"],) = Bidirectional.merge(mode, *sequences)
    (named["output"],) = Bidirectional.merge(mode, named["hidden 0"], named["hidden 1"])
    named["last row"] = named["sequence"][:, -1]
    return named
