"""A sheet with every exercise, each with the numbers of one seed, and the key to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnncli.commands.tour import lesson
from rnncli.commands.tour.exercises import ExerciseAnswer, draw_task
from rnncli.commands.tour.lesson import say
from rnncli.show.answer import Answer, Field, ListAnswer, Records, head
from rnncli.show.page import Code, Heading, Line, Page, PagePart, Span, View, line, marks

BLANK = "." * 40
"""Where an answer is written by hand."""


@dataclass(frozen=True)
class SheetAnswer(Answer):
    """The exercises of one seed, below each other.

    checks: whether to show the command that checks an answer.
    """

    command = "tour --exercise all"
    widest = lesson.WIDEST
    exercises: Sequence[ExerciseAnswer]
    checks: bool = True

    def document(self, view: View) -> dict[str, Any]:
        """Return the document of each exercise."""
        documents = [exercise.document(view) for exercise in self.exercises]
        entries = [{key: each[key] for key in each if key not in head()} for each in documents]
        return {**head(), "seed": self.exercises[0].seed, "exercises": entries}

    def page(self, view: View) -> Page:
        """Return the tasks with their tables, and a line for each answer."""
        parts: list[PagePart] = []
        lang = view.lang
        for posed in self.exercises:
            task, number = posed.task(view), posed.exercise.number
            texts = lesson.fill(posed.exercise, lang, task.facts)
            named = Span(f"{say('exercise', lang).format(number)}{marks(view).dot}", "dim")
            heading = Heading((named, Span(texts["title"], "strong")), f"exercise-{number}")
            blank = line(f"{say('write here', lang).format(form=posed.exercise.form[lang])} {BLANK}")
            parts += [(), (), heading, (), *draw_task(texts, task), (), blank]
        if self.checks:
            check = self.exercises[0].check(view.lang)
            parts += [(), (), line(say("answer it", view.lang), "dim"), Code(check, "shell")]
        return Page(_title("sheet", self.exercises, view), (), tuple(parts))

    def records(self, view: View) -> Records:
        """Return one row per line of the tables."""
        rows = ((posed.exercise.number, *row) for posed in self.exercises for row in posed.records(view)[1])
        return ("exercise", *self.exercises[0].records(view)[0]), rows


def _show_key(posed: ExerciseAnswer, view: View) -> str:
    return posed.task(view).key


def _show_title(posed: ExerciseAnswer, view: View) -> str:
    return (posed.exercise.ko if view.lang == "ko" else posed.exercise.en)["title"]


class KeyAnswer(ListAnswer):
    """The right answer to each exercise."""

    def __init__(self, exercises: Sequence[ExerciseAnswer]) -> None:
        self.exercises = exercises
        fields = (
            Field("exercise", lambda posed: posed.exercise.number, heading="exercise"),
            Field("seed"),
            Field("answer", lambda posed: posed.task(View()).key, "answer", _show_key, style="strong"),
            Field("title", lambda posed: posed.exercise.en["title"], "what it is", _show_title),
        )
        super().__init__("key", fields, exercises, ("exercise", "answer", "title"))

    def page(self, view: View) -> Page:
        """Return the table, below the seed of its sheet."""
        return super().page(view)._replace(title=_title("key", self.exercises, view))


def _title(key: str, exercises: Sequence[ExerciseAnswer], view: View) -> Line:
    return line(say(key, view.lang).format(seed=exercises[0].seed), "strong")
