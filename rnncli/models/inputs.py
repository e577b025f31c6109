"""Check the inputs given to a model, and convert them to its types."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rnncli.errors import Either, InputError, Message, Text, did_you_mean, inside
from rnncli.models.graph import Graph, ModelInput
from rnncli.values import Array, Dimension, format_shape

BATCH = ("batch", "n", "b")
"""A name of the batch axis begins with `batch`, or is `n` or `b`."""
TEXT = "string"
"""Keras's name of the dtype of text."""
NUMBERS = "iufb"
"""The kinds of NumPy's dtypes that are numbers."""


def empty_input(layer: str) -> InputError:
    """Return the error of a layer that gets no numbers."""
    return InputError("{layer} gets an empty input.", "Give at least one sequence of one step.", layer=layer)


def fit_inputs(
    graph: Graph,
    given: Any,
    optional: Collection[str] = (),
    tables: Mapping[str, Mapping[str, Array]] | None = None,
) -> dict[str, Array]:
    """Return the inputs of the model by name, in the dtype that the model expects.

    given: an array for the only input, or arrays by the inputs' names.
    optional: inputs that may be missing, besides the inputs for which the file has a value.
    tables: for each input of token ids, the tables of the Embedding layers that take it, by layer.
    Adds a batch axis of 1 if only the batch axis is missing.
    Raises InputError, which says what an input expects and what was given.
    """
    with inside(graph.file):
        arrays = _name_inputs(graph, given, optional)
    return {
        entry.name: fit_input(entry, arrays[entry.name], (tables or {}).get(entry.name, {}))
        for entry in graph.inputs
        if entry.name in arrays
    }


def describe_inputs(graph: Graph) -> str:
    """Return `ids: (batch, 12), int32` and so on, for every input."""
    return "; ".join(f"{entry.name}: {describe(entry)}" for entry in graph.inputs)


def describe(model_input: ModelInput) -> str:
    """Return `(batch, 12), int32`."""
    shape = Message("any shape") if model_input.shape is None else format_shape(model_input.shape)
    return f"{shape}, {model_input.dtype or 'not numbers'}"


def dtype_name(array: Array) -> str:
    """Return the name of the dtype of a fitted input, `string` for text."""
    return TEXT if array.dtype.kind == "O" else str(array.dtype)


def _name_inputs(graph: Graph, given: Any, optional: Collection[str]) -> Mapping[str, Any]:
    if not graph.inputs:
        raise InputError(
            "the model takes no input; all of its numbers are in the file.",
            "Export the model with the sequence as an input.",
        )
    expected = describe_inputs(graph)
    required = [entry.name for entry in graph.inputs if not entry.optional and entry.name not in optional]
    if not isinstance(given, Mapping):
        if len(required) != 1:
            raise InputError(
                "the model has {count} inputs; got one without a name.",
                "Give them by name, {form}: {expected}.",
                form=Either('{"inputs": {"NAME": ...}}', '{"NAME": ...}'),
                count=len(required),
                expected=expected,
            )
        return {required[0]: given}
    names = [entry.name for entry in graph.inputs]
    for name in given:
        if name not in names:
            text = "the model has no input {name!r}. {suggestion}"
            what = Message(text, name=name, suggestion=did_you_mean(name, names))
            advice = "Its input is {expected}." if len(names) == 1 else "Its inputs are {expected}."
            raise InputError(what, advice, expected=expected)
    missing = [name for name in required if name not in given]
    if missing:
        raise InputError(
            "missing inputs: {missing}." if len(missing) > 1 else "missing input: {missing}.",
            "The model expects {expected}.",
            missing=", ".join(missing),
            expected=expected,
        )
    return given


def fit_input(model_input: ModelInput, given: Any, tables: Mapping[str, Array] = {}) -> Array:
    """Return one input in the dtype that the model expects; see `fit_inputs`."""
    import numpy as np

    if model_input.dtype == TEXT:
        texts = _to_texts(model_input.name, describe(model_input), given)
        if model_input.shape is None:
            return texts
        one_column = model_input.shape[-1:] == (1,) and texts.ndim == len(model_input.shape) - 1
        return fit_shape(model_input, model_input.shape, texts[..., None] if one_column else texts)
    array = _to_numbers(model_input.name, describe(model_input), given)
    if model_input.shape is not None:
        array = fit_shape(model_input, model_input.shape, array)
    if not _is_numeric(model_input.dtype):
        kind = model_input.dtype or Message("values that are not numbers")
        raise InputError(
            "{name}: the model expects {kind}, which rnncli does not support.",
            "Save the model with an input of numbers.",
            name=model_input.name,
            kind=kind,
        )
    for layer, table in tables.items():
        text = "token ids for the layer {layer}, whole numbers from 0 to {highest}"
        what = Message(text, layer=layer, highest=len(table) - 1)
        _require_integers(model_input, array, 0, len(table) - 1, what)
    if model_input.dtype == "bool":
        _require_integers(model_input, array, 0, 1, "whole numbers (bool)")
    elif np.dtype(model_input.dtype).kind in "iu":
        limits = np.iinfo(model_input.dtype)
        _require_integers(
            model_input,
            array,
            limits.min,
            limits.max,
            Message("whole numbers ({dtype})", dtype=model_input.dtype),
        )
    return array.astype(model_input.dtype)


def _to_numbers(name: str, expected: str, given: Any) -> Array:
    import numpy as np

    try:
        array = np.asarray(given)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in NUMBERS:
        what = "{name}: the model expects {expected}; got something other than an array of numbers."
        advice = "Give numbers only, in sequences of the same length."
        raise InputError(what, advice, name=name, expected=expected)
    return array


def _to_texts(name: str, expected: str, given: Any) -> Array:
    import numpy as np

    array = np.asarray(given)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind not in "UOT" or not all(isinstance(text, str) for text in array.flat):
        what = "{name}: the model expects {expected}; got something other than text."
        raise InputError(what, 'Give text: ["the cat sat", "a dog ran"].', name=name, expected=expected)
    return array.astype(object)  # in which a long text does not widen the others


def _is_numeric(dtype: str) -> bool:
    import numpy as np

    try:
        return bool(dtype) and np.dtype(dtype).kind in NUMBERS
    except TypeError:
        return False


def fit_shape(model_input: ModelInput, shape: Sequence[Dimension], array: Array) -> Array:
    """Return the array, with a batch axis of 1 if only the batch axis is missing.  Raises InputError.

    shape: what the model expects.
    """
    has_batch = bool(shape) and is_batch(shape[0])
    if has_batch and _fits(array.shape, shape[1:]):
        array = array[None]
    if _fits(array.shape, shape):
        return array
    axes = f"{len(shape)} {'axis' if len(shape) == 1 else 'axes'}"
    if array.ndim == len(shape):
        axis = next(i for i, size in enumerate(shape) if isinstance(size, int) and size != array.shape[i])
        text = "Give axis {axis} the size {shape}, not {given}."
        advice = Message(text, axis=axis, shape=shape[axis], given=array.shape[axis])
        if axis == 0:
            advice = Message("Give a batch of {shape}, not of {given}.", shape=shape[0], given=len(array))
    elif has_batch:
        advice = Message("Give an array of {axes}; the batch axis alone may be left out.", axes=axes)
    elif all(isinstance(size, int) for size in shape):
        advice = Message("Give an array of {axes} with these sizes.", axes=axes)
    else:
        advice = Message("Give an array of {axes} with these sizes; a named axis takes any size.", axes=axes)
    what = "{name}: the model expects {wanted}; got shape {shape}."
    raise InputError(
        what, advice, name=model_input.name, wanted=describe(model_input), shape=format_shape(array.shape)
    )


def _fits(shape: Sequence[int], expected: Sequence[Dimension]) -> bool:
    return len(shape) == len(expected) and all(
        not isinstance(size, int) or size == given for given, size in zip(shape, expected, strict=True)
    )


def is_batch(size: Dimension) -> bool:
    """Return whether a first axis is the batch: it is called so, or has size 1."""
    name = size.casefold() if isinstance(size, str) else ""
    return size == 1 or name.startswith(BATCH[0]) or name in BATCH


def _require_integers(model_input: ModelInput, array: Array, low: int, high: int, what: Text) -> None:
    import numpy as np

    with np.errstate(all="ignore"):
        fine = (np.floor(array) == array) & (array >= low) & (array <= high)
    if not fine.all():
        index = tuple(map(int, np.argwhere(~fine)[0]))
        number = f"{model_input.name}{list(index) if index else ''}"
        raise InputError(
            "{name}: the model expects {what}; {place} is {array}.",
            "Correct this number in the input.",
            name=model_input.name,
            what=what,
            place=number,
            array=str(array[index]).removesuffix(".0"),
        )
