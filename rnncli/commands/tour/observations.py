"""What a step shows: the results of its commands, drawn, and the numbers that its texts name.

A step that shows more than its commands return names one of OBSERVATIONS, which takes its commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.commands.tour import drawing
from rnncli.commands.tour.jacobians import measure_norms
from rnncli.commands.tour.lesson import Step, masked_steps, run_line, say
from rnncli.layers.stack import Stack
from rnncli.result import Claim, Label, NamedTensor, Result, select_true
from rnncli.show.page import PagePart, View, bar, line
from rnncli.show.parts import format_difference

LAYERS = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
"""Keras's names."""


class Observation(NamedTuple):
    """The results of the commands of a step.

    parts: what to draw.  outputs: the tensors of each command.  facts: numbers for the texts, by name.
    """

    parts: tuple[PagePart, ...]
    outputs: tuple[tuple[NamedTensor, ...], ...]
    facts: Mapping[str, str] = {}


def observe(step: Step, view: View) -> Observation:
    """Run the commands of a step, and return what it shows of their results."""
    return OBSERVATIONS[step.observation](view, *step.commands)


def observe_runs(view: View, *commands: str) -> Observation:
    """Return the usual observation: the tensors that each command returns, with equal rows marked."""
    return _draw([run_line(command) for command in commands], view)


def _draw(results: Sequence[Result], view: View, remarks: Mapping[int, str] = {}) -> Observation:
    """Return the tensors of each result.  remarks: on single rows."""
    parts = [
        drawing.draw_tensors(result.outputs, view, remarks, Stack(result.specs).forward_units)
        for result in results
    ]
    return Observation(sum(parts, ()), tuple(result.outputs for result in results))


def observe_sentence(view: View, command: str) -> Observation:
    """Show one line per word of the sample."""
    from rnncli.cli.flags import CommandLine

    inputs = CommandLine.parse("rnncli run --seed 7").case().inputs
    word = say("word", view.lang)
    rows = [
        (word.format(time + 1), f"t={time}", text)
        for time, text in enumerate(drawing.format_rows(inputs[0], view._replace(precision=1)))
    ]
    table = drawing.draw_grid(("", "", f"{say('values', view.lang)} {inputs.shape}"), rows)
    tensor = NamedTensor(Label("input", kind=""), ("batch", "timesteps", "features"), inputs)
    return Observation((table,), ((tensor,),))


def observe_last_row(view: View, command: str) -> Observation:
    """Mark the row that equals what the layer returns without --return-sequences."""
    result = run_line(command)
    alone = run_line(command.replace(" --return-sequences", "")).outputs[0].values[0]
    equal = np.flatnonzero((result.outputs[0].values[0] == alone).all(axis=-1))
    mark = f"<- {say('the output of step 1', view.lang)}"
    return _draw([result], view, dict.fromkeys(equal, mark))


def observe_gates(view: View, command: str) -> Observation:
    """Show each gate and state of unit 0, one line per time step.

    The facts are the numbers of the last time step, and `before`, the first state one step earlier.
    """
    loop = run_line(command, traced=True).trace[0]
    shown = [label for label in loop.parts if label.is_shown]
    states = [label for label in shown if not label.kind][::-1]  # the hidden state comes from the cell state
    labels = [label for label in shown if label.kind] + states
    axes = ("batch", "timesteps", "units")
    outputs = tuple(NamedTensor(label.short, axes, loop.parts[label]) for label in labels)
    places = 4 if view.precision is None else view.precision
    texts = {one.name: [f"{value:.{places}f}" for value in one.values[0, :, 0]] for one in outputs}
    times = [f"t={time}" for time in loop.times]
    table = drawing.draw_grid(("", *texts), list(zip(times, *texts.values(), strict=True)))
    facts = {name: column[-1] for name, column in texts.items()} | {"before": texts[str(states[0])][-2]}
    return Observation((table,), (outputs,), facts)


def observe_reset_after(view: View, *commands: str) -> Observation:
    """Show both kinds of GRU side by side, one line per time step, and the largest difference."""
    results = [run_line(command) for command in commands]
    after, before = (result.outputs[0].values[0] for result in results)
    same = f"    <- {say('the same numbers', view.lang)}"
    rows = [
        (f"t={time}", f"{text}  ", f"{other}{same if (after[time] == before[time]).all() else ''}")
        for time, (text, other) in enumerate(
            zip(drawing.format_rows(after, view), drawing.format_rows(before, view), strict=True)
        )
    ]
    facts = {
        "difference": f"{np.abs(after - before).max():.2f}",
        "two": str(results[0].weights["bias"].shape),
        "one": str(results[1].weights["bias"].shape),
    }
    table = drawing.draw_beside(("", "reset_after=True", "reset_after=False"), rows)
    return Observation((table,), tuple(result.outputs for result in results), facts)


def observe_mask(view: View, command: str) -> Observation:
    """Mark the rows of masked steps."""
    result = run_line(command, traced=True)
    return _draw([result], view, dict.fromkeys(masked_steps(result), say("masked", view.lang)))


def observe_time_reversal(view: View, *commands: str) -> Observation:
    """Show a go_backwards layer beside the backward half of Bidirectional; mark the backward state."""
    alone, both = map(run_line, commands)
    lone, output, state = alone.outputs[0], both.outputs[0], both.outputs[-1].values[0]
    numbers = [*lone.values[0], *output.values[0, :, Stack(both.specs).forward_units :]]
    texts = [
        f"{text}{'  <-' if (row == state).all() else '    '}"
        for row, text in zip(numbers, drawing.format_rows(numbers, view), strict=True)
    ]
    rows = [
        (
            say("row", view.lang).format(row),
            f"t={time}  {texts[row]}",
            f"t={row}  {texts[row + len(lone.time)]}",
        )
        for row, time in enumerate(lone.time)
    ]
    headings = ("", "GRU(go_backwards=True)", f"Bidirectional, {say('backward half', view.lang)}")
    legend = line(f"<- {say('backward state', view.lang)}", "dim")
    return Observation((drawing.draw_beside(headings, rows), legend), (alone.outputs, both.outputs))


def observe_encoder_and_decoder(view: View, encoder_command: str, decoder_command: str) -> Observation:
    """Run the encoder, give its states to the decoder, and trace from where the decoder starts."""
    encoder = run_line(encoder_command)
    states = encoder.outputs[1:]
    decoder = run_line(decoder_command, tuple(state.values for state in states), traced=True)

    def rename(tensor: NamedTensor, layer: str) -> NamedTensor:
        return tensor._replace(label=Label(f"{layer}/{tensor.label}", tensor.label.sequence), equals=())

    given = [rename(state, "encoder") for state in states]
    starts = [
        NamedTensor(Label(f"decoder/start_{part}"), ("batch", "units"), values)
        for part, values in decoder.trace[0].start.items()
    ]
    equal = select_true(
        {one.label: (Claim(other.label),) for one, other in zip(starts, given, strict=True)},
        {one.label: one.values for one in (*given, *starts)},
    )
    starts = [one._replace(equals=equal[one.label]) for one in starts]
    rows = [rename(one, "decoder") for one in decoder.outputs]
    parts = drawing.draw_tensors((*given, *starts, *rows), view)
    return Observation(parts, (encoder.outputs, decoder.outputs))


def observe_vanishing_gradients(view: View, command: str) -> Observation:
    """Show how strongly the last hidden state of each layer depends on the input, at some time steps."""
    _, against, flags = re.split(r" --against (\S+)", command)
    norms = {LAYERS[word]: measure_norms(f"rnncli run -l {word}{flags}") for word in against.split(",")}
    logs = {name: np.log10(values) for name, values in norms.items()}
    low, high = min(map(min, logs.values())), max(map(max, logs.values()))
    rows = [
        (
            f"t={time}",
            *(
                f"{format_difference(values[time])} {bar(logs[name][time], low, high, view).text}"
                for name, values in norms.items()
            ),
        )
        for time in (0, 5, 10, 15, 20, 25, 29)
    ]
    outputs = tuple(
        NamedTensor(Label(f"{name}/input"), ("timesteps",), values) for name, values in norms.items()
    )
    facts = {name: format_difference(values[0] / values[-1]) for name, values in norms.items()}
    return Observation((drawing.draw_grid(("", *norms), rows),), (outputs,), facts)


OBSERVATIONS: dict[str, Callable[..., Observation]] = {
    "": observe_runs,
    "sentence": observe_sentence,
    "last_row": observe_last_row,
    "gates": observe_gates,
    "reset_after": observe_reset_after,
    "mask": observe_mask,
    "time_reversal": observe_time_reversal,
    "encoder_and_decoder": observe_encoder_and_decoder,
    "vanishing_gradients": observe_vanishing_gradients,
}
