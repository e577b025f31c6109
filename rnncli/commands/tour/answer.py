"""tour: the steps of the lesson, with their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnncli.case import Array
from rnncli.commands.tour import lesson
from rnncli.commands.tour.lesson import NumberedStep, Observation
from rnncli.commands.tour.lesson_words import say
from rnncli.renderers.page import (
    Answer,
    Line,
    Page,
    PagePart,
    Paragraph,
    Records,
    Span,
    View,
    line,
    marks,
)
from rnncli.renderers.parts import axes_of, head, records_header, rows_of, tensor_document

WHOLE, QUESTION, ANSWER = "whole", "question", "answer"
"""Parts of a step to show: all of it, all but the answer to its question, or that answer alone."""


@dataclass(frozen=True)
class TourAnswer(Answer):
    """One step or several.  shown: WHOLE, QUESTION or ANSWER."""

    steps: Sequence[NumberedStep]
    shown: str = WHOLE

    def document(self, view: View) -> dict[str, Any]:
        """Return the texts and the tensors of each step, by the command that computes them."""
        return {**head(), "steps": [_document(one, view) for one in self.steps]}

    def page(self, view: View) -> Page:
        """Return the steps, one below the other."""
        parts: list[PagePart] = []
        for one in self.steps:
            parts += [(), ()] if parts else []
            parts += _parts(one, view, self.shown)
        if len(self.steps) > 1:
            parts += [(), (), line(say("go on", view.lang), "dim")]
        return Page((), (), tuple(parts))

    def records(self, view: View) -> Records:
        """Return one row per number, with columns for the step and its command first."""
        found = [
            (one.number, command, tensor)
            for one in self.steps
            for command, tensors in zip(one.step.commands, one.step.observe(view).outputs, strict=True)
            for tensor in tensors
        ]
        columns = axes_of(tensor for *_, tensor in found)
        rows = (
            (number, command, *row)
            for number, command, tensor in found
            for row in rows_of(tensor, columns, view)
        )
        return ("step", "command", *records_header(columns)), rows

    def tensors(self) -> dict[str, Array]:
        """Return the tensors by step, command (if there are several) and name: `step 4/hidden_states`."""
        found: dict[str, Array] = {}
        for one in self.steps:
            outputs = one.step.observe(View()).outputs
            for place, tensors in enumerate(outputs):
                command = f"command {place}/" if len(outputs) > 1 else ""
                found |= {f"step {one.number}/{command}{tensor.name}": tensor.values for tensor in tensors}
        return found


def _document(one: NumberedStep, view: View) -> dict[str, Any]:
    step, lang = one.step, view.lang
    seen = step.observe(view)
    return {
        "number": one.number,
        "title": step.title.translate(lang),
        "asks": step.asks.translate(lang, seen.facts),
        "expression": step.layer,
        "commands": [
            {"line": command, "outputs": [tensor_document(tensor, lang) for tensor in outputs]}
            for command, outputs in zip(step.commands, seen.outputs, strict=True)
        ],
        "notice": step.notice.translate(lang, seen.facts),
        "question": step.question.translate(lang, seen.facts),
        "answer": step.answer.translate(lang, seen.facts),
    }


def _parts(one: NumberedStep, view: View, shown: str) -> Iterator[PagePart]:
    """Yield the task, the results, what to notice, and the question with its answer."""
    lang, seen = view.lang, one.step.observe(view)
    if shown != ANSWER:
        yield from _draw_question(one, seen, view)
    if shown != QUESTION:
        yield _label("answer", one.step.answer.translate(lang, seen.facts), lang)


def _draw_question(one: NumberedStep, seen: Observation, view: View) -> Iterator[PagePart]:
    step, lang = one.step, view.lang
    place = say("step of", lang).format(number=one.number, last=lesson.last_number())
    yield (Span(f"{place}{marks(view).dot}", "dim"), Span(step.title.translate(lang), "strong"))
    yield ()
    asks = step.asks.translate(lang, seen.facts)
    yield from map(line, asks.splitlines())
    yield ()
    if step.layer and step.layer not in asks:
        yield line(step.layer, "strong")
    for command in step.commands:
        yield Paragraph(command, "dim", breaks="flags")
    yield from seen.parts
    yield ()
    yield _label("notice", step.notice.translate(lang, seen.facts), lang)
    yield _label("question", step.question.translate(lang, seen.facts), lang)


def _label(key: str, text: str, lang: str) -> Line:
    return (Span(f"{say(key, lang)}:", "strong"), Span(f" {text}"))
