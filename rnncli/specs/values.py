"""Check one argument of a layer or an initializer, and convert it to the form stored in a Spec."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rnncli.case import DTYPES, Option
from rnncli.errors import LayerError, Message, Text, did_you_mean
from rnncli.layers import activations
from rnncli.specs.expressions import CallExpression, Name

DEEPEST = 8
"""Maximum nesting depth of the lists of an initializer; every weight has fewer axes."""

_EXAMPLES = {"size": "3", "sizes": "3", "rate": "0.5"}
_LARGEST = 3.4028234663852886e38

Reader = Callable[[str, str, Option, Any], Any]
"""Converts a value to the form stored in a Spec; called with the class, the option's name and the option."""


def check(class_name: str, name: str, option: Option, value: Any, read_inner: Reader | None = None) -> Any:
    """Return `value` in the form stored in a Spec.

    read_inner: for the kinds that contain layers or initializers.
    Raises LayerError if Keras does not accept it; the message says which values `name` can have.
    """
    if option.kind in _READERS:
        return _READERS[option.kind](value)
    if option.choices:
        return _read_choice(class_name, name, option, value)
    if read_inner and option.kind not in _WANTED:
        return read_inner(class_name, name, option, value)
    wanted = _WANTED[option.kind](value)
    if wanted:
        raise LayerError(
            "{option}{value} is not {wanted}.",
            _advise(name, option),
            option=_name_option(class_name, name),
            value=format_value(value),
            wanted=wanted,
        )
    return tuple(value) if option.kind == "sizes" and isinstance(value, list) else value


def _name_option(class_name: str, name: str) -> Message:
    return Message("{class_name}: {name}=", class_name=class_name, name=name)


def _advise(name: str, option: Option) -> Text:
    if option.required:
        example = _EXAMPLES.get(option.kind)
        return _for_example(name, example) if example else ""
    return Message("The default is {default!r}.", default=option.default)


def _for_example(name: str, example: str) -> Message:
    return Message("For example {setting}.", setting=f"{name}={example}", example=example)


def _read_choice(class_name: str, name: str, option: Option, value: Any) -> Any:
    """Return one of the choices.  For the kind `choice`, case does not matter, and a bare name is allowed."""
    value = plain_name(value) if option.kind == "choice" else value
    found = value.casefold() if option.kind == "choice" and isinstance(value, str) else value
    found = None if option.kind == "choice" and found == "none" else found
    if (found is None or isinstance(found, str)) and found in option.choices:
        return found
    words = ["none" if choice is None else str(choice) for choice in option.choices]
    raise LayerError(
        "{option}{value} is not known.",
        did_you_mean(str(value), words),
        option=_name_option(class_name, name),
        value=format_value(value),
    )


def _read_activation(value: Any) -> str:
    value = plain_name(value)
    if isinstance(value, CallExpression):
        raise LayerError("an activation must be a name, not a call.", _for_example("activation", "'relu'"))
    if not isinstance(value, (str, Mapping, type(None))):
        raise LayerError(
            "{value} is not an activation.", _for_example("activation", "'relu'"), value=format_value(value)
        )
    return activations.canonical_name(value)


def _read_dtype(value: Any) -> str:
    value = plain_name(value)
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


def plain_name(value: Any) -> Any:
    """Return a bare name, such as `tanh`, as a string; any other value unchanged."""
    return value.name if isinstance(value, Name) else value


def format_value(value: Any) -> str:
    """Return a value as it appears in a message: short, and as written."""
    if isinstance(value, (list, tuple)):
        inner = ", ".join([*map(format_value, value[:5]), *(["..."] if len(value) > 5 else [])])
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, CallExpression):
        return f"{value.name}(...)"
    if isinstance(value, Name):
        return value.name
    text = repr(value)
    return text if len(text) < 40 else f"{text[:37]}..."


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_int(value) and 0 < value < 2**31


def _is_number(value: Any) -> bool:
    return _is_int(value) or (isinstance(value, float) and not math.isnan(value))


def _is_sizes(value: Any) -> bool:
    return _is_size(value) or (isinstance(value, (list, tuple)) and bool(value) and all(map(_is_size, value)))


def _number(value: Any) -> Text:
    if not _is_number(value):
        return Message("a number")
    return "" if abs(value) <= sys.float_info.max else Message("a number of 64 bits")


def _scalar(value: Any) -> Text:
    """Describe a number that fits into float32 or 64 bits."""
    if not _is_int(value) and not isinstance(value, float):
        return Message("a number")
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**63 else Message("a number of 64 bits")
    return "" if abs(value) <= _LARGEST else Message("a finite float32")


def _scalars(value: Any) -> Text:
    """For a number, or nested lists of numbers."""
    if not isinstance(value, (list, tuple)):
        return _scalar(value)
    level = list(value)
    for _ in range(DEEPEST):
        lists = [item for item in level if isinstance(item, (list, tuple))]
        if any(_scalar(item) for item in level if not isinstance(item, (list, tuple))):
            break
        if not lists:
            return ""
        level = [item for one in lists for item in one]
    return Message("a number, or lists of numbers at most {deepest} deep", deepest=DEEPEST)


def _signed_seed(value: Any) -> Text:
    if value is not None and not _is_int(value):
        return Message("an integer or None")
    return "" if value is None or -(2**63) <= value < 2**63 else Message("an integer of 64 bits")


def _window(value: Any) -> Text:
    named = value is None or isinstance(value, str)
    lists = isinstance(value, (list, tuple)) and not _scalars(value)
    return "" if named or lists else Message("a name, a list of numbers or None")


def _size(value: Any) -> Text:
    if _is_int(value) and value >= 2**31:
        return Message("a whole number up to 2147483647")
    return "" if _is_size(value) else Message("a whole number above 0")


def _make_check(test: Callable[[Any], bool], wanted: Text) -> Callable[[Any], Text]:
    return lambda value: "" if test(value) else wanted


_WANTED: Mapping[str, Callable[[Any], Text]] = {
    "axes": _make_check(
        lambda value: value is None or (isinstance(value, (list, tuple)) and all(map(_is_int, value))),
        Message("a list of integers or None"),
    ),
    "cell_list": _make_check(
        lambda value: isinstance(value, (list, tuple)), Message("a list of cells such as [LSTMCell(3)]")
    ),
    "flag": _make_check(lambda value: isinstance(value, bool), Message("True or False")),
    "index": _make_check(
        lambda value: _is_int(value) and 0 <= value <= 10**9, Message("an integer from 0 to 1e9")
    ),
    "number": _number,
    "positive": lambda value: _scalar(value) or ("" if value > 0 else Message("a number above 0")),
    "rate": _make_check(
        lambda value: _is_number(value) and 0 <= value < 1, Message("a number from 0 up to (not including) 1")
    ),
    "scalar": _scalar,
    "scalars": _scalars,
    "seed": _make_check(
        lambda value: value is None or (_is_int(value) and 0 <= value < 2**63),
        Message("a whole number from 0 to {value}, or None", value=2**63 - 1),
    ),
    "signed_seed": _signed_seed,
    "size": _size,
    "sizes": _make_check(
        _is_sizes, Message("a whole number from 1 to {value}, or one for each axis", value=2**31 - 1)
    ),
    "window": _window,
}
"""By kind: returns what the value should be, "" if it is."""

_READERS: Mapping[str, Callable[[Any], str]] = {"activation": _read_activation, "dtype": _read_dtype}
