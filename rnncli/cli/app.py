"""The command line application: loads each command when it is called, and handles all errors."""

# Annotations are objects rather than text, which Typer would evaluate six times.

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_install_completion_arguments

from rnncli.cli import catalog, terminal
from rnncli.cli.catalog import click
from rnncli.cli.flags import LocalizedCommand, load, make_params, write_examples, write_flags
from rnncli.cli.terminal import LANGUAGE, choose_language, localize, widen
from rnncli.errors import (
    INTERRUPTED,
    EngineError,
    Message,
    RnncliError,
    Text,
    UsageError,
    did_you_mean,
    nearest,
)
from rnncli.inputs.source import READ_FILES
from rnncli.process.signals import EngineCrash

EXAMPLES = """\
rnncli run --layer lstm --return-sequences --return-state --seed 42
rnncli run data.csv --layer 'Bidirectional(GRU(4))' --format json
rnncli shape --input-shape batch,None,8 --layer gru --units 64
rnncli samples mgu > mgu.toml; rnncli run --layer @mgu.toml --units 4
"""


class Commands(LocalizedCommand, TyperGroup):
    """Command group that imports the file of a command only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names, in the order of the help."""
        return list(catalog.names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name."""
        return load(cmd_name) if cmd_name in catalog.names() else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, but suggest the nearest command."""
        names = catalog.names()
        if args[0] not in names:
            raise UsageError("there is no command {args!r}.", _suggest_command(args[0], names), args=args[0])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Show the version, if it is asked for; else run the command."""
        if ctx.params["version"]:
            _show_version(ctx.params["format"])
            raise typer.Exit
        if ctx.params["format"]:
            template = "A command's flags come after its name: rnncli run {option_name}."
            command = Message(template, option_name=f"-f {ctx.params['format']}")
            raise UsageError("{--format} before a command belongs to {--version}.", command)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, then the flags."""
        for heading, summaries in catalog.SECTIONS.items():
            with formatter.section(localize(heading)):
                formatter.write_dl([(name, widen(localize(text))) for name, text in summaries.items()])
        write_flags(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a first example."""
        write_examples(EXAMPLES, formatter)
        hint = localize(Message("`rnncli COMMAND {--help}` shows a command's own flags."))
        formatter.write(f"\n{hint}\n")


def _suggest_command(word: str, names: Sequence[str]) -> Text:
    import shlex
    from pathlib import Path

    from rnncli import specs
    from rnncli.errors import LayerError
    from rnncli.inputs import sample_files as samples

    with suppress(OSError):  # JSON may be too long for a file name
        if word[:1] in ("[", "{", "-") or Path(word).is_file():
            return Message("A command comes first: rnncli run {word}", word=shlex.quote(word))
    if word in samples.names():
        return Message("A command comes first: rnncli run {word}", word=word)
    with suppress(LayerError, UsageError):
        specs.from_flags([word], {})
        return Message("A command comes first: rnncli run --layer {word}", word=shlex.quote(word))
    near = nearest(word, [*names, "--help", "--version"])
    return Message("Did you mean {near}?", near=near) if near else did_you_mean(word, names)


def _show_version(format_name: str | None) -> None:
    """Show the version of rnncli; as JSON, also of what it computes with."""
    if format_name == "json":
        from rnncli.cli import output
        from rnncli.show.formats import OutputFlags

        versions = import_module("rnncli.commands.engines").versions
        output.call(versions, {"output": OutputFlags(format_name)}, own_files=False)
        return
    from rnncli.values import __version__

    terminal.write(f"rnncli {__version__}\n")


def _start(lang: str | None = None, **_: Any) -> None:
    """Use --lang for every command; without a command, show what to type first."""
    context = click.globals.get_current_context()
    if lang is not None:
        context.default_map = {name: {"lang": lang} for name in catalog.names()}
    if context.invoked_subcommand is None:
        from rnncli.cli import hints

        terminal.write(hints.start(context.command.help or "", LANGUAGE.get()))


app = Commands(
    name="rnncli",
    params=[*make_params("rnncli"), *get_install_completion_arguments()],
    callback=_start,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="See what a recurrent layer returns: every tensor, its shape, its meaning and its numbers.",
    rich_markup_mode=None,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [INPUT] ...",
)


def main(args: Sequence[str]) -> int:
    """Run the command line `args` (without the program's name); returns the exit code.

    Raises only SystemExit, if a signal ends it and cleanup was needed.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    LANGUAGE.set(choose_language(args, terminal.displayable_language(None)))
    READ_FILES.set(set())
    try:
        return _answer(list(args))
    except KeyboardInterrupt:
        return INTERRUPTED
    except EngineCrash as crash:
        return _report(crash.error)
    except Exception as error:
        ended = _end_before(error)
        return _report(error) if ended is None else ended


def _report(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        terminal.silence_stdout()
        return 0
    if isinstance(error, RnncliError):
        failure = error
    elif isinstance(error, OSError):
        # Usually a full disk on stdout; other errors of files are handled where they occur.
        terminal.silence_stdout()
        reason = error.strerror or error
        failure = UsageError("standard output: {strerror}.", "The answer is not complete.", strerror=reason)
        if error.filename:
            failure = UsageError(
                "{filename}: {strerror}.", "Check the path.", filename=error.filename, strerror=reason
            )
    elif isinstance(error, MemoryError):
        error.__traceback__ = None  # frees what its frames hold, so that there is room for the message
        failure = UsageError("there is not enough memory for this.", "Make the input smaller.")
    elif isinstance(error, UnicodeEncodeError):
        what = Message(
            "a name has {object!r}, which this output cannot hold.", object=error.object[error.start]
        )
        failure = UsageError(what, "Rename it; tables and JSON show such a name escaped.")
    elif isinstance(error, RecursionError):
        failure = UsageError("this is nested too deeply.", "Use fewer levels of lists, objects or calls.")
    else:
        if os.environ.get("RNNCLI_DEBUG"):
            import traceback

            traceback.print_exception(error)
        failure = _convert_bug(error)
    terminal.print_error(failure)
    return failure.exit_code


def _answer(args: list[str]) -> int:
    if "_RNNCLI_COMPLETE" in os.environ:
        from rnncli.cli import completion

        completion.complete(app, args)
        return 0
    words = tuple(args)
    try:
        with app.make_context("rnncli", args) as context:
            app.invoke(context)
    except typer.Exit as leaving:  # the help or the version was shown
        terminal.require_stdout(Message("There is nowhere to write the output."))
        terminal.flush()
        return leaving.exit_code
    except click.ClickException as error:
        from rnncli.cli import usage_errors

        context_ = getattr(error, "ctx", None)
        raise usage_errors.convert(error, context_.command_path if context_ else "rnncli", words) from None
    terminal.flush()
    return 0


def _end_before(error: BaseException) -> int | None:
    """Return the exit code of a signal before this error: an interrupted library may raise its own error."""
    before = error.__context__
    while before is not None and not isinstance(before, (KeyboardInterrupt, SystemExit)):
        before = before.__context__
    if isinstance(before, SystemExit):
        return int(before.code or 0)
    return None if before is None else INTERRUPTED


def _convert_bug(error: Exception) -> RnncliError:
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and _is_required(package):
        return EngineError(
            "{package} is not installed; rnncli needs it.", "pip install {package}", package=package
        )
    what = " ".join(str(error).split()) or type(error).__name__
    advice = "This is a bug in rnncli; please report it. RNNCLI_DEBUG=1 shows the traceback."
    return EngineError("internal error: {name}: {what}", advice, name=type(error).__name__, what=what[:300])


def _is_required(package: str) -> bool:
    """Return whether installing rnncli, without extras, installs the package."""
    import re
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("rnncli") or []
    except PackageNotFoundError:  # run from its source
        return False
    return any(re.match(rf"{re.escape(package)}\b(?!.*extra ==)", line) for line in lines)
