"""What to try next: one line after an answer in a terminal, three lines after `rnncli` alone.

The conditions look at the flags as they were typed: a suggestion must not wait for the layers to be created.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS
from rnncli.cli import terminal
from rnncli.cli.catalog import click
from rnncli.cli.terminal import localize
from rnncli.errors import Message
from rnncli.options import entries, write_words
from rnncli.show.wording import typed

Values = Mapping[str, Any]
"""The flags of a command by their names in Python: `return_sequences`, `layer`."""

# Not compiled here: most commands are not run in a terminal, and show no hint.
RECURRENT = r"(?i)(\w+\.)*((bi)?(simple_?rnn|rnn|lstm|gru)|bidirectional)\b"
BOTH_WAYS = r"(?i)(\w+\.)*bi"


class Hint(NamedTuple):
    """A suggestion to show after a command if `applies` returns True for its flags.

    line: the command to try, with `{same}` for the flags of the input, the layers and the weights, or
        `{tensor}`.  shows: what that command shows.
    """

    applies: Callable[[Values], bool]
    line: str
    shows: Message


def _layers(values: Values) -> list[str]:
    return list(values.get("layer") or ["lstm"])


def is_traceable(values: Values) -> bool:
    """Return whether every layer is recurrent, and numpy can trace it."""
    recurrent = all(re.match(RECURRENT, name) for name in _layers(values))
    return recurrent and values.get("dtype") in (None, "float32", "float64")


def is_bidirectional(values: Values) -> bool:
    """Return whether the last layer has two directions, and all can be traced."""
    both = values.get("bidirectional") or re.match(BOTH_WAYS, _layers(values)[-1])
    return bool(both) and is_traceable(values)


def returns_last_output(values: Values) -> bool:
    """Return whether a single layer returns neither a sequence nor its states."""
    alone = len(_layers(values)) == 1 and _layers(values)[0].isidentifier()
    return alone and is_traceable(values) and values["return_sequences"] is values["return_state"] is None


TRACE = Hint(is_traceable, "trace{same}", Message("every gate at every time step"))
HINTS = {
    "run": (
        Hint(is_bidirectional, "matrix{same}", Message("all four of return_sequences x return_state")),
        Hint(
            lambda values: values["seed"] is None and values["weights"] is None,
            "run{same} --seed 42",
            Message("the same weights in every run"),
        ),
        Hint(
            returns_last_output,
            "run{same} --return-sequences --return-state",
            Message("every time step, and the last state"),
        ),
        TRACE,
    ),
    "matrix": (TRACE,),
    "trace": (
        Hint(
            lambda values: (
                [word.lower() for word in _layers(values)] == ["lstm"]
                and not is_bidirectional(values)
                and not values["hold"]
            ),
            "trace{same} --hold forget=1",
            Message("with the forget gate held open"),
        ),
        Hint(is_traceable, "plot{same} --terminal", Message("the same as a picture")),
    ),
    "explain": (
        Hint(
            lambda values: values["depth"] == 1,
            "explain{tensor}{same} --depth 2",
            Message("one time step further back"),
        ),
    ),
    "shape": (
        Hint(
            lambda values: bool(re.fullmatch(r"[\d,\s]*", values["input_shape"] or "")),
            "run{same}",
            Message("the numbers"),
        ),
    ),
    "samples": (Hint(lambda values: values["name"] is None, "run series", Message("a sample as the input")),),
}
"""The suggestions after each command; the first that applies is shown."""

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
    commands = {typed(f"rnncli {line}", lang): text for line, text in START}
    width = max(map(len, commands))
    lines = (f"  {command.ljust(width)}  {localize(text, lang)}\n" for command, text in commands.items())
    return f"{localize(FIRST_STEPS, lang)}\n{''.join(lines)}"


def find(context: click.Context, lang: str) -> tuple[str, ...]:
    """Return the lines that fit an answer, best first: `every gate at every time step: rnncli trace`.

    The same in two lines follows, for terminals in which no whole line fits.
    """
    values = context.params
    lines, pairs = [], []
    for hint in HINTS.get(context.info_name or "", ()):
        if hint.applies(values):
            tensor = f" {shlex.quote(values['tensor'])}" if "tensor" in values else ""
            same = _same(context, re.split(r"[ {]", hint.line)[0])
            command = typed(f"rnncli {hint.line.format(same=same, tensor=tensor)}", values.get("lang") or "")
            lines.append(f"{localize(hint.shows, lang)}: {command}")
            pairs.append(f"{localize(hint.shows, lang)}:\n{command}")
    return (*lines, *pairs)


def _same(context: click.Context, command: str) -> str:
    """Return the flags of the input, the layers and the weights as typed, for a command that takes them."""
    groups = {*INPUT_OPTIONS, "layer", *LAYER_OPTIONS, *RUN_OPTIONS}
    shared = {
        entry.name for entry in entries(command)
        if entry.name in groups and entry.repeats and command not in entry.refused
    }  # fmt: skip
    own = (entry.name for entry in entries(context.info_name or ""))
    values = {name: context.params[name] for name in own if name in shared}
    return "".join(f" {shlex.quote(word)}" for word in write_words(values))


def show(context: click.Context) -> None:
    """Print the best hint that fits the terminal after an answer, if it can be typed unchanged."""
    values = context.params
    elsewhere = values.get("format") not in (None, "table") or values.get("output") is not None
    unusual = any(map(values.get, ("quiet", "stream", "keep_going", "model")))
    word = values.get("input") or ""
    if os.environ.get("RNNCLI_HINTS") == "0" or elsewhere or unusual or word == "-" or len(word) > LONGEST:
        return
    from rnncli.inputs.source import stdin_holds_data

    given = word or values.get("input_shape")
    if given is None and "input" in values and stdin_holds_data():
        return  # the command would read another input
    terminal.say_dim(find(context, terminal.displayable_language(values.get("lang"))))
