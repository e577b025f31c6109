"""Convert the result of a reader's `load` to inputs, weights, one tensor, or states."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from rnncli.errors import InputError, Message, format_names, with_path_prefix
from rnncli.inputs import nested, rnncli_output
from rnncli.values import Array, Document, format_shape

STATES = Message("Write the states in Keras's order, each (batch, units): [[[0, 0, 0]], [[0, 0, 0]]].")
STATE_WORD = "last_"
DTYPES = ("float16", "float32", "float64", "int64")


def to_inputs(arrays: dict[str, Array]) -> Document:
    """Return the array `inputs`, or the only array besides `mask`; and the mask, if there is one.

    Raises InputError if there is no such array.
    """
    others = [name for name in arrays if name != "mask"]
    if "inputs" in others:
        name = "inputs"
    elif len(others) == 1:
        name = others[0]
    else:
        listed = format_names([f"{name} {format_shape(arrays[name].shape)}" for name in others])
        raise InputError(
            Message("it contains {listed}, but no array named `inputs`.", listed=listed)
            if listed
            else Message("it contains no array named `inputs`."),
            "Name the array to read `inputs`, or save it alone.",
        )
    with with_path_prefix(name):
        return Document(inputs=nested.require_numbers(arrays[name]), mask=arrays.get("mask"))


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
        raise InputError(
            "{place} is not an object of named weights.",
            'Write {{"kernel": [[...]], "recurrent_kernel": [[...]], "bias": [...]}}.',
            (),
        )
    if rnncli_output.is_rnncli_output(value) and "weights" not in value:
        raise InputError(
            "{place} is rnncli's own output, without named weights.",
            "Write them with rnncli weights --to keras -o weights.npz",
            (),
        )
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
