"""A layer from an expression, a Keras config or a name, and the flags beside it, to a checked Spec.

`_read` checks a written layer once; `_make` adds the flags and Keras's defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

from rnncli import layers
from rnncli.cells.text import CellText
from rnncli.cells.tree import TokenSpan, point_at
from rnncli.errors import Flag, LayerError, Message, Text, UsageError, did_you_mean, fold_name
from rnncli.initializers import settings
from rnncli.layers.layer import INERT
from rnncli.layers.recurrent import LOOP_OPTIONS, cell_options
from rnncli.options import flag_name
from rnncli.specs import expressions
from rnncli.specs.arguments import (
    Argument,
    OptionError,
    Signature,
    check,
    format_value,
    split_config,
    values_of,
)
from rnncli.specs.expressions import BareName, CallExpression
from rnncli.values import Option, Spec

MODELS = ("Sequential", "Functional", "Model")
STACKED = "StackedRNNCells"
WRAPPER_FLAGS = ("bidirectional", "merge_mode")
"""Flags that wrap a layer in Bidirectional; they are not options of the layer."""

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
_SHORT = {"birnn": "SimpleRNN", "bilstm": "LSTM", "bigru": "GRU"}
_STACKED_OPTIONS = {"cells": Option("cell_list", required=True), "dtype": Option("dtype", "float32")}


class Written(NamedTuple):
    """A layer or a cell as it was written, with checked arguments; layers among these are Written, too.

    span: where its name stands in an expression.  deferred, equations: see Spec.
    """

    class_name: str
    arguments: Mapping[str, Argument]
    span: TokenSpan | None = None
    deferred: bool = False
    equations: CellText | None = None


def build(source: Any, flags: Mapping[str, Any] | None = None, *, flags_win: bool = False) -> Spec:
    """Return the Spec of a layer.

    source: a name (`lstm`, `bigru`), an expression, a parsed CallExpression or BareName, a Keras config,
        or a Spec.
    flags: options of recurrent layers, and of both layers of a Bidirectional; dtype is for every layer.
    flags_win: flags override the layer's own options, as with a case document.
    Raises LayerError if the layer is invalid, for an expression with a caret under the error; or if a flag
    conflicts with an option; UsageError if --no-bidirectional conflicts with a Bidirectional.
    """
    read = _as_layer(_read(source))
    spec = _make(read, {}, flags_win)  # the layer has to be valid without the flags
    return _make(read, flags, flags_win) if flags else spec


def build_by_name(name: str, flags: Mapping[str, Any]) -> Spec:
    """Return the Spec of a named layer, with the flags that it has."""
    class_name = inner_class(name) or find_class(name)
    # In Keras's order, not the order typed, because initializers take their seeds in this order.
    spec = complete(class_name, read_flags(class_name, _only(flags, *options_of(class_name))))
    is_wrapped = flags.get("bidirectional", bool(inner_class(name))) and is_recurrent(class_name)
    return _wrap(spec, flags) if is_wrapped else spec


def complete(
    class_name: str,
    values: Mapping[str, Any],
    *,
    deferred: bool = False,
    equations: CellText | None = None,
) -> Spec:
    """Return a Spec with these checked options first, then Keras's defaults.

    Also creates the layer, because some layers (Bidirectional) check more than single options.
    Raises LayerError if a required option is missing, or the options do not fit together.
    """
    options = options_of(class_name, equations)
    _require_complete(class_name, options, values)
    defaults = {name: option.default for name, option in options.items() if name not in values}
    spec = Spec(class_name, {**values, **defaults}, deferred, equations)
    if equations is None and layers.find_name(class_name):
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
    if class_name := layers.find_name(name, layers.LAYERS | layers.CELLS):
        return class_name
    from rnncli.layers import plain

    is_cell = "cel" in fold_name(name)  # LSTMCel is a misspelt cell
    known = tuple(layers.CELLS) if is_cell else (*layers.LAYERS, *_SHORT)
    advice = did_you_mean(name, known)
    if other := layers.find_name(name, plain.LAYERS):
        advice = Message("{other} works only in a saved model: rnncli run INPUT --model m.keras", other=other)
    what = "there is no cell '{name}'." if is_cell else "there is no layer '{name}'."
    raise LayerError(what, advice, name=name)


def options_of(class_name: str, equations: CellText | None = None) -> Mapping[str, Option]:
    """Return the options of a layer or cell.  equations: of a cell from a file."""
    if equations is not None:
        return cell_options(equations)
    is_cell = layers.find_name(class_name, layers.CELLS)
    return (layers.cell_of if is_cell else layers.class_of)(class_name).options


def is_recurrent(class_name: str) -> bool:
    """Return whether this is a recurrent layer, which flags apply to."""
    return bool(layers.find_name(class_name)) and layers.class_of(class_name).recurrent


def layers_with(option: str) -> list[str]:
    """Return the layers that have this option."""
    return [name for name in layers.LAYERS if option in layers.class_of(name).options]


def is_name(source: Any) -> bool:
    """Return whether `source` is only a layer's name, such as `lstm` or `simple-rnn`."""
    return isinstance(source, str) and source[:1] != "-" and source.replace("-", "_").isidentifier()


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
        advice = "Save it with model.save('m.keras'), and run it: rnncli run INPUT --model m.keras"
        raise LayerError("{source} is a whole model, not a layer.", advice, source=source["class_name"])
    elif not (isinstance(source, CallExpression) and source.name in ("Input", "InputLayer")):
        yield source.name if isinstance(source, BareName) and source.equations is None else source


def read_flags(
    class_name: str, flags: Mapping[str, Any], equations: CellText | None = None
) -> dict[str, Any]:
    """Return the flags of a layer, converted to its options.  equations: of a cell from a file.

    Raises LayerError if Keras does not accept the value of a flag.
    """
    options, values = options_of(class_name, equations), {}
    for name, value in flags.items():
        flag = Flag(flag_name(name, value))
        try:
            if value == "":
                raise LayerError("it is empty.", "Give it a value, or leave it out.")
            values[name] = check(class_name, name, options[name], value, _read_inner, flag)
        except LayerError as error:
            if isinstance(error, OptionError) and options[name].kind != "initializer":
                raise
            raise LayerError(Message("{flag}: {error}", flag=flag, error=error), error.advice) from None
    return values


def _read(source: Any) -> Written | Spec:
    if isinstance(source, str):
        whole = TokenSpan(source, 1, 0, len(source))
        source = BareName(source, whole) if is_name(source) else expressions.parse(source)
    match source:
        case Spec():
            return source
        case BareName():
            return _read_call(CallExpression(source.name, (), {}, source.span, {}, source.equations))
        case CallExpression():
            return _read_call(source)
        case Mapping():
            return _read_config(source)
    advice = "Write a name, an expression such as LSTM(3), or a Keras config."
    raise LayerError("{source} is not a layer.", advice, source=format_value(source))


def _read_call(call: CallExpression) -> Written:
    """Read a call; `bilstm(3, merge_mode='sum')` is read as `Bidirectional(LSTM(3), ...)`."""
    if inner := inner_class(call.name):
        kwargs = {name: value for name, value in call.kwargs.items() if name != "merge_mode"}
        outer = _only(call.kwargs, *(name for name in call.kwargs if name in ("merge_mode", "dtype")))
        layer = replace(call, name=inner, kwargs=kwargs)
        call = CallExpression("Bidirectional", (layer,), outer, call.span, {**call.spans, 0: call.span})
    if call.equations is not None:
        return _read_cell_file(call, call.equations)
    with point_at(call.span):
        class_name = find_class(call.name)
        arguments = _signature(class_name).read(call)
        _require_complete(class_name, options_of(class_name), arguments)
    return Written(class_name, arguments, call.span)


def _read_cell_file(call: CallExpression, equations: CellText) -> Written:
    """Read `@mgu.toml(4, return_sequences=True)`: a cell; with options of RNN, a layer that runs the cell."""
    layer_options = {name: value for name, value in call.kwargs.items() if name in LOOP_OPTIONS}
    cell_kwargs = {name: value for name, value in call.kwargs.items() if name not in layer_options}
    with point_at(call.span):
        options = options_of("", equations)
        advise = partial(did_you_mean, choices=(*options, *LOOP_OPTIONS))
        signature = Signature(equations.class_name, options, ("units",), INERT, advise, _read_inner)
        arguments = signature.read(replace(call, kwargs=cell_kwargs))
        _require_complete(equations.class_name, options, arguments)
        written = Written(equations.class_name, arguments, call.span, equations=equations)
        if not layer_options:
            return written
        around = CallExpression("RNN", (), layer_options, call.span, call.spans)
        return _around(written, call, _signature("RNN").read(around))


def _around(cell: Written, call: Any, options: Mapping[str, Argument]) -> Written:
    """Return the layer that runs a cell from a file, in the cell's dtype."""
    dtype = _only(cell.arguments, "dtype")
    return Written("RNN", {"cell": Argument(cell, call), **dtype, **options}, cell.span, cell.deferred)


def _as_layer(read: Written | Spec) -> Written | Spec:
    if read.equations is None:
        return read
    if isinstance(read, Spec):
        options = {"cell": read, "dtype": read.config["dtype"]}
        return complete("RNN", options, deferred=read.deferred)
    return _around(read, read, {})


def _read_config(config: Mapping[str, Any]) -> Written:
    if not {"class_name", "config"} & set(config) and {"units", "filters", "layer"} & set(config):
        what = "this is the result of layer.get_config(), which does not include the layer's class."
        raise LayerError(what, "Write the file with json.dump(keras.layers.serialize(layer), file).")
    name, given = split_config(config, "layer", _CONFIG)
    if isinstance(given.get("equations"), str):
        cell = read_equations(given["equations"])
        options = options_of("", cell)
        config = {name: value for name, value in given.items() if name != "equations"}
        arguments = Signature(cell.class_name, options, (), INERT, read_inner=_read_inner).read(config)
        _require_complete(cell.class_name, options, arguments)
        return Written(cell.class_name, arguments, deferred=True, equations=cell)
    class_name = find_class(name.rpartition(">")[2])
    written = {name: value for name, value in given.items() if value is not None or name != "dtype"}
    arguments = _signature(class_name).read(written)
    _require_complete(class_name, options_of(class_name), arguments)
    return Written(class_name, arguments, deferred=True)


@lru_cache(32)  # each line of a stream may name the same cell
def read_equations(text: str) -> CellText:
    """Return the cell of a TOML text.  Raises LayerError, which names the line, if it is not valid."""
    from rnncli.cells.reading import read_cell
    from rnncli.specs import arguments

    def read_initializer(source: Any) -> Any:
        """Return the initializer; the cell creates it, in the order of its weights."""
        initializer = arguments.build(source)
        return replace(initializer, deferred=True) if isinstance(initializer, Spec) else initializer

    return read_cell(text, read_initializer)


def _signature(class_name: str) -> Signature:
    options = options_of(class_name)
    names = list(options)
    stop = next((index for index, name in enumerate(names) if name in _NOT_POSITIONAL), len(names))

    def advise(name: str) -> Text:
        having = ", ".join(layers_with(name))
        return Message("It applies to {having}.", having=having) if having else ""

    return Signature(class_name, options, names[:stop], INERT, advise, _read_inner)


def _require_complete(class_name: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> None:
    for name, option in options.items():
        if option.required and name not in given:
            needed: Text = {"layer": Message("a layer"), "cell": Message("a cell")}.get(name, name)
            raise LayerError(
                "{class_name} needs {needed}.",
                "For example {example}.",
                class_name=class_name,
                needed=needed,
                example=_EXAMPLES.get(class_name, f"{class_name}(3)"),
            )


def _read_inner(class_name: str, name: str, option: Option, value: Any) -> Any:
    if option.kind == "initializer":
        from rnncli.specs import arguments

        return arguments.build(value)
    if option.kind == "backward" and value is None:
        return None
    cell = option.kind == "cells"
    value = _list_cells(value) if cell else value
    if not cell or not isinstance(value, (list, tuple)):
        return _read_part(class_name, name, value, cell)
    if not value:
        advice = "For example RNN([LSTMCell(3)])."
        raise LayerError("{class_name}: {name} is empty.", advice, class_name=class_name, name=name)
    return tuple(_read_part(class_name, name, item, cell) for item in value)


def _read_part(class_name: str, name: str, value: Any, cell: bool) -> Written | Spec:
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
    read = _read(value)
    read = read if cell else _as_layer(read)
    if (read.equations is not None or read.class_name.endswith("Cell")) != cell:
        wanted = Message("a cell such as {example}" if cell else "a layer such as {example}", example=example)
        raise LayerError(
            "{class_name}: {name} needs {wanted}, not {given}.",
            "Give it {wanted}.",
            class_name=class_name,
            name=name,
            wanted=wanted,
            given=read.class_name,
        )
    return read


def _list_cells(source: Any) -> Any:
    """Return the list of cells in StackedRNNCells; any other value is returned unchanged."""
    signature = Signature(STACKED, _STACKED_OPTIONS, ("cells",), INERT)
    if isinstance(source, CallExpression) and source.name == STACKED:
        span: TokenSpan | None = source.span
        given: Any = source
    elif isinstance(source, Mapping) and source.get("class_name") == STACKED:
        span, given = None, split_config(source, "cell", _CONFIG)[1]
        if "equations" in given:  # the cell of a file, which has this name
            return source
    else:
        return source
    with point_at(span):
        values = values_of(signature.read(given))
        _require_complete(STACKED, _STACKED_OPTIONS, values)
        if values.get("dtype", "float32") != "float32":
            text = "{stacked}: dtype is {found}, and rnncli knows only float32 there."
            what = Message(text, stacked=STACKED, found=values["dtype"])
            raise LayerError(what, "Leave it out.")
        return values["cells"]


def _make(layer: Written | Spec, flags: Mapping[str, Any], flags_win: bool) -> Spec:
    """Return the Spec, with the flags after the written options, because Keras takes seeds in this order."""
    if isinstance(layer, Spec):
        if not flags:
            return layer
        written = {name: Argument(value, value) for name, value in layer.config.items()}
        layer = Written(layer.class_name, written, None, layer.deferred, layer.equations)
    name, arguments = layer.class_name, layer.arguments
    options = options_of(name, layer.equations)
    if name == "Bidirectional" and flags.get("bidirectional") is False:
        if not flags_win:
            what = "{--no-bidirectional} conflicts with {class_name}(...) in {--layer}."
            raise UsageError(what, "Leave the flag out, or name the inner layer alone.", class_name=name)
        return _make(arguments["layer"].value, _flags_inside(name, "layer", flags, None), flags_win)
    values = {
        key: _make_parts(argument.value, _flags_inside(name, key, flags, argument.value), flags_win)
        for key, argument in arguments.items()
    }
    takes_all = layer.equations is not None or is_recurrent(name)
    changed = read_flags(name, _only(flags, *(options if takes_all else ("dtype",))), layer.equations)
    for key, value in ({} if flags_win else changed).items():
        of_initializer = options[key].kind == "initializer"
        if key not in arguments or (
            settings(value) == settings(values[key]) if of_initializer else value == values[key]
        ):
            continue
        with point_at(arguments[key].span):
            raise LayerError(
                "{flag} conflicts with {name}={value}."
                if arguments[key].span
                else "{flag} conflicts with {name}={value} in the config of {class_name}.",
                "Leave one of them out.",
                flag=Flag(flag_name(key, flags[key]), None if isinstance(flags[key], bool) else flags[key]),
                name=key,
                value=format_value(arguments[key].written),
                class_name=name,
            )
    with point_at(None if flags else layer.span):  # the flags are not in the expression
        spec = complete(name, {**values, **changed}, deferred=layer.deferred, equations=layer.equations)
    is_wrapped = flags.get("bidirectional") and name != "Bidirectional" and is_recurrent(name)
    return _wrap(spec, flags) if is_wrapped else spec


def _make_parts(value: Any, flags: Mapping[str, Any], flags_win: bool) -> Any:
    if isinstance(value, tuple) and not isinstance(value, Written):
        return tuple(_make_parts(item, flags, flags_win) for item in value)
    return _make(value, flags, flags_win) if isinstance(value, (Written, Spec)) else value


def _flags_inside(class_name: str, option: str, flags: Mapping[str, Any], part: Any) -> dict[str, Any]:
    """Return the flags for a layer or cell in an option: all but WRAPPER_FLAGS; for cells, dtype.

    part: the layer or cell; a cell from a file gets all flags that are its options.
    """
    if option == "cell":
        equations = isinstance(part, (Written, Spec)) and part.equations
        return _only(flags, *(options_of("", equations) if equations else ("dtype",)))
    if class_name != "Bidirectional":
        return {}
    # One of the two layers runs backwards, whatever the flag says.
    kept = {*WRAPPER_FLAGS, *(["go_backwards"] if option == "backward_layer" else [])}
    return {name: value for name, value in flags.items() if name not in kept}


def _wrap(layer: Spec, flags: Mapping[str, Any]) -> Spec:
    """Return a Bidirectional around `layer`, with the flags that Bidirectional itself has."""
    options = read_flags("Bidirectional", _only(flags, "merge_mode", "dtype"))
    return complete("Bidirectional", {"layer": layer, **options})


def _only(flags: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: flags[name] for name in names if name in flags}
