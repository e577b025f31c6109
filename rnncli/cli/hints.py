"""Suggest what to try next: one line after an answer in a terminal, three lines after `rnncli` alone."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from typer import _click as click
from typer.core import TyperOption

from rnncli.cli import catalog, terminal
from rnncli.renderers.wording import Bilingual

Values = Mapping[str, Any]
"""The flags of a command by their names in Python: `return_sequences`, `layer`."""

RECURRENT = re.compile(r"(\w+\.)*((bi)?(simple_?rnn|rnn|lstm|gru)|bidirectional)\b", re.IGNORECASE)
BOTH_WAYS = re.compile(r"(\w+\.)*bi", re.IGNORECASE)
UNREPEATABLE = ("engine", "calls", "stateful", "model", "assume")
"""Flags whose meaning differs between the commands of the table."""
LONGEST = 100
"""Maximum number of characters of an input that is JSON text; a longer one would fill the terminal."""


class Hint(NamedTuple):
    """A suggestion to show after `command` if `applies` returns True for its flags.

    line: the command to try, with `{same}` for the flags of the input, the layers and the weights, or
        `{tensor}`.  text: what that command shows.
    """

    command: str
    applies: Callable[[Values], bool]
    line: str
    text: Bilingual


def _layers(values: Values) -> list[str]:
    return list(values.get("layer") or ["lstm"])


def _steps(values: Values) -> bool:
    """Return whether every layer is recurrent, and numpy can trace it."""
    return all(map(RECURRENT.match, _layers(values))) and values.get("dtype") in (None, "float32", "float64")


def _is_bidirectional(values: Values) -> bool:
    return bool(values.get("bidirectional") or BOTH_WAYS.match(_layers(values)[-1])) and _steps(values)


def _returns_last(values: Values) -> bool:
    alone = len(_layers(values)) == 1 and _layers(values)[0].isidentifier()
    return alone and _steps(values) and values["return_sequences"] is values["return_state"] is None


def _one_lstm(values: Values) -> bool:
    return [word.lower() for word in _layers(values)] == ["lstm"] and not _is_bidirectional(values)


def _has_sizes(values: Values) -> bool:
    return bool(re.fullmatch(r"[\d,\s]*", values["input_shape"] or ""))


HINTS = (
    Hint("run", _is_bidirectional, "matrix{same}", Bilingual(
        "all four of return_sequences x return_state",
        "return_sequences와 return_state의 네 가지 조합")),
    Hint("run", lambda values: values["seed"] is None and values["weights"] is None, "run{same} --seed 42",
         Bilingual("the same weights in every run", "실행할 때마다 같은 가중치")),
    Hint("run", _returns_last, "run{same} --return-sequences --return-state",
         Bilingual("every time step, and the last state", "모든 시점과 마지막 상태")),
    Hint("run", _steps, "trace{same}", Bilingual("every gate at every time step", "모든 시점의 모든 게이트")),
    Hint("matrix", _steps, "trace{same}",
         Bilingual("every gate at every time step", "모든 시점의 모든 게이트")),
    Hint("trace", lambda values: _one_lstm(values) and not values["hold"], "trace{same} --hold forget=1",
         Bilingual("with the forget gate held open", "망각 게이트를 연 채로 고정")),
    Hint("trace", _steps, "plot{same} --terminal", Bilingual("the same as a picture", "같은 값을 그림으로")),
    Hint("explain", lambda values: values["depth"] == 1, "explain{tensor}{same} --depth 2",
         Bilingual("one time step further back", "한 시점 더 거슬러 올라가기")),
    Hint("shape", _has_sizes, "run{same}", Bilingual("the numbers", "값 계산하기")),
    Hint("samples", lambda values: values["name"] is None, "run series",
         Bilingual("a sample as the input", "예제를 입력으로")),
)  # fmt: skip

FIRST_STEPS = Bilingual("Start with:", "시작하기:")
START = (
    ("run --layer lstm --return-sequences --seed 42", Bilingual("what a layer returns", "층이 반환하는 값")),
    ("tour", Bilingual("the lesson, step by step", "단계별 학습")),
    ("--help", Bilingual("every command", "모든 명령")),
)
"""The commands to start with, and what they show."""


def start(lang: str) -> str:
    """Return the heading and the three lines at the end of what `rnncli` alone prints."""
    width = max(len(line) for line, _ in START)
    lines = (f"  rnncli {line.ljust(width)}  {text.in_language(lang)}\n" for line, text in START)
    return f"{FIRST_STEPS.in_language(lang)}\n{''.join(lines)}"


def find(context: click.Context, lang: str) -> tuple[str, ...]:
    """Return the lines that fit an answer, best first: `every gate at every time step: rnncli trace`.

    The commands alone follow, for terminals in which no whole line fits.
    """
    values = context.params
    lines, commands = [], []
    for hint in HINTS:
        if hint.command == context.info_name and hint.applies(values):
            tensor = f" {shlex.quote(values['tensor'])}" if "tensor" in values else ""
            same = _same(context, re.split(r"[ {]", hint.line)[0])
            commands.append(f"rnncli {hint.line.format(same=same, tensor=tensor)}")
            lines.append(f"{hint.text.in_language(lang)}: {commands[-1]}")
    return (*lines, *commands)


def _same(context: click.Context, command: str) -> str:
    """Return the flags of the input, the layers and the weights as typed, for a command that takes them."""
    from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags

    shared = {*InputFlags._fields, *LayerFlags._fields, *RunFlags._fields}.difference(UNREPEATABLE)
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
    from rnncli.cli import sources

    given = values.get("input") or values.get("input_shape")
    if given is None and "input" in values and sources.stdin_holds_data():
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
