"""Arguments that a layer does not have."""

from __future__ import annotations

import re
from collections.abc import Callable

from rnncli import layers
from rnncli.case import format_shape
from rnncli.commands.why.causes._layers import (
    UNITS,
    before,
    expression,
    find_nearest,
    format_layer,
    inner_layer,
    name_axes,
    pluralize,
)
from rnncli.commands.why.diagnosis import NO_HINT, SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message, parse_shape, recurrent_in
from rnncli.renderers.wording import Bilingual

MAX_ARGUMENTS = 6
"""Unknown arguments that are explained; a message with more is explained by its first ones."""

OF_THE_INPUT = ("batch_input_shape", "batch_shape", "input_length")
"""Arguments that every layer of Keras 2 had, and that Keras 3 leaves to Input."""

CAUSES = Causes()


@CAUSES.add(
    "argument-unknown",
    r"Unrecognized keyword arguments passed to (?P<owner>\w{1,60}): \{(?P<given>.{1,1000}?)\}",
)
def _diagnose_unrecognized(message: Message) -> Diagnosis | None:
    owner, given = message.name("owner"), message.name("given")
    names = re.findall(r"['\"](\w{1,60})['\"]: ", given)[:MAX_ARGUMENTS]
    if not recurrent_in(owner) and not all(name in OF_THE_INPUT for name in names):
        return None
    values = dict(re.findall(r"['\"](\w{1,60})['\"]: (\([^)]{0,60}\)|\[[^\]]{0,60}\]|[\w.]{1,60})", given))
    arguments = {name: values.get(name, "") for name in names}
    return _diagnose_unknown(message, recurrent_in(owner) or owner, arguments) if names else None


@CAUSES.add("argument-unknown-keras2", r"Keyword argument not understood:', '(?P<name>\w{1,60})'")
def _diagnose_rejected_keywords(message: Message) -> Diagnosis:
    return _diagnose_unknown(message, message.layer, {message.name("name"): ""})


@CAUSES.add(
    "argument-input",
    r"(?P<owner>Input|__init__)\(\) got an unexpected keyword argument '(?P<name>batch_input_shape|"
    r"batch_shape|input_length)'|Argument `(?P<gone>input_length)` is deprecated",
)
def _diagnose_input(message: Message) -> Diagnosis:
    owner = {"Input": "Input", "": "Embedding"}.get(message.name("owner"), message.layer)
    return _diagnose_unknown(message, owner, {message.name("name") or message.name("gone"): ""})


def _diagnose_unknown(message: Message, owner: str, given: dict[str, str]) -> Diagnosis:
    """owner: the class that got them.  given: values by the names of the unknown arguments, as text."""
    names = ", ".join(given)
    return Diagnosis.of(
        f"Keras's {owner} has no argument {names}.",
        f"Keras의 {owner}에는 {names} 인자가 없습니다.",
        *(_fix_replacement(message, name, value) for name, value in given.items()),
        *_fix_from_file(message),
        hint=_FOREIGN if any(name in _RETIRED for name in given) else NO_HINT,
    )


def _fix_from_file(message: Message) -> tuple[Fix, ...]:
    """Return the fix for a model that was saved with an argument that no longer exists."""
    if "deserializ" not in message.text:
        return ()
    return (
        Fix(
            "a model saved by Keras 2: run it as it was saved",
            "Keras 2로 저장한 모델: 저장된 대로 실행",
            "rnncli run INPUT --model FILE.h5",
        ),
    )


def _fix_replacement(message: Message, name: str, value: str) -> Fix:
    """Return the equivalent in Keras 3; if there is none, leave the argument out."""
    if name in _RETIRED:
        return _RETIRED[name](message, name, value)
    options = layers.class_of(message.layer).options
    plain = [layer for layer in layers.recurrent() if not layer.startswith(("Conv", "Bi"))]
    having = [layer for layer in plain if name in layers.class_of(layer).options]
    if having:
        english, korean = f"{name} belongs to {having[0]}", f"{name}: {having[0]}의 인자"
        return Fix.of_layer(english, korean, format_layer(having[0]))
    if near := find_nearest(name, options, ""):
        default = options[near].default
        other = {} if near == "units" else {near: not default if isinstance(default, bool) else default}
        english, korean = f"the argument is called {near}", f"인자 이름은 {near}"
        return Fix.of_layer(english, korean, expression(message, **other))
    return Fix.of_layer(f"leave {name} out", f"{name} 빼기", expression(message))


def _fix_time_major(message: Message, _name: str, _value: str) -> Fix:
    code = "keras.ops.transpose(x, (1, 0, 2))"
    return Fix(
        "time_major: put the batch first", "time_major: 배치 축을 맨 앞으로", code, (expression(message),)
    )


def _fix_batch_shape(message: Message, name: str, value: str) -> Fix:
    shape = parse_shape(value)
    known = len(shape) in (2, 3)  # an Embedding takes (batch, timesteps)
    return Fix(
        f"{name}: an Input layer",
        f"{name}: Input 층으로",
        f"keras.Input(batch_shape={format_shape(shape) if known else 'shape'})",
        (expression(message),),
        (*name_axes(shape), *SEQUENCE[len(shape) :]) if known else SEQUENCE,
    )


def _fix_input_length(message: Message, name: str, value: str) -> Fix:
    steps = int(value[:9]) if value.isdigit() and value != "0" else "timesteps"
    tokens = any(word in message.match[0] for word in ("Embedding", "deprecated"))
    axes = (steps,) if tokens else (steps, "features")
    return Fix(
        f"{name}: an Input layer",
        f"{name}: Input 층으로",
        f"keras.Input({format_shape(axes)})",
        (expression(message),),
        ("batch", steps, "features"),
    )


def _fix_weights(message: Message, _name: str, _value: str) -> Fix:
    return Fix(
        "weights: set them once it is built",
        "weights: 층을 만든 뒤에 설정",
        "layer.build(shape); layer.set_weights(weights)",
        (expression(message),),
        weights=True,
    )


def _fix_batch_first(message: Message, _name: str, _value: str) -> Fix:
    english, korean = "batch_first: always so in Keras", "batch_first: Keras는 언제나 배치가 먼저"
    return Fix.of_layer(english, korean, expression(message))


def _fix_hidden_size(message: Message, _name: str, value: str) -> Fix:
    units = int(value[:6]) if value.isdigit() and int(value[:6]) else UNITS
    return Fix.of_layer("hidden_size: units", "hidden_size: units", expression(message, units))


def _fix_num_layers(message: Message, _name: str, value: str) -> Fix:
    count = min(int(value[:3]), 4) if value.isdigit() and int(value[:3]) else 2
    every = before(message, return_sequences=True)
    stack = (*(every for _ in range(count - 1)), expression(message))
    return Fix(
        f"num_layers: {pluralize(count, 'layer')} in a row",
        f"num_layers: 층 {count}개를 차례로",
        ", ".join(stack),
        stack,
    )


def _fix_bidirectional(message: Message, _name: str, _value: str) -> Fix:
    layer = f"Bidirectional({inner_layer(message, go_backwards=False)})"
    return Fix.of_layer("bidirectional: wrap the layer", "bidirectional: 감싸는 층", layer)


@CAUSES.add(
    "argument-torch", r"RNNBase\.__init__\(\) got an unexpected keyword argument '(?P<name>\w{1,60})'"
)
@CAUSES.add(
    "argument-torch-1",
    r"(?<!\.)__init__\(\) got an unexpected keyword argument "
    r"'(?P<name>return_sequences|return_state|go_backwards)'",
)
def _diagnose_torch_argument(message: Message) -> Diagnosis:
    name = message.name("name")
    keras = {
        "return_sequences": ("output, _ = layer(x)", {"return_sequences": True}),
        "return_state": ("output, (h, c) = layer(x)", {"return_state": True}),
        "units": ("nn.LSTM(input_size, hidden_size)", {}),
        "go_backwards": ("layer(x.flip(1))", {"go_backwards": True}),
        "stateful": ("output, hx = layer(x, hx)", {"stateful": True}),
    }
    code, options = keras.get(name, ("nn.LSTM(input_size, hidden_size)", {}))
    layer = inner_layer(message, **options)
    return Diagnosis.of(
        f"PyTorch's layer has no argument {name}.",
        f"PyTorch의 층에는 {name} 인자가 없습니다.",
        Fix("the same in PyTorch", "PyTorch에서 같은 일", code, (layer,)),
        hint=Bilingual(
            "PyTorch always returns the whole sequence and the last states.",
            "PyTorch는 언제나 시퀀스 전체와 마지막 상태를 반환합니다.",
        ),
    )


_FOREIGN = Bilingual(
    "Code for Keras 1 and 2 or for PyTorch may name arguments that Keras 3 does not have.",
    "Keras 1, 2나 PyTorch용 코드에는 Keras 3에 없는 인자가 있을 수 있습니다.",
)
_RETIRED: dict[str, Callable[[Message, str, str], Fix]] = {
    "time_major": _fix_time_major,
    "batch_input_shape": _fix_batch_shape,
    "batch_shape": _fix_batch_shape,
    "input_length": _fix_input_length,
    "weights": _fix_weights,
    "batch_first": _fix_batch_first,
    "hidden_size": _fix_hidden_size,
    "num_layers": _fix_num_layers,
    "bidirectional": _fix_bidirectional,
}
