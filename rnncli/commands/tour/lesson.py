"""What a step of the lesson is: its texts in English and Korean, its commands and their results.

A step is a file in `steps/` with a constant STEP; its name begins with its number.  Every number that
a step shows is computed when it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from rnncli.case import Array
from rnncli.commands.tour import numbering
from rnncli.errors import UsageError
from rnncli.renderers.page import PagePart, View
from rnncli.renderers.wording import Bilingual
from rnncli.result import Label, NamedTensor, Result

FOLDER = "steps"


class Text(Bilingual):
    """A text in both languages; `{name}` stands for a number that is computed."""

    def translate(self, lang: str, facts: Mapping[str, str] | None = None) -> str:
        """Return the text in `lang`, with the numbers filled in."""
        text = self.in_language(lang)
        return text.format_map(facts) if facts is not None else text


ROW = Text("row {}", "{}행")


class Observation(NamedTuple):
    """The results of the commands of a step.

    parts: what to draw.  outputs: the tensors of each command.  facts: numbers for the texts, by name.
    """

    parts: tuple[PagePart, ...]
    outputs: tuple[tuple[NamedTensor, ...], ...]
    facts: Mapping[str, str] = {}


Observe = Callable[[View], Observation]


class Step(NamedTuple):
    """One step.

    asks: what the step is about, with new words explained.  commands: as typed in a shell.
    layer: the expression that a Keras script would contain; "" if there is none.
    notice: what to see in the numbers.  question: to the reader, with its answer.
    observation: what to show; by default the tensors that each command returns.
    """

    title: Text
    asks: Text
    layer: str
    commands: tuple[str, ...]
    notice: Text
    question: Text
    answer: Text
    observation: Observe | None = None

    def observe(self, view: View) -> Observation:
        """Run the commands, and return what the step shows of their results."""
        return (self.observation or observe_runs(*self.commands))(view)


class NumberedStep(NamedTuple):
    """A step with its place in the lesson."""

    number: int
    step: Step


def last_number() -> int:
    """Return the number of the last step; the first is 0."""
    return max(numbering.list_stems(FOLDER))


def load_step(number: int) -> NumberedStep:
    """Return one step.  Raises UsageError if there is none with this number."""
    if number not in numbering.list_stems(FOLDER):
        raise UsageError(
            "{--step:number}: there is no such step.",
            "The steps are 0 to {number_2}.",
            number=number,
            number_2=last_number(),
        )
    return NumberedStep(number, numbering.load(FOLDER, number).STEP)


def load_steps() -> tuple[NumberedStep, ...]:
    """Return every step, in order."""
    return tuple(map(load_step, numbering.list_stems(FOLDER)))


def run_line(line: str, initial_state: tuple[Array, ...] | None = None, *, traced: bool = False) -> Result:
    """Compute what the command `line` computes, without TensorFlow.

    initial_state: replaces the file that the line names.  traced: also record every gate and state.
    """
    from rnncli import compute
    from rnncli.cli.command_line import CommandLine
    from rnncli.compute import trace

    case = CommandLine.parse(line).case(initial_state)
    return trace.trace(case) if traced else compute.run(case, "numpy")


FindRemarks = Callable[[Result, View], Mapping[str, str]]


def observe_runs(*lines: str, remarks: FindRemarks = lambda *_: {}) -> Observe:
    """Return the usual observation: the tensors that each command returns, with equal rows marked.

    remarks: returns remarks on single rows of a result by their address, `hidden_states[2]`.
    """

    def observe(view: View) -> Observation:
        from rnncli.commands.tour import drawing

        results = [run_line(line) for line in lines]
        parts = tuple(
            part for result in results for part in drawing.draw_tensors(result, view, remarks(result, view))
        )
        return Observation(parts, tuple(result.outputs for result in results))

    return observe


def observe_trace(line: str, gates: tuple[str, ...], states: tuple[str, ...]) -> Observe:
    """Return the observation of a trace: each gate and state of unit 0, one line per time step.

    The facts are the numbers of the last time step, and `before`, those of the first state one step earlier.
    """

    def observe(view: View) -> Observation:
        from rnncli.commands.tour import drawing

        loop = run_line(line, traced=True).trace[0]
        labels = [
            *(Label(gate, kind="activation") for gate in gates),
            *(Label(one, kind="") for one in states),
        ]
        parts = {str(label.short): loop.parts[label] for label in labels}
        places = 4 if view.precision is None else view.precision
        texts = {name: [f"{value:.{places}f}" for value in values[0, :, 0]] for name, values in parts.items()}
        rows = [
            (f"t={time}", *row)
            for time, row in zip(loop.times, zip(*texts.values(), strict=True), strict=True)
        ]
        facts = {name: column[-1] for name, column in texts.items()} | {"before": texts[states[0]][-2]}
        outputs = tuple(
            NamedTensor(label.short, ("batch", "timesteps", "units"), loop.parts[label]) for label in labels
        )
        return Observation((drawing.draw_grid(("", *parts), rows),), (outputs,), facts)

    return observe
