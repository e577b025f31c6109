"""The lesson as a page: every step in both languages, its layer live, and exercises that are graded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from rnncli import handbook
from rnncli.ask import subject_of
from rnncli.commands.report.contents import build_contents
from rnncli.commands.report.page import short_commands, write_page
from rnncli.commands.tour import lesson
from rnncli.commands.tour.answer import labelled, progress
from rnncli.commands.tour.command_line import CommandLine
from rnncli.commands.tour.drawing import draw_text
from rnncli.commands.tour.exercises import ExerciseAnswer, draw_task
from rnncli.commands.tour.lesson import Exercise, Step, say
from rnncli.commands.tour.observations import observe
from rnncli.errors import RnncliError
from rnncli.show.formats import html
from rnncli.show.page import Code, Page, PagePart, View
from rnncli.show.wording import typed

LANGUAGES = ("en", "ko")
SEED = 7
"""Of the exercises: that of the lesson."""
WORTH_SHARING = 60
"""Fewest characters of a part of the data that stands once for several places."""
REPEATED = ("", "last_row", "gates", "note", "review", "bank")
"""Observations whose tables repeat the live layer: for readers without script, and for paper."""


def write_lesson(lang: str, *, answers: bool = True) -> str:
    """Return the page.  lang: the language it opens in.  answers: whether it holds those to its questions."""
    layers: dict[str, Any] = {}
    exercises: dict[str, Any] = {}
    sections, entries = [], []
    for step in lesson.steps():
        sections.append(_step(step, layers, answers=answers))
        number = "" if step.number is None else step.number
        entries.append((step.topics[0], f"{number}{' *' * step.short}", _titles(step)))
    for exercise in lesson.exercises():
        sections.append(_exercise(exercise, exercises))
        entries.append((f"exercise-{exercise.number}", f"✎ {exercise.number}", _titles(exercise)))
    title = f'<h1 id="lesson">{_both(_words("lesson"))}</h1>\n<p class="deck-way">{_both(_words("way"))}</p>'
    heading = f'<section aria-labelledby="lesson">{title}</section>'
    links = "\n".join(
        f'<li><a href="#{name}"><span class="deck-mark">{mark}</span> {_both(titles)}</a></li>'
        for name, mark, titles in entries
    )
    contents = f'<nav class="deck-contents" aria-label="Contents · 차례"><ol>\n{links}\n</ol></nav>'
    bar = '<header class="deck-bar"></header>'
    body = "\n".join((bar, heading, contents, "<main>", *sections, "</main>"))
    layers, shared = _share(layers)
    return write_page("rnncli", lang, layers, body, {"exercises": exercises, "shared": shared})


def _share(data: Any) -> tuple[Any, list[Any]]:
    """Return the data with `{"shared": index}` for what stands in it several times, and these parts."""
    times: Counter[str] = Counter()
    shared: dict[str, Any] = {}

    def count(part: Any) -> None:
        if isinstance(part, (dict, list)):
            times[repr(part)] += 1
            for inner in part.values() if isinstance(part, dict) else part:
                count(inner)

    def replace(part: Any, *, is_new: bool = False) -> Any:
        if not isinstance(part, (dict, list)):
            return part
        name = repr(part)
        if times[name] > 1 and len(name) > WORTH_SHARING and not is_new:
            if name not in shared:
                shared[name] = None  # its index comes before those of its own parts
                shared[name] = replace(part, is_new=True)
            return {"shared": list(shared).index(name)}
        if isinstance(part, list):
            return list(map(replace, part))
        return {key: replace(inner) for key, inner in part.items()}

    count(data)
    return replace(data), list(shared.values())


def _both(texts: Mapping[str, str], tag: str = "span") -> str:
    return "".join(f'<{tag} class="said-{lang}" lang="{lang}">{text}</{tag}>' for lang, text in texts.items())


def _words(key: str) -> dict[str, str]:
    return {lang: escape(say(key, lang)) for lang in LANGUAGES}


def _titles(told: Step | Exercise) -> dict[str, str]:
    return {"en": escape(told.en["title"]), "ko": escape(told.ko["title"])}


def _step(step: Step, layers: dict[str, Any], *, answers: bool) -> str:
    """Return a step; the data of its live layers is added to `layers`."""
    topic, live = step.topics[0], ""
    for lang in LANGUAGES if step.commands_ko else ("",):
        if data := next(filter(None, map(_live, step.localized(lang).commands)), None):
            name = f"{topic}-ko" if lang == "ko" else topic
            layers[f"live-{name}"] = data
            live += _root(name, lang)
    texts = {lang: "".join(_told(step, lang, is_live=bool(live), answers=answers)) for lang in LANGUAGES}
    if step.look:
        name = step.look.split()[-1]
        layers[f"live-{name}"] = _live(step.look)
        looks = {
            lang: escape(lesson.fill(step, lang, observe(step, View()).facts)["look"]) for lang in LANGUAGES
        }
        label = f"<summary>{_both(_words('look'))}: {name}</summary>"
        live += f'\n<details class="look">{label}{_both(looks, "p")}{_root(name)}</details>'
    said = {lang: escape(progress(step, lang)) for lang in LANGUAGES}
    return _section(topic, said, _titles(step), _both(texts, "div"), live)


def _root(name: str, lang: str = "") -> str:
    """Return the element that a live layer is drawn in.  lang: the language in which alone it is shown."""
    shown = f' data-lang="{lang}"' if lang else ""
    return f'\n<div class="live" id="live-{name}" data-step="{escape(name)}"{shown}></div>'


def _section(name: str, above: Mapping[str, str], titles: Mapping[str, str], told: str, rest: str) -> str:
    heading = f'<p class="deck-above">{_both(above)}</p>\n<h2 id="{name}">{_both(titles)}</h2>'
    return f'<section class="step">\n<div class="told">\n{heading}\n{told}\n</div>{rest}\n</section>'


def _told(step: Step, lang: str, *, is_live: bool, answers: bool) -> Iterator[str]:
    """Yield what a step says in one language, its answer and the pages of the handbook folded."""
    view = View(lang=lang)
    seen = observe(step, view)
    texts = lesson.fill(step, lang, seen.facts)

    def drawn(parts: Iterable[PagePart]) -> str:
        return html.body(Page((), (), tuple(parts)), view)

    script = step.localized(lang)
    yield drawn((*draw_text(texts["asks"]), Code(script.keras, "python")))
    repeated = " repeated" if is_live and step.observation in REPEATED else ""
    commands = (Code(typed(command.replace("\\\n", ""), lang), "shell") for command in script.commands)
    yield f'<div class="results{repeated}">{drawn(seen.parts)}'
    yield f"{_fold('commands', say('in a terminal', lang), drawn(commands))}</div>"
    yield drawn(labelled(texts, lang, "notice", *(["try"] if is_live else []), "question"))
    if answers and "answer" in texts:
        yield _fold("answer", say("answer", lang), f"<p>{escape(texts['answer'])}</p>")
    for topic in step.topics:
        if topic in handbook.TOPICS:
            page = handbook.as_html(topic, lang)
            yield _fold("handbook", f"{topic}: {handbook.title(topic, lang)}", page)


def _fold(kind: str, label: str, text: str) -> str:
    return f'<details class="{kind}"><summary>{escape(label)}</summary>{text}</details>'


def _live(command: str) -> dict[str, Any] | None:
    """Return the data of the layer that a command runs; None if it runs none."""
    asked = CommandLine.parse(command)
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


def _exercise(exercise: Exercise, exercises: dict[str, Any]) -> str:
    """Return an exercise, with a link to its step; its rule and texts are added to `exercises`."""
    tasks, texts = {}, {}
    for lang in LANGUAGES:
        view = View(lang=lang)
        task = ExerciseAnswer(exercise, SEED).task(view)
        filled = lesson.fill(exercise, lang, task.facts)
        about = lesson.find(exercise.topic(task.facts))
        assert about is not None
        link = f'<a href="#{about.topics[0]}">{progress(about, lang)}: {_titles(about)[lang]}</a>'
        tasks[lang] = html.body(Page((), (), tuple(draw_task(filled, task))), view)
        tasks[lang] += f'<p class="deck-about">{escape(say("about", lang))}: {link}</p>'
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
    above = {lang: escape(say("exercise", lang).format(exercise.number)) for lang in LANGUAGES}
    checks = {
        lang: escape(ExerciseAnswer(exercise, SEED).check(lang)) for lang in LANGUAGES
    }  # without script
    told = f'{_both(tasks, "div")}\n<div id="{name}">{_both(checks, "pre")}</div>'
    return _section(f"exercise-{exercise.number}", above, _titles(exercise), told, "")
