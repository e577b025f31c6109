"""The lesson and its exercises as data: texts in English and Korean, and commands, from two TOML files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.errors import fold_name
from rnncli.result import Result
from rnncli.show import wording
from rnncli.values import STATUSES, Array

Texts = Mapping[str, str]
"""The texts of a step or an exercise in one language, by key: `title`, `notice`, `question`, ..."""

Facts = Mapping[str, object]
"""The computed values for the holes of the texts, by name."""

WIDEST = 80
"""Columns of the lesson, fewer in a narrower terminal: long lines are hard to read."""


class Step(NamedTuple):
    """One step of `lesson.toml`, which explains the entries.  number: None for the first step.

    keras_ko, commands_ko: `keras` and `commands` for readers of Korean, if they differ.
    """

    number: int | None
    topics: Sequence[str]
    en: Texts
    ko: Texts
    keras: str
    commands: Sequence[str]
    observation: str = ""
    short: bool = False
    look: str = ""
    keras_ko: str = ""
    commands_ko: Sequence[str] = ()

    def localized(self, lang: str) -> Step:
        """Return the step with the lines of Keras and the commands for readers of this language."""
        korean = self._replace(keras=self.keras_ko or self.keras, commands=self.commands_ko or self.commands)
        return korean if lang == "ko" else self


class Exercise(NamedTuple):
    """One exercise of `exercises.toml`, which explains the entries.  number: from 1, in the file's order."""

    number: int
    en: Texts
    ko: Texts
    make: str
    about: str
    form: Texts

    def topic(self, facts: Facts) -> str:
        """Return the first topic of its step, which may depend on what was drawn."""
        return str(facts.get("topic", self.about))

    def taught(self, lang: str, facts: Facts) -> str:
        """Return which steps teach what it asks: its own, and later ones that teach a word of its layer."""
        words = re.findall("[A-Za-z_]+", str(facts.get("layer", "")))
        own, *others = (steps().index(step) for step in map(find, (self.topic(facts), *words)) if step)
        named = []
        for step in (steps()[index] for index in sorted({own, *others}) if index >= own):
            title = (step.ko if lang == "ko" else step.en)["title"]
            named.append(say("first" if step.number is None else "step", lang).format(step.number, title))
        return say("taught", lang).format(", ".join(named))


@cache
def read(name: str) -> dict[str, Any]:
    """Return a file of this folder."""
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


@cache
def steps() -> tuple[Step, ...]:
    """Return every step, in order."""
    first, *rest = read("lesson.toml")["step"]
    return (Step(None, **first), *(Step(number, **entries) for number, entries in enumerate(rest)))


@cache
def exercises() -> tuple[Exercise, ...]:
    """Return every exercise, in order."""
    tables = read("exercises.toml")["exercise"]
    return tuple(Exercise(number, **entries) for number, entries in enumerate(tables, 1))


def find(topic: str) -> Step | None:
    """Return the step with this number or topic."""
    word = fold_name(topic.replace(" ", ""))
    known = {fold_name(alias.replace(" ", "")): step for step in steps() for alias in step.topics}
    return known.get(word) or next((step for step in steps() if str(step.number) == topic), None)


def fill(told: Step | Exercise, lang: str, facts: Facts) -> dict[str, str]:
    """Return the texts in `lang`; their holes hold the facts, and the numbers of steps by first topic."""
    texts, numbers = told.ko if lang == "ko" else told.en, {step.topics[0]: step.number for step in steps()}
    return {key: text.format_map({**facts, "step": numbers}) for key, text in texts.items()}


def say(key: str, lang: str) -> str:
    """Return a word in `lang`: a word of the lesson, or of all commands."""
    words: dict[str, dict[str, str]] = read("lesson.toml")["words"]
    return words[key]["ko" if lang == "ko" else "en"] if key in words else wording.say(key, lang)


def run_line(line: str, initial_state: tuple[Array, ...] | None = None, *, traced: bool = False) -> Result:
    """Compute what the command `line` computes, without TensorFlow.

    initial_state: replaces the file that the line names.  traced: also record every gate and state.
    """
    from rnncli import compute
    from rnncli.commands.tour.command_line import CommandLine
    from rnncli.compute import trace

    case = CommandLine.parse(line).case(initial_state)
    return trace.trace(case) if traced else compute.run(case, "numpy")


def masked_steps(result: Result) -> list[int]:
    """Return the time steps at which a traced layer held its state."""
    loop = result.trace[0]
    held: list[int] = loop.times[loop.status[0] == STATUSES.index("held")].tolist()
    return held
