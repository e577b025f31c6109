"""`rnncli tour`: the lesson, page by page in a terminal, or printed; and its exercises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, UsageError, nearest

if TYPE_CHECKING:
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
rnncli tour -o lesson.html
"""


def tour(
    output: OutputFlags,
    *,
    topic: str | None,
    list: bool,  # noqa: A002  (the name of its flag)
    step: int | None,
    plain: bool,
    exercise: int | None,
    seed: int | None,
    answer: str | None,
) -> Reply[Any] | None:
    """The lesson: what recurrent layers return, in twenty minutes.

    In a terminal, one step at a time: Space and the arrows turn pages, ? shows the answer, q quits. It
    goes on where you left it.
    """
    from rnncli.cli import pager
    from rnncli.cli.output import view_of
    from rnncli.show.answer import Reply

    ways = {
        topic or "": topic is not None,
        "--list": list,
        f"--step {step}": step is not None,
        "--plain": plain and exercise is not None,
        f"--exercise {exercise}": exercise is not None,
    }
    chosen = [way for way, is_given in ways.items() if is_given]
    if len(chosen) > 1:
        what = Message("{one} cannot be combined with {other}.", one=chosen[0], other=chosen[1])
        raise UsageError(what, "Leave one out.")
    for name, value in (("--seed", seed), ("--answer", answer)):
        if value is not None and exercise is None:
            raise UsageError("{name} needs {--exercise}.", "Add {--exercise 1}.", name=name)
    if answer is not None and seed is None:
        raise UsageError(
            "{--answer} needs {--seed}: each seed gives the exercise its own numbers.",
            "Take the seed that rnncli tour --exercise {exercise} printed.",
            exercise=exercise,
        )
    is_table = output.format_name == "table" and output.is_stdout
    reads_keys = is_table and not plain and pager.is_possible()
    if exercise is not None:
        from rnncli.commands.tour import exercises

        lang = view_of(output, output.format_name).lang
        found = exercises.examine(exercise, seed, answer, lang)
        return _ask(output, found) if reads_keys and answer is None else Reply(found)
    from rnncli.commands.tour import lesson
    from rnncli.commands.tour.answer import TourAnswer, list_steps

    if list:
        return Reply(list_steps())
    if topic is not None or step is not None:
        return Reply(TourAnswer((find_step(str(step) if topic is None else topic),)))
    return _read(output) if reads_keys else Reply(TourAnswer(lesson.steps()))


def find_step(word: str) -> Step:
    """Return the step with this number or on this topic.  Raises UsageError if there is none."""
    from rnncli import handbook
    from rnncli.commands.tour import lesson

    if found := lesson.find(word):
        return found
    if word.lstrip("-").isdecimal():
        last = len(lesson.steps()) - 1
        raise UsageError("there is no step {word}.", "The steps are 0 to {last}.", word=word, last=last)
    near = nearest(word, (one for each in lesson.steps() for one in each.topics))
    advice = "Did you mean {near}?" if near else "rnncli tour --list shows the topics."
    if word in handbook.TOPICS:
        advice = "The handbook has a page: rnncli help {word}"
    raise UsageError("no step is about {word!r}.", advice, word=word, near=near)


def _read(output: OutputFlags) -> Reply[Any] | None:
    """Show the steps page by page, each computed when it is reached; return None."""
    from rnncli.cli import pager
    from rnncli.cli.output import view_of
    from rnncli.commands.tour import lesson
    from rnncli.commands.tour.answer import ANSWER, QUESTION, TourAnswer
    from rnncli.show import formats

    def load(place: int) -> pager.PagerPage:
        view, step = view_of(output, "table", TourAnswer.widest), lesson.steps()[place]
        texts = (formats.render(TourAnswer((step,), shown), "table", view) for shown in (QUESTION, ANSWER))
        return pager.PagerPage(*map(str, texts))

    lang = view_of(output, "table").lang
    keys = ("keys", "keys answered", "keys more", "resumed", "go on")
    pager.read("tour", len(lesson.steps()), load, pager.Prompts(*(lesson.say(key, lang) for key in keys)))
    return None


def _ask(output: OutputFlags, found: ExerciseAnswer) -> Reply[Any] | None:
    """Show the exercise, and take answers until one is right or the line is empty; return None."""
    from dataclasses import replace

    from rnncli.cli import pager, terminal
    from rnncli.cli.output import view_of
    from rnncli.commands.tour import lesson
    from rnncli.show import formats
    from rnncli.show.answer import Reply

    view = view_of(output, "table", found.widest)
    terminal.write(formats.render(replace(found, is_asked=True), "table", view))
    question = lesson.say("your answer", view.lang).format(form=found.exercise.form)
    while typed := pager.ask(question):
        fault = found.fault(typed, view.lang)
        if fault is None:
            return Reply(replace(found, answer=typed))
        said = terminal.wrap(f"{fault.what}\n{fault.advice}", view.width or lesson.WIDEST)
        terminal.write(f"{said}\n\n")
    terminal.write(f"{lesson.say('answer it', view.lang)}\n{found.check}\n")
    return None
