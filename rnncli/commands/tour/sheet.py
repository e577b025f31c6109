"""A sheet with every exercise, each with the numbers of one seed, and the key to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rnncli.commands.tour import lesson
from rnncli.commands.tour.exercises import POSED, ExerciseAnswer, draw_task
from rnncli.commands.tour.lesson import say
from rnncli.show.answer import HEAD, Answer, Field, ListAnswer, Records, head
from rnncli.show.page import Code, Heading, Line, Page, PagePart, Span, View, line, marks

BLANK = "." * 30
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
        lang = view.lang
        parts: list[PagePart] = [(), line(say("name", lang))]
        for posed in self.exercises:
            task, number = posed.task(view), posed.exercise.number
            texts = lesson.fill(posed.exercise, lang, task.facts)
            named = Span(f"{say('exercise', lang).format(number)}{marks(view).dot}", "dim")
            heading = Heading((named, Span(texts["title"], "strong")), f"exercise-{number}")
            blank = line(f"{say('write here', lang).format(form=posed.exercise.form[lang])} {BLANK}")
            taught = line(posed.exercise.taught(lang, task.facts), "dim")
            parts += [(), (), heading, taught, (), *draw_task(texts, task), (), blank]
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


def _show_text(key: str) -> Callable[[ExerciseAnswer, View], str]:
    return lambda posed, view: lesson.fill(posed.exercise, view.lang, posed.task(view).facts)[key]


KEY = (
    Field("exercise", lambda posed: posed.exercise.number, heading="exercise", type=int),
    Field("seed", type=int),
    Field("answer", lambda posed: posed.task(View()).key, "answer", _show_key, style="strong"),
    Field("title", lambda posed: _show_text("title")(posed, View()), "what it is", _show_text("title")),
    Field("working", lambda posed: _show_text("working")(posed, View())),
)
"""What the key says of an exercise."""
DOCUMENTS = (HEAD | {"seed": int, "exercises": [POSED]}, HEAD | {"key": [KEY]})


class KeyAnswer(ListAnswer):
    """The right answer to each exercise, and how it is found."""

    widest = lesson.WIDEST

    def __init__(self, exercises: Sequence[ExerciseAnswer]) -> None:
        self.exercises = exercises
        super().__init__("key", KEY, exercises, ("exercise", "answer", "title"))

    def page(self, view: View) -> Page:
        """Return the table, below the seed of its sheet; below it, how each answer is found."""
        page = super().page(view)
        working = _show_text("working")
        numbered = (
            (Span(f"{posed.exercise.number}. ", "strong"), Span(working(posed, view)))
            for posed in self.exercises
        )
        return page._replace(title=_title("key", self.exercises, view), parts=(*page.parts, (), *numbered))


def _title(key: str, exercises: Sequence[ExerciseAnswer], view: View) -> Line:
    return line(say(key, view.lang).format(seed=exercises[0].seed), "strong")
