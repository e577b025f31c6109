"""Convert click's errors, such as an unknown flag, to the form of rnncli's other messages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer
from typer import _click as click

from rnncli.cli import catalog
from rnncli.errors import UsageError


def convert(error: click.ClickException, command: str) -> UsageError:
    """Return the error that `command` prints for an error of click."""
    advice = f"`{command} --help` lists the flags."
    if isinstance(error, click.exceptions.NoSuchOption):
        near = _find_nearest_flag(error)
        if error.option_name == "-V":
            near = "rnncli --version"
        elif command == "rnncli" and not near and _is_flag_of_run(error):
            advice = f"A command's flags come after its name: rnncli run {error.option_name}."
        elif command != "rnncli" and _is_flag_of_run(error):
            return UsageError(
                f"{command} has no flag {error.option_name}; rnncli run has it.",
                f"Leave {error.option_name} out; {advice}",
            )
        return UsageError(
            f"there is no flag {error.option_name}.", f"Did you mean {near}?" if near else advice
        )
    if isinstance(error, click.exceptions.BadOptionUsage) and "does not take a value" in error.message:
        name = error.option_name
        return UsageError(f"{name} does not take a value.", f"Write {name} alone, or leave it out.")
    if isinstance(error, click.exceptions.BadOptionUsage) and "requires" in error.message:
        return UsageError(f"{error.option_name} needs a value, but nothing follows it.", "Add its value.")
    if isinstance(error, typer.BadParameter) and error.param is not None:
        names = getattr(error.param, "opts", [])
        return UsageError(f"{names[0] if names else 'INPUT'}: {_sentence(error.message)}", advice)
    what = _sentence(error.format_message())
    if what.startswith("unexpected argument"):
        advice = (
            _suggest_model(error)
            or _suggest_shape(error)
            or f"Quote an argument that has spaces; `{command} --help` lists the flags."
        )
    return UsageError(what, advice)


def _suggest_model(error: click.ClickException) -> str:
    """Return advice if the extra argument is a saved model, which has its own flag; else ""."""
    from rnncli.cli.layer_files import MODEL_SUFFIXES
    from rnncli.readers.source import split_layers

    rest = _sentence(error.format_message()).removeprefix("unexpected argument: ").removesuffix(".")
    word = rest if Path(split_layers(rest)[0]).exists() else rest.rpartition(" ")[2]
    params = error.ctx.command.params if isinstance(error, click.exceptions.UsageError) and error.ctx else []
    known = any("--model" in param.opts for param in params)
    saved = known and split_layers(word)[0].lower().endswith(MODEL_SUFFIXES)
    return f"Name a saved model with --model {shlex.quote(word)}." if saved else ""


def _suggest_shape(error: click.ClickException) -> str:
    """Return advice if the extra arguments are sizes, as in --input-shape 1 4 5; else ""."""
    from rnncli.specs.shapes import write_with_commas

    given = error.ctx.params if isinstance(error, click.exceptions.UsageError) and error.ctx else {}
    rest = error.format_message().rpartition("(")[2].strip(").")
    shape = write_with_commas(f"{given.get('input_shape')} {given.get('input')} {rest}")
    return f"Write --input-shape {shape}" if given.get("input_shape") and shape else ""


def _is_flag_of_run(error: click.exceptions.NoSuchOption) -> bool:
    params = catalog.command(error.ctx, "run").params if error.ctx else []
    return any(error.option_name in (*param.opts, *param.secondary_opts) for param in params)


def _find_nearest_flag(error: click.exceptions.NoSuchOption) -> str:
    """Return the flag with this prefix or with similar spelling; never the opposite of the one typed."""
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


def _sentence(text: str) -> str:
    text = re.sub(r"\bint( range)?$", "integer", text.strip().rstrip("."))
    text = re.sub(r"\bfloat( range)?$", "number", text)
    text = re.sub(r"is not in the range x>=(\S+)", r"is less than \1", text)
    text = re.sub(r"^Got unexpected extra argument(?:\(s\)|s)? \((.*)\)$", r"unexpected argument: \1", text)
    text = re.sub(r"is not in the range (\S+)<=x<=(\S+)", r"is not between \1 and \2", text)
    return f"{text[:1].lower()}{text[1:]}."
