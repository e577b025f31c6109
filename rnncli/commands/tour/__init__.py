"""`rnncli tour`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rnncli.cli.flags import OutputFlags

SECTION = "Look around"
SUMMARY = "A lesson: what a recurrent layer returns, step by step."
EXAMPLES = """\
rnncli tour
rnncli tour --step 8 --lang ko
rnncli tour --exercise 1 --seed 3
rnncli tour --exercise 1 --seed 3 --answer 't=0'
"""


def tour(output: OutputFlags, step: Annotated[int | None, typer.Option("--step", metavar="N")] = None) -> None:
    """A lesson."""
    from rnncli.cli.output import delivery
    from rnncli.commands.tour import lesson
    from rnncli.commands.tour.answer import TourAnswer

    deliver = delivery(output)
    deliver(TourAnswer(lesson.all_steps() if step is None else (lesson.step(step),)))
