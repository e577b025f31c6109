"""Convert the result of a reader's `load` to inputs, weights, one tensor, or states."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from rnncli.errors import InputError, Message, Text, did_you_mean, format_names, with_path_prefix
from rnncli.inputs import nested, rnncli_output
from rnncli.values import Array, Document, format_shape

STATES = Message("Write the states in Keras's order, each (batch, units): [[[0, 0, 0]], [[0, 0, 0]]].")
ONE = Message("Name the array to read `inputs`, or save it alone.")
STATE_WORD = "last_"
DTYPES = ("float16", "float32", "float64", "int64")


def to_inputs(arrays: Mapping[str, Any]) -> Document:
    """Return the arrays by name, without `mask`, which is the mask.  Raises InputError if there is none."""
    others = {name: array for name, array in arrays.items() if name != "mask"}
    if not others:
        raise InputError("it contains no array named `inputs`.", ONE)
    return Document(inputs=others, mask=arrays.get("mask"))


def choose_input(arrays: Mapping[str, Any]) -> Any:
    """Return the array `inputs`, or the only array.  Raises InputError if there are several others."""
    name = "inputs" if "inputs" in arrays else next(iter(arrays))
    if name != "inputs" and len(arrays) > 1:
        listed = format_names([f"{name} {_shape_of(array)}" for name, array in arrays.items()])
        raise InputError("it contains {listed}, but no array named `inputs`.", ONE, listed=listed)
    with with_path_prefix(name):
        array = arrays[name]
        return array if isinstance(array, tuple) else nested.require_numbers(array)


def join_inputs(arrays: Mapping[str, Any], axes: Mapping[str, Mapping[str, int]]) -> Any:
    """Return the numbers of all arrays side by side, (batch, timesteps, features), in the order of `axes`.

    arrays: (batch, timesteps, axes...) each, one sequence (timesteps, axes...), or a tuple of sequences.
    axes: of each array behind the time steps, with their sizes.
    Raises InputError for arrays of other names, or that do not fit.
    """
    for name in arrays:
        if name not in axes:
            raise InputError("the layer has no input {name}.", did_you_mean(name, axes), name=name)
    for name in axes:
        if name not in arrays:
            raise InputError(
                "the input {name} is missing.", "Give {names}.", name=name, names=", ".join(axes)
            )
    columns, leads = [], {}
    for name, sizes in axes.items():
        shape, several = tuple(sizes.values()), isinstance(arrays[name], tuple)
        flat = []
        for array in arrays[name] if several else [arrays[name]]:
            rank = array.ndim - len(shape)
            if rank not in ((1,) if several else (1, 2)) or array.shape[rank:] != shape:
                wanted = format_shape(("batch", "timesteps", *sizes))
                known = ", ".join(f"{axis} = {size}" for axis, size in sizes.items())
                what = "{name} is {shape}, but it must be {wanted}."
                advice = Message("Here {sizes}.", sizes=known) if known else ""
                raise InputError(what, advice, name=name, shape=format_shape(array.shape), wanted=wanted)
            flat.append(nested.require_numbers(array).reshape(*array.shape[:rank], prod(shape)))
        columns.append(flat)
        leads[name] = [array.shape[:-1] for array in flat]
    first = next(iter(leads))
    for name, lead in leads.items():
        if lead != leads[first]:
            what = "{first} is {shape}, but {name} is {other}."
            advice = Message("All inputs have the same sequences and time steps.")
            both = [_shape_of(arrays[part]) for part in (first, name)]
            raise InputError(what, advice, first=first, shape=both[0], name=name, other=both[1])
    joined = tuple(np.concatenate(parts, axis=-1) for parts in zip(*columns, strict=True))
    return joined if isinstance(arrays[first], tuple) else joined[0]


def _shape_of(array: Any) -> Text:
    if isinstance(array, tuple):
        return Message("of {count} lengths", count=len({len(sequence) for sequence in array}))
    return format_shape(array.shape)


def to_model_inputs(value: Any, texts: Collection[str] = ()) -> Any:
    """Return the inputs of a saved model: an array, or arrays by name; a tuple if lengths differ.

    value: nested lists, or an object of them, which may be under `inputs`; an input may be one number.
    texts: the inputs that are text.
    """
    path: tuple[str, ...] = ()
    if isinstance(value, dict) and value.keys() == {"inputs"}:
        value, path = value["inputs"], ("inputs",)
    if not isinstance(value, dict):
        with with_path_prefix(*path):
            return nested.to_texts(value) if texts else _to_model_input(value)
    arrays = {}
    for name, item in value.items():
        with with_path_prefix(name):
            arrays[name] = nested.to_texts(item) if name in texts else _to_model_input(item)
    return arrays


def _to_model_input(item: Any) -> Any:
    """Return one input of a saved model; unlike the input of a layer, it may be empty, or true and false."""
    if isinstance(item, np.ndarray) and item.dtype.kind != "b":
        nested.require_real(item)
    return np.asarray(item) if type(item) in nested.INPUTS.types else nested.to_sequences(item, (2, 3))


def to_weights(value: Any) -> dict[str, Array]:
    """Return the weights by path.

    value: an object of nested lists or objects, or arrays by name.
    Raises InputError if it is neither.
    """
    if not isinstance(value, dict):
        what = "{place} is not an object of named weights."
        raise InputError(what, 'Write {{"kernel": [[...]], "recurrent_kernel": [[...]], "bias": [...]}}.', ())
    if rnncli_output.is_rnncli_output(value) and "weights" not in value:
        what = "{place} is rnncli's own output, without named weights."
        raise InputError(what, "Write them with rnncli weights --to keras -o weights.npz", ())
    if isinstance(value.get("weights"), dict):
        with with_path_prefix("weights"):
            weights = dict(_flatten(value["weights"]))
        written = value.get("dtypes")  # a separate entry, because JSON numbers have no dtype
        dtypes = written if isinstance(written, dict) else {}
        known = {name: dtype for name, dtype in dtypes.items() if dtype in DTYPES}
        with np.errstate(over="ignore"):
            return {name: array.astype(known.get(name, array.dtype)) for name, array in weights.items()}
    return dict(_flatten(value))


def to_tensor(value: Any) -> Any:
    """Return one raw tensor; from an object, the entry `mask` or the only entry.

    Raises InputError if an object has several entries and no `mask`.
    """
    if not isinstance(value, dict):
        return value
    name = "mask" if "mask" in value else next(iter(value), "")
    if not value:
        raise InputError("{place} contains no mask.", "Write true or false for every time step.", ())
    if name != "mask" and len(value) > 1:
        raise InputError(
            "{place} contains {value}, but no mask.", "Name one of them `mask`.", (), value=", ".join(value)
        )
    return value[name]


def to_states(value: Any) -> list[Array] | dict[str, Array]:
    """Return initial states: from a list in its order, from an object by name.

    From rnncli's own output, return the last states.
    Raises InputError if there are no states.
    """
    if isinstance(value, list) and value and type(value[0]) in (int, float):
        raise InputError("{place} is one list of numbers, not a list of states.", STATES, ())
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        if rnncli_output.is_rnncli_output(value):
            value = rnncli_output.read_outputs(value)
        elif "initial_state" in value:
            with with_path_prefix("initial_state"):
                return to_states(value["initial_state"])
        lasting = {name: item for name, item in value.items() if STATE_WORD in name} or value
        states = {name: _to_array(item, name) for name, item in lasting.items()}
        return list(states.values()) if states and all(name.startswith("arr_") for name in states) else states
    if isinstance(value, list) and value:
        return [_to_array(item, index) for index, item in enumerate(value)]
    raise InputError("{place} is {value}, not a list of states.", STATES, (), value=nested.describe(value))


def _flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Array]]:
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, dict):
            yield from _flatten(item, f"{path}/")
        else:
            yield path, _to_array(item, path)


def _to_array(item: Any, step: str | int) -> Array:
    with with_path_prefix(step):
        return nested.require_numbers(nested.to_tensor(item))
