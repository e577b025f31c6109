"""`rnncli tour`: the lesson, page by page in a terminal, or printed; and its exercises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnncli.commands.tour.exercises import ExerciseAnswer
    from rnncli.commands.tour.lesson import Step
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli tour
rnncli tour masks
rnncli tour --list
rnncli tour --exercise 1
rnncli tour --exercise 1 --seed 3 --answer 't=0'
rnncli tour --exercise all --seed 3 -o sheet.html
rnncli tour --exercise 1,4,5 --seed 3
rnncli tour --exercise all --seed 3 --key
rnncli tour -o lesson.html
rnncli tour -o lesson.ipynb
"""
OWN_FILES = True


def tour(
    output: OutputFlags,
    *,
    topic: str | None,
    list: bool,  # noqa: A002  (the name of its flag)
    step: int | None,
    plain: bool,
    no_answer: bool,
    exercise: str | None,
    seed: int | None,
    answer: str | None,
    key: bool,
) -> Reply[Any] | None:
    """The lesson: what recurrent layers return, in twenty minutes.

    In a terminal, one step at a time: Space and the arrows turn pages, ? shows the answer, q quits. It
    goes on where you left it.
    """
    from rnncli.cli import files, pager
    from rnncli.show.answer import Reply

    shows = {
        topic or "": topic is not None,
        "--list": list,
        f"--step {step}": step is not None,
        "--plain": plain and exercise is not None,
        f"--exercise {exercise}": exercise is not None,
    }
    of_exercise = {"--answer": answer is not None, "--key": key}
    for exclusive in (shows, {"--no-answer": no_answer, **of_exercise, "--list": list}):
        given = [flag for flag, is_given in exclusive.items() if is_given]
        if len(given) > 1:
            what = Message("{one} cannot be combined with {other}.", one=given[0], other=given[1])
            raise UsageError(what, "Leave one out.")
    _require_exercise({"--seed": seed is not None, **of_exercise}, exercise)
    written = files.how_to_open(output.output)
    whole = topic is None and step is None and exercise is None and not list
    if whole and (file := _write_file(output, answers=not no_answer)):
        return Reply(file.encode(), written=written)
    asks = output.format_name == "table" and output.is_stdout and not plain and pager.is_possible()
    if exercise is not None:
        flags = {"key": key, "checks": not no_answer, "asks": asks}
        reply = _answer_exercises(output, exercise, seed, answer, **flags)
        return reply and reply._replace(written=written)
    from rnncli.commands.tour import lesson
    from rnncli.commands.tour.answer import QUESTION, WHOLE, TourAnswer, list_steps

    if list:
        return Reply(list_steps(), written=written)
    shown = QUESTION if no_answer else WHOLE
    if topic is not None or step is not None:
        told = find_step(str(step) if topic is None else topic)
        return Reply(TourAnswer((told,), shown), written=written)
    if asks:
        _read(output, no_answer)
        return None
    return Reply(TourAnswer(lesson.steps(), shown), written=written)


def _write_file(output: OutputFlags, *, answers: bool) -> str:
    """Return the lesson as a notebook or as a page; "" for another format."""
    from rnncli.cli import terminal

    lang = output.lang or terminal.LANGUAGE.get()
    if (output.output or "").casefold().endswith(".ipynb"):
        from rnncli.commands.tour.notebook import write_notebook

        return write_notebook(lang, answers=answers)
    if output.format_name == "html":
        from rnncli.commands.tour.lesson_page import write_lesson

        return write_lesson(lang, answers=answers)
    return ""


def _require_exercise(given: Mapping[str, bool], exercise: str | None) -> None:
    for name in (name for name, is_given in given.items() if is_given):
        if exercise is None:
            raise UsageError("{name} needs {--exercise}.", "Add {--exercise 1}.", name=name)
        if not given["--seed"]:
            what = "{name} needs {--seed}: each seed gives the exercise its own numbers."
            advice = "Take the seed that rnncli tour --exercise {exercise} printed."
            raise UsageError(what, advice, name=name, exercise=exercise)


def _answer_exercises(
    output: OutputFlags,
    word: str,
    seed: int | None,
    answer: str | None,
    *,
    key: bool,
    checks: bool,
    asks: bool,
) -> Reply[Any] | None:
    """Return an exercise, a sheet, its key, or the verdict on an answer.  word: `3`, `1,4,5` or `all`."""
    from rnncli.cli.output import view_of
    from rnncli.commands.tour import exercises, sheet
    from rnncli.show.answer import Reply

    chosen = exercises.choose(word)
    if answer is not None:
        if len(chosen) > 1:
            raise UsageError("{--answer} checks one exercise.", "Say which: {--exercise 1}.")
        lang = view_of(output, output.format_name).lang
        answered = exercises.ExerciseAnswer(chosen[0], seed or 0, answer)
        if fault := answered.fault(answer, lang):
            raise fault
        return Reply(answered)
    if seed is None:
        from rnncli.initializers import draw_seed

        seed = draw_seed()
    posed = [exercises.ExerciseAnswer(exercise, seed, checks=checks) for exercise in chosen]
    if key:
        return Reply(sheet.KeyAnswer(posed))
    if word == "all" or len(posed) > 1:
        return Reply(sheet.SheetAnswer(posed, checks))
    return _ask(output, posed[0]) if asks and checks else Reply(posed[0])


def find_step(word: str) -> Step:
    """Return the step with this number or on this topic.  Raises UsageError if there is no such step."""
    from rnncli import handbook
    from rnncli.commands.tour import lesson

    if step := lesson.find(word):
        return step
    if word.lstrip("-").isdecimal():
        last = lesson.steps()[-1].number
        raise UsageError("there is no step {word}.", "The steps are 0 to {last}.", word=word, last=last)
    near = nearest(word, (topic for step in lesson.steps() for topic in step.topics))
    advice = "Did you mean {near}?" if near else "rnncli tour --list shows the topics."
    if word in handbook.TOPICS:
        advice = "The handbook has a page: rnncli help {word}"
    raise UsageError("no step is about {word!r}.", advice, word=word, near=near)


def _read(output: OutputFlags, no_answer: bool) -> None:
    from rnncli.cli import pager
    from rnncli.cli.output import view_of
    from rnncli.commands.tour import lesson
    from rnncli.commands.tour.answer import ANSWER, QUESTION, TourAnswer
    from rnncli.show import formats

    def load(number: int) -> pager.PagerPage:
        view, step = view_of(output, "table", TourAnswer.widest), lesson.steps()[number]
        answers = (TourAnswer((step,), shown) for shown in (QUESTION, ANSWER)[: 1 if no_answer else 2])
        return pager.PagerPage(*(str(formats.render(answer, "table", view)) for answer in answers))

    lang = view_of(output, "table").lang
    keys = ("keys answered" if no_answer else "keys", "keys answered", "keys more", "resumed", "go on")
    pager.read("tour", len(lesson.steps()), load, pager.Prompts(*(lesson.say(key, lang) for key in keys)))


def _ask(output: OutputFlags, posed: ExerciseAnswer) -> Reply[Any] | None:
    """Show the exercise, and take answers until one is right or the line is empty; return None."""
    from dataclasses import replace

    from rnncli.cli import pager, terminal
    from rnncli.cli.output import view_of
    from rnncli.commands.tour import lesson
    from rnncli.show import formats
    from rnncli.show.answer import Reply

    view = view_of(output, "table", posed.widest)
    terminal.write(formats.render(replace(posed, checks=False), "table", view))
    question = lesson.say("your answer", view.lang).format(form=posed.exercise.form[view.lang])
    while typed := pager.ask(question):
        fault = posed.fault(typed, view.lang)
        if fault is None:
            return Reply(replace(posed, answer=typed))
        texts = (terminal.localize(text, view.lang) for text in (fault, fault.advice))
        said = terminal.wrap("\n".join(texts), view.width or lesson.WIDEST)
        terminal.write(f"{said}\n\n")
    terminal.write(f"{lesson.say('answer it', view.lang)}\n{posed.check(view.lang)}\n")
    return None
