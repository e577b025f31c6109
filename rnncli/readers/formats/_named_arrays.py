"""Convert the result of a reader's `load` to weights, one tensor, or states."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnncli.case import Array, SavedLayer
from rnncli.errors import InputError, did_you_mean
from rnncli.specs import nested

STATES = "Write the states in Keras's order, each (batch, units): [[[0, 0, 0]], [[0, 0, 0]]]."
STATE_WORD = "last_"
SCHEMA = "rnncli/1"
DTYPES = ("float16", "float32", "float64", "int64")


class Packed(np.ndarray[Any, Any]):
    """Nested lists of numbers from a large JSON text, stored as a float64 array."""


def weights(value: Any, where: str) -> dict[str, Array]:
    """Return the weights by path.

    value: an object of nested lists or objects, or arrays by name.
    Raises InputError if it is neither.
    """
    if not isinstance(value, dict) or not value:
        raise InputError(
            f"{_place(where)} is not an object of weights by name.",
            'Write {"kernel": [[...]], "recurrent_kernel": [[...]], "bias": [...]}.',
        )
    if isinstance(value.get("weights"), dict):
        value, where, dtypes = value["weights"], f"{where}weights", value.get("dtypes")
        found = dict(_flat(value, where, ""))
        return _typed(found, dtypes) if isinstance(dtypes, dict) else found
    return dict(_flat(value, where, ""))


def _typed(arrays: dict[str, Array], dtypes: dict[str, Any]) -> dict[str, Array]:
    """Return the arrays in the dtypes that rnncli wrote beside them; JSON has numbers alone."""
    known = {name: dtype for name, dtype in dtypes.items() if dtype in DTYPES}
    with np.errstate(over="ignore"):
        return {name: array.astype(known.get(name, array.dtype)) for name, array in arrays.items()}


def choose_layers(held: tuple[SavedLayer, ...], names: tuple[str, ...], where: str) -> tuple[SavedLayer, ...]:
    """Return the layers with these names, in the model's order; all layers if there are no names.

    Raises InputError if a name is unknown.
    """
    known = [layer.name for layer in held]
    for name in names:
        if name not in known:
            raise InputError(f"{where}there is no layer {name!r} in it.", did_you_mean(name, known))
    return tuple(layer for layer in held if not names or layer.name in names)


def tensor(value: Any, where: str) -> Any:
    """Return one raw tensor; from an object, the entry `mask` or the only entry.

    Raises InputError if an object has several entries and no `mask`.
    """
    if isinstance(value, dict):
        name = "mask" if "mask" in value else next(iter(value), "")
        if not value or (name != "mask" and len(value) > 1):
            raise InputError(
                f"{_place(where)} contains {', '.join(value) or 'nothing'}, but no mask.",
                "Name one of them `mask`.",
            )
        return value[name]
    return value


def states(value: Any, where: str) -> list[Array] | dict[str, Array]:
    """Return initial states: from a list in its order, from an object by name.

    From rnncli's own output, return the last states.
    Raises InputError if there are no states.
    """
    flat = isinstance(value, list) and value and type(value[0]) in (int, float)
    if flat or (isinstance(value, Packed) and value.ndim == 1):
        raise InputError(f"{_place(where)} is one list of numbers, not a list of states.", STATES)
    if isinstance(value, Packed):
        return [np.asarray(item) for item in value]
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        if value.get("schema") == SCHEMA:
            value = own_outputs(value, where)
        elif "initial_state" in value:
            return states(value["initial_state"], f"{where}initial_state")
        lasting = {name: item for name, item in value.items() if STATE_WORD in name} or value
        if set(lasting) and all(name.startswith("arr_") for name in lasting):
            return [_array(item, f"{where}{name}") for name, item in lasting.items()]
        return {name: _array(item, f"{where}{name}") for name, item in lasting.items()}
    if isinstance(value, list) and value:
        return [_array(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise InputError(
        f"{_place(where)} is {nested.describe(value)}, not a list of states.",
        STATES,
    )


def own_outputs(value: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the nested lists in rnncli's own output by name, in order.

    Raises InputError if it has no outputs.
    """
    outputs = value.get("outputs")
    items = outputs if isinstance(outputs, list) else []
    if not items or not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items):
        raise InputError(
            f"{where}it is rnncli's own output, without outputs.",
            "Use the output of `rnncli run --format json`.",
        )
    return {item["name"]: item.get("values") for item in items}


def numeric(array: Array, where: str) -> Array:
    """Return the array unchanged.  Raises InputError if it is empty or does not hold real numbers."""
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise InputError(f"{_place(where)} is of dtype {array.dtype}, not numbers.", "Save real numbers.")
    if not array.size:
        raise InputError(f"{_place(where)} is of shape {array.shape}: empty.", "No axis may have size 0.")
    return array


def _flat(value: dict[str, Any], where: str, prefix: str) -> list[tuple[str, Array]]:
    found: list[tuple[str, Array]] = []
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, dict):
            if path.count("/") > nested.MAX_DEPTH:
                raise InputError(f"{_place(where)} is nested too deeply.")
            found += _flat(item, where, f"{path}/")
        else:
            found.append((path, _array(item, f"{where}{'' if where.endswith(': ') else '/'}{path}")))
    return found


def _array(item: Any, where: str) -> Array:
    if isinstance(item, np.ndarray):
        return numeric(np.asarray(item), where)
    return nested.to_array(item, where, nested.TENSOR)


def _place(where: str) -> str:
    return nested.join(where, "")
