"""What to try next: one line after an answer in a terminal; what `rnncli` alone prints.

The conditions look at the flags as they were typed: a suggestion must not wait for the layers to be created.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS
from rnncli.cli import terminal
from rnncli.cli.catalog import SECTIONS, click
from rnncli.cli.terminal import localize
from rnncli.errors import Message
from rnncli.options import entries, write_words
from rnncli.show.visible import width_of
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

LINE = 80
"""Columns of the sentence at the head of what `rnncli` alone prints, where no terminal says how many."""
LONGEST = 100
"""Maximum number of characters of an input that is JSON text; a longer one would fill the terminal."""

START = {
    Message("Start with:"): (
        ("run -l lstm --return-sequences --seed 42", Message("what a layer returns")),
        ("trace note", Message("every gate of a trained layer")),
        ("tour", Message("the lesson, step by step")),
    ),
    Message("Help:"): (
        ("--help", Message("what each command does")),
        ("run --help", Message("the flags of a command")),
        ("help", Message("the handbook, a page per topic")),
    ),
}
"""The commands to type first, and those that help, under their headings, with what each shows."""


def start(what: str, lang: str) -> str:
    """Return what `rnncli` alone prints, at most 24 lines.  what: one sentence that says what it is."""
    blocks = []
    for heading, lines in START.items():
        commands = {typed(f"rnncli {line}", lang): localize(text, lang) for line, text in lines}
        width = max(map(len, commands))
        rows = (f"  {command.ljust(width)}  {text}" for command, text in commands.items())
        blocks.append("\n".join((localize(heading, lang), *rows)))
    groups = {localize(heading, lang): names for heading, names in SECTIONS.items()}
    width = max(map(width_of, groups))
    rows = (f"{name}{' ' * (width - width_of(name))}  {' '.join(names)}" for name, names in groups.items())
    sentence = terminal.wrap(localize(what, lang), terminal.columns(sys.stdout, os.environ) or LINE)
    return "\n\n".join((sentence, blocks[0], "\n".join(rows), blocks[1])) + "\n"


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
