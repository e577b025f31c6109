"""From flags and files to a ForeignRun.

The layer is named by --model; or by -l, else by a config in the file of the weights, else by their shapes.
Each expected tensor is matched to a result of the layer by its name, else by its shape.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from rnncli.ask import LAYER_OPTIONS, Ask, Remarks, subject_of
from rnncli.commands.checks import Expectation
from rnncli.commands.expected import ALONE, UNNAMED, read_expected
from rnncli.commands.port.foreign_weights import (
    NAME_LAYER,
    ONE_LAYER,
    ForeignLayer,
    find_layer,
    read_described,
    read_weights,
    require_explained,
    to_float64,
    without_returns,
)
from rnncli.commands.port.hypothesis import ForeignRun, is_sequence
from rnncli.errors import InputError, LayerError, Message, Text, count, fold_name, inside
from rnncli.frameworks import default_name
from rnncli.inputs import formats
from rnncli.inputs.named_arrays import PARTS, RESULT
from rnncli.inputs.source import find_source, split_layers
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_states
from rnncli.layers.stack import Stack
from rnncli.models.weights import name_in_order
from rnncli.specs import build, describe
from rnncli.values import Array, Spec, format_shape

COMPUTED: Mapping[str, Any] = {
    "return_sequences": True, "return_state": True, "stateful": False, "dropout": 0.0,
    "recurrent_dropout": 0.0, "dtype": "float64",
}  # fmt: skip
"""Options that the search sets in every layer: none of them is an explanation of its numbers."""
RESULT_ADVICE = Message(
    "Use the names of rnncli: hidden_states, hidden_state, last_hidden_state, last_cell_state."
)


PortLayer = tuple[ForeignLayer, Spec, Case, Sequence[Text]]
"""The foreign layer; its spec in Keras; a Case with its input, mask and initial states; notes."""


def collect(
    ask: Ask, weights: Any, expect: Any, states: Any, atol: float, rtol: float
) -> tuple[list[ForeignRun], list[Text]]:
    """Return the run in every reading of the expected tensors, the likeliest first, and remarks.

    weights: the weights of --weights; None for a layer of --model.
    expect, states, atol, rtol: the values of the flags.  Python gives arrays in place of files.
    Raises InputError or UsageError if something does not fit together.
    """
    layer, spec, case, remarks = _read_layer(ask, weights)
    stored = dict(expect) if isinstance(expect, Mapping) else read_expected(find_source(expect))
    case, stored, cut = _cut_padding(case, _name_in_order(stored, layer))
    inputs, notes = np.asarray(case.inputs, np.float64), [*remarks, *cut]
    batch, steps, _ = inputs.shape
    with inside("expect" if isinstance(expect, Mapping) else str(expect)):
        readings = _list_readings(stored, ReturnedSizes(batch, steps, layer.units, len(layer.cells)))
    options = {**spec.inner.config, "units": layer.units, **COMPUTED}
    merge_mode = spec.config.get("merge_mode", "concat") if len(layer.cells) == 2 else None
    before = case.initial_state if states is None else _read_states(states, spec, inputs.shape)
    start = tuple(np.asarray(state, np.float64) for state in before or ())
    runs = [
        ForeignRun(layer, options, merge_mode, inputs, expected, start, case.mask, atol, rtol)
        for expected in readings
    ]
    if case.mask is not None and not case.mask.all() and any(map(is_sequence, readings[0])):
        notes.append(
            Message("in masked steps, zeros and repeated rows both count as equal: frameworks differ there")
        )
    return runs, notes


def recognize_expected(ask: Ask, expect: Any, run: ForeignRun) -> Remarks:
    """Return a remark if what is expected of a layer is what another layer of its model returns."""
    if ask.model is None:
        return ()
    name = "expect" if isinstance(expect, Mapping) else str(expect)
    model = split_layers(str(ask.model))[0] if isinstance(ask.model, (str, PathLike)) else ask.model
    everything = subject_of(ask._replace(model=model, at=None)).everything()
    remarks: dict[Text, None] = {}
    for array in run.expected.values():
        stored = Expectation(name, {ALONE: array}, others=lambda: everything)
        remarks |= dict.fromkeys(stored.recognize((), {}, (run.atol, run.rtol)))
    return tuple(remarks)


def _read_layer(ask: Ask, weights: Any) -> PortLayer:
    """Return the layer of --model, with the input and the mask that it has in its model; else of --weights.

    The layer of --weights is as -l describes it, else as its file does, else by the shapes.
    """
    if weights is None:
        parts = subject_of(ask).parts(alone=True)
        case, spec = parts.case, require_explained(parts.case.stack[0])
        with inside(split_layers(str(ask.model))[0]):
            arrays = to_float64(case.weights or {})
            foreign = find_layer(arrays, case.inputs.shape[-1], spec.inner.class_name)
        return foreign, spec, case, parts.remarks
    described, is_file = _parse_layer(ask), not isinstance(weights, (Mapping, list))
    saved: Spec | None = None
    notes: tuple[Text, ...] = ()
    if is_file:
        source, name = find_source(weights), split_layers(str(weights))[0]
        saved, stored, notes = read_described(source)
        arrays = read_weights(source) if saved is None else to_float64(stored)
    else:
        arrays = to_float64(weights if isinstance(weights, Mapping) else name_in_order(weights))
        name = "weights"
    parts = subject_of(ask._replace(layer=None, options={}, seed=0)).parts(alone=True)
    case = parts.case
    class_name = None if described is None else described.inner.class_name
    with inside(name):
        foreign = find_layer(arrays, case.inputs.shape[-1], class_name, is_file=is_file)
        words = ask.layer or ()
        names_alone = "units" not in ask.options and all(fold_name(word).isalpha() for word in words)
        one_row = _reset_before(ask, foreign) if saved is None else ask
        kinds = {(each.class_name, each.inner.class_name) for each in (described, saved) if each}
        if saved is not None and (described is None or (names_alone and len(kinds) == 1)):
            spec = build(saved, ask.options, flags_win=True)
            written = describe(without_returns(saved))
            notes = (Message("its file says that the layer is {spec}", spec=written), *notes)
        elif described is None or names_alone:
            spec = _complete_layer(one_row, foreign)
        else:
            spec = _parse_layer(one_row) or described
        _require_fit(spec, foreign, ask.options.get("units"))
    if described is None and saved is None:
        notes = (Message("the layer is {spec}, by the shapes of the weights", spec=describe(spec)),)
    elif one_row is not ask:
        notes = (Message("the bias has one row, so the layer is {spec}", spec=describe(spec)),)
    return foreign, spec, case, (*parts.remarks, *notes)


def _parse_layer(ask: Ask) -> Spec | None:
    """Return the layer of -l; None without -l.  Raises LayerError if it is not a single recurrent layer."""
    if not ask.layer:
        return None
    first, *others = ask.stack()
    if others:
        raise LayerError(ONE_LAYER, NAME_LAYER)
    return require_explained(first)


def _reset_before(ask: Ask, foreign: ForeignLayer) -> Ask:
    """Return what is asked for, a GRU with one bias with reset_after=False, unless the layer says otherwise.

    With reset_after=True, Keras's bias has two rows.
    """
    one_bias = foreign.class_name == "GRU" and all(len(cell.biases) == 1 for cell in foreign.cells)
    if one_bias and "reset_after" not in ask.options:
        before = ask._replace(options={**ask.options, "reset_after": False})
        with suppress(LayerError):  # the expression says reset_after=True
            _parse_layer(before)
            return before
    return ask


def _complete_layer(ask: Ask, foreign: ForeignLayer) -> Spec:
    options, layers = {"units": foreign.units, **ask.options}, ask.layer
    if not layers:
        layers = [default_name(foreign.class_name)]
        options |= {"bidirectional": True} if len(foreign.cells) == 2 else {}
    ordered = {name: options[name] for name in LAYER_OPTIONS if name in options}
    return ask._replace(layer=layers, options=ordered).stack()[0]


def _require_fit(spec: Spec, foreign: ForeignLayer, flag: int | None) -> None:
    """Raise InputError if the weights have another number of units or directions than the layer.

    flag: the units of --units.
    """
    units, directions = spec.inner.config["units"], 2 if spec.class_name == "Bidirectional" else 1
    if directions != len(foreign.cells):
        raise InputError(
            "it has weights of {directions}, but {spec} has {wanted}.",
            Message("Add {--bidirectional:on}.")
            if directions == 1
            else Message("Name the layer without Bidirectional."),
            directions=count(len(foreign.cells), "direction"),
            spec=describe(spec),
            wanted=directions,
        )
    if units != foreign.units:
        raise InputError(
            "it has weights of {units}, but {spec} has {wanted}.",
            Message(
                "Write {--layer:option}.",
                option=shlex.quote(describe(spec.with_option("units", foreign.units))),
            )
            if flag is None
            else "Leave {--units} out.",
            units=count(foreign.units, "unit"),
            spec=describe(spec),
            wanted=units,
        )


def _read_states(given: Any, spec: Spec, shape: tuple[int, ...]) -> tuple[Array, ...] | None:
    """Return the states of --initial-state.  Raises InputError if this layer does not take them.

    shape: the shape of the input, (batch, timesteps, features); the other framework may have the time first.
    """
    stack, states = Stack([spec]), given
    name: Text = "initial_state"
    if isinstance(given, (str, PathLike)):
        source = find_source(given)
        name, states = source.name, formats.read_states(source)
    try:
        return check_states(states, stack, shape, name)
    except InputError:
        swapped = (shape[1], shape[0], *shape[2:])
        with suppress(InputError):
            return check_states(states, stack, swapped, name)
        raise


def _cut_padding(case: Case, stored: dict[str, Array]) -> tuple[Case, dict[str, Array], tuple[Text, ...]]:
    """Leave out the last time steps of the input or the output if the other does not have them.

    They are left out only if they are padding (by the mask; without a mask, zeros): a padded batch may be
    longer than its longest sequence.  Returns the rest, and a note.
    """
    shape = case.inputs.shape[:2]
    for name, array in stored.items():
        match = RESULT.fullmatch(name)
        if array.ndim != 3 or (match and (match["hidden"] or match["cell"])):
            continue
        for axis, their_axis in product((1, 0), repeat=2):
            steps_here, steps_there = shape[axis], array.shape[their_axis]
            if array.shape[1 - their_axis] != shape[1 - axis] or sorted(shape) == sorted(array.shape[:2]):
                continue
            steps = count(abs(steps_here - steps_there), "time step")
            if steps_there > steps_here:
                kept, rest = np.split(array, [steps_here], their_axis)
                note = "left out: the last {steps} of the output, all zeros, which the input does not have"
                cut = case, {**stored, name: kept}, (Message(note, steps=steps),)
            else:
                kept, rest = np.split(case.inputs, [steps_there], axis)
                mask = case.mask
                if mask is not None:
                    mask, rest = np.split(mask, [steps_there], axis)
                note = "left out: the last {steps} of the input, all padding, which the output does not have"
                cut = case._replace(inputs=kept, mask=mask), stored, (Message(note, steps=steps),)
            if not rest.any():
                return cut
    return case, stored, ()


def _name_in_order(stored: dict[str, Array], layer: ForeignLayer) -> dict[str, Array]:
    """Return tensors that have an order and no names under the names that Keras or PyTorch has for them."""
    states = ("last_hidden_state", "last_cell_state")[: 2 if layer.class_name == "LSTM" else 1]
    ways = ("forward_", "backward_") if len(layer.cells) == 2 else ("",)
    names = ["output", *(way + state for way in ways for state in states)]
    if len(stored) < 2 or not all(name.startswith(UNNAMED) for name in stored):
        return stored
    return dict(zip(("output", "h_n") if len(stored) == 2 else names, stored.values(), strict=False))


class ReturnedSizes(NamedTuple):
    """Sizes of the tensors that a layer returns.

    batch, steps: the sizes of the input, in any order: the other framework may have the time first.
    """

    batch: int
    steps: int
    units: int
    directions: int

    def fit(self, sizes: tuple[int, ...]) -> bool:
        """Return whether these are the batch and the time steps, in any order."""
        return sorted(sizes) == sorted((self.batch, self.steps))


def _list_readings(tensors: Mapping[str, Array], sizes: ReturnedSizes) -> list[dict[str, Array]]:
    """Return the tensors under their names; a single tensor without a name gets all names that fit its shape.

    (2, batch, units) is PyTorch's h_n of two directions, and may also be a sequence of two time steps.
    """
    (name, only), *others = tensors.items()
    named = others or RESULT.fullmatch(name)
    readings: list[dict[str, Array]] = []
    errors: list[InputError] = []
    for guess in ("output",) if named else _guess_parts(np.asarray(only), sizes):
        try:
            readings.append(name_results(tensors, sizes, guess))
        except InputError as error:
            errors.append(error)
    if not readings:
        raise errors[0]
    return readings


def name_results(
    tensors: Mapping[str, Array], sizes: ReturnedSizes, guess: str = "output"
) -> dict[str, Array]:
    """Return the tensors under the names of ForeignRun.expected, in float64.

    tensors: by name; a single one may have any name.
    guess: the result, `output` or `hidden`, for a tensor of any other name.
    Raises InputError for a name or a shape that the layer does not return.
    """
    results: dict[str, Array] = {}
    for name, array in tensors.items():
        match = RESULT.fullmatch(name)
        if match is None and len(tensors) > 1:
            raise InputError("{name} is not a result of a recurrent layer.", RESULT_ADVICE, name=name)
        part = next((part for part in PARTS if match and match[part]), guess)
        direction = {None: "", "forward_": "0", "backward_": "1"}[match["direction"] if match else None]
        array = _add_batch(part, np.asarray(array, np.float64), sizes)
        for key, result in _split_results(part, direction, array, sizes):
            _require_shape(key, result, sizes, name or "it")
            if key in results:
                raise InputError(
                    "two of its tensors are the same result: {name} is one.", RESULT_ADVICE, name=name
                )
            results[key] = result
    return results


def _guess_parts(array: Array, sizes: ReturnedSizes) -> tuple[str, ...]:
    """Return `hidden` for the shape (directions, batch, units) of PyTorch's h_n, else `output`, or both."""
    if array.ndim != 3 or len(array) != sizes.directions or array.shape[1] not in (sizes.batch, sizes.steps):
        return ("output",)
    if not sizes.fit(array.shape[:2]):
        return ("hidden",)
    # With one direction and one time step, both are the same numbers.
    return ("output", "hidden") if sizes.directions == 2 else ("output",)


def _add_batch(part: str, array: Array, sizes: ReturnedSizes) -> Array:
    """Return the array with an axis of the batch, which PyTorch leaves out for a single sequence."""
    batch, steps, units, directions = sizes
    if batch > 1 or array.ndim != 2:
        return array
    if part in ("sequence", "output") and len(array) == steps > 1:
        return array[None]
    is_pair = part in ("hidden", "cell") and directions == 2 and array.shape == (2, units)
    return array[:, None] if is_pair else array


def _split_results(part: str, direction: str, array: Array, sizes: ReturnedSizes) -> list[tuple[str, Array]]:
    """Return the results in one tensor: PyTorch and ONNX have an axis of directions."""
    directions = sizes.directions
    if part in ("hidden", "cell"):
        states = [array]
        if not direction and array.ndim == 3 and len(array) == directions:
            states = list(array)
        elif not direction and directions == 2 and array.shape[-1] % 2 == 0:
            states = np.split(array, 2, axis=-1)
        return [(f"{part} {number}", state) for number, state in enumerate(states, int(direction or 0))]
    if array.ndim == 4 and directions in array.shape[1:3]:
        first = array.shape[1] == directions and sizes.fit((array.shape[0], array.shape[2]))
        merged = np.moveaxis(array, 1 if first else 2, 2)
        array = merged.reshape(*merged.shape[:2], -1)
    kind = "sequence" if array.ndim == 3 else "output"
    return [(f"{kind} {direction}".strip(), array)]


def _require_shape(key: str, array: Array, sizes: ReturnedSizes, name: str) -> None:
    batch, steps, units, directions = sizes
    sequence = is_sequence(key)
    widths = {units, units * directions} if key in ("sequence", "output") else {units}
    fits = array.ndim == (3 if sequence else 2) and array.shape[-1] in widths
    if not fits or not (sizes.fit(array.shape[:2]) if sequence else array.shape[0] in (batch, steps)):
        axes = (batch, steps) if sequence else (batch,)
        shapes = [format_shape((*axes, width)) for width in sorted(widths)]
        raise InputError(
            "{name} is {shape}, which this layer does not return; it has {units}, and the input "
            "has a batch of {batch} and {steps}.",
            "The shape should be {shapes}.",
            name=name,
            shape=format_shape(array.shape),
            units=count(units, "unit"),
            batch=batch,
            steps=count(steps, "time step"),
            shapes=" or ".join(shapes),
        )
    if not np.isfinite(array).all():
        raise InputError(
            "{name} contains NaN or infinity.", "Give numbers that the layer returned.", name=name
        )
