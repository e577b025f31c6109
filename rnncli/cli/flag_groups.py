"""Define flags, and pass the flags of a group to a command as one value.

A group is a named tuple; `expand_groups` lists its flags for Typer.  If it has a method `validate`, which
raises UsageError, that is called before the command.
"""

# Annotations are objects rather than text: evaluating the text of every flag takes milliseconds.

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

import typer
from typer._click import types as click

from rnncli.errors import UsageError, did_you_mean

INPUT, LAYER, WEIGHTS, RUN, OUTPUT = "Input", "Layer", "Initializers and weights", "Run", "Output"


COMPLETING = "_RNNCLI_COMPLETE" in os.environ
"""Whether the shell asks for completions.  Otherwise no flag has a completer, because Typer inspects each."""


def flag(panel: str, *names: str, help: str, metavar: str | None = None, **more: Any) -> Any:
    """Define a flag under the heading `panel` of the help."""
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False, **more)


def choice(panel: str, name: str, metavar: str, choices: Sequence[str], help: str) -> Any:
    """Define a flag that takes one of a few words."""
    shown = f"{help[:-1]}: {', '.join(choices[:-1])} or {choices[-1]}."
    return define_choice(panel, name, metavar=metavar, choices=lambda: choices, help=shown)


def define_choice(
    panel: str, *names: str, metavar: str, choices: Callable[[], Sequence[str]], help: str
) -> Any:
    """Define a flag whose value is one of `choices()`, which is called when it is needed."""

    def parse_choice(word: str) -> str:
        folded = word.casefold()
        if folded not in choices():
            raise UsageError(
                "{names}: {word!r} is not a valid choice.",
                did_you_mean(word, choices()),
                names=names[0],
                word=word,
            )
        return folded

    def complete(incomplete: str) -> list[str]:
        return [word for word in choices() if word.startswith(incomplete)]

    more = {"autocompletion": complete} if COMPLETING else {}
    return flag(panel, *names, help=help, metavar=metavar, parser=parse_choice, **more)


def collect_flags(flags: Any) -> dict[str, Any]:
    """Return the flags of a group that the command line set, by field."""
    return {name: value for name, value in flags._asdict().items() if value is not None}


def first_given(flags: Any, names: Iterable[str]) -> str:
    """Return the first of these flags that is not at its default, `--batch-column`; "" if all are.

    flags: a group, or a mapping by field, in which the default is None.
    """
    given = flags if isinstance(flags, Mapping) else flags._asdict()
    defaults = getattr(flags, "_field_defaults", {})
    return next((flag_name(name) for name in names if given.get(name) != defaults.get(name)), "")


def flag_name(field: str) -> str:
    """Return the flag of a field, `--batch-column`."""
    return f"--{field.replace('_', '-')}"


def expand_groups(function: Callable[..., None]) -> Callable[..., None]:
    """Return `function` with every group in its signature replaced by the flags of that group.

    A group may hold other groups.
    """
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters

    def wrapper(**values: Any) -> None:
        function(**{name: _fill(name, hints[name], values) for name in parameters})

    flat = [
        parameter
        for name in parameters
        for parameter in _parameters(name, hints[name], parameters[name].default)
    ]
    wrapper.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    return wrapper


def _fill(name: str, hint: Any, values: Mapping[str, Any]) -> Any:
    """Return the value of a flag; for a group, the group with the values of its flags, validated."""
    if not _is_group(hint):
        return values[name]
    group = hint(**{field: _fill(field, kind, values) for field, kind in hint.__annotations__.items()})
    if hasattr(group, "validate"):
        group.validate()
    return group


def _parameters(name: str, hint: Any, default: Any = None) -> list[inspect.Parameter]:
    """Return the parameter of a flag; for a group, those of its flags."""
    if not _is_group(hint):
        _take_plain_numbers(hint)
        return [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)]
    fields, defaults = hint.__annotations__.items(), hint._field_defaults
    return [
        parameter for field, kind in fields for parameter in _parameters(field, kind, defaults.get(field))
    ]


class _PlainNumber(click.ParamType):
    """Refuses the underscores and the digits of other scripts that Python takes in a number."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        from rnncli.addresses import is_plain

        if isinstance(value, str) and not is_plain(value):
            raise UsageError(
                "{opts}: {value!r} is not a plain number.",
                "Write it with the digits 0 to 9, without underscores.",
                opts=param.opts[0],
                value=value,
            )
        return super().convert(value, param, ctx)


class _PlainInteger(_PlainNumber, click.IntRange):
    """A whole number."""


class _PlainFloat(_PlainNumber, click.FloatRange):
    """Any number."""


def _take_plain_numbers(hint: Any) -> None:
    """Let a flag that takes a number, or several, refuse the forms that only Python writes."""
    outer, *infos = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    kinds = [outer, *get_args(outer)]
    kinds += [inner for kind in kinds for inner in get_args(kind)]
    for kind, plain in ((int, _PlainInteger), (float, _PlainFloat)):
        for info in infos if kind in kinds else ():
            info.click_type = plain(info.min, info.max)


def _is_group(hint: Any) -> bool:
    return hasattr(hint, "_fields")
