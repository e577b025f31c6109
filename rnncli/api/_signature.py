"""Shared by all functions of rnncli: their keywords, and messages that name keywords instead of flags."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from numbers import Integral, Real
from typing import Any, TypeVar

from rnncli.api._options import LayerOptions, Options
from rnncli.errors import RnncliError, UsageError, did_you_mean, write

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

CHECKED_LATER = {*LayerOptions.__annotations__, "seed", "calls", "fill", "pad"} - {"bidirectional"}
KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "It must be text."),
    "int": (Integral, "It must be a whole number."),
    "float": (Real, "It must be a number."),
    "bool": (int, "It must be True or False."),
    "Literal['en', 'ko']": (str, "It must be 'en' or 'ko'."),
}
"""The type of a value by its annotation."""


def expand_options(function: Decorated) -> Decorated:
    """Expand `**options: Unpack[Options]` in the signature of `function`, for help and completion.

    The function raises TypeError for an unknown option, and suggests the nearest one.  Errors and remarks
    name keywords where those of the command line name flags.
    """
    signature = inspect.signature(function)
    plain = [
        parameter for parameter in signature.parameters.values() if parameter.kind != parameter.VAR_KEYWORD
    ]
    known = {*(parameter.name for parameter in plain), *Options.__annotations__}
    switches = {parameter.name for parameter in plain if parameter.annotation == "bool"}

    @wraps(function)
    def wrapper(*args: Any, **keywords: Any) -> Any:
        for name, value in keywords.items():
            if name not in known:
                raise TypeError(
                    f"{function.__name__}() has no argument {name!r}. {did_you_mean(name, sorted(known))}"
                )
            require_kind(name, value)
            if name in switches and not isinstance(value, KINDS["bool"][0]):
                raise UsageError("{name} is {value!r}.", KINDS["bool"][1], name=name, value=value)
        try:
            answer = function(*args, **keywords)
        except RnncliError as error:
            error.python = True
            raise
        return replace(answer, remarks=tuple(write(remark, python=True) for remark in answer.remarks))

    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_text(annotation))
        for name, annotation in Options.__annotations__.items()
    ]
    wrapper.__signature__ = signature.replace(parameters=[*plain, *more])  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]


def require_kind(name: str, value: Any) -> None:
    """Raise UsageError if a shared option does not have the type of its annotation."""
    text = _text(Options.__annotations__.get(name, ""))
    kind, advice = KINDS.get(str(text).removesuffix(" | None").replace('"', "'"), (object, ""))
    if value is None or name in CHECKED_LATER:
        return
    if not isinstance(value, kind) or (name == "lang" and value not in ("en", "ko")):
        raise UsageError("{name} is {value!r}.", advice, name=name, value=value)


def _text(annotation: Any) -> Any:
    """Return the annotation as written, without the wrapper that TypedDict adds."""
    return getattr(annotation, "__forward_arg__", annotation)
