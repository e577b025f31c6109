"""A hypothesis: how foreign numbers may differ from Keras's, and what Keras computes if it is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnncli.case import Array, Case, Spec
from rnncli.commands.port.foreign_weights import ForeignCell, ForeignLayer
from rnncli.frameworks import GATES
from rnncli.layers.bidirectional import Bidirectional


def is_sequence(key: str) -> bool:
    """Return whether an expected tensor, `sequence` or `sequence 0`, has an axis of time."""
    return key.startswith("sequence")


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
    """

    layer: ForeignLayer
    options: Mapping[str, Any]
    merge_mode: str | None
    inputs: Array
    expected: Mapping[str, Array]
    initial_state: tuple[Array, ...] = ()
    mask: Array | None = None

    @property
    def expects_sequences(self) -> bool:
        """Whether one of the returned tensors has an axis of time."""
        return any(map(is_sequence, self.expected))


class Hypothesis(NamedTuple):
    """Differences from Keras; every field defaults to no difference.

    gates: the order in which the gates are packed; empty for Keras's.
    transposed: `kernel`, `recurrent_kernel` or `both`, where shapes do not show it.
    biases: `first`, `second`, `doubled`, `recurrent` or `none`.
    last_row: whether the output of two directions is the last row of their sequence.
    """

    gates: tuple[str, ...] = ()
    update_negated: bool = False
    transposed: str = ""
    kernels_exchanged: bool = False
    biases: str = ""
    forget_bias: float = 0.0
    reset_after: bool | None = None
    activation: str | None = None
    recurrent_activation: str | None = None
    swap_inputs: bool = False
    swap_outputs: bool = False
    flip_inputs: bool = False
    flip_outputs: bool = False
    states_exchanged: bool = False
    initial_exchanged: bool = False
    backward_first: bool = False
    last_row: bool = False


OF_OUTPUTS = ("swap_outputs", "flip_outputs", "states_exchanged", "backward_first", "last_row")
"""Fields that are about the returned tensors, and not about what is computed."""


def without_outputs(hypothesis: Hypothesis) -> Hypothesis:
    """Return the hypothesis without what it says about the returned tensors."""
    return hypothesis._replace(**{name: Hypothesis._field_defaults[name] for name in OF_OUTPUTS})


def weights_of(run: ForeignRun, hypothesis: Hypothesis) -> dict[str, Array]:
    """Return the weights in Keras's layout, by Keras's paths."""
    found: dict[str, Array] = {}
    paths = ("",) if len(run.layer.cells) == 1 else ("forward/", "backward/")
    for path, cell in zip(paths, run.layer.cells, strict=True):
        kernel, recurrent = kernels_of(cell, hypothesis)
        found[f"{path}kernel"] = _arrange_gates(run, hypothesis, kernel)
        found[f"{path}recurrent_kernel"] = _arrange_gates(run, hypothesis, recurrent)
        if run.options.get("use_bias", True):
            found[f"{path}bias"] = bias_of(run, cell, hypothesis)
    return found


def kernels_of(cell: ForeignCell, hypothesis: Hypothesis) -> tuple[Array, Array]:
    """Return both kernels in Keras's orientation, with the gates in the order of the file."""
    kernel, recurrent = cell.kernel, cell.recurrent
    if hypothesis.kernels_exchanged:
        kernel, recurrent = recurrent, kernel
    if hypothesis.transposed in ("kernel", "both"):
        kernel = kernel.T
    if hypothesis.transposed in ("recurrent_kernel", "both"):
        recurrent = recurrent.T
    return kernel, recurrent


def _arrange_gates(run: ForeignRun, hypothesis: Hypothesis, array: Array) -> Array:
    """Return an array (..., gates * units) with the gates in Keras's order."""
    keras = GATES[run.layer.class_name]
    units = array.shape[-1] // len(keras)
    packed = hypothesis.gates or keras
    columns = np.concatenate([np.arange(units) + packed.index(gate) * units for gate in keras])
    arranged: Array = array[..., columns]
    if hypothesis.update_negated:
        place = keras.index("update") * units
        arranged[..., place : place + units] *= -1
    return arranged


def _select_biases(biases: tuple[Array, ...], form: str) -> tuple[Array, ...]:
    """Return the bias of the input and that of the state, as far as they are used."""
    match form:
        case "first":
            return biases[:1]
        case "second":
            return biases[1:]
        case "doubled":
            return (*biases, *biases)
        case "recurrent":
            return (np.zeros_like(biases[0]), biases[0])
    return () if form == "none" else biases


def bias_of(run: ForeignRun, cell: ForeignCell, hypothesis: Hypothesis) -> Array:
    """Return Keras's bias: one, or the two rows of a GRU with reset_after; zeros without a bias."""
    gates, units = GATES[run.layer.class_name], len(cell.recurrent)
    width = len(gates) * units
    used = _select_biases(cell.biases, hypothesis.biases) if run.options.get("use_bias", True) else ()
    biases = [_arrange_gates(run, hypothesis, bias) for bias in used]
    first, second = [*biases, np.zeros(width), np.zeros(width)][:2]
    if run.layer.class_name == "GRU" and is_reset_after(run, hypothesis):
        return np.stack([first, second])
    total: Array = first + second
    if hypothesis.forget_bias:
        start = gates.index("forget") * units
        total[start : start + units] += hypothesis.forget_bias
    return total


def is_reset_after(run: ForeignRun, hypothesis: Hypothesis) -> bool:
    """Return whether the GRU applies the reset gate after the matrix product."""
    reset_after = hypothesis.reset_after
    return bool(run.options.get("reset_after", True)) if reset_after is None else reset_after


def spec_of(run: ForeignRun, hypothesis: Hypothesis, **more: Any) -> Spec:
    """Return the layer of Keras.  more: options of one direction, such as return_sequences."""
    names = ("activation", "recurrent_activation", "reset_after")
    changed = {name: value for name in names if (value := getattr(hypothesis, name)) is not None}
    config = {**run.options, **changed, **more}
    if len(run.layer.cells) == 1:
        return Spec(run.layer.class_name, config)
    inner = Spec(run.layer.class_name, {**config, "go_backwards": False})
    outer = {"layer": inner, "merge_mode": None, "backward_layer": None, "dtype": config.get("dtype")}
    return Spec("Bidirectional", outer)


def expected_in_keras(run: ForeignRun, hypothesis: Hypothesis) -> dict[str, Array]:
    """Return the expected tensors as Keras would return them; fewer if the hypothesis makes two the same."""
    time_axis = 0 if hypothesis.swap_outputs else 1
    return {
        _name_in_keras(key, hypothesis): _rearrange(key, array, hypothesis, time_axis)
        for key, array in run.expected.items()
    }


def expected_in_file_form(
    run: ForeignRun, hypothesis: Hypothesis, computed: Mapping[str, Array]
) -> dict[str, Array]:
    """Return what Keras computed in the form of the expected tensors: the inverse of `expected_in_keras`."""
    return {
        key: _rearrange(key, computed[_name_in_keras(key, hypothesis)], hypothesis, time_axis=1)
        for key in run.expected
    }


def _name_in_keras(key: str, hypothesis: Hypothesis) -> str:
    """Return the name under which Keras computes an expected tensor."""
    part, _, place = key.partition(" ")
    if hypothesis.states_exchanged and part in ("hidden", "cell", "output"):
        return f"{'hidden' if part == 'cell' else 'cell'} {place or 0}"
    return "last row" if hypothesis.last_row and key == "output" else key


def _rearrange(key: str, array: Array, hypothesis: Hypothesis, time_axis: int) -> Array:
    """Return an output with batch and time, the order of time, and the directions exchanged.

    time_axis: of a sequence, before batch and time are swapped.
    """
    if is_sequence(key) and hypothesis.flip_outputs:
        array = np.flip(array, time_axis)
    if is_sequence(key) and hypothesis.swap_outputs:
        array = array.swapaxes(0, 1)
    if hypothesis.backward_first and key in ("sequence", "output"):
        array = np.roll(array, array.shape[-1] // 2, axis=-1)
    return array


def inputs_of(run: ForeignRun, hypothesis: Hypothesis) -> Array:
    """Return the inputs (batch, timesteps, features) as Keras takes them."""
    inputs = run.inputs.swapaxes(0, 1) if hypothesis.swap_inputs else run.inputs
    return inputs[:, ::-1] if hypothesis.flip_inputs else inputs


def mask_of(run: ForeignRun, hypothesis: Hypothesis) -> Array | None:
    """Return the mask (batch, timesteps) of the inputs as Keras takes them."""
    return None if run.mask is None else inputs_of(run._replace(inputs=run.mask), hypothesis)


def initial_state_of(run: ForeignRun, hypothesis: Hypothesis) -> tuple[Array, ...] | None:
    """Return the initial states in Keras's order; None for zeros."""
    states = run.initial_state
    if hypothesis.initial_exchanged:
        states = tuple(states[place ^ 1] for place in range(len(states)))
    return states or None


def compute(run: ForeignRun, hypothesis: Hypothesis, sequences: int, steps: int) -> dict[str, Array]:
    """Return what Keras computes of the first sequences and steps, under the names of ForeignRun.expected.

    steps: less than all only where nothing but `sequence` of one direction is wanted.
    """
    from rnncli.compute import engines

    spec = spec_of(run, hypothesis)
    inputs = np.ascontiguousarray(inputs_of(run, hypothesis)[:sequences, :steps])
    states = initial_state_of(run, hypothesis)
    if states is not None:
        states = tuple(state[:sequences] for state in states)
    mask = mask_of(run, hypothesis)
    if mask is not None:
        mask = np.ascontiguousarray(mask[:sequences, :steps])
    case = Case((spec,), inputs, mask, initial_state=states, seed=None)
    call = engines.get("numpy").build_layers(case, weights_of(run, hypothesis), {})
    (tensors,) = call(case).tensors
    return name_tensors(run, tensors)


def name_tensors(run: ForeignRun, tensors: tuple[Array, ...]) -> dict[str, Array]:
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
