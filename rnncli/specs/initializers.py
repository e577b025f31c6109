"""Parse initializers written as `constant:0.1`, as an expression or as Keras's JSON config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.case import Spec
from rnncli.errors import LayerError, did_you_mean
from rnncli.initializers import Initializer, Option, find, snake_case
from rnncli.specs import expressions, nested
from rnncli.specs.expressions import CallExpression, Name, TokenSpan

_SERIALISED = frozenset(
    {"class_name", "config", "module", "registered_name", "build_config", "shared_object_id"}
)
_WORDS = {"none": None, "true": True, "false": False}


def parse(text: str) -> str | Spec:
    """Keras's short name for a bare name; a Spec for anything with arguments.

    Raises LayerError if `text` is not a valid initializer.
    """
    text = text.strip()
    if text.startswith("{"):
        return from_config(_json(text))
    if "(" in text or "." in text.partition(":")[0]:
        return _from_expression(text)
    if ":" in text:
        return _from_short_form(text)
    initializer = find(text)
    if initializer.needed:
        raise LayerError(
            f"{snake_case(initializer)} needs a {initializer.needed}.",
            f"Give it after a colon: {snake_case(initializer)}:0.1",
        )
    return snake_case(initializer)


def from_call(call: CallExpression) -> Spec:
    """The Spec of a call such as `Constant(0.1)`, an initializer that is created before its layer.

    Raises LayerError, with a caret, if the call is invalid.
    """
    try:
        initializer = find(call.name)
    except LayerError as error:
        raise expressions.fault(call.span, error.what, error.advice) from None
    options = initializer.options
    if len(call.args) > len(options):
        raise expressions.fault(call.spans[len(options)], _too_many(initializer), _signature(initializer))
    config: dict[str, Any] = {}
    for index, value in enumerate(call.args):
        _add(config, initializer, options[index].name, value, call.spans.get(index))
    for name, value in call.kwargs.items():
        _add(config, initializer, name, value, call.spans.get(name))
    return Spec(initializer.class_name, config)


def from_config(config: Mapping[str, Any]) -> Spec:
    """The Spec of a Keras config, `{"class_name": ..., "config": {...}}`.

    The layer creates this initializer itself.
    Raises LayerError if the config is invalid.
    """
    name = config.get("class_name")
    if not isinstance(name, str):
        raise LayerError(
            "the initializer's config has no class_name.", 'Write {"class_name": "Zeros", "config": {}}.'
        )
    for key in config:
        if key not in _SERIALISED:
            raise LayerError(
                f"the config of {name} has the unknown key {key}.", did_you_mean(key, sorted(_SERIALISED))
            )
    given = config.get("config")
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise LayerError(
            f"the config of {name} is not an object.", 'Write {"class_name": "Zeros", "config": {}}.'
        )
    initializer = find(name)
    if initializer.needed and initializer.needed not in given:
        raise LayerError(f"the config of {name} has no {initializer.needed}.", _signature(initializer))
    checked: dict[str, Any] = {}
    for key, value in given.items():
        _add(checked, initializer, str(key), value, None)
    return Spec(initializer.class_name, checked, deferred=True)


def to_config(value: str | Spec) -> str | dict[str, Any]:
    """The form that JSON and Keras accept.

    A name is returned unchanged; a Spec becomes `{"class_name": ..., "config": {...}}`.
    """
    if isinstance(value, str):
        return value
    initializer = find(value.class_name)
    defaults = {option.name: option.default for option in initializer.options if option.default is not None}
    return {"class_name": initializer.class_name, "config": {**value.config, **_rest(defaults, value.config)}}


def _rest(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in defaults.items() if name not in given}


def _add(
    config: dict[str, Any], initializer: Initializer, name: str, value: Any, span: TokenSpan | None
) -> None:
    """Check one argument and add it to `config`.

    span: its position in an expression.
    Raises LayerError if the argument is unknown, repeated or invalid.
    """
    option = next((option for option in initializer.options if option.name == name), None)
    if option is None:
        advice = did_you_mean(name, [option.name for option in initializer.options]) or _signature(
            initializer
        )
        raise _refusal(f"{initializer.class_name} has no argument {name}", advice, span)
    if name in config:
        raise _refusal(f"{name} of {initializer.class_name} is given twice", "Give it once.", span)
    reason = _unevaluated(value) or option.check(value)
    if reason:
        raise _refusal(
            f"{name} of {initializer.class_name} {reason}, not {_shown(value)}", _example(option), span
        )
    config[name] = value


def _unevaluated(value: Any) -> str:
    return "has to be a plain value" if isinstance(value, (CallExpression, Name)) else ""


def _shown(value: Any) -> str:
    text = value.name if isinstance(value, (CallExpression, Name)) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _example(option: Option) -> str:
    return f"Leave it out for {option.name}={option.default!r}."


def _refusal(reason: str, advice: str, span: TokenSpan | None) -> LayerError:
    return expressions.fault(span, reason, advice) if span else LayerError(f"{reason}.", advice)


def _signature(initializer: Initializer) -> str:
    options = ", ".join(f"{option.name}={option.default!r}" for option in initializer.options)
    return f"It is {initializer.class_name}({options})."


def _too_many(initializer: Initializer) -> str:
    count = len(initializer.options)
    return f"{initializer.class_name} takes {count} argument{'' if count == 1 else 's'}, and this is one more"


def _from_expression(text: str) -> str | Spec:
    value = expressions.parse(text)
    if isinstance(value, CallExpression):
        return from_call(value)
    if isinstance(value, Name):
        return parse(value.name)
    raise LayerError(
        f"{_shown(text)} is not an initializer.", "Write zeros, constant:0.1 or RandomNormal(stddev=0.5)."
    )


def _from_short_form(text: str) -> Spec:
    name, *words = text.split(":")
    initializer = find(name)
    if len(words) > len(initializer.options):
        raise LayerError(f"{_too_many(initializer)}: {_shown(text)}.", _signature(initializer))
    config: dict[str, Any] = {}
    for option, word in zip(initializer.options, words, strict=False):
        if not word.strip():
            raise LayerError(
                f"no value is given for {option.name} in {_shown(text)}.", _signature(initializer)
            )
        _add(config, initializer, option.name, _word(word.strip()), None)
    return Spec(initializer.class_name, config)


def _word(word: str) -> Any:
    if word.casefold() in _WORDS:
        return _WORDS[word.casefold()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _json(text: str) -> Mapping[str, Any]:
    import json

    try:
        value = json.loads(text)
        deep = nested.is_too_deep(value)
    except RecursionError:
        deep = True
    except ValueError as error:
        raise LayerError(
            f"the initializer's JSON cannot be read: {error}.", "Check its quotes and commas."
        ) from None
    if deep:
        raise LayerError(
            "the initializer's JSON is nested too deeply.", 'Write {"class_name": "Zeros", "config": {}}.'
        )
    if isinstance(value, dict):
        return value
    raise LayerError(
        "the initializer's JSON is not an object.", 'Write {"class_name": "Zeros", "config": {}}.'
    )
