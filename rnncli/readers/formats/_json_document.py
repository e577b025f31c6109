"""A parsed JSON value -> Document: nested lists, a case document, or rnncli's own output."""

from __future__ import annotations

from typing import Any

from rnncli.case import Document, format_shape
from rnncli.errors import InputError, Message, did_you_mean, with_path_prefix
from rnncli.readers import printed_output, rnncli_output
from rnncli.readers.formats import _named_arrays
from rnncli.specs import nested

KEYS = ("layer", "inputs", "mask", "initial_state", "weights", "seed", "training")
EXAMPLE = Message('The minimum is {{"inputs": [[[0.1, 4.2], [1.0, 3.1]]]}}.')


def to_document(value: Any) -> Document:
    """Convert a parsed JSON value to a Document.  Raises InputError if the value is invalid."""
    if isinstance(value, dict):
        return _take_output(value) if "schema" in value else _read_case(value)
    return Document(inputs=nested.to_sequences(value))


def _take_output(value: dict[str, Any]) -> Document:
    """Use the first output of a run, which is its main output, as inputs."""
    rnncli_output.require_schema(value, printed_output.ADVICE)
    tensor, values = next(iter(rnncli_output.read_outputs(value).items()))
    with with_path_prefix(tensor):
        array = nested.to_array(values)
    remark = Message(
        "took {tensor} {shape} from rnncli's own output", tensor=tensor, shape=format_shape(array.shape)
    )
    return Document(inputs=array, remarks=(remark,))


def _read_case(value: dict[str, Any]) -> Document:
    for key in value:
        if key not in KEYS:
            raise InputError("there is no key {key!r} in a case document.", did_you_mean(key, KEYS), key=key)
    if value.get("inputs") is None:
        raise InputError("the case document has no inputs.", EXAMPLE)
    readers = {
        "layer": _read_layer,
        "inputs": nested.to_sequences,
        "initial_state": _named_arrays.to_states,
        "weights": _named_arrays.to_weights,
        "seed": _read_seed,
        "training": _read_training,
    }
    found: dict[str, Any] = {"mask": value.get("mask")}
    for key, read in readers.items():
        if value.get(key) is not None:
            with with_path_prefix(key):
                found[key] = read(value[key])
    return Document(**found)


def _read_layer(value: Any) -> Any:
    if not isinstance(value, (str, dict, list)):
        advice = Message('Write an expression, "LSTM(3)", or a Keras config.')
        raise InputError("{place} is {value}.", advice, (), value=nested.describe(value))
    if nested.is_too_deep(value, nested.MAX_DEPTH):  # its readers are recursive
        raise InputError(
            "{place} is nested more than {max_depth} deep.",
            "Use fewer levels of lists and objects.",
            (),
            max_depth=nested.MAX_DEPTH,
        )
    return value


def _read_seed(value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    raise InputError(
        "{place} is {value}.", "A seed is a whole number, 0 or greater.", (), value=nested.describe(value)
    )


def _read_training(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InputError("{place} is {value}.", "It must be true or false.", (), value=nested.describe(value))
