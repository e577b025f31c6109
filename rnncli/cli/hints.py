"""Suggest what to try next: one line after an answer in a terminal, three lines after `rnncli` alone."""

from __future__ import annotations

import os
import re
import shlex
from typing import Any

from typer import _click as click
from typer.core import TyperOption

from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS
from rnncli.cli import catalog, terminal
from rnncli.cli.hint_rules import Values
from rnncli.cli.language import localize
from rnncli.errors import Message

UNREPEATABLE = ("engine", "calls", "stateful", "model", "assume")
"""Flags whose meaning differs between the commands of the table."""
LONGEST = 100
"""Maximum number of characters of an input that is JSON text; a longer one would fill the terminal."""

FIRST_STEPS = Message("Start with:")
START = (
    ("run --layer lstm --return-sequences --seed 42", Message("what a layer returns")),
    ("tour", Message("the lesson, step by step")),
    ("--help", Message("every command")),
)
"""The commands to start with, and what they show."""


def start(lang: str) -> str:
    """Return the heading and the three lines at the end of what `rnncli` alone prints."""
    width = max(len(line) for line, _ in START)
    lines = (f"  rnncli {line.ljust(width)}  {localize(text, lang)}\n" for line, text in START)
    return f"{localize(FIRST_STEPS, lang)}\n{''.join(lines)}"


def find(context: click.Context, lang: str) -> tuple[str, ...]:
    """Return the lines that fit an answer, best first: `every gate at every time step: rnncli trace`.

    The commands alone follow, for terminals in which no whole line fits.
    """
    values = context.params
    lines, commands = [], []
    for hint in getattr(catalog.load(context.info_name or ""), "HINTS", ()):
        if hint.applies(values):
            tensor = f" {shlex.quote(values['tensor'])}" if "tensor" in values else ""
            same = _same(context, re.split(r"[ {]", hint.line)[0])
            commands.append(f"rnncli {hint.line.format(same=same, tensor=tensor)}")
            lines.append(f"{localize(hint.shows, lang)}: {commands[-1]}")
    return (*lines, *commands)


def _same(context: click.Context, command: str) -> str:
    """Return the flags of the input, the layers and the weights as typed, for a command that takes them."""
    shared = {"input", *INPUT_OPTIONS, "layer", *LAYER_OPTIONS, *RUN_OPTIONS}.difference(UNREPEATABLE)
    known = {
        param.name
        for param in catalog.command(context, command).params
        if not getattr(param, "hidden", False)
    }
    words: list[str] = []
    for param in context.command.params if shared & known else ():
        if param.name in shared & known and param.name is not None:
            words += _words(param, context.params[param.name])
    return "".join(f" {shlex.quote(word)}" for word in words)


def _words(param: click.Parameter, value: Any) -> list[str]:
    if value is None or value == () or value == []:
        return []
    if not isinstance(param, TyperOption):
        return [str(value)]
    if param.is_flag:
        return [param.opts[0] if value else param.secondary_opts[0]]
    return [word for one in (value if isinstance(value, (list, tuple)) else [value])
            for word in (param.opts[0], str(one))]  # fmt: skip


def show(context: click.Context) -> None:
    """Print the best hint that fits the terminal after an answer, if it can be typed unchanged."""
    values = context.params
    if os.environ.get("RNNCLI_HINTS") == "0" or not _is_plain(values):
        return
    from rnncli.inputs.given import stdin_holds_data

    given = values.get("input") or values.get("input_shape")
    if given is None and "input" in values and stdin_holds_data():
        return  # the command would read another input
    terminal.say_dim(find(context, terminal.displayable_language(values.get("lang"))))


def _is_plain(values: Values) -> bool:
    """Return whether the answer is a table on stdout: no flag changes its format or sends it to a file."""
    unusual = ("quiet", "stream", "keep_going", "model")
    input_ = values.get("input") or ""
    return (
        values.get("format") in (None, "table")
        and values.get("output") is None
        and not any(map(values.get, unusual))
        and input_ != "-"
        and len(input_) <= LONGEST
    )
