"""The flags of a command, made from the table of options; its help: sections, a line per flag, examples."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

from rnncli import options
from rnncli.ask import Ask
from rnncli.cli import terminal
from rnncli.cli.catalog import click
from rnncli.cli.terminal import localize, narrow, widen
from rnncli.errors import Message, UsageError, did_you_mean
from rnncli.options import Entry
from rnncli.show.wording import typed
from rnncli.values import is_plain

SECTIONS = ("First steps", "Input", "Layer", "Initializers and weights", "Run", "Output", "Options")
NAMES_WIDTH = 28
LONG_DASHES = "\N{EN DASH}\N{EM DASH}"


class CommandOption(TyperOption):
    """A flag.  rare: whether only --help-all shows it."""

    rare = False


def _show_all(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta["all"] = True
        terminal.write(f"{ctx.get_help()}\n")
        ctx.exit()


ALL = CommandOption(
    param_decls=["help_all", "--help-all"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_all,
    help="Show every flag and exit.",
)


class LocalizedCommand(click.Command):
    """A command whose help is shown in the language of the command line."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, wrapped by the width of its characters."""
        return narrow(super().get_help(ctx))

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage line."""
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, f"{widen(localize('Usage'))}: ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, paragraph by paragraph."""
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n\n".join(widen(localize(" ".join(part.split()))) for part in paragraphs))


class Command(LocalizedCommand, TyperCommand):
    """A command whose flags are shown under the headings of their panels.

    Its epilog holds examples, one per line.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, but never take a flag as the previous flag's value."""
        if not ctx.resilient_parsing:  # shell completion, where the last word may be missing
            refuse_swallowed_flags(self.get_params(ctx), args)
        ctx.allow_extra_args = True  # click's own error is one text
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            from rnncli.cli import usage_errors

            raise usage_errors.explain_extra(ctx, rest)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; in a terminal, add one line that suggests what to try next."""
        super().invoke(ctx)
        if terminal.stdout_is_terminal():
            from rnncli.cli import hints

            hints.show(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags, section by section."""
        write_flags(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, one per line, unwrapped."""
        write_examples(self.epilog or "", formatter)


def write_flags(
    params: Iterable[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write every argument and flag that is not hidden, under the heading of its panel.

    The rare flags are only named, unless --help-all asks for them.
    """
    sections: dict[str, list[tuple[str, str]]] = {section: [] for section in SECTIONS}
    rare = []
    for param in params:
        if isinstance(param, TyperArgument):
            sections["First steps"].append((param.make_metavar(ctx), param.help or ""))
        elif isinstance(param, CommandOption) and param.rare and not ctx.meta.get("all"):
            rare += [] if param.hidden else [param.opts[0]]
        elif isinstance(param, TyperOption) and not param.hidden:
            section = param.rich_help_panel or "Options"
            sections.setdefault(section, []).append((_names(param, ctx), param.help or ""))
    width = min(NAMES_WIDTH, max(len(names) for rows in sections.values() for names, _ in rows))
    for section, rows in sections.items():
        if rows:
            with formatter.section(localize(section)):
                shown = [(names.ljust(width), widen(localize(text))) for names, text in rows]
                formatter.write_dl(shown, NAMES_WIDTH)
    if rare:
        with formatter.section(localize(Message("More flags, see --help-all"))):
            formatter.write_text(" ".join(rare))


def write_examples(lines: str, formatter: click.HelpFormatter) -> None:
    """Write `lines` unchanged under a heading."""
    if lines:
        with formatter.section(localize("Examples")):
            for line in (typed(localize(line), terminal.LANGUAGE.get()) for line in lines.splitlines()):
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _names(param: TyperOption, ctx: click.Context) -> str:
    short = [name for name in param.opts if not name.startswith("--")]
    long = [name for name in param.opts if name.startswith("--")]
    if param.secondary_opts:
        long = [f"--[no-]{name.removeprefix('--')}" for name in long]
    names = ", ".join(short + long)
    return names if param.is_flag else f"{names} {param.make_metavar(ctx)}"


def refuse_swallowed_flags(params: Iterable[click.Parameter], args: list[str]) -> None:
    """Raise an error for `--bias-initializer --return-sequences`, where the first flag has no value.

    Also for `-units`, and for a dash that a text editor made longer.
    """
    options = [param for param in params if isinstance(param, TyperOption)]
    known = {name for param in options for name in (*param.opts, *param.secondary_opts)}
    valued = {name for param in options if not param.is_flag for name in param.opts}
    rest = iter(args)
    for word in rest:
        if word == "--":
            return
        flag = "--" + word.lstrip(f"-{LONG_DASHES}")
        if flag.partition("=")[0] in known:
            if word[0] in LONG_DASHES:
                raise UsageError(
                    "{word} begins with a long dash.", "Write two hyphens: {flag}.", word=word, flag=flag
                )
            if re.match(r"-\w{2}", word):
                raise UsageError("there is no flag {word}.", "Did you mean {near}?", word=word, near=flag)
        if word not in valued:
            continue
        value = next(rest, None)
        if value is None or value in known or re.match(r"--\w", value):
            if not value:
                raise UsageError("{word} needs a value, but nothing follows it.", "Add its value.", word=word)
            raise UsageError(
                "{word} needs a value, but the flag {value} follows it.",
                "Write a value that starts with a dash as {joined}.",
                word=word,
                value=value,
                joined=f"{word}=VALUE" if word.startswith("--") else f"{word}VALUE",
            )


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
