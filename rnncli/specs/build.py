"""Build a checked Spec, with all defaults filled in, from an expression, a Keras config or a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rnncli import layers
from rnncli.case import Spec
from rnncli.errors import LayerError, did_you_mean
from rnncli.layers import INERT, Option
from rnncli.specs import expressions
from rnncli.specs.expressions import CallExpression, Name, TokenSpan
from rnncli.specs.values import checked, shown

_SHORT = {"birnn": "SimpleRNN", "bilstm": "LSTM", "bigru": "GRU"}
MODELS = ("Sequential", "Functional", "Model")
_NOT_POSITIONAL = ("dropout", "dtype", "seed", "backward_layer")


def build(written: Any, given: Mapping[str, Any] | None = None) -> Spec:
    """The Spec of a layer.

    written: a name (`lstm`, `bigru`), an expression, a parsed CallExpression or Name, or a Keras config.
    given: options, used only if `written` is a name.
    Raises LayerError if the layer is invalid; for an expression, with a caret under the error.
    """
    if isinstance(written, str):
        written = Name(written, _span(written)) if named(written) else expressions.parse(written)
    if isinstance(written, Spec):
        return written
    if isinstance(written, CallExpression):
        return _from_call(written)
    if isinstance(written, Name):
        return _named(written.name, given or {})
    if isinstance(written, Mapping):
        return _from_config(written)
    raise LayerError(
        f"{shown(written)} is not a layer.",
        "Write a name, an expression such as LSTM(3), or a Keras config.",
    )


def short_names() -> tuple[str, ...]:
    """Short names for a layer inside Bidirectional: `birnn`, `bilstm`, `bigru`."""
    return tuple(_SHORT)


def inside(name: str) -> str | None:
    """The inner layer of a short name: `bilstm` -> `LSTM`; None for any other name."""
    return _SHORT.get(_folded(name))


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _named(name: str, given: Mapping[str, Any]) -> Spec:
    inner = inside(name)
    if inner:
        outer = {key: value for key, value in given.items() if key in ("merge_mode", "dtype")}
        own = {key: value for key, value in given.items() if key != "merge_mode"}
        return _complete("Bidirectional", {"layer": _complete(inner, own), **outer})
    return _complete(find(name), given)


def find(name: str) -> str:
    """Keras's name of a layer or cell; case does not matter.  Raises LayerError if it does not exist."""
    found = layers.known(_folded(name), "LAYERS", "CELLS")
    if found:
        return found
    names = (*layers.names(), *short_names())
    raise LayerError(f"there is no layer '{name}'.", did_you_mean(name, names))


def options_of(class_name: str) -> Mapping[str, Option]:
    """The options of a layer or cell."""
    if layers.known(class_name, "CELLS"):
        return layers.cell_of(class_name).options
    return layers.class_of(class_name).options


def _from_call(call: CallExpression) -> Spec:
    call = unfolded(call)
    try:
        class_name = find(call.name)
    except LayerError as error:
        raise expressions.fault(call.span, error.what, error.advice) from None
    options = options_of(class_name)
    positional = _positional(options)
    if len(call.args) > len(positional):
        raise expressions.fault(
            call.spans[len(positional)],
            f"{class_name} takes {len(positional)} positional arguments",
            f"They are {', '.join(positional)}; give the others by name.",
        )
    pairs: list[tuple[str, Any, TokenSpan]] = [
        (positional[index], value, call.spans[index]) for index, value in enumerate(call.args)
    ]
    pairs += [(name, value, call.spans[name]) for name, value in call.kwargs.items()]
    given: dict[str, Any] = {}
    for name, value, span in pairs:
        if name in given:
            raise expressions.fault(span, f"{name} is given twice", "Leave one of them out.")
        try:
            given.update(_option(class_name, name, value))
        except LayerError as error:
            raise error if "^" in error.what else expressions.fault(span, error.what, error.advice) from None
    try:
        return _complete(class_name, given)
    except LayerError as error:
        raise error if "^" in error.what else expressions.fault(call.span, error.what, error.advice) from None


def unfolded(call: CallExpression) -> CallExpression:
    """Expand a short name: `bilstm(3, merge_mode='sum')` -> `Bidirectional(LSTM(3), merge_mode='sum')`.

    Other calls are returned unchanged.
    """
    inner = inside(call.name)
    if not inner:
        return call
    own = {name: value for name, value in call.kwargs.items() if name != "merge_mode"}
    outer = {name: value for name, value in call.kwargs.items() if name in ("merge_mode", "dtype")}
    spans = {**call.spans, 0: call.span}
    return CallExpression("Bidirectional", (replace(call, name=inner, kwargs=own),), outer, call.span, spans)


def positional(call: CallExpression) -> list[str]:
    """The names of the options that a call can set by position, in order."""
    return _positional(options_of(find(call.name)))


def _from_config(config: Mapping[str, Any]) -> Spec:
    name, given = config.get("class_name"), config.get("config", {})
    if (
        name is None
        and "config" not in config
        and ("units" in config or "filters" in config or "layer" in config)
    ):
        raise LayerError(
            "this is the result of layer.get_config(), which does not include the layer's class.",
            "Write the file with json.dump(keras.layers.serialize(layer), file).",
        )
    if not isinstance(name, str) or not isinstance(given, Mapping):
        raise LayerError(
            "a layer's config has no class_name, or its config is not an object.",
            'Write {"class_name": "LSTM", "config": {"units": 3}}.',
        )
    class_name = find(name.rpartition(">")[2])
    made: dict[str, Any] = {}
    for key, value in given.items():
        made.update(_option(class_name, key, value))
    return _complete(class_name, made, deferred=True)


def _option(class_name: str, name: str, value: Any) -> dict[str, Any]:
    """One checked option as a dict; {} if it does not affect what the layer returns."""
    options = options_of(class_name)
    if name in INERT and name not in options:
        return {}
    if name not in options:
        raise LayerError(f"{class_name} has no argument '{name}'.", _advice(name, options))
    return {name: checked(class_name, name, options[name], value, build)}


def _advice(name: str, options: Mapping[str, Option]) -> str:
    having = who_has(name)
    return f"These have it: {', '.join(having)}." if having else did_you_mean(name, options)


def who_has(option: str) -> list[str]:
    """The layers that have this option."""
    return [name for name in layers.names() if option in layers.class_of(name).options]


def _complete(class_name: str, given: Mapping[str, Any], *, deferred: bool = False) -> Spec:
    """A Spec with the given options first, then Keras's defaults.

    Also creates the layer, because some layers (Bidirectional) check more than single options.
    """
    config: dict[str, Any] = {}
    for name, value in given.items():
        config.update(_option(class_name, name, value))
    for name, option in options_of(class_name).items():
        if option.required and name not in config:
            needed = f"a {name}" if name in ("layer", "cell") else name
            raise LayerError(f"{class_name} needs {needed}.", _example(class_name))
        config.setdefault(name, "float32" if option.kind == "dtype" else option.default)
    config = {name: "float32" if name == "dtype" and v is None else v for name, v in config.items()}
    spec = Spec(class_name, config, deferred)
    if layers.known(class_name):
        layers.make(spec)
    return spec


def _example(class_name: str) -> str:
    examples = {
        "Bidirectional": "Bidirectional(LSTM(3))",
        "TimeDistributed": "TimeDistributed(Dense(3))",
        "RNN": "RNN([LSTMCell(3), GRUCell(2)]); for the plain recurrent layer, simple_rnn",
        "ConvLSTM1D": "ConvLSTM1D(4, 3)",
        "ConvLSTM2D": "ConvLSTM2D(4, 3)",
        "ConvLSTM3D": "ConvLSTM3D(4, 3)",
    }
    return f"For example {examples.get(class_name, f'{class_name}(3)')}."


def _positional(options: Mapping[str, Option]) -> list[str]:
    names: list[str] = []
    for name in options:
        if name in _NOT_POSITIONAL:
            break
        names.append(name)
    return names


def _span(text: str) -> TokenSpan:
    return TokenSpan(text, 1, 0, len(text))


def each(written: Any) -> Iterable[Any]:
    """The layers of a stack, each as a name, a Call or a config.

    written: a list, a Sequential as an expression, or a single layer.
    Raises LayerError for the config of a whole model.
    """
    if isinstance(written, str) and not named(written):
        written = expressions.parse(written)
    if isinstance(written, CallExpression) and written.name == "Sequential" and len(written.args) == 1:
        written = written.args[0]
    if isinstance(written, (list, tuple)):
        for item in written:
            yield from each(item)
    elif isinstance(written, Mapping) and written.get("class_name") in MODELS:
        raise LayerError(
            f"{written['class_name']} is a whole model, not a layer.",
            "Save it with model.save('m.keras'), and run it: rnncli run INPUT --model m.keras",
        )
    elif not (isinstance(written, CallExpression) and written.name in ("Input", "InputLayer")):
        yield written.name if isinstance(written, Name) else written


def named(written: Any) -> bool:
    """Whether `written` is only a layer's name, such as `lstm` or `simple-rnn`."""
    return isinstance(written, str) and written[:1] != "-" and written.replace("-", "_").isidentifier()
