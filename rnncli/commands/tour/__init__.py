"""`rnncli tour`: the lesson, page by page in a terminal, or printed; and its exercises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli tour
rnncli tour --step 8
rnncli tour --plain --lang ko
rnncli tour --exercise 1 --seed 3
rnncli tour --exercise 1 --seed 3 --answer 't=0'
"""


def tour(
    output: OutputFlags,
    *,
    step: int | None,
    plain: bool,
    exercise: int | None,
    seed: int | None,
    answer: str | None,
) -> Reply[Any] | None:
    """The lesson: what recurrent layers return, step by step.

    In a terminal, one step at a time: Enter continues, ? shows the answer, b goes back, q quits.
    """
    from rnncli.cli import pager
    from rnncli.cli.output import view_of
    from rnncli.show.answer import Reply

    if exercise is not None and (step is not None or plain):
        raise UsageError(
            "{other} cannot be combined with {--exercise:exercise}.",
            "Leave one out.",
            other="--plain" if step is None else f"--step {step}",
            exercise=exercise,
        )
    for name, value in (("--seed", seed), ("--answer", answer)):
        if value is not None and exercise is None:
            raise UsageError("{name} needs {--exercise}.", "Add {--exercise 1}.", name=name)
    if answer is not None and seed is None:
        raise UsageError(
            "{--answer} needs {--seed}: each seed gives the exercise its own numbers.",
            "Take the seed that rnncli tour --exercise {exercise} printed.",
            exercise=exercise,
        )
    if exercise is not None:
        from rnncli.commands.tour import exercises

        lang = view_of(output, output.format_name).lang
        return Reply(exercises.examine(exercise, seed, answer, lang))
    from rnncli.commands.tour import lesson
    from rnncli.commands.tour.answer import TourAnswer

    steps = lesson.steps()
    if step is not None:
        if not 0 <= step < len(steps):
            raise UsageError(
                "{--step:step}: there is no such step.",
                "The steps are 0 to {last}.",
                step=step,
                last=len(steps) - 1,
            )
        return Reply(TourAnswer((steps[step],)))
    if output.format_name == "table" and not plain and output.is_stdout and pager.is_possible():
        _read(output)
        return None
    return Reply(TourAnswer(steps))


def _read(output: OutputFlags) -> None:
    """Show the steps page by page; each is computed when it is reached."""
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
    keys = ("keys", "keys answered", "keys more", "go on")
    pager.read(len(lesson.steps()), load, pager.Prompts(*(lesson.say(key, lang) for key in keys)))
