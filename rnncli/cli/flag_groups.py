"""Define flags, and pass the flags of a group to a command as one value.

A group is a named tuple; `expand_groups` lists its flags for Typer.
"""

# Annotations are objects rather than text: evaluating the text of every flag takes milliseconds.

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import typer

from rnncli.errors import UsageError, did_you_mean

INPUT, LAYER, WEIGHTS, RUN, OUTPUT = "Input", "Layer", "Initializers and weights", "Run", "Output"


COMPLETING = "_RNNCLI_COMPLETE" in os.environ
"""Whether the shell asks for completions.  Otherwise no flag has a completer, because Typer inspects each."""


def completer(flag: str) -> dict[str, Any]:
    """Return the argument that lets Typer complete this flag; none for a flag without completion."""
    if not COMPLETING:
        return {}
    from rnncli.cli import completion

    return {"autocompletion": completion.BY_FLAG[flag]} if flag in completion.BY_FLAG else {}


def flag(panel: str, *names: str, help: str, metavar: str | None = None, **more: Any) -> Any:
    """Define a flag under the heading `panel` of the help."""
    more = completer(names[0]) | more
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False, **more)


def choice(panel: str, name: str, metavar: str, choices: Sequence[str], help: str) -> Any:
    """Define a flag that takes one of a few words."""
    shown = f"{help[:-1]}: {', '.join(choices[:-1])} or {choices[-1]}."
    return define_choice(panel, name, metavar=metavar, choices=lambda: choices, help=shown)


def define_choice(
    panel: str,
    *names: str,
    metavar: str,
    choices: Callable[[], Sequence[str]],
    help: str,
) -> Any:
    """Define a flag whose value is one of `choices()`, which is called when it is needed."""

    def parse_choice(word: str) -> str:
        folded = word.casefold()
        if folded not in choices():
            raise UsageError(f"{names[0]}: {word!r} is not a valid choice.", did_you_mean(word, choices()))
        return folded

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices() if choice.startswith(incomplete)]

    more = {"autocompletion": complete} if COMPLETING else {}
    return flag(panel, *names, help=help, metavar=metavar, parser=parse_choice, **more)


def collect_flags(flags: Any) -> dict[str, Any]:
    """Return the flags of a group that the command line set, by field."""
    return {name: value for name, value in flags._asdict().items() if value is not None}


def expand_groups(function: Callable[..., None]) -> Callable[..., None]:
    """Return `function` with every group in its signature replaced by the flags of that group.

    A group may have `validate`, which raises UsageError before the function is called.
    """
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    groups = {name: hints[name] for name in parameters if _is_group(hints[name])}

    def wrapper(**values: Any) -> None:
        arguments = {name: values[name] for name in parameters if name not in groups}
        for name, group in groups.items():
            arguments[name] = group(**{flag: values[flag] for flag in group._fields})
            if hasattr(group, "validate"):
                arguments[name].validate()
        function(**arguments)

    flat = [flag for name in parameters for flag in _flags(name, hints[name], parameters[name].default)]
    wrapper.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {flag.name: flag.annotation for flag in flat}
    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    return wrapper


def _flags(name: str, hint: Any, default: Any) -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    if not _is_group(hint):
        return [inspect.Parameter(name, keyword, default=default, annotation=hint)]
    defaults, types = hint._field_defaults, hint.__annotations__
    return [
        inspect.Parameter(flag, keyword, default=defaults[flag], annotation=types[flag])
        for flag in hint._fields
    ]


def _is_group(hint: Any) -> bool:
    return hasattr(hint, "_fields")
