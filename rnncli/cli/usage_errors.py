"""Convert click's errors, such as an unknown flag, to the form of rnncli's other messages."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rnncli.cli import catalog
from rnncli.cli.catalog import click
from rnncli.errors import Message, Text, UsageError
from rnncli.options import OPTIONS, entries

MEANT = {
    "s": "--seed",
    "u": "--units",
    "m": "--model",
    "w": "--weights",
    "hidden-size": "--units",
    "shape": "--input-shape",
    "backend": "--engine",
}
"""Flags of other programs, without dashes, and the flags that are meant by them."""
INPUT_NAMES = ("i", "input", "inputs", "data", "file")
"""How other programs call the flag of their input, which is an argument here."""


def convert(error: click.ClickException, command: str, words: Sequence[str] = ()) -> UsageError:
    """Return the error that `command` prints for an error of click.  words: the whole command line."""
    if isinstance(error, click.exceptions.NoSuchOption):
        advice = list_flags(command)
        if any(".toml" in word for word in words) and not _is_flag_of_run(error):
            advice = Message(
                "Set an option of a cell in the expression: -l '@FILE.toml(3, {name}=...)'",
                name=error.option_name.strip("-").replace("-", "_"),
            )
        return _explain_unknown_flag(error, command, advice)
    if isinstance(error, click.exceptions.BadOptionUsage):
        name = error.option_name
        takes_value = any(name in (entry.flag, *entry.others) and entry.takes_value for entry in OPTIONS)
        if takes_value:
            return UsageError(
                "{option_name} needs a value, but nothing follows it.", "Add its value.", option_name=name
            )
        return UsageError("{name} does not take a value.", "Write {name} alone, or leave it out.", name=name)
    text = error.format_message().strip().rstrip(".")
    return UsageError("{text}.", list_flags(command), text=f"{text[:1].lower()}{text[1:]}")


def list_flags(command: str) -> Message:
    """Return where the flags of a command are listed, as advice."""
    return Message("`{command} {--help}` lists the flags.", command=command)


def explain_extra(context: click.Context, words: Sequence[str]) -> UsageError:
    """Return the error for words beyond the arguments of a command, which may be a model or sizes."""
    advice = _suggest_model(context, words) or _suggest_shape(context, words)
    return UsageError(
        "unexpected argument: {words}.",
        advice or "Quote an argument that has spaces; `{command} {--help}` lists the flags.",
        words=" ".join(words),
        command=context.command_path,
    )


def _explain_unknown_flag(error: click.exceptions.NoSuchOption, command: str, advice: Message) -> UsageError:
    """Return the error for a flag that `command` does not have.  advice: where its flags are listed."""
    params = error.ctx.command.params if error.ctx else []
    if any(param.name == "input" for param in params) and error.option_name.lstrip("-") in INPUT_NAMES:
        return UsageError(
            "there is no flag {option_name}.",
            "Write the input after the command: {command} FILE.json, or {command} '[[1, 2], [3, 4]]'.",
            option_name=error.option_name,
            command=command,
        )
    near = _find_meant_flag(error, command) or _find_nearest_flag(error)
    if error.option_name == "-V":
        near = "rnncli --version"
    elif command == "rnncli" and not near and _is_flag_of_run(error):
        advice = Message(
            "A command's flags come after its name: rnncli run {option_name}.",
            option_name=error.option_name,
        )
    elif command != "rnncli" and _is_flag_of_run(error):
        return UsageError(
            "{command} has no flag {option_name}; rnncli run has it.",
            "Leave {option_name} out; {list}",
            command=command,
            option_name=error.option_name,
            list=advice,
        )
    return UsageError(
        "there is no flag {option_name}.",
        Message("Did you mean {near}?", near=near) if near else advice,
        option_name=error.option_name,
    )


def _find_meant_flag(error: click.exceptions.NoSuchOption, command: str) -> str:
    """Return the flag that another program spells so: `--seed` for -s, `-f json` for --json; else ""."""
    from rnncli.show import formats

    name = error.option_name.lstrip("-")
    meant = f"-f {name}" if name in formats.FORMATS else MEANT.get(name.replace("_", "-"), "")
    flags = {flag for param in error.ctx.command.params for flag in param.opts} if error.ctx else set()
    if meant.partition(" ")[0] in flags and (command != "rnncli" or name not in formats.FORMATS):
        return meant  # before a command, a format is that of --version
    run = {flag for entry in entries("run") for flag in (entry.flag, *entry.others)}
    return f"rnncli run {meant}" if command == "rnncli" and meant.partition(" ")[0] in run else ""


def _suggest_model(context: click.Context, words: Sequence[str]) -> Text:
    from rnncli.inputs.source import MODEL_SUFFIXES, split_layers

    rest = " ".join(words)
    word = rest if Path(split_layers(rest)[0]).exists() else words[-1]
    known = any("--model" in param.opts for param in context.command.params)
    saved = known and split_layers(word)[0].lower().endswith(MODEL_SUFFIXES)
    return Message("Name a saved model with {--model:word}.", word=shlex.quote(word)) if saved else ""


def _suggest_shape(context: click.Context, words: Sequence[str]) -> Text:
    from rnncli.inputs.source import write_with_commas

    given = context.params
    shape = write_with_commas(f"{given.get('input_shape')} {given.get('input')} {' '.join(words)}")
    return Message("Write {--input-shape:shape}", shape=shape) if given.get("input_shape") and shape else ""


def _is_flag_of_run(error: click.exceptions.NoSuchOption) -> bool:
    params = catalog.command(error.ctx, "run").params if error.ctx else []
    return any(error.option_name in (*param.opts, *param.secondary_opts) for param in params)


def _find_nearest_flag(error: click.exceptions.NoSuchOption) -> str:
    """Return the flag with this prefix or with similar spelling; never the opposite of the typed flag."""
    import difflib

    word = error.option_name
    params = error.ctx.command.get_params(error.ctx) if error.ctx else []
    known = [name for param in params for name in (*param.opts, *param.secondary_opts) if name[:2] == "--"]
    dashes = "--no-" if word.startswith("--no-") else "--"
    same = [name.removeprefix(dashes) for name in known if name.startswith("--no-") == (dashes == "--no-")]
    stem = word.removeprefix(dashes)
    begun = [name for name in same if stem and name.startswith(stem)]
    near = begun or difflib.get_close_matches(stem, same, n=1, cutoff=0.65)
    return f"{dashes}{near[0]}" if near else ""
