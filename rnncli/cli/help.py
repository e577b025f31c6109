"""Commands and their help: sections, one line per flag, examples.

Typer draws panels only with Rich, which takes longer to load than a whole `rnncli shape` takes to run;
this module writes the same in plain text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

from rnncli.cli import terminal
from rnncli.cli.catalog import click
from rnncli.cli.terminal import localize, narrow, widen
from rnncli.errors import Message, UsageError
from rnncli.show.wording import typed

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
