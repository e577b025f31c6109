"""Build a Case from Python values, as the command line does from flags and files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any

import numpy as np

from rnncli import specs
from rnncli.api._options import LayerOptions, Options
from rnncli.case import HIGHEST_SEED, Array, Case, Document, Shape
from rnncli.cli.files import expand_user
from rnncli.cli.layer_files import MODEL_SUFFIXES, WEIGHT_SUFFIXES
from rnncli.compute import keras_differences
from rnncli.errors import InputError, LayerError, UsageError, did_you_mean
from rnncli.layers.stack import Stack
from rnncli.readers import arrange, case_builder, formats
from rnncli.readers import sample_files as builtin
from rnncli.readers.formats import ReadOptions, Source
from rnncli.specs.shapes import parse_shape


def build_case(inputs: Any, layer: Any, options: Options, **more: bool) -> tuple[Case, tuple[str, ...]]:
    """Return the Case, and remarks about its input.  more: further fields of the Case."""
    if options.get("model") is not None:
        from rnncli.api import _model

        chosen, remarks = _model.choose_layer(inputs, layer, options)
        return chosen.case, remarks
    if options.get("assume") is not None:
        raise UsageError("assume needs model.", "Name the file: model='model.pt'.")
    for name, lowest, highest in (("seed", 0, HIGHEST_SEED), ("calls", 1, 2**31)):
        require_integer(name, options.get(name), lowest, highest)
    given_seed = options.get("seed")
    seed = case_builder.draw_seed() if given_seed is None else given_seed
    document = _document(inputs, options, seed)
    stack = stack_of(layer, options, document.layer)
    given = case_builder.CaseOptions(
        arranging=_arrange_options(options, stack),
        default_seed=seed,
        weights=_weights(options.get("weights")),
        initial_state=_states(options.get("initial_state")),
        seed=given_seed,
        training=options.get("training"),
        calls=options.get("calls") or 1,
        **more,
    )
    case, remarks = case_builder.build(document, stack, given)
    unanswered = () if options.get("engine") == "tensorflow" else keras_differences.note_keras_errors(case)
    return case, (*remarks, *unanswered)


def stack_of(layer: Any, options: Options, document_layer: Any = None) -> Stack:
    """Return the layers, first to last.  document_layer: used if `layer` is None."""
    texts = [] if layer is None else list(layer) if isinstance(layer, (list, tuple)) else [layer]
    flags = {name: options.get(name) for name in LayerOptions.__annotations__}
    return specs.from_flags([_read_layer(text) for text in texts], flags, document_layer)


def _read_layer(layer: Any) -> Any:
    """Return the configs in the JSON file after an @; anything else as it is.

    Raises UsageError for the name of another file, with or without the @.
    """
    if not isinstance(layer, str) or "(" in layer:
        return layer
    word, name = layer.removeprefix("@"), layer.partition("#")[0].lower()
    if name.endswith(WEIGHT_SUFFIXES):
        raise UsageError(
            f"layer {layer}: it contains weights, not layers.",
            f"Name the layer, and load its weights: layer='LSTM(3)', weights={word!r}.",
        )
    if name.endswith(MODEL_SUFFIXES):
        raise UsageError(
            f"layer {layer}: it is a saved model, not a layer.",
            f"Run the model as it was saved: model={word!r}.",
        )
    if word == layer:
        if name.endswith(".json"):
            what = f"layer {layer}: it is not a layer."
            raise UsageError(what, f"For a file that contains layers, write layer='@{layer}'.")
        return layer
    return formats.read_config(file(layer[1:], "layer"))


def shape_of(options: Options) -> Shape:
    """Return the given input_shape."""
    shape = options.get("input_shape")
    if shape is not None and not isinstance(shape, (str, tuple, list)):
        raise UsageError(f"input_shape is {shape!r}.", "Give every size: input_shape=(2, 10, 8).")
    return parse_shape(shape if isinstance(shape, str) else ",".join(map(str, shape or ())))


def with_batch(shape: Shape, stack: Stack) -> Shape:
    """Add a batch axis of 1 to the shape of a single sequence, as `arrange` does for arrays."""
    return (1, *shape) if len(shape) == stack.input_rank - 1 else shape


def _document(inputs: Any, options: Options, seed: int) -> Document:
    if options.get("input_shape") is not None:
        return _make_document(inputs, options, seed)
    if options.get("fill") is not None:
        raise UsageError(
            f"fill={options.get('fill')!r} applies only to a generated input.", "Give its input_shape."
        )
    if inputs is None:
        inputs = builtin.names()[0]
    if isinstance(inputs, (str, PathLike)):
        return _read(inputs, options)
    require_no_file_options(options)
    return Document(inputs=_sequences(inputs))


def require_no_file_options(options: Options) -> None:
    """Raise UsageError for an option on how a file is read, where the inputs are arrays."""
    every: dict[str, Any] = dict(options)
    given = [name for name in ("input_format", *ReadOptions._fields) if every.get(name) is not None]
    if given:
        raise UsageError(
            f"{given[0]} applies only to a file, and the inputs are arrays.",
            f"Leave out {given[0]}, or give the path of a file.",
        )


def _make_document(inputs: Any, options: Options, seed: int) -> Document:
    if inputs is not None:
        advice = _suggest_layer(inputs) or "Leave one of them out."
        raise UsageError("both inputs and an input_shape are given.", advice)
    shape = shape_of(options)
    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) != len(shape):
        raise UsageError(f"input_shape {shape} has a size that is not a number.", "Give every size.")
    return Document(inputs=arrange.make_input(sizes, str(options.get("fill") or "normal"), seed, "float64"))


def _read(inputs: str | PathLike[str], options: Options) -> Document:
    """Read a file, or a built-in sample if there is no file of that name."""
    name = str(inputs)
    path = expand_user(name)
    if name in builtin.names() and not path.exists():
        path = builtin.path(builtin.get(name))
    source = Source(f"inputs: {name}", path=path)
    if not name or not path.exists():  # Path("") is the current directory
        samples = ", ".join(builtin.names())
        advice = f"Give numbers, the path of a file, or the name of a built-in sample: {samples}."
        raise InputError(f"inputs: there is no file {name!r}.", _suggest_layer(name) or advice)
    return formats.read(source, options.get("input_format"), read_options(options))


def _suggest_layer(inputs: Any) -> str:
    """Return how to name a layer, if the inputs are the name or the expression of one; otherwise ""."""
    if not isinstance(inputs, str):
        return ""
    with suppress(LayerError, UsageError):
        specs.from_flags([inputs], {})
        return f"The input comes first, then the layer: name it with layer={inputs!r}."
    return ""


def read_options(options: Options) -> ReadOptions:
    """Return the options on how a file is read."""
    every: dict[str, Any] = dict(options)
    return ReadOptions(**{name: every.get(name) for name in ReadOptions._fields})


def _sequences(inputs: Any) -> Array | tuple[Array, ...]:
    """Return one array, or one array per sequence if their lengths differ."""
    try:
        return array(inputs, "inputs")
    except InputError:
        if not isinstance(inputs, (list, tuple)) or len({np.ndim(one) for one in _arrays(inputs)}) != 1:
            raise
    several = tuple(array(one, "inputs") for one in inputs)
    if several[0].ndim != 2 or len({one.shape[1] for one in several}) != 1:
        raise InputError("inputs: its sequences do not fit together.", "Give each (timesteps, features).")
    return several


def _arrays(inputs: Sequence[Any]) -> list[Any]:
    try:
        return [np.asarray(one) for one in inputs]
    except ValueError:
        return []


def _arrange_options(options: Options, stack: Stack) -> arrange.ArrangeOptions:
    axes, pad, mask = options.get("input_axes"), options.get("pad"), options.get("mask")
    if pad not in (None, "pre", "post"):
        raise UsageError(f"pad is {pad!r}.", did_you_mean(str(pad), ("post", "pre")))
    pad_value = options.get("pad_value")
    if pad_value is not None and pad is None:
        raise UsageError("pad_value needs pad.", "Add pad='post'.")
    require_texts("input_axes", axes, "For example input_axes='time,features'.")
    if isinstance(mask, (str, PathLike)):
        mask = formats.read_tensor(file(mask, "mask"))
    return arrange.ArrangeOptions(
        axes=None if axes is None else tuple(axes.split(",") if isinstance(axes, str) else axes),
        pad=pad,
        pad_value=pad_value or 0.0,
        mask=None if mask is None else np.asarray(mask),
        mask_value=options.get("mask_value"),
        dtype=stack.dtype,
        ndim=stack.input_rank,
        where="inputs: ",
    )


def _weights(given: Any) -> case_builder.RawValue:
    if isinstance(given, (str, PathLike)):
        return case_builder.RawValue(formats.read_weights(file(given, "weights")), f"{given}: ")
    if isinstance(given, Mapping):
        given = {path: array(value, path) for path, value in given.items()}
    elif given is not None:
        raise InputError("weights: they have no names.", 'Give {"kernel": ..., "recurrent_kernel": ...}.')
    return case_builder.RawValue(given, "weights: ")


def _states(given: Any) -> case_builder.RawValue:
    if isinstance(given, (str, PathLike)):
        given = formats.read_states(file(given, "initial_state"))
    if isinstance(given, Mapping):
        given = {name: array(state, "initial_state") for name, state in given.items()}
    elif given is not None:
        if not isinstance(given, (list, tuple, np.ndarray)):
            raise InputError(f"initial_state is {given!r}.", "Give a list of arrays, (batch, units) each.")
        given = [array(state, "initial_state") for state in given]
    return case_builder.RawValue(given, "initial_state: ")


def file(path: str | PathLike[str], what: str) -> Source:
    """Return the source of a path.  Raises UsageError for an empty one, or if there is no such user."""
    if not str(path).strip():
        raise UsageError(f"{what}: the file name is empty.", "Give the path of a file.")
    return Source(f"{what}: {path}", path=expand_user(str(path)))


def array(value: Any, name: str) -> Array:
    """Convert to an array of numbers.  Raises InputError, with `name` in the message, if that fails."""
    try:
        found = np.asarray(value)
    except ValueError as error:
        what = str(error).rstrip(".")
        raise InputError(f"{name}: {what}.", "Give an array, or lists of equal length.") from None
    if found.dtype.kind not in "fiu" or not found.ndim:
        raise InputError(f"{name}: it is {found.dtype}, {found.ndim}-D.", "Give an array of numbers.")
    if not found.size:
        raise InputError(f"{name}: it is of shape {found.shape}: empty.", "No axis may have size 0.")
    return found


def require_texts(name: str, value: Any, advice: str) -> None:
    """Raise UsageError if the value is given and neither text nor a list of texts."""
    if value is None or isinstance(value, str):
        return
    if not isinstance(value, Collection) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{name} is {value!r}.", advice)


def require_integer(name: str, value: Any, lowest: int, highest: int) -> None:
    """Raise InputError if the value is given and not a whole number in these bounds."""
    if value is None:
        return
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not (whole and lowest <= value <= highest):
        raise InputError(f"{name} is {value!r}.", f"It is a whole number from {lowest} to {highest}.")
