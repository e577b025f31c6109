"""Values that are passed to a function: numbers as arrays, and paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict

import numpy as np

from rnncli import specs
from rnncli.ask.live_object import LiveObject, find_framework, unbuilt_config
from rnncli.errors import Flag, InputError, LayerError, Message, Text, UsageError, first_nonblank_line, inside
from rnncli.inputs import sample_files
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.formats.csv import choose_columns, find_column, split_rows
from rnncli.inputs.formats.json import to_document
from rnncli.inputs.named_arrays import STATE_WORD, to_inputs
from rnncli.inputs.source import MODEL_SUFFIXES, WEIGHT_SUFFIXES, expand_user, split_layers
from rnncli.options import BY_NAME, first_given, of_files_alone
from rnncli.result import Result
from rnncli.values import Array, Document, format_shape


class Shaped(Protocol):
    """An array, or a tensor of a framework."""

    @property
    def shape(self) -> Any:
        """Its sizes."""


class InputOptions(TypedDict, total=False):
    """Options of the input.

    input_shape: shape of a generated input, `(2, 10, 8)` or "2,10,8"; `fill` sets its values.
    input_format, batch_column, columns, drop, delimiter, decimal: how to read a file.
    mask: shape (batch, timesteps), or the path of a file that holds it.
    lengths: the time steps of each sequence, such as [5, 3, 2], instead of a mask.
    window, stride: take every `window` steps of one series as a sequence, the next `stride` steps later.
    """

    input_shape: Sequence[int | str | None] | str | None
    fill: Literal["normal", "uniform", "zeros", "ones", "arange"] | None
    input_format: str | None
    input_axes: Sequence[str] | str | None
    batch_column: str | None
    columns: Sequence[str] | str | None
    drop: Sequence[str] | str | None
    delimiter: str | None
    decimal: str | None
    pad: Literal["pre", "post"] | None
    pad_value: float | None
    mask: Any
    mask_value: float | None
    lengths: Sequence[int] | Array | str | None
    window: int | None
    stride: int | None


class LayerOptions(TypedDict, total=False):
    """Keras's own options, for layers given by name."""

    units: int | None
    return_sequences: bool | None
    return_state: bool | None
    go_backwards: bool | None
    stateful: bool | None
    activation: str | None
    recurrent_activation: str | None
    use_bias: bool | None
    unit_forget_bias: bool | None
    reset_after: bool | None
    dropout: float | None
    recurrent_dropout: float | None
    zero_output_for_mask: bool | None
    dtype: str | None
    bidirectional: bool | None
    merge_mode: str | None
    kernel_initializer: str | None
    recurrent_initializer: str | None
    bias_initializer: str | None


class RunOptions(TypedDict, total=False):
    """Options of the run.

    seed: same as for keras.utils.set_random_seed; default: random, stored in the result.
    weights: by path, `kernel`, `forward/kernel`, `0/kernel`; a state dict; the list of `get_weights()`; the
        layer itself, live; or the path of a file that holds them.
    initial_state: arrays of shape (batch, units), in Keras's order or by name (`last_hidden_state`); a result
        that has states; what a live layer of PyTorch takes, (layers, batch, units); or the path of a file.
    model: the file of a saved model, instead of a layer, `model.keras#gru` for some of its layers; or a
        Keras model or layer, or a PyTorch module, which may also stand in the place of the layer.
    at: which layer of such an object: its name, or the path of its attribute.
    assume: what a file without a graph does not say, `{"activation": "relu"}` or "activation=relu"; which
        tensors with names of their own are a layer's, `{"encoder": "enc_*"}`.
    custom_objects: the classes of a model of Keras that has its own: by name, or the path of a file of
        Python, which runs in a process with limits.
    """

    seed: int | None
    weights: Any
    initial_state: Sequence[Any] | Mapping[str, Any] | Result | str | PathLike[str] | Shaped | None
    training: bool | None
    calls: int
    engine: str
    model: Any
    assume: Mapping[str, str | bool] | str | None
    at: str | None
    custom_objects: Mapping[str, Any] | str | PathLike[str] | None


class ViewOptions(TypedDict, total=False):
    """Options of the printed answer."""

    precision: int | None
    full: bool
    width: int | None
    lang: Literal["en", "ko"] | None


class Options(InputOptions, LayerOptions, RunOptions, ViewOptions, total=False):
    """All options."""


NUMBERS = "fiu"
TEXTS = "USOT"
"""The kinds of NumPy's dtypes of text, which saved models may take."""


def pass_inputs(inputs: Any, options: Options) -> Any:
    """Return the inputs as arrays, or as the path of a file; a built-in sample is its file.

    A mapping with `inputs` is a case document, whose lists may be arrays.
    """
    has_shape, has_model = (options.get(name) is not None for name in ("input_shape", "model"))
    if inputs is not None and has_shape:
        advice = _suggest_layer(inputs) or Message("Leave one of them out.")
        raise UsageError("both inputs and an input_shape are given.", advice)
    if isinstance(inputs, (str, PathLike)):
        return _pass_file(str(inputs))
    names: tuple[str, ...] = ()
    if hasattr(inputs, "columns"):
        inputs, names = _read_frame(inputs, options)
    elif not has_shape:
        _refuse_file_options(options, "array")
    kinds = NUMBERS + TEXTS if has_model else NUMBERS
    if has_model and isinstance(inputs, Mapping):
        if inputs.keys() == {"inputs"} and isinstance(inputs["inputs"], Mapping):
            inputs = inputs["inputs"]  # as in a JSON document
        return {name: to_sequences(value, name, kinds) for name, value in inputs.items()}
    if inputs is None:
        return None
    if isinstance(inputs, Mapping) and "inputs" in inputs:  # a case document
        with inside("inputs"):
            return to_document(dict(inputs))
    if isinstance(inputs, Mapping):
        return to_inputs(
            {
                name: value if name == "mask" else to_sequences(value, name, rank=None)
                for name, value in inputs.items()
            }
        )
    sequences = to_sequences(inputs, "inputs", kinds)
    return Document(sequences, sequence_names=names) if names else sequences


def pass_raw(inputs: Any, options: Options) -> Any:
    """Return what a live object is called with: any value as it is; a file is read later."""
    if isinstance(inputs, (str, PathLike)):
        return _pass_file(str(inputs))
    if hasattr(inputs, "columns"):
        frame, names = _read_frame(inputs, options)
        return Document(frame, sequence_names=names) if names else frame
    _refuse_file_options(options, "array")
    return inputs


def _refuse_file_options(options: Options, inputs: str) -> None:
    """Raise UsageError if an option of files is given beside these inputs, see `Entry.inputs`."""
    if flag := first_given(options, of_files_alone(inputs)):
        advice = "Leave out {flag}, or give the path of a file."
        raise UsageError("{flag} applies only to a file, and the inputs are arrays.", advice, flag=Flag(flag))


def _read_frame(frame: Any, options: Options) -> tuple[Any, tuple[str, ...]]:
    """Return the columns of a DataFrame that are chosen, as of CSV; with a batch column, its sequences.

    The second item is the names of the sequences; () without a batch column.
    """
    _refuse_file_options(options, "frame")
    column = options.get("batch_column")
    given = options.get("columns"), options.get("drop")
    if (column, *given) == (None, None, None):
        return frame, ()
    chosen, dropped = (value.split(",") if isinstance(value, str) else value for value in given)
    names = [str(name) for name in frame.columns]
    with inside("inputs"):
        by = None if column is None else find_column(column, names)
        columns = choose_columns(ReadOptions(columns=chosen, drop=dropped), names, len(names), by)
    if by is None:
        return frame.iloc[:, columns], ()
    members: dict[str, int] = {}
    rows = [members.setdefault(str(text), len(members)) for text in frame.iloc[:, by]]
    return split_rows(to_array(frame.iloc[:, columns], "inputs"), np.array(rows)), tuple(members)


def _pass_file(word: str) -> Path:
    if word and expand_user(word).exists():  # Path("") is the current directory
        return Path(word)
    if word in sample_files.names():
        return sample_files.path(word)
    text = "Give numbers, the path of a file, or the name of a built-in sample: {samples}."
    advice = Message(text, samples=", ".join(sample_files.names()))
    raise InputError("inputs: there is no file {name!r}.", _suggest_layer(word) or advice, name=word)


def _suggest_layer(inputs: Any) -> Text:
    """Return how to name a layer, if the inputs are the name or the expression of one; otherwise ""."""
    if isinstance(inputs, str):
        with suppress(LayerError, UsageError):
            specs.from_flags([inputs], {})
            what = "The input comes first, then the layer: name it with layer={inputs!r}."
            return Message(what, inputs=inputs)
    return ""


def pass_value(name: str, value: Any) -> Any:
    """Return the weights, the states, the mask or another option as an Ask holds it; a file as its Path.

    Raises UsageError or InputError for a value that the option does not take.
    """
    if isinstance(value, (str, PathLike)):
        if BY_NAME[name].reads != "path":
            return value
        if not str(value).strip():
            raise UsageError("{what}: the file name is empty.", "Give the path of a file.", what=name)
        return Path(value)
    if name == "mask":
        return _to_numpy(value)
    if name == "weights":
        return _pass_weights(value)
    if name == "initial_state":
        if isinstance(value, Result):
            value = {tensor.name: tensor.values for tensor in value.outputs if STATE_WORD in tensor.name}
        if isinstance(value, Mapping):
            return {key: to_array(array, name) for key, array in value.items()}
        if not isinstance(value, (list, tuple)) and hasattr(value, "shape"):
            value = to_array(value, name)  # h without c, as PyTorch takes it
            value = value if value.ndim > 1 else value[None]
        if not isinstance(value, (list, tuple, np.ndarray)):
            advice = "Give a list of arrays, (batch, units) each."
            raise InputError("initial_state is {given!r}.", advice, given=value)
        return [to_array(array, name) for array in value]
    if name == "input_shape" and not isinstance(value, (tuple, list)):
        raise UsageError("input_shape is {shape!r}.", "Give every size: input_shape=(2, 10, 8).", shape=value)
    if name == "assume" and not isinstance(value, Mapping):
        raise UsageError("assume is {assume!r}.", "For example assume='activation=relu'.", assume=value)
    return value


def _pass_weights(value: Any) -> dict[str, Array] | list[Array]:
    """Return arrays by name, without counters, which have no axis, or in a list; of a layer, its weights.

    The names of nested objects are joined.  Of a checkpoint of PyTorch, return the state dict in it.
    """
    framework = find_framework(value)
    value = value.state_dict() if framework == "torch" else value.get_weights() if framework else value
    if isinstance(value, (list, tuple)) and value:
        return [to_array(array, f"weights[{index}]") for index, array in enumerate(value)]
    if not isinstance(value, Mapping):
        advice = "Give arrays by name, a state_dict(), or the list of layer.get_weights()."
        raise InputError("weights: a value of type {kind} has no weights.", advice, kind=type(value).__name__)
    nested = [item for item in value.values() if isinstance(item, Mapping)]
    states = [item for item in nested if item and all(hasattr(array, "shape") for array in item.values())]
    value = states[0] if len(states) == 1 else dict(_flatten(value)) if nested else value
    arrays = {str(path): array for path, array in value.items() if getattr(array, "shape", None) != ()}
    return {path: to_array(array, path) for path, array in arrays.items()}


def _flatten(value: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flatten(item, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", item


def pass_layers(layers: Any) -> Any:
    """Return layers, one or several, as an Ask holds them; of a file, `@layer.json`, the Path.

    A cell's file stays in its text: `@mgu.toml(4)`.  A layer of Keras without weights is its config.
    Raises UsageError for a live object among several layers.
    """
    if layers is None:
        return None
    several = layers if isinstance(layers, (list, tuple)) else [layers]
    several = [unbuilt_config(word) or word for word in several]
    if live := next((word for word in several if find_framework(word)), None):
        what = "{name} has weights, so it stands alone, not in a list of layers."
        advice = "Put the layers into one model, such as keras.Sequential([...])."
        raise UsageError(what, advice, name=type(live).__name__)
    return [
        pass_value("layer", word[1:])
        if isinstance(word, str) and word.startswith("@") and ".toml" not in word
        else word
        for word in several
    ]


def split_model(value: Any) -> tuple[str | None, Any]:
    """Return the file of a model, with its layers, that stands in the place of a layer; or the layer."""
    if isinstance(value, (str, PathLike)) and "(" not in str(value):
        word = str(value)
        if split_layers(word)[0].lower().endswith((*MODEL_SUFFIXES, *WEIGHT_SUFFIXES)):
            return word, None
    return None, value


def pass_live(layer: Any, given: Mapping[str, Any]) -> tuple[Any, LiveObject | None]:
    """Return the layer, and the live object that stands in its place or in that of the model, if any.

    A layer of Keras without weights is its config.  Raises UsageError for two of them, for `at` without, and
    for weights in the place of the layer.
    """
    if not isinstance(given.get("at", ""), str):
        raise UsageError("at is {at!r}.", "Give the name of a layer: at='lstm'.", at=given["at"])
    objects = [value for value in (layer, given.get("model")) if find_framework(value)]
    if not objects:
        if isinstance(layer, Mapping) and any(hasattr(array, "shape") for array in layer.values()):
            advice = "Name the layer, and give them as weights=: run(x, 'lstm', weights=...)."
            raise UsageError("weights are given in the place of the layer.", advice)
        if given.get("at") is not None:
            what = "at={at!r} names a layer of a Keras or PyTorch object, and none is given."
            advice = "Of a file, name the layer behind a #: model='model.keras#lstm'."
            raise UsageError(what, advice, at=given["at"])
        return layer, None
    if len([value for value in (layer, given.get("model")) if value is not None]) > 1:
        raise UsageError("both a layer and a model are given.", "Leave one of them out.")
    if config := unbuilt_config(objects[0]):
        return config, None
    return None, LiveObject(objects[0])


def to_array(value: Any, name: str, kinds: str = NUMBERS) -> Array:
    """Convert to an array of numbers.  Raises InputError, with `name` in the message, if that fails.

    kinds: NumPy's letters for the kinds of dtypes that are taken.
    """
    with inside(name):
        try:
            array: Array = _to_numpy(value)
        except ValueError as error:
            what = str(error).rstrip(".")
            raise InputError("{what}.", "Give an array, or lists of equal length.", what=what) from None
        if array.dtype.kind not in kinds or not array.ndim:
            raise InputError(
                "it is {dtype}, {ndim}-D.", "Give an array of numbers.", dtype=array.dtype, ndim=array.ndim
            )
        if not array.size:
            advice = "No axis may have size 0."
            raise InputError("it is empty, with shape {shape}.", advice, shape=format_shape(array.shape))
    return array


def to_sequences(
    inputs: Any, name: str, kinds: str = NUMBERS, rank: int | None = 2
) -> Array | tuple[Array, ...]:
    """Return one array, or one array per sequence if their lengths differ.

    kinds: see `to_array`.  rank: number of axes of a sequence; None for any.
    Raises InputError, with `name` in the message, for anything else.
    """
    try:
        return to_array(inputs, name, kinds)
    except InputError:
        if not isinstance(inputs, (list, tuple)) or len({array.ndim for array in _arrays(inputs)}) != 1:
            raise
    several = tuple(to_array(sequence, name) for sequence in inputs)
    if several[0].ndim != (rank or several[0].ndim) or len({sequence.shape[1:] for sequence in several}) != 1:
        raise InputError(
            "{name}: its sequences do not fit together.", "Give each (timesteps, features).", name=name
        )
    return several


def _to_numpy(value: Any) -> Any:
    """Return an array; of a tensor its numbers, on whatever device; bfloat16, which NumPy lacks, as float32.

    Raises InputError for a tensor that NumPy cannot hold.
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value.resolve_neg()
        array = np.asarray(value)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        if isinstance(error, RuntimeError) and isinstance(value, (list, tuple)):
            return np.asarray([_to_numpy(item) for item in value])
        what = first_nonblank_line(error).rstrip(".")
        raise InputError("{what}.", "Give a NumPy array of its numbers.", what=what) from None
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _arrays(inputs: Sequence[Any]) -> list[Any]:
    try:
        return [_to_numpy(item) for item in inputs]
    except ValueError:
        return []
