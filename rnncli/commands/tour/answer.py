"""tour: the steps of the lesson, with their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnncli import handbook
from rnncli.commands.tour import lesson
from rnncli.commands.tour.drawing import draw_text
from rnncli.commands.tour.lesson import Step, Texts, say
from rnncli.commands.tour.observations import observe
from rnncli.show.answer import HEAD, Answer, Field, ListAnswer, Records, head
from rnncli.show.page import Code, Fold, Heading, Line, Page, PagePart, Span, View, line, marks
from rnncli.show.result_answer import TENSORS, records_of, tensor_listing
from rnncli.show.wording import typed
from rnncli.values import Array

WHOLE, QUESTION, ANSWER = "whole", "question", "answer"
"""Parts of a step to show: all of it, all but the answer to its question, or that answer alone."""


STEPS = (
    Field(
        "number",
        heading="step",
        show=lambda step, _: "" if step.number is None else str(step.number),
        type=int | None,
    ),
    Field("short", heading="10 min", show=lambda step, _: "*" if step.short else "", csv=False, type=bool),
    Field("topic", lambda step: step.topics[0], heading="topic", style="strong"),
    Field(
        "title",
        lambda step: step.en["title"],
        heading="what it is",
        show=lambda step, view: (step.ko if view.lang == "ko" else step.en)["title"],
    ),
    Field("topics", lambda step: list(step.topics), csv=False, type=list[str]),
)
"""What the list says of a step."""
STEP = {
    "number": int | None,
    "title": str,
    "asks": str,
    "topics": list[str],
    "short": bool,
    "keras": str,
    "commands": [{"line": str, "outputs": [TENSORS]}],
    "notice": str,
    "question": str,
    "answer?": str,
}
DOCUMENTS = (HEAD | {"steps": [STEP]}, HEAD | {"steps": [STEPS]})


@dataclass(frozen=True)
class TourAnswer(Answer):
    """Steps of the lesson.  shown: WHOLE, QUESTION or ANSWER."""

    widest = lesson.WIDEST
    steps: Sequence[Step]
    shown: str = WHOLE

    def document(self, view: View) -> dict[str, Any]:
        """Return the texts and the tensors of each step, by the command that computes them."""
        return {**head(), "steps": [_document(step, view, self.shown) for step in self.steps]}

    def page(self, view: View) -> Page:
        """Return the steps, one below the other."""
        parts: list[PagePart] = []
        title = line(say("lesson", view.lang), "strong") if len(self.steps) > 1 else ()
        for step in self.steps:
            parts += [(), ()] if parts or title else []
            parts += step_parts(step, view, self.shown)
        if len(self.steps) > 1:
            parts += [(), (), line(say("go on", view.lang), "dim")]
        return Page(title, (), tuple(parts))

    def records(self, view: View) -> Records:
        """Return one row per number, with columns for the step and its command first."""
        groups = [
            ((step.number, command), tensors)
            for step in (each.localized(view.lang) for each in self.steps)
            for command, tensors in zip(step.commands, observe(step, view).outputs, strict=True)
        ]
        return records_of(groups, view, "step", "command")

    def tensors(self) -> dict[str, Array]:
        """Return the tensors by step, command (if there are several) and name: `step 4/hidden_states`."""
        arrays: dict[str, Array] = {}
        for step in self.steps:
            outputs = observe(step, View()).outputs
            for number, tensors in enumerate(outputs):
                command = f"command {number}/" if len(outputs) > 1 else ""
                name = step.topics[0] if step.number is None else step.number
                arrays |= {f"step {name}/{command}{tensor.name}": tensor.values for tensor in tensors}
        return arrays


def list_steps() -> ListAnswer:
    """Return the list of the steps, with their topics."""
    return ListAnswer("steps", STEPS, lesson.steps(), ("number", "short", "topic", "title"))


def _document(step: Step, view: View, shown: str) -> dict[str, Any]:
    """Return the step's texts and tensors.  shown: as in TourAnswer."""
    step, seen = step.localized(view.lang), observe(step, view)
    texts = lesson.fill(step, view.lang, seen.facts)
    return {
        "number": step.number,
        "title": texts["title"],
        "asks": texts["asks"],
        "topics": list(step.topics),
        "short": step.short,
        "keras": step.keras,
        "commands": [
            {"line": command, "outputs": tensor_listing(outputs, view).objects()}
            for command, outputs in zip(step.commands, seen.outputs, strict=True)
        ],
        "notice": texts.get("notice", ""),
        "question": texts.get("question", ""),
        **({} if shown == QUESTION else {"answer": texts.get("answer", "")}),
    }


def step_parts(step: Step, view: View, shown: str) -> Iterator[PagePart]:
    """Yield the heading, the task, the results, what to notice, and the question with its answer."""
    lang, seen, script = view.lang, observe(step, view), step.localized(view.lang)
    texts = lesson.fill(step, lang, seen.facts)
    if shown != ANSWER:
        heading = (Span(f"{progress(step, lang)}{marks(view).dot}", "dim"), Span(texts["title"], "strong"))
        yield Heading(heading, step.topics[0])
        yield from [line(say("way", lang), "dim")] if step is lesson.steps()[0] else []
        yield ()
        yield from draw_text(texts["asks"])
        yield ()
        yield Code(script.keras, "python")
        yield from (Code(typed(command, lang), "shell") for command in script.commands)
        yield from seen.parts
        yield ()
        yield from labelled(texts, lang, "notice", "look")
        yield from [Code(typed(step.look, lang), "shell")] if step.look else []
        yield from labelled(texts, lang, "question")
    if "answer" in texts and shown != QUESTION:
        yield Fold(say("answer", lang), texts["answer"])
    if shown != QUESTION if "answer" in texts else shown != ANSWER:
        more = (typed(f"rnncli help {topic}", lang) for topic in step.topics if topic in handbook.TOPICS)
        yield from (line(f"{say('more', lang)}: {command}", "dim") for command in more)


def progress(step: Step, lang: str) -> str:
    """Return which step it is, with a mark if it belongs to the short way."""
    said = say("step of", lang).format(number=step.number, last=lesson.steps()[-1].number)
    said = say("before step 0", lang) if step.number is None else said
    return f"{said} *" if step.short else said


def labelled(texts: Texts, lang: str, *keys: str) -> Iterator[Line]:
    """Yield these texts of a step, if it has them, each with its label."""
    for key in (key for key in keys if key in texts):
        yield (Span(f"{say(key, lang)}:", "strong"), Span(f" {texts[key]}"))
