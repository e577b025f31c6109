"""The exercises: small tasks with numbers of their own for each seed, and the check of an answer.

An exercise is a file in `exercises/` with a constant TITLE and a function `make`.  The same seed gives
the same task.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.commands.tour import numbering
from rnncli.commands.tour.grading import Key
from rnncli.commands.tour.lesson import Text
from rnncli.commands.tour.lesson_words import say
from rnncli.errors import DisagreementError, UsageError
from rnncli.renderers.page import Answer, Line, Page, Records, Span, Table, View, line, marks
from rnncli.renderers.parts import head, refuse_tensors

FOLDER = "exercises"


class Exercise(NamedTuple):
    """One task.

    task: what to find.  tables: where to find it.  key: the right answer.
    form: a well-formed answer that is never right, for the command line to type.
    hint: for a wrong answer.
    facts: numbers for the texts, by name.
    """

    task: Text
    tables: tuple[Table, ...]
    key: Key
    form: str
    hint: Text
    facts: Mapping[str, str] = {}


@dataclass(frozen=True)
class ExamAnswer(Answer):
    """An exercise with its task, or the verdict on an answer to it.  answer: None if none was given."""

    number: int
    seed: int
    answer: str | None = None

    def exercise(self, view: View) -> Exercise:
        """Make the exercise for this seed."""
        random = Random(f"{self.number}/{self.seed}")
        made: Exercise = numbering.load(FOLDER, self.number).make(random, view)
        return made

    def document(self, view: View) -> dict[str, Any]:
        """Return the task and its tables, as texts; with an answer, that it is right."""
        exercise = self.exercise(view)
        verdict = {} if self.answer is None else {"answer": self.answer, "right": True}
        return {
            **head(),
            "exercise": self.number,
            "seed": self.seed,
            "title": self._title(view.lang),
            "task": exercise.task.translate(view.lang, exercise.facts),
            "tables": [
                {"columns": [column.heading for column in table.columns], "rows": list(_texts(table))}
                for table in exercise.tables
            ],
            **verdict,
        }

    def page(self, view: View) -> Page:
        """Return the task, its tables, and the command that checks an answer."""
        lang = view.lang
        if self.answer is not None:
            return Page((), (), (line(say("right", lang), "strong"),))
        exercise = self.exercise(view)
        typed = (
            f"rnncli tour --exercise {self.number} --seed {self.seed} --answer {shlex.quote(exercise.form)}"
        )
        place = marks(view).dot.join(
            (say("exercise", lang).format(number=self.number), f"{say('seed', lang)} {self.seed}", "")
        )
        parts: tuple[Table | Line, ...] = (
            (Span(place, "dim"), Span(self._title(lang), "strong")),
            (),
            *map(line, exercise.task.translate(lang, exercise.facts).splitlines()),
            *exercise.tables,
            (),
            line(say("answer it", lang), "dim"),
            line(typed),
        )
        return Page((), (), parts)

    def records(self, view: View) -> Records:
        """Return one row per line of the tables."""
        tables = enumerate(self.exercise(view).tables)
        return ("table", "row"), ((place, " ".join(row)) for place, table in tables for row in _texts(table))

    def tensors(self) -> dict[str, Array]:
        """Raise UsageError; an exercise is a text."""
        return refuse_tensors("tour --exercise")

    def _title(self, lang: str) -> str:
        title: Text = numbering.load(FOLDER, self.number).TITLE
        return title.translate(lang)


def examine(number: int, seed: int | None, answer: str | None, lang: str) -> ExamAnswer:
    """Return the exercise, or that `answer` is right.

    Raises UsageError if there is no such exercise, DisagreementError if the answer is wrong.
    """
    known = numbering.list_stems(FOLDER)
    if number not in known:
        raise UsageError(
            "{--exercise:number}: there is no such exercise.",
            "The exercises are {known} to {known_2}.",
            number=number,
            known=min(known),
            known_2=max(known),
        )
    if seed is None:
        from rnncli.readers.case_builder import draw_seed

        seed = draw_seed()
    found = ExamAnswer(number, seed, answer)
    if answer is not None:
        exercise = found.exercise(View(lang=lang))
        if not exercise.key.accepts(answer):
            raise DisagreementError(
                "{wrong}",
                "{hint}",
                wrong=say("wrong", lang).format(answer=answer or "''"),
                hint=exercise.hint.translate(lang, exercise.facts),
            )
    return found


def _texts(table: Table) -> Iterator[list[str]]:
    """Yield the texts of each row."""
    for row in table.rows:
        texts = ("".join(span.text for part in one for span in part if isinstance(span, Span)) for one in row)
        yield [text.strip() for text in texts]
