"""Read the arguments of a layer, a cell or an initializer, from a call or a Keras config, and check each.

An initializer is written as `constant:0.1`, as an expression or as Keras's JSON config.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rnncli.cells import activations
from rnncli.cells.tree import TokenSpan, is_deeper, point_at
from rnncli.errors import Flag, LayerError, Message, Text, count, did_you_mean, nearest, recognize
from rnncli.initializers import Initializer, find, names, snake_case
from rnncli.specs import expressions
from rnncli.specs.expressions import BareName, CallExpression, fault
from rnncli.values import DTYPES, Option, Spec, parse_decimal, parse_number

DEEPEST = 8
"""Maximum nesting depth of the lists of an initializer; every weight has fewer axes."""

_EXAMPLES = {"size": "3", "sizes": "3", "rate": "0.5"}
_LARGEST = 3.4028234663852886e38

Reader = Callable[[str, str, Option, Any], Any]
"""(class name, option's name, option, value) -> the value, if it is a layer or an initializer."""


class Argument(NamedTuple):
    """An argument.  value: checked.  written: as in the source.  span: its position in an expression."""

    value: Any
    written: Any
    span: TokenSpan | None = None


class Signature(NamedTuple):
    """The arguments of a layer, a cell or an initializer.

    options: by name, in Keras's order.  positional: the options that a call can set by position.
    ignored: other arguments that have no effect.
    advise: returns advice on an unknown argument.
    read_inner: for the kinds of options that contain layers or initializers.
    """

    class_name: str
    options: Mapping[str, Option]
    positional: Sequence[str]
    ignored: frozenset[str] = frozenset()
    advise: Callable[[str], Text] = lambda _: ""
    read_inner: Reader | None = None

    def read(self, source: CallExpression | Mapping[str, Any]) -> dict[str, Argument]:
        """Return the arguments of a call or of a Keras config that have an effect, in the order written.

        Raises LayerError, with a caret in an expression, if one is unknown, repeated or invalid.
        """
        arguments: dict[str, Argument] = {}
        for name, written, span in self._list(source):
            with point_at(span):
                if name in arguments:
                    raise LayerError("{name} is given twice.", "Leave one of them out.", name=name)
                if name in self.options:
                    value = check(self.class_name, name, self.options[name], written, self.read_inner)
                    arguments[name] = Argument(value, written, span)
                elif name not in self.ignored:
                    raise LayerError(
                        "{class_name} has no argument '{name}'.",
                        self.advise(name) or did_you_mean(name, self.options),
                        class_name=self.class_name,
                        name=name,
                    )
        return arguments

    def _list(self, source: CallExpression | Mapping[str, Any]) -> list[tuple[str, Any, TokenSpan | None]]:
        """Return each name with its value and its position, if the source is a call."""
        if not isinstance(source, CallExpression):
            return [(str(name), value, None) for name, value in source.items()]
        size = len(self.positional)
        if len(source.args) > size:
            more, names = len(self.options) > size, ", ".join(self.positional)
            known = Message("They are {names}." if size > 1 else "It is {names}.", names=names)
            advice = Message("{known} Give the others by name.", known=known) if more else known
            arguments = count(size, "positional argument" if more else "argument")
            what = Message("{class_name} takes {arguments}", class_name=self.class_name, arguments=arguments)
            raise fault(source.spans[size], what, advice if size else Message("Leave it out."))
        positional = zip(self.positional, source.args, strict=False)
        return [
            *((name, value, source.spans.get(index)) for index, (name, value) in enumerate(positional)),
            *((name, value, source.spans.get(name)) for name, value in source.kwargs.items()),
        ]


def values_of(arguments: Mapping[str, Argument]) -> dict[str, Any]:
    """Return the checked values."""
    return {name: argument.value for name, argument in arguments.items()}


def split_config(config: Mapping[str, Any], what: str, example: Text) -> tuple[str, Mapping[str, Any]]:
    """Return the class name and the arguments of a Keras config, `{"class_name": ..., "config": {...}}`.

    Keras accepts null instead of an empty `config`.
    what, example: the object that is needed and how to write it, for errors.
    Raises LayerError if either has the wrong type.
    """
    name, given = config.get("class_name"), config.get("config")
    if not isinstance(name, str):
        raise LayerError("the {what}'s config has no class_name.", example, what=Message(what))
    if not isinstance(given, Mapping | None):
        raise LayerError("the config of {name} is not an object.", example, name=name)
    return name, given or {}


class OptionError(LayerError):
    """An error whose sentence begins with the option, or with the flag that sets it."""


def check(
    class_name: str,
    name: str,
    option: Option,
    value: Any,
    read_inner: Reader | None,
    flag: Flag | None = None,
) -> Any:
    """Return `value` in the form stored in a Spec.

    read_inner: see Signature.  flag: names the option in errors, if a flag sets it.
    Raises LayerError if Keras does not accept it; the message says which values `name` can have.
    """
    if option.kind in ("activation", "dtype"):
        return _read_activation(value) if option.kind == "activation" else _read_dtype(value)
    named = Message("{class_name}: {name}=", class_name=class_name, name=name)
    if flag:
        named = Message("{flag}: ", flag=flag)
    if option.choices:
        return _read_choice(named, option, value)
    if option.kind not in _WANTED:
        assert read_inner is not None
        return read_inner(class_name, name, option, value)
    wanted = _WANTED[option.kind](value)
    if wanted:
        advice: Text = ""
        if not option.required:
            advice = Message("The default is {default!r}.", default=option.default)
        elif example := _EXAMPLES.get(option.kind):
            advice = Message("For example {setting}.", setting=f"{name}={example}")
            if flag:
                advice = Message("For example {setting}.", setting=Flag(flag.name, example))
        raise OptionError(
            "{option}{value} is not {wanted}.", advice, option=named, value=format_value(value), wanted=wanted
        )
    return tuple(value) if option.kind == "sizes" and isinstance(value, list) else value


def _read_choice(named: Message, option: Option, value: Any) -> Any:
    """Return one of the choices.  For the kind `choice`, case does not matter, and a bare name is allowed."""
    choice = value
    if option.kind == "choice":
        value = value.name if isinstance(value, BareName) else value
        choice = value.casefold() if isinstance(value, str) else value
        choice = None if choice == "none" else choice
    if (choice is None or isinstance(choice, str)) and choice in option.choices:
        return choice
    words = ["none" if known is None else str(known) for known in option.choices]
    what = "{option}{value} is not known."
    raise OptionError(what, did_you_mean(str(value), words), option=named, value=format_value(value))


def _read_activation(value: Any) -> str:
    example = Message("For example {setting}.", setting="activation='relu'")
    if isinstance(value, CallExpression):
        raise LayerError("an activation must be a name, not a call.", example)
    value = value.name if isinstance(value, BareName) else value
    if not isinstance(value, (str, Mapping, type(None))):
        raise LayerError("{value} is not an activation.", example, value=format_value(value))
    return activations.canonical_name(value)


def _read_dtype(value: Any) -> str:
    value = value.name if isinstance(value, BareName) else value
    if isinstance(value, Mapping):
        policy = value.get("config")
        if not isinstance(policy, Mapping) or not isinstance(policy.get("name"), str):
            raise LayerError("the dtype's config has no name.", "Write 'float32' instead of a policy.")
        value = policy["name"]
    if value is None:
        return "float32"
    if value not in DTYPES:
        raise LayerError(
            "unknown dtype {value}.", did_you_mean(str(value), DTYPES), value=format_value(value)
        )
    return str(value)


def format_value(value: Any) -> str:
    """Return a value as it appears in a message: short, and as written."""
    if isinstance(value, (list, tuple)):
        inner = ", ".join([*map(format_value, value[:5]), *(["..."] if len(value) > 5 else [])])
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, CallExpression):
        return f"{value.name}(...)"
    if isinstance(value, BareName):
        return value.name
    text = repr(value)
    return text if len(text) < 40 else f"{text[:37]}..."


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_int(value) and 0 < value < 2**31


def _is_number(value: Any) -> bool:
    return _is_int(value) or (isinstance(value, float) and not math.isnan(value))


def _is_list(value: Any, test: Callable[[Any], bool] = lambda _: True) -> bool:
    return isinstance(value, (list, tuple)) and all(map(test, value))


def _number(value: Any) -> Text:
    if not _is_number(value):
        return Message("a number")
    return "" if abs(value) <= sys.float_info.max else Message("a number of 64 bits")


def _scalar(value: Any) -> Text:
    """Describe a number of float32, or a whole number of 64 bits; "" if the value fits."""
    if isinstance(value, float):
        return "" if abs(value) <= _LARGEST else Message("a finite float32")
    if not _is_int(value):
        return Message("a number")
    return "" if -(2**63) <= value < 2**63 else Message("a number of 64 bits")


def _scalars(value: Any) -> Text:
    """Describe a number, or nested lists of numbers; "" if the value fits."""
    if not isinstance(value, (list, tuple)):
        return _scalar(value)
    level = list(value)
    for _ in range(DEEPEST):
        lists = [item for item in level if isinstance(item, (list, tuple))]
        if any(_scalar(item) for item in level if not isinstance(item, (list, tuple))):
            break
        if not lists:
            return ""
        level = [item for items in lists for item in items]
    return Message("a number, or lists of numbers at most {deepest} deep", deepest=DEEPEST)


def _size(value: Any) -> Text:
    if _is_int(value) and value >= 2**31:
        return Message("a whole number up to 2147483647")
    return "" if _is_size(value) else Message("a whole number above 0")


def _signed_seed(value: Any) -> Text:
    if value is not None and not _is_int(value):
        return Message("an integer or None")
    return "" if value is None or -(2**63) <= value < 2**63 else Message("an integer of 64 bits")


def _test(test: Callable[[Any], bool], wanted: Text) -> Callable[[Any], Text]:
    return lambda value: "" if test(value) else wanted


_WANTED: Mapping[str, Callable[[Any], Text]] = {
    "axes": _test(
        lambda value: value is None or _is_list(value, _is_int), Message("a list of integers or None")
    ),
    "cell_list": _test(_is_list, Message("a list of cells such as [LSTMCell(3)]")),
    "flag": _test(lambda value: isinstance(value, bool), Message("True or False")),
    "index": _test(lambda value: _is_int(value) and 0 <= value <= 10**9, Message("an integer from 0 to 1e9")),
    "number": _number,
    "positive": lambda value: _scalar(value) or ("" if value > 0 else Message("a number above 0")),
    "rate": _test(
        lambda value: _is_number(value) and 0 <= value < 1, Message("a number from 0 up to (not including) 1")
    ),
    "scalar": _scalar,
    "scalars": _scalars,
    "seed": _test(
        lambda value: value is None or (_is_int(value) and 0 <= value < 2**63),
        Message("a whole number from 0 to {value}, or None", value=2**63 - 1),
    ),
    "signed_seed": _signed_seed,
    "size": _size,
    "sizes": _test(
        lambda value: _is_size(value) or (_is_list(value, _is_size) and len(value) > 0),
        Message("a whole number from 1 to {value}, or one for each axis", value=2**31 - 1),
    ),
    "window": _test(
        lambda value: value is None or isinstance(value, str) or (_is_list(value) and not _scalars(value)),
        Message("a name, a list of numbers or None"),
    ),
}
"""By kind of option: a function that describes the value that is wanted; "" if the value is right."""


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
