"""The flags of a command, made from the table of options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from typer.core import TyperArgument

from rnncli import options
from rnncli.ask import Ask
from rnncli.cli.catalog import click
from rnncli.cli.help import ALL, Command, CommandOption
from rnncli.errors import Message, UsageError, did_you_mean
from rnncli.options import Entry
from rnncli.values import is_plain

COMPLETING = "_RNNCLI_COMPLETE" in os.environ
"""Whether the shell asks for completions.  Otherwise no flag has a completer, because Typer inspects each."""


def load(name: str) -> Command:
    """Load the command of `rnncli.commands.<name>`: the function of that name, and its EXAMPLES.

    The module may define OWN_FILES, True if --output may name a file of another kind than an answer has; and
    OWN_FOLDER, True if it may name a folder.
    """
    module = import_module(f"rnncli.commands.{name}")
    function = getattr(module, name)

    def callback(**values: Any) -> None:
        from rnncli.cli import output

        own_files, own_folder = (getattr(module, key, False) for key in ("OWN_FILES", "OWN_FOLDER"))
        output.call(function, fill(name, values), own_files=own_files, own_folder=own_folder)

    return Command(
        name,
        params=make_params(name),
        callback=callback,
        help=function.__doc__,
        epilog=module.EXAMPLES,
        rich_markup_mode=None,
    )


def make_params(command: str) -> list[Any]:
    """Return the options of a command for click, which parses them; the help omits refused ones."""
    entries = options.entries(command)
    shown = [_param(entry, hidden=command in entry.refused) for entry in entries]
    return [*shown, ALL] if any(entry.rare for entry in entries) else shown


def fill(command: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a command's function: its own options, and the values that hold the others."""
    parameters: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for entry in options.entries(command):
        value = values[entry.name]
        if entry.many:
            value = list(value or ()) or None
        if entry.goes:
            groups.setdefault(entry.goes, {})[entry.name] = value
        else:
            parameters[entry.name] = value
    if "ask" in groups:
        of_layer = groups.get("options", {})
        given = {name: value for name, value in of_layer.items() if options.is_given(name, value)}
        parameters["ask"] = Ask(**groups["ask"], options=given)
    if "output" in groups:
        from rnncli.show.formats import OutputFlags

        parameters["output"] = OutputFlags(**groups["output"])
    return parameters


def _param(entry: Entry, *, hidden: bool) -> TyperArgument | CommandOption:
    more: dict[str, Any] = {"help": entry.help, "default": entry.default, "show_default": False}
    if COMPLETING:
        from typer.main import get_param_completion

        from rnncli.cli import completion

        completer = completion.completer(entry.name, list_choices(entry))
        more["autocompletion"] = get_param_completion(completer)
    if entry.argument:
        more["nargs"] = -1 if entry.many else 1
        return TyperArgument(param_decls=[entry.name], metavar=entry.metavar, required=False, **more)
    flag = entry.flag if entry.kind != "switch" else f"{entry.flag}/--no-{entry.flag[2:]}"
    kind: click.types.ParamType | None = click.types.STRING if entry.takes_value else None
    if entry.kind in ("integer", "number"):
        kind = _Number(entry)
    elif entry.choices:
        kind = click.types.FuncParamType(lambda word: require_choice(entry, word.casefold(), word))
    option = CommandOption(
        param_decls=[entry.name, flag, *entry.others],
        type=kind,
        is_flag=entry.kind in ("switch", "on"),
        multiple=entry.many,
        metavar=entry.metavar,
        hidden=hidden,
        rich_help_panel=entry.heading,
        **more,
    )
    option.rare = entry.rare
    return option


class _Number(click.types.ParamType):
    """A number in its bounds, without the underscores and the digits of other scripts that Python takes."""

    name = "number"

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        flag, least, most = param.opts[0], self.entry.least, self.entry.most
        if not is_plain(value):
            advice = "Write it with the digits 0 to 9, without underscores."
            raise UsageError("{opts}: {value!r} is not a plain number.", advice, opts=flag, value=value)
        is_whole = self.entry.kind == "integer"
        try:
            number = int(value) if is_whole else float(value)
            if least is not None and number != number:  # NaN is in no bounds
                raise ValueError
        except ValueError:
            fault = (
                Message("{value} is not a valid integer.", value=repr(value))
                if is_whole
                else Message("{value} is not a valid number.", value=repr(value))
            )
        else:
            low, high = least is not None and number < least, most is not None and number > most
            if not low and not high:
                return number
            fault = Message("{value} is less than {least}.", value=number, least=least)
            if most is not None:
                fault = Message(
                    "{value} is not between {least} and {most}.", value=number, least=least, most=most
                )
        from rnncli.cli.usage_errors import list_flags

        raise UsageError("{name}: {fault}", list_flags(ctx.command_path), name=flag, fault=fault)


def list_choices(entry: Entry) -> Sequence[str]:
    """Return the values that an option can have; () if there is no list of them."""
    if entry.choices == "formats":
        from rnncli.show import formats

        return tuple(formats.FORMATS)
    if entry.choices == "engines":
        from rnncli.compute import engines

        return ("auto", *engines.ENGINES)
    return tuple(entry.choices)


def require_choice(entry: Entry, value: str, word: str) -> str:
    """Return the value.  Raises UsageError if it is none of the choices.  word: as it was typed."""
    choices = list_choices(entry)
    if value not in choices:
        what = "{names}: {word!r} is not a valid choice."
        raise UsageError(what, did_you_mean(word, choices), names=entry.flag, word=word)
    return value
