"""Check one argument of a layer, and convert it to the form stored in a Spec."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rnncli.case import Spec
from rnncli.errors import LayerError, did_you_mean
from rnncli.layers import INERT, Option, activations
from rnncli.specs import initializers
from rnncli.specs.expressions import CallExpression, Name, fault

DTYPES = ("float32", "float64", "float16", "bfloat16")

STACKED = "StackedRNNCells"
_EXAMPLES = {"size": "3", "sizes": "3", "rate": "0.5"}
_CELLS = "For example StackedRNNCells([LSTMCell(3), GRUCell(2)])."

Build = Callable[[Any], Spec]
"""Builds the Spec of a layer that is an argument of another layer."""


def checked(class_name: str, name: str, option: Option, value: Any, build: Build) -> Any:
    """`value` in the form stored in a Spec.

    Raises LayerError if Keras does not accept it; the message says which values `name` can have.
    """
    reader = _READERS.get(option.kind)
    if reader:
        return reader(value)
    if option.kind in ("layer", "cells", "backward"):
        return _inner(class_name, name, option, value, build)
    if option.kind == "choice":
        return _choice(class_name, name, option, value)
    test, wanted = _PLAIN[option.kind]
    if not test(value):
        raise LayerError(f"{class_name}: {name}={shown(value)} is not {wanted}.", _given(name, option))
    return tuple(value) if isinstance(value, list) else value


def _given(name: str, option: Option) -> str:
    if option.required and option.kind in _EXAMPLES:
        return f"For example {name}={_EXAMPLES[option.kind]}."
    return "" if option.default is None else f"Keras's default is {option.default!r}."


def _choice(class_name: str, name: str, option: Option, value: Any) -> Any:
    value = value.name if isinstance(value, Name) else value
    folded = value.casefold() if isinstance(value, str) else value
    folded = None if folded == "none" else folded
    if folded not in option.choices:
        words = ["none" if choice is None else str(choice) for choice in option.choices]
        raise LayerError(
            f"{class_name}: {name}={shown(value)} is not known.", did_you_mean(str(value), words)
        )
    return folded


def _activation(value: Any) -> str:
    if isinstance(value, CallExpression):
        raise LayerError("an activation must be a name, not a call.", "For example activation='relu'.")
    name = value.name if isinstance(value, Name) else value
    if not isinstance(name, (str, Mapping, type(None))):
        raise LayerError(f"{shown(value)} is not an activation.", "For example activation='relu'.")
    return activations.canonical(name)


def _initializer(value: Any) -> str | Spec:
    if isinstance(value, (Spec,)):
        return value
    if isinstance(value, CallExpression):
        return initializers.from_call(value)
    if isinstance(value, Mapping):
        return initializers.from_config(value)
    name = value.name if isinstance(value, Name) else value
    if not isinstance(name, str):
        raise LayerError(f"{shown(value)} is not an initializer.", "For example 'zeros', or Constant(0.1).")
    return initializers.parse(name)


def _dtype(value: Any) -> str:
    value = value.name if isinstance(value, Name) else value
    if isinstance(value, Mapping):
        policy = value.get("config")
        if not isinstance(policy, Mapping) or not isinstance(policy.get("name"), str):
            raise LayerError("the dtype's config has no name.", "Write 'float32' instead of a policy.")
        value = policy["name"]
    if value is None:
        return "float32"
    if value not in DTYPES:
        raise LayerError(f"there is no dtype {shown(value)}.", did_you_mean(str(value), DTYPES))
    return str(value)


def _inner(class_name: str, name: str, option: Option, value: Any, build: Build) -> Any:
    if option.kind == "backward" and value is None:
        return None
    value = _unstacked(value) if option.kind == "cells" else value
    several = option.kind == "cells" and isinstance(value, (list, tuple))
    if several and not value:
        raise LayerError(f"{class_name}: {name} is empty.", "For example RNN([LSTMCell(3)]).")
    what, example = ("cell", "LSTMCell(3)") if option.kind == "cells" else ("layer", "LSTM(3)")
    for item in value if several else (value,):
        if not isinstance(item, (CallExpression, Mapping, Spec)):
            raise LayerError(
                f"{class_name} needs a {what} with arguments, such as {example}, not {shown(item)}.",
                f"Write the {what} with its arguments: {example}",
            )
    made = tuple(map(build, value)) if several else build(value)
    wanted = f"a {what} such as {example}"
    for spec in made if isinstance(made, tuple) else (made,):
        if spec.class_name.endswith("Cell") != (option.kind == "cells"):
            raise LayerError(
                f"{class_name}: {name} needs {wanted}, not {spec.class_name}.", f"Give it {wanted}."
            )
    return made


def _unstacked(value: Any) -> Any:
    """The list of cells in StackedRNNCells; any other value is returned unchanged.

    Raises LayerError, with a caret in an expression, if the arguments of StackedRNNCells are invalid.
    """
    if isinstance(value, CallExpression) and value.name == STACKED:
        if len(value.args) > 1:
            raise fault(value.spans[1], f"{STACKED} takes one positional argument: the list of cells", "")
        pairs = [("cells", cells, value.spans.get(0)) for cells in value.args]
        pairs += [(name, item, value.spans.get(name)) for name, item in value.kwargs.items()]
    elif isinstance(value, Mapping) and value.get("class_name") == STACKED:
        if not isinstance(value.get("config"), Mapping):
            raise LayerError(f"the config of {STACKED} is not an object.", _CELLS)
        pairs = [(name, item, None) for name, item in value["config"].items()]
    else:
        return value
    found: dict[str, Any] = {}
    for name, item, span in pairs:
        what = _refused(name, item, found)
        if what:
            raise fault(span, what, _CELLS) if span else LayerError(f"{what}.", _CELLS)
        found[name] = item
    if "cells" not in found:
        raise LayerError(f"{STACKED} needs a list of cells.", _CELLS)
    return found["cells"]


def _refused(name: str, value: Any, before: Mapping[str, Any]) -> str:
    """Why StackedRNNCells does not accept this argument; "" if it does."""
    if name in before:
        return f"{name} is given twice"
    if name == "cells" and not isinstance(value, (list, tuple)):
        return f"{STACKED} needs a list of cells, not {shown(value)}"
    if name == "dtype" and _dtype(value) != "float32":
        return f"{STACKED}: dtype is {_dtype(value)}, and rnncli knows only float32 there"
    if name not in ("cells", "dtype", *INERT):
        return f"{STACKED} has no argument '{name}'"
    return ""


def shown(value: Any) -> str:
    """A value as it appears in a message: short, and as written."""
    if isinstance(value, (list, tuple)):
        inner = ", ".join([*map(shown, value[:5]), *(["..."] if len(value) > 5 else [])])
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
    return (_is_int(value) or isinstance(value, float)) and math.isfinite(value)


def _is_sizes(value: Any) -> bool:
    return _is_size(value) or (isinstance(value, (list, tuple)) and bool(value) and all(map(_is_size, value)))


_PLAIN: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "size": (_is_size, "a whole number above 0"),
    "sizes": (_is_sizes, "a whole number above 0, or one for each axis"),
    "flag": (lambda value: isinstance(value, bool), "True or False"),
    "rate": (lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 up to (not including) 1"),
    "number": (_is_number, "a number"),
    "seed": (
        lambda value: value is None or (_is_int(value) and 0 <= value < 2**63),
        "a whole number or None",
    ),
    "text": (lambda value: value is None or isinstance(value, str), "a text"),
}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "activation": _activation,
    "initializer": _initializer,
    "dtype": _dtype,
}
