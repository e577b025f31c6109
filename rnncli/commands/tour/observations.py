"""What a step shows: the drawn results of its commands, and the numbers that its texts name.

A step that shows more than its commands return names one of OBSERVATIONS, which takes its commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnncli import specs
from rnncli.commands.tour import drawing
from rnncli.commands.tour.lesson import Step, masked_steps, run_line, say
from rnncli.layers.stack import Stack
from rnncli.result import Claim, Label, NamedTensor, Result, select_true
from rnncli.show.page import PagePart, View, bar, line
from rnncli.show.result_answer import format_difference
from rnncli.values import Array

Rows = Sequence[tuple[str, Array, str]]
"""Rows of numbers, each with the texts before and after it."""

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
    return OBSERVATIONS[step.observation](view, *step.localized(view.lang).commands)


def observe_runs(view: View, *commands: str, remarks: Mapping[int, str] = {}) -> Observation:
    """Return the usual observation: the tensors that each command returns, with equal rows marked.

    remarks: by the index of the row.
    """
    results = [run_line(command) for command in commands]
    layers = [specs.describe(result.specs[-1]) if len(results) > 1 else "" for result in results]
    parts = tuple(
        drawing.draw_tensors(result.outputs, view, remarks, Stack(result.specs).forward_units, layer)
        for layer, result in zip(layers, results, strict=True)
    )
    return Observation(parts, tuple(result.outputs for result in results))


def observe_sentence(view: View, command: str) -> Observation:
    """Show one line per word of the sample."""
    from rnncli.commands.tour.command_line import CommandLine

    inputs = CommandLine.parse("rnncli run --seed 7").case().inputs
    word, texts = say("word", view.lang), drawing.format_rows(inputs[0], view._replace(precision=1))
    rows = [(word.format(time + 1), f"t={time}", text) for time, text in enumerate(texts)]
    table = drawing.draw_grid(("", "", f"{say('values', view.lang)} {inputs.shape}"), rows)
    tensor = NamedTensor(Label("input", kind=""), ("batch", "timesteps", "features"), inputs)
    return Observation((table,), ((tensor,),))


def observe_last_row(view: View, command: str) -> Observation:
    """Mark the row that equals what the layer returns without --return-sequences."""
    result = run_line(command)
    alone = run_line(command.replace(" --return-sequences", "")).outputs[0].values[0]
    equal = np.flatnonzero((result.outputs[0].values[0] == alone).all(axis=-1))
    mark = f"<- {say('the output of step 1', view.lang)}"
    return observe_runs(view, command, remarks=dict.fromkeys(equal, mark))


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
    texts = {part.name: [f"{value:.{places}f}" for value in part.values[0, :, 0]] for part in outputs}
    times = [f"t={time} {loop.word(0, time)}".rstrip() for time in loop.times]
    table = drawing.draw_grid(("", *texts), list(zip(times, *texts.values(), strict=True)))
    facts = {name: column[-1] for name, column in texts.items()} | {"before": texts[str(states[0])][-2]}
    return Observation((table,), (outputs,), facts)


def observe_note(view: View, command: str) -> Observation:
    """Show the gates; the facts are of the first press, and of what changes at t=2 and t=3 do."""
    from rnncli import compute
    from rnncli.commands.tour.command_line import CommandLine

    case = CommandLine.parse(command).case()
    result = run_line(command, traced=True)
    parts, run = result.trace[0].parts, command.replace("trace", "run")
    button = case.names.features.index("button")
    pressed = case.inputs.copy()
    pressed[0, 2, button] = 1
    dragged = compute.run(case._replace(inputs=pressed), "numpy")
    held = run_line(f"{run} --hold forget=0@3")
    facts = {
        "kept": f"{parts[Label('forget', kind='activation')][0, 2, 0]:.3f}",
        "bias": f"{result.weights['bias'][0]:.4f}",
        "button": f"{result.weights['kernel'][button, 0]:.4f}",
        "before": f"{result.outputs[0].values[0, 2, 0]:.2f}",
        "dragged": f"{dragged.outputs[0].values[0, 2, 0]:.2f}",
        "held": f"{held.outputs[0].values[0, 3, 0]:.2f}",
    }
    return observe_gates(view, command)._replace(facts=facts)


def observe_review(view: View, command: str) -> Observation:
    """Show the gates; the facts are of the word that turns the verdict, and of holding its gate."""
    result = run_line(command, traced=True)
    (loop,) = result.trace
    update, candidate = (
        loop.parts[Label(name, kind="activation")][0, :, 0] for name in ("update", "candidate")
    )
    turn = next(step for step in range(len(loop.times)) if loop.word(0, step) in ("not", "않다"))
    run = command.replace("trace", "run")
    held = run_line(f"{run} --hold update=1@{turn}").outputs[0].values
    facts = {
        "update": f"{update[turn]:.4f}",
        "candidate": f"{candidate[turn]:.2f}",
        "kept": f"{np.floor(update[turn + 1 :].min(initial=1) * 100) / 100:.2f}",
        "held": f"{held[0, -1, 0]:.2f}",
        "before": f"{result.outputs[0].values[0, turn - 1, 0]:.2f}",
        "turn": str(turn),
    }
    return observe_gates(view, command)._replace(facts=facts)


def observe_bank(view: View, command: str) -> Observation:
    """Show what the layer returns; the facts are both halves at the word `bank` of two other sentences."""
    result = run_line("rnncli run bank")
    first, second = result.outputs[0].values[:, result.names.steps[0].index("bank")]
    facts = {"forward": f"{first[0]:.3f}", "first": f"{first[1]:.2f}", "second": f"{second[1]:.2f}"}
    return observe_runs(view, command)._replace(facts=facts)


def _draw_beside(view: View, headings: Sequence[str], names: Iterable[str], *columns: Rows) -> PagePart:
    texts = iter(drawing.format_rows([row for column in columns for _, row, _ in column], view))
    drawn = [[f"{before}{next(texts)}{after}" for before, _, after in column] for column in columns]
    return drawing.draw_beside(("", *headings), list(zip(names, *drawn, strict=True)))


def _draw_runs(
    view: View, results: Sequence[Result], headings: Sequence[str], remarks: Mapping[int, str] = {}
) -> Observation:
    """Return two runs side by side, equal rows marked.  remarks: on the first run, by row."""
    left, right = (
        [row for tensor in result.outputs for row in np.atleast_2d(tensor.values[0])] for result in results
    )
    first, *states = results[0].outputs
    words = results[0].names
    times = (f"t={time} {words.step(0, time)}".rstrip() for time in range(first.values.shape[1]))
    names = [*times, *(state.name for state in states)]
    marked = [("", row, f"  {remarks.get(index, '')}".rstrip()) for index, row in enumerate(left)]
    same = ("  <-" if (row == other).all() else "" for row, other in zip(right, left, strict=True))
    beside = _draw_beside(
        view, headings, names, marked, [("", *pair) for pair in zip(right, same, strict=True)]
    )
    legend = line(f"<- {say('the same numbers', view.lang)}", "dim")
    return Observation((beside, legend), tuple(result.outputs for result in results))


def observe_reset_after(view: View, *commands: str) -> Observation:
    """Show both kinds of GRU side by side, one line per time step, and the largest difference."""
    results = [run_line(command) for command in commands]
    after, before = (result.outputs[0].values for result in results)
    two, one = (str(result.weights["bias"].shape) for result in results)
    facts = {"difference": f"{np.abs(after - before).max():.2f}", "two": two, "one": one}
    return _draw_runs(view, results, ("reset_after=True", "reset_after=False"))._replace(facts=facts)


def observe_mask(view: View, masked_command: str, command: str) -> Observation:
    """Show the rows with the mask and without it side by side."""
    results = (run_line(masked_command, traced=True), run_line(command))
    headings = (say("with the mask", view.lang), say("without it", view.lang))
    remarks = dict.fromkeys(masked_steps(results[0]), say("masked", view.lang))
    ends = (f"{result.outputs[0].values[0, -1, 0]:.2f}" for result in results)
    facts = dict(zip(("masked", "whole"), ends, strict=True))
    return _draw_runs(view, results, headings, remarks)._replace(facts=facts)


def observe_halves(view: View, *commands: str) -> Observation:
    """Show two calls for the halves of the sentence, stateful and not, and one call for the whole."""
    stateful, whole, fresh = (run_line(command).outputs for command in commands)
    (end,) = whole[0].values

    def column(halves: Array) -> Rows:
        return [("", row, "  <-" if np.allclose(row, end) else "") for row in (*halves, end)]

    names = [say(key, view.lang) for key in ("first half", "second half", "whole sentence")]
    headings = ("GRU(3, stateful=True)", "GRU(3, stateful=False)")
    beside = _draw_beside(view, headings, names, column(stateful[0].values), column(fresh[0].values))
    legend = line(f"<- {say('the same numbers', view.lang)}", "dim")
    return Observation((beside, legend), (stateful, whole, fresh))


def observe_windows(view: View, command: str) -> Observation:
    """Show each window of a series that counts up, the value after it, and what the layer returns for it."""
    from rnncli.commands.tour.command_line import CommandLine

    windows, (output,) = CommandLine.parse(command).case().inputs[..., 0], run_line(command).outputs
    texts, series = drawing.format_rows([*output.values], view), [[f"{x:g}" for x in row] for row in windows]
    nexts = (f"{window[-1] + 1:g}" for window in windows)
    rows = list(zip(map(" ".join, series), nexts, texts, strict=True))
    headings = (*(say(key, view.lang) for key in ("window", "next")), f"{output.name} {output.values.shape}")
    table = drawing.draw_grid(headings, rows, right=False)
    return Observation((table,), ((output,),))


def observe_time_reversal(view: View, *commands: str) -> Observation:
    """Show a go_backwards layer beside the backward half of Bidirectional; mark the backward state."""
    alone, both = map(run_line, commands)
    lone, output, state = alone.outputs[0], both.outputs[0], both.outputs[-1].values[0]
    halves = output.values[0, :, Stack(both.specs).forward_units :]

    def column(rows: Array, times: Iterable[int]) -> Rows:
        marks = ("  <-" if (row == state).all() else "" for row in rows)
        return [(f"t={time}  ", *pair) for time, *pair in zip(times, rows, marks, strict=True)]

    names = [say("row", view.lang).format(row) for row in range(len(halves))]
    headings = ("GRU(go_backwards=True)", f"Bidirectional, {say('backward half', view.lang)}")
    columns = column(lone.values[0], lone.time), column(halves, range(len(halves)))
    legend = line(f"<- {say('backward state', view.lang)}", "dim")
    beside = _draw_beside(view, headings, names, *columns)
    return Observation((beside, legend), (alone.outputs, both.outputs))


def observe_encoder_and_decoder(view: View, encoder_command: str, decoder_command: str) -> Observation:
    """Run the encoder, give its states to the decoder, and trace from where the decoder starts."""
    encoder = run_line(encoder_command)
    states = encoder.outputs[1:]
    decoder = run_line(decoder_command, tuple(state.values for state in states), traced=True)

    def rename(tensor: NamedTensor, layer: str) -> NamedTensor:
        return tensor._replace(label=Label(f"{layer}/{tensor.label}", tensor.label.sequence), equals=())

    given = [rename(state, "encoder") for state in states]
    parts = ((Label(f"decoder/start_{part}"), values) for part, values in decoder.trace[0].start.items())
    starts = [NamedTensor(label, ("batch", "units"), values) for label, values in parts]
    claims = {start.label: (Claim(state.label),) for start, state in zip(starts, given, strict=True)}
    equal = select_true(claims, {tensor.label: tensor.values for tensor in (*given, *starts)})
    starts = [start._replace(equals=equal[start.label]) for start in starts]
    returned = [rename(tensor, "decoder") for tensor in decoder.outputs]
    table = drawing.draw_tensors((*given, *starts, *returned), view)
    return Observation((table,), (encoder.outputs, decoder.outputs))


def measure_norms(line: str) -> Array:
    """Return the norm of d(last hidden state)/d(input at t), for each t, (timesteps,) of float64.

    line: a command with one layer and one sequence, `rnncli run -l lstm --input-shape 1,30,4 --seed 7`.
    """
    from rnncli import compute
    from rnncli.commands.tour.command_line import CommandLine
    from rnncli.compute import chain_rule

    case = CommandLine.parse(line).case()
    drawn, _ = compute.weights_and_seeds(case, case.stack, "numpy")
    weights = {name: values.astype(np.float64) for name, values in drawn.items()}
    wide = case._replace(inputs=case.inputs.astype(np.float64), weights=weights)
    return chain_rule.norms(wide, 0, 0, 0, np.arange(case.stack[0].config["units"])).inputs[""]


def observe_vanishing_gradients(view: View, command: str) -> Observation:
    """Show how strongly the last hidden state of each layer depends on the input, at some time steps."""
    _, against, flags = re.split(r" --against (\S+)", command)
    norms = {LAYERS[word]: measure_norms(f"rnncli run -l {word}{flags}") for word in against.split(",")}
    logs = {name: np.log10(values) for name, values in norms.items()}
    low, high = min(map(min, logs.values())), max(map(max, logs.values()))

    def shown(name: str, time: int) -> str:
        return f"{format_difference(norms[name][time])} {bar(logs[name][time], low, high, view).text}"

    rows = [(f"t={time}", *(shown(name, time) for name in norms)) for time in (0, 6, 12, 18, 24, 28, 29)]
    pairs = ((Label(f"{name}/input"), values) for name, values in norms.items())
    outputs = tuple(NamedTensor(label, ("timesteps",), values) for label, values in pairs)
    facts = {name: format_difference(values[0] / values[-1]) for name, values in norms.items()}
    for word, gate in (("lstm", "forget"), ("gru", "update")):
        (loop,) = run_line(f"rnncli trace -l {word}{flags}", traced=True).trace
        facts[gate] = f"{loop.parts[Label(gate, kind='activation')].mean():.2f}"
    table = drawing.draw_grid(("", *(f"{name} input" for name in norms)), rows)
    return Observation((table,), (outputs,), facts)


OBSERVATIONS: dict[str, Callable[..., Observation]] = {
    "": observe_runs,
    "sentence": observe_sentence,
    "last_row": observe_last_row,
    "note": observe_note,
    "bank": observe_bank,
    "gates": observe_gates,
    "review": observe_review,
    "reset_after": observe_reset_after,
    "mask": observe_mask,
    "halves": observe_halves,
    "windows": observe_windows,
    "time_reversal": observe_time_reversal,
    "encoder_and_decoder": observe_encoder_and_decoder,
    "vanishing_gradients": observe_vanishing_gradients,
}
