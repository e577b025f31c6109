"""The lesson as a page: every step in both languages, its layer live, and exercises that are graded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from rnncli.ask import subject_of
from rnncli.commands.report.contents import build_contents
from rnncli.commands.report.page import short_commands, write_page
from rnncli.commands.tour import lesson
from rnncli.commands.tour.answer import QUESTION, WHOLE, step_parts
from rnncli.commands.tour.command_line import CommandLine
from rnncli.commands.tour.exercises import ExerciseAnswer, draw_task
from rnncli.commands.tour.lesson import Exercise, Step, say
from rnncli.errors import RnncliError
from rnncli.show.formats import html
from rnncli.show.page import Page, Span, View

LANGUAGES = ("en", "ko")
SEED = 7
"""Of the exercises: that of the lesson."""


def write_lesson(lang: str, *, answers: bool = True) -> str:
    """Return the page.  lang: the language it opens in.  answers: whether it holds those to its questions."""
    shown = WHOLE if answers else QUESTION
    layers: dict[str, Any] = {}
    exercises: dict[str, Any] = {}
    body = [f"<h1>{_both({each: escape(say('lesson', each)) for each in LANGUAGES})}</h1>"]
    for step in lesson.steps():
        headings, texts = {}, {}
        for each in LANGUAGES:
            view = View(lang=each)
            (heading, *parts) = step_parts(step, view, shown)
            headings[each] = "".join(escape(span.text) for span in heading.text)  # type: ignore[union-attr]
            texts[each] = html.body(Page((), (), tuple(parts)), view)
        topic, name = escape(step.topics[0]), f"live-{step.number}"
        body += [f'<section class="step">\n<h2 id="{topic}">{_both(headings)}</h2>', _both(texts, "div")]
        if (data := _live(step)) is not None:
            layers[name] = data
            body.append(f'<div class="live" id="{name}" data-step="{topic}"></div>')
        body.append("</section>")
    for exercise in lesson.exercises():
        body += _exercise(exercise, exercises)
    return write_page("rnncli", lang, layers, "\n".join(body), exercises)


def _both(texts: Mapping[str, str], tag: str = "span") -> str:
    return "".join(f'<{tag} class="said-{lang}" lang="{lang}">{text}</{tag}>' for lang, text in texts.items())


def _live(step: Step) -> dict[str, Any] | None:
    """Return the data of the layer that the step's first command runs; None if it runs none."""
    asked = CommandLine.parse(step.commands[0])
    ask = asked.values.get("ask")
    if asked.command not in ("run", "trace") or ask is None:
        return None
    ask = ask._replace(stdin=False)
    uses = subject_of(ask).parts().uses
    try:
        contents = build_contents(uses, described=True)
    except RnncliError:  # several calls, which a page does not show
        return None
    return {**contents.data, "commands": short_commands(ask, uses, contents, described=True)}


def _exercise(exercise: Exercise, exercises: dict[str, Any]) -> Iterator[str]:
    """Yield an exercise; its rule and texts are added to `exercises`."""
    headings, tasks, texts = {}, {}, {}
    for lang in LANGUAGES:
        view = View(lang=lang)
        task = ExerciseAnswer(exercise, SEED).task(view)
        filled = lesson.fill(exercise, lang, task.facts)
        heading = (Span(say("exercise", lang).format(exercise.number)), Span(f" · {filled['title']}"))
        headings[lang] = "".join(escape(span.text) for span in heading)
        tasks[lang] = html.body(Page((), (), tuple(draw_task(filled, task))), view)
        texts[lang] = {
            "ask": say("answer here", lang).format(form=exercise.form[lang]),
            "check": say("check", lang),
            "right": say("right", lang),
            "wrong": say("not right", lang),
            "unread": say("unread", lang).format(form=exercise.form[lang]),
            "why": filled["why"],
            "hint": filled["hint"],
        }
    name = f"answer-{exercise.number}"
    exercises[name] = {"rule": task.rule.document(), "texts": texts}
    yield f'<section class="step">\n<h2 id="exercise-{exercise.number}">{_both(headings)}</h2>'
    yield f'{_both(tasks, "div")}\n<div id="{name}"></div>\n</section>'
