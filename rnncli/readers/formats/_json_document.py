"""A parsed JSON value -> Document: nested lists, a case document, or rnncli's own output."""

from __future__ import annotations

from typing import Any

from rnncli.case import Document, format_shape
from rnncli.errors import InputError, did_you_mean
from rnncli.readers.formats import _named_arrays
from rnncli.specs import nested

KEYS = ("layer", "inputs", "mask", "initial_state", "weights", "seed", "training")
EXAMPLE = 'The minimum is {"inputs": [[[0.1, 4.2], [1.0, 3.1]]]}.'


def document(value: Any, name: str) -> Document:
    """Convert a parsed JSON value to a Document.

    name: prefix of errors, without the colon.
    Raises InputError if the value is invalid.
    """
    if isinstance(value, dict):
        return _own_output(value, name) if "schema" in value else _case(value, name)
    return Document(inputs=nested.to_sequences(value, f"{name}: "))


def _own_output(value: dict[str, Any], name: str) -> Document:
    """Use the first output of a run, which is its main output, as inputs."""
    if value["schema"] != _named_arrays.SCHEMA:
        raise InputError(
            f"{name}: its schema is {nested.describe(value['schema'])}, not {_named_arrays.SCHEMA}.",
            "Only what `rnncli run --format json` printed can be read back.",
        )
    tensor, values = next(iter(_named_arrays.own_outputs(value, f"{name}: ").items()))
    array = nested.to_array(values, f"{name}: {tensor}")
    return Document(
        inputs=array, remarks=(f"took {tensor} {format_shape(array.shape)} from rnncli's own output",)
    )


def _case(value: dict[str, Any], name: str) -> Document:
    for key in value:
        if key not in KEYS:
            raise InputError(f"{name}: there is no key {key!r} in a case document.", did_you_mean(key, KEYS))
    if value.get("inputs") is None:
        raise InputError(f"{name}: the case document has no inputs.", EXAMPLE)
    where = f"{name}: "
    weights, states = value.get("weights"), value.get("initial_state")
    return Document(
        layer=_layer(value.get("layer"), where),
        inputs=nested.to_sequences(value["inputs"], f"{where}inputs"),
        mask=value.get("mask"),
        initial_state=None if states is None else _named_arrays.states(states, f"{where}initial_state"),
        weights=None if weights is None else _named_arrays.weights(weights, f"{where}weights"),
        seed=_seed(value.get("seed"), where),
        training=_training(value.get("training"), where),
    )


def _layer(value: Any, where: str) -> Any:
    if value is not None and not isinstance(value, (str, dict, list)):
        raise InputError(
            f"{where}layer is {nested.describe(value)}.", 'Write an expression, "LSTM(3)", or a Keras config.'
        )
    _shallow(value, where, 0)
    return value


def _shallow(value: Any, where: str, depth: int) -> None:
    """Raises InputError if the layer is nested deeper than an array can be, as its readers are recursive."""
    if depth > nested.MAX_DEPTH:
        raise InputError(f"{where}layer is nested more than {nested.MAX_DEPTH}.")
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _shallow(item, where, depth + 1)


def _seed(value: Any, where: str) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    raise InputError(f"{where}seed is {nested.describe(value)}.", "A seed is a whole number, 0 or greater.")


def _training(value: Any, where: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise InputError(f"{where}training is {nested.describe(value)}.", "It is true or false.")
