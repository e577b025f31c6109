"""Keywords of the functions of rnncli: their signature, their checks, and the Ask that they fill."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from math import inf
from numbers import Integral, Real
from os import PathLike
from typing import Any, TypeVar

from rnncli.api._values import Options, pass_inputs, pass_layers, pass_live, pass_raw, pass_value, to_array
from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS, Ask, Remarks
from rnncli.ask.live_object import find_framework
from rnncli.commands.checks import Expectation
from rnncli.commands.expected import ALONE, UNNAMED, read_expected
from rnncli.compute.compare import Tolerance, TolerancePair
from rnncli.errors import InputError, RnncliError, UsageError, did_you_mean, write
from rnncli.inputs.source import find_source
from rnncli.options import BY_NAME, entries
from rnncli.show.answer import Reply, Shown
from rnncli.show.page import View
from rnncli.values import ATOL, RTOL

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def expand_options(function: Decorated) -> Decorated:
    """Expand `**options: Unpack[Options]` in the signature of `function`, for help and completion.

    The function raises TypeError for an unknown option, and suggests the nearest one.  Its errors and
    remarks name keywords, where the command line names flags.
    """
    signature = inspect.signature(function)
    plain = [
        parameter for parameter in signature.parameters.values() if parameter.kind != parameter.VAR_KEYWORD
    ]
    known = {*(parameter.name for parameter in plain), *Options.__annotations__}

    @wraps(function)
    def wrapper(*args: Any, **keywords: Any) -> Any:
        for name in keywords:
            if name not in known:
                raise TypeError(
                    f"{function.__name__}() has no argument {name!r}. {did_you_mean(name, sorted(known))}"
                )
        try:
            require_kinds(function.__name__, keywords)
            answer = function(*args, **keywords)
        except RnncliError as error:
            error.python = True
            raise
        return replace(answer, remarks=tuple(write(remark, python=True) for remark in answer.remarks))

    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=getattr(annotation, "__forward_arg__", annotation),
        )
        for name, annotation in Options.__annotations__.items()
    ]
    wrapper.__signature__ = signature.replace(parameters=[*plain, *shared])  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]


def require_kinds(command: str, keywords: Mapping[str, Any]) -> None:
    """Raise UsageError or InputError for a value that an option cannot have, by the table of options.

    The options of a layer are checked with the layer.  With a saved model, which has its own layers, they are
    checked here.
    """
    table = {entry.name: entry for name in ("run", command) for entry in entries(name)}
    for name, value in keywords.items():
        entry = table.get(name)
        if value is None or entry is None or entry.free or entry.reads:
            continue
        if entry.example:
            texts = value if isinstance(value, Collection) else [value]
            if not all(isinstance(text, str) for text in texts):
                raise UsageError("{name} is {value!r}.", entry.example, name=name, value=value)
        elif entry.goes != "options" or keywords.get("model") is not None or name == "bidirectional":
            for item in value if isinstance(value, (list, tuple)) and entry.many else [value]:
                checked = entry._replace(**entry.python)
                if advice := checked.advise(item):
                    error = InputError if checked.kind in ("integer", "size") else UsageError
                    raise error("{name} is {value!r}.", advice, name=name, value=item)


def ask_of(inputs: Any, layer: Any, options: Options, **more: Any) -> Ask:
    """Return what the arguments of a function ask for.

    A live object may stand in the place of the layer or of the model; without an input, of the input.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if layer is None and "model" not in given and find_framework(inputs):
        inputs, layer = None, inputs
    if find_framework(inputs):
        advice = "The input comes first, then the model: run(x, model)."
        raise UsageError("{name} stands in the place of the input.", advice, name=type(inputs).__name__)
    layer, live = pass_live(layer, given)
    passed = {name: pass_value(name, given[name]) for name in (*INPUT_OPTIONS, *RUN_OPTIONS) if name in given}
    return Ask(
        input=pass_inputs(inputs, options) if live is None else pass_raw(inputs, options),
        layer=pass_layers(layer),
        options={name: given[name] for name in LAYER_OPTIONS if name in given},
        hold=several(more.pop("hold", None)) or None,
        stdin=False,
        **{**passed, **({} if live is None else {"model": live})},
        **more,
    )


def passed(reply: Reply[Shown]) -> tuple[Shown, Remarks]:
    """Return the answer with its remarks.  Raises DisagreementError for a check that it does not pass."""
    if reply.failure is not None:
        raise reply.failure
    return reply.answer, tuple(reply.remarks)


def several(value: Any) -> Any:
    """Return a list; a single value such as `3` or `"forget"` in a list."""
    return [value] if isinstance(value, (str, Integral)) else None if value is None else list(value)


def view_of(options: Mapping[str, Any]) -> View:
    """Return the display settings in the options."""
    return View(
        lang=options.get("lang") or "en",
        precision=options.get("precision"),
        full=bool(options.get("full")),
        width=options.get("width"),
    )


def complete_tolerances(atol: Tolerance | None, rtol: Tolerance | None) -> TolerancePair:
    """Return both tolerances; a missing one, and tensors that a mapping leaves out, get the default."""
    return _complete("atol", atol, ATOL), _complete("rtol", rtol, RTOL)


def _complete(name: str, tolerance: Tolerance | None, default: float) -> Tolerance:
    for number in tolerance.values() if isinstance(tolerance, Mapping) else [tolerance]:
        if number is not None and not (isinstance(number, Real) and 0 <= number < inf):
            advice = "It must be a number, 0 or greater."
            raise UsageError("{name} is {one!r}.", advice, name=name, one=number)
    if isinstance(tolerance, Mapping):
        return {"": default, **tolerance}
    return default if tolerance is None else tolerance


def read_expectation(expect: Any) -> Expectation | None:
    """Return the tensors to compare with, from a file or from arrays; None if there are none."""
    if expect is None:
        return None
    if isinstance(expect, (str, PathLike)):
        source = find_source(pass_value("expect", expect))
        return Expectation(source.name, read_expected(source))
    arrays = expect if isinstance(expect, Mapping) else _name_returned(expect)
    return Expectation("expect", {str(name): to_array(value, "expect") for name, value in arrays.items()})


def _name_returned(value: Any) -> dict[str, Any]:
    """Return by name what a layer returned: a tensor, `[output, h, c]`, `(output, (h_n, c_n))`."""
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        return {ALONE: value}
    output, states, *_ = value
    if isinstance(states, tuple) and len(value) == len(states) == 2 and getattr(states[0], "ndim", 0) > 1:
        return {"output": output, "h_n": states[0], "c_n": states[1]}
    if all(getattr(item, "ndim", 0) > 1 for item in value):
        return {f"{UNNAMED}{index}": item for index, item in enumerate(value)}
    return {ALONE: value}


def join_names(engines: Sequence[str] | str | None) -> str | None:
    """Return the names with commas, as on the command line; None for all.  Raises UsageError for none."""
    if engines is None:
        return None
    if not engines:
        raise UsageError("engines is {engines!r}.", BY_NAME["engines"].example, engines=engines)
    return engines if isinstance(engines, str) else ",".join(engines)
