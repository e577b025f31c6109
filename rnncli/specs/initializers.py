"""Parse initializers written as `constant:0.1`, as an expression or as Keras's JSON config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.cells.tree import TokenSpan, is_deeper, point_at
from rnncli.errors import LayerError, Message, did_you_mean, nearest, recognize
from rnncli.initializers import Initializer, find, names, snake_case
from rnncli.specs import expressions
from rnncli.specs.arguments import Signature, format_value, split_config, values_of
from rnncli.specs.expressions import BareName, CallExpression
from rnncli.values import Spec, parse_decimal, parse_number

_SERIALISED = frozenset(
    {"class_name", "config", "module", "registered_name", "build_config", "shared_object_id"}
)
_JSON = (
    "Expecting {delimiter} delimiter: line {line} column {column} (char {place})",
    "Expecting value: line {line} column {column} (char {place})",
    "Expecting property name enclosed in double quotes: line {line} column {column} (char {place})",
    "Extra data: line {line} column {column} (char {place})",
    "Unterminated string starting at: line {line} column {column} (char {place})",
)
"""The messages of the JSON parser."""
_DEEPEST = 64
_CONFIG = Message('Write {{"class_name": "Zeros", "config": {{}}}}.')
_WORDS = {"none": None, "true": True, "false": False}


def build(source: Any) -> str | Spec:
    """Return the initializer of an option: Keras's short name, or a Spec for anything with arguments.

    source: a name or text, a parsed CallExpression or BareName, a Keras config, or a Spec.
    Raises LayerError if the initializer is invalid.
    """
    match source:
        case Spec():
            return source
        case CallExpression():
            return from_call(source)
        case Mapping():
            return from_config(source)
        case BareName():
            return _by_name(source)
        case str():
            return parse(source)
    raise _no_initializer(source)


def _by_name(source: BareName) -> str | Spec:
    """Return the initializer that an expression names; a name that is far from all may be a variable."""
    try:
        return parse(source.name)
    except LayerError:
        if nearest(source.name, names()) or not source.name.isidentifier():
            raise
        advice = "If {name} is a variable of your script, write its value, such as Constant(0.1)."
        raise LayerError("there is no initializer '{name}'.", advice, name=source.name) from None


def parse(text: str) -> str | Spec:
    """Return Keras's short name for a bare name; a Spec for anything with arguments.

    Raises LayerError if `text` is not a valid initializer.
    """
    text = text.strip()
    if text.startswith("{"):
        return from_config(_json(text))
    if "(" in text or "." in text.partition(":")[0]:
        value = expressions.parse(text)
        if isinstance(value, (CallExpression, BareName)):
            return build(value)
        raise _no_initializer(text)
    if ":" in text:
        return from_call(_expand_colons(text))
    initializer = find(text)
    if initializer.required_option:
        raise LayerError(
            "{case} needs a {required_option}.",
            "Give it after a colon: {case}:0.1",
            case=snake_case(initializer.class_name),
            required_option=initializer.required_option,
        )
    return snake_case(initializer.class_name)


def from_call(call: CallExpression) -> Spec:
    """Return the Spec of a call such as `Constant(0.1)`, an initializer that is created before its layer.

    Raises LayerError, with a caret, if the call is invalid.
    """
    with point_at(call.span):
        initializer = find(call.name)
        return Spec(initializer.class_name, values_of(_signature(initializer).read(call)))


def from_config(config: Mapping[str, Any]) -> Spec:
    """Return the Spec of a Keras config, `{"class_name": ..., "config": {...}}`.

    The layer creates this initializer itself.
    Raises LayerError if the config is invalid.
    """
    name, given = split_config(config, "initializer", _CONFIG)
    for key in config:
        if key not in _SERIALISED:
            what = "the config of {name} has the unknown key {key}."
            raise LayerError(what, did_you_mean(key, sorted(_SERIALISED)), name=name, key=key)
    initializer = find(name)
    if initializer.required_option and initializer.required_option not in given:
        what = "the config of {name} has no {required_option}."
        raise LayerError(what, _form(initializer), name=name, required_option=initializer.required_option)
    return Spec(initializer.class_name, values_of(_signature(initializer).read(given)), deferred=True)


def to_config(value: str | Spec) -> str | dict[str, Any]:
    """Return the form that JSON and Keras accept.

    A name is returned unchanged; a Spec becomes `{"class_name": ..., "config": {...}}`.
    """
    if isinstance(value, str):
        return value
    options = find(value.class_name).options
    defaults = {name: option.default for name, option in options.items() if name not in value.config}
    rest = {name: default for name, default in defaults.items() if default is not None}
    return {"class_name": value.class_name, "config": {**value.config, **rest}}


def _no_initializer(source: Any) -> LayerError:
    advice = Message("Write zeros, constant:0.1 or RandomNormal(stddev=0.5).")
    return LayerError("{source} is not an initializer.", advice, source=format_value(source))


def _signature(initializer: Initializer) -> Signature:
    options = initializer.options
    return Signature(
        initializer.class_name,
        options,
        tuple(options),
        advise=lambda name: did_you_mean(name, options) or _form(initializer),
    )


def _form(initializer: Initializer) -> Message:
    options = ", ".join(f"{name}={option.default!r}" for name, option in initializer.options.items())
    return Message("Its form is {form}.", form=f"{initializer.class_name}({options})")


def _expand_colons(text: str) -> CallExpression:
    """Expand `random_uniform:-0.1:0.1` to `random_uniform(-0.1, 0.1)`, with the positions in `text`."""
    spans: dict[str | int, TokenSpan] = {}
    start = 0
    name, *words = text.split(":")
    for index, word in enumerate((name, *words)):
        spans[index - 1] = TokenSpan(text, 1, start, start + len(word))
        start += len(word) + 1
        if not word.strip():
            raise expressions.fault(
                spans[index - 1], Message("a value is missing here"), Message("Write constant:0.1")
            )
    span = spans.pop(-1)
    return CallExpression(name, tuple(map(_word, map(str.strip, words))), {}, span, spans)


def _word(word: str) -> Any:
    if word.casefold() in _WORDS:
        return _WORDS[word.casefold()]
    for read in (parse_number, parse_decimal):
        try:
            return read(word)
        except ValueError:
            continue
    return word


def _json(text: str) -> Mapping[str, Any]:
    import json

    if is_deeper(text, _DEEPEST):
        raise LayerError("the initializer's JSON is nested too deeply.", _CONFIG)
    try:
        value: Mapping[str, Any] = json.loads(text)
    except ValueError as error:
        what = "the initializer's JSON cannot be read: {error}."
        raise LayerError(what, "Check its quotes and commas.", error=recognize(str(error), _JSON)) from None
    return value
