"""Build a checked Spec, with all defaults filled in, from an expression, a Keras config or a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rnncli import layers
from rnncli.case import Option, Spec
from rnncli.errors import LayerError, Message, Text, did_you_mean, fold_name
from rnncli.layers import INERT
from rnncli.specs import expressions
from rnncli.specs.call_arguments import Signature, point_at, split_config
from rnncli.specs.expressions import CallExpression, Name, TokenSpan
from rnncli.specs.values import check, format_value

MODELS = ("Sequential", "Functional", "Model")
STACKED = "StackedRNNCells"

_CONFIG = Message('Write {{"class_name": "LSTM", "config": {{"units": 3}}}}.')
_EXAMPLES = {
    "Bidirectional": "Bidirectional(LSTM(3))",
    "TimeDistributed": "TimeDistributed(Dense(3))",
    "RNN": Message("RNN([LSTMCell(3), GRUCell(2)]); for the plain recurrent layer, simple_rnn"),
    "ConvLSTM1D": "ConvLSTM1D(4, 3)",
    "ConvLSTM2D": "ConvLSTM2D(4, 3)",
    "ConvLSTM3D": "ConvLSTM3D(4, 3)",
    "Dropout": "Dropout(0.5)",
    STACKED: "StackedRNNCells([LSTMCell(3), GRUCell(2)])",
}
_NOT_POSITIONAL = ("dropout", "dtype", "seed", "backward_layer")
_IN_MODELS = """
    Activation Add Attention AveragePooling1D BatchNormalization Concatenate Conv1D Conv2D Embedding Flatten
    GlobalAveragePooling1D GlobalMaxPooling1D LayerNormalization MaxPooling1D Permute RepeatVector Reshape
    SpatialDropout1D
"""
ONLY_IN_MODELS = {fold_name(name): name for name in _IN_MODELS.split()}
"""Layers that often stand beside recurrent ones; rnncli computes them in a saved model, not on their own."""
_SHORT = {"birnn": "SimpleRNN", "bilstm": "LSTM", "bigru": "GRU"}
_STACKED_OPTIONS = {"cells": Option("cell_list", required=True), "dtype": Option("dtype", "float32")}


def build(source: Any) -> Spec:
    """Return the Spec of a layer.

    source: a name (`lstm`, `bigru`), an expression, a parsed CallExpression or Name, a Keras config
        or a Spec.
    Raises LayerError if the layer is invalid; for an expression, with a caret under the error.
    """
    if isinstance(source, str):
        whole = TokenSpan(source, 1, 0, len(source))
        source = Name(source, whole) if is_name(source) else expressions.parse(source)
    match source:
        case Spec():
            return source
        case Name():
            return _from_call(CallExpression(source.name, (), {}, source.span))
        case CallExpression():
            return _from_call(source)
        case Mapping():
            return _from_config(source)
    raise LayerError(
        "{source} is not a layer.",
        "Write a name, an expression such as LSTM(3), or a Keras config.",
        source=format_value(source),
    )


def complete(class_name: str, values: Mapping[str, Any], *, deferred: bool = False) -> Spec:
    """Return a Spec with these checked options first, then Keras's defaults.

    Also creates the layer, because some layers (Bidirectional) check more than single options.
    Raises LayerError if a required option is missing, or the options do not fit together.
    """
    options = options_of(class_name)
    _require_complete(class_name, options, values)
    defaults = {name: option.default for name, option in options.items() if name not in values}
    spec = Spec(class_name, {**values, **defaults}, deferred)
    if layers.find_name(class_name):
        layers.make(spec)
    return spec


def inner_class(name: str) -> str | None:
    """Return the inner layer of a short name: `bilstm` -> `LSTM`; None for any other name."""
    return _SHORT.get(fold_name(name))


def short_names() -> tuple[str, ...]:
    """Return the short names for a layer inside Bidirectional: `birnn`, `bilstm`, `bigru`."""
    return tuple(_SHORT)


def find_class(name: str) -> str:
    """Return Keras's name of a layer or cell, ignoring case.  Raises LayerError if it does not exist."""
    found = layers.find_name(fold_name(name), layers.LAYERS | layers.CELLS)
    if found:
        return found
    is_cell = "cel" in fold_name(name)  # LSTMCel is a misspelt cell
    known = tuple(layers.CELLS) if is_cell else (*layers.names(), *_SHORT)
    advice = did_you_mean(name, known)
    if other := ONLY_IN_MODELS.get(fold_name(name)):
        advice = Message("{other} works only in a saved model: rnncli run INPUT --model m.keras", other=other)
    what = "there is no cell '{name}'." if is_cell else "there is no layer '{name}'."
    raise LayerError(what, advice, name=name)


def options_of(class_name: str) -> Mapping[str, Option]:
    """Return the options of a layer or cell."""
    if layers.find_name(class_name, layers.CELLS):
        return layers.cell_of(class_name).options
    return layers.class_of(class_name).options


def signature_of(class_name: str) -> Signature:
    """Return what a layer or cell takes."""
    options = options_of(class_name)
    names = list(options)
    stop = next((place for place, name in enumerate(names) if name in _NOT_POSITIONAL), len(names))
    return Signature(class_name, options, names[:stop], INERT, _advise, _read_inner)


def _advise(name: str) -> Text:
    having = layers_with(name)
    return Message("It applies to {having}.", having=", ".join(having)) if having else ""


def layers_with(option: str) -> list[str]:
    """Return the layers that have this option."""
    return [name for name in layers.names() if option in layers.class_of(name).options]


def check_option(class_name: str, name: str, value: Any) -> Any:
    """Return one option of a layer or cell as stored in a Spec.  Raises LayerError if it is invalid."""
    return check(class_name, name, options_of(class_name)[name], value, _read_inner)


def _from_call(call: CallExpression) -> Spec:
    call = expand_short_name(call)
    with point_at(call.span):
        signature = signature_of(find_class(call.name))
        return complete(signature.class_name, signature.read(signature.arguments_of(call)))


def _from_config(config: Mapping[str, Any]) -> Spec:
    if not {"class_name", "config"} & set(config) and {"units", "filters", "layer"} & set(config):
        raise LayerError(
            "this is the result of layer.get_config(), which does not include the layer's class.",
            "Write the file with json.dump(keras.layers.serialize(layer), file).",
        )
    name, given = split_config(config, "layer", _CONFIG)
    signature = signature_of(find_class(name.rpartition(">")[2]))
    values = signature.read(signature.arguments_of(given))
    return complete(signature.class_name, values, deferred=True)


def expand_short_name(call: CallExpression) -> CallExpression:
    """Expand a short name: `bilstm(3, merge_mode='sum')` -> `Bidirectional(LSTM(3), merge_mode='sum')`.

    Other calls are returned unchanged.
    """
    inner = inner_class(call.name)
    if not inner:
        return call
    own = {name: value for name, value in call.kwargs.items() if name != "merge_mode"}
    outer = {name: value for name, value in call.kwargs.items() if name in ("merge_mode", "dtype")}
    spans = {**call.spans, 0: call.span}
    return CallExpression("Bidirectional", (replace(call, name=inner, kwargs=own),), outer, call.span, spans)


def _require_complete(class_name: str, options: Mapping[str, Option], values: Mapping[str, Any]) -> None:
    for name, option in options.items():
        if option.required and name not in values:
            example = _EXAMPLES.get(class_name, f"{class_name}(3)")
            needed: Text = {"layer": Message("a layer"), "cell": Message("a cell")}.get(name, name)
            raise LayerError(
                "{class_name} needs {needed}.",
                "For example {example}.",
                class_name=class_name,
                needed=needed,
                example=example,
            )


def _read_inner(class_name: str, name: str, option: Option, value: Any) -> Any:
    """Return the initializer, the layer, the cell or the cells in an option; None for no backward layer."""
    if option.kind == "initializer":
        from rnncli.specs import initializers

        return initializers.build(value)
    if option.kind == "backward" and value is None:
        return None
    cell = option.kind == "cells"
    value = list_cells(value) if cell else value
    if not cell or not isinstance(value, (list, tuple)):
        return _build_inner(class_name, name, value, cell=cell)
    if not value:
        raise LayerError(
            "{class_name}: {name} is empty.",
            "For example RNN([LSTMCell(3)]).",
            class_name=class_name,
            name=name,
        )
    return tuple(_build_inner(class_name, name, item, cell=True) for item in value)


def _build_inner(class_name: str, name: str, value: Any, *, cell: bool) -> Spec:
    """Return the Spec of a layer or a cell that is an argument of a layer."""
    what, example = ("cell", "LSTMCell(3)") if cell else ("layer", "LSTM(3)")
    if not isinstance(value, (CallExpression, Mapping, Spec)):
        raise LayerError(
            "{class_name} needs a {what} with arguments, such as {example}, not {value}.",
            "Write the {what} with its arguments: {example}",
            class_name=class_name,
            what=Message(what),
            example=example,
            value=format_value(value),
        )
    spec = build(value)
    if spec.class_name.endswith("Cell") != cell:
        wanted = Message("a cell such as {example}" if cell else "a layer such as {example}", example=example)
        raise LayerError(
            "{class_name}: {name} needs {wanted}, not {given}.",
            "Give it {wanted}.",
            class_name=class_name,
            name=name,
            wanted=wanted,
            given=spec.class_name,
        )
    return spec


def list_cells(source: Any) -> Any:
    """Return the list of cells in StackedRNNCells; any other value is returned unchanged.

    Raises LayerError, with a caret in an expression, if the arguments of StackedRNNCells are invalid.
    """
    signature = Signature(STACKED, _STACKED_OPTIONS, ("cells",), INERT)
    if isinstance(source, CallExpression) and source.name == STACKED:
        span, arguments = source.span, signature.arguments_of(source)
    elif isinstance(source, Mapping) and source.get("class_name") == STACKED:
        span, arguments = None, signature.arguments_of(split_config(source, "cell", _CONFIG)[1])
    else:
        return source
    with point_at(span):
        found = signature.read(arguments)
        _require_complete(STACKED, _STACKED_OPTIONS, found)
        if found.get("dtype", "float32") != "float32":
            what = Message(
                "{stacked}: dtype is {found}, and rnncli knows only float32 there.",
                stacked=STACKED,
                found=found["dtype"],
            )
            raise LayerError(what, "Leave it out.")
        return found["cells"]


def iterate_layers(source: Any) -> Iterable[Any]:
    """Yield the layers of a stack, each as a name, a CallExpression or a config.

    source: a list, a Sequential as an expression, or a single layer.
    Raises LayerError for the config of a whole model.
    """
    if isinstance(source, str) and not is_name(source):
        source = expressions.parse(source)
    if isinstance(source, CallExpression) and source.name == "Sequential" and len(source.args) == 1:
        source = source.args[0]
    if isinstance(source, (list, tuple)):
        for item in source:
            yield from iterate_layers(item)
    elif isinstance(source, Mapping) and source.get("class_name") in MODELS:
        raise LayerError(
            "{source} is a whole model, not a layer.",
            "Save it with model.save('m.keras'), and run it: rnncli run INPUT --model m.keras",
            source=source["class_name"],
        )
    elif not (isinstance(source, CallExpression) and source.name in ("Input", "InputLayer")):
        yield source.name if isinstance(source, Name) else source


def is_name(source: Any) -> bool:
    """Return whether `source` is only a layer's name, such as `lstm` or `simple-rnn`."""
    return isinstance(source, str) and source[:1] != "-" and source.replace("-", "_").isidentifier()
