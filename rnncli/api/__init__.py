"""The commands as Python functions; they share all processing with the command line.

Each function takes `inputs` (numbers, the path of a file or the name of a built-in sample; default: the
sample `sentence`), `layer` (a name, an expression, a Keras config, or a list of these for a stack), and
the command line's flags as keywords.  Raises rnncli.errors.RnncliError, whose message says what is wrong
and what to do.

Every engine computes in the caller's process: a crash of TensorFlow, PyTorch or ONNX Runtime ends it.  The
command line runs them in a process of their own and reports the crash as an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack

from rnncli.api._keywords import (
    ask_of,
    complete_tolerances,
    expand_options,
    join_names,
    passed,
    read_expectation,
    require_kinds,
    several,
    view_of,
)
from rnncli.api._results import ExportedFile, LivePage, Picture, Report
from rnncli.api._results import RunResult as Result
from rnncli.api._values import Options, pass_layers, pass_live, pass_value, split_model
from rnncli.ask import INPUT_OPTIONS
from rnncli.ask.live_object import find_framework
from rnncli.commands.checks import ResultChecks, require_purpose
from rnncli.compute.compare import Tolerance
from rnncli.errors import Flag, UsageError
from rnncli.options import entries, first_given
from rnncli.show.formats import OutputFlags
from rnncli.values import ATOL, RTOL

__all__ = [
    "ExportedFile",
    "LivePage",
    "Picture",
    "Report",
    "Result",
    "compare",
    "explain",
    "export",
    "gradients",
    "matrix",
    "plot",
    "port",
    "report",
    "run",
    "shape",
    "tour",
    "trace",
    "weights",
    "why",
]


@expand_options
def run(
    inputs: Any = None,
    layer: Any = None,
    *,
    all_layers: bool = False,
    all_calls: bool = False,
    select: str | Sequence[str] | None = None,
    check: bool = False,
    expect: Any = None,
    atol: Tolerance | None = None,
    rtol: Tolerance | None = None,
    stats: bool = False,
    fail_on_nan: bool = False,
    memory: int | str | None = None,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Result:
    """Compute what a layer returns; the result has arrays by name, in Keras's order.

    inputs: shape (batch, timesteps, features); the batch axis may be omitted for one sequence.  A dictionary
        with `inputs` is a case document.
    all_calls: with calls=N, return every call, `r["call 1/hidden_state"]`.  stats: compute `r.stats`.
    select: name or names of the tensors to return.  Raises UsageError if there is no such tensor.
    check: also run TensorFlow.  Raises DisagreementError beyond atol (default 1e-6) and rtol (1e-5).
    expect: arrays by name, or their file, to compare with.  atol, rtol: also by name, `{"hidden_state": 1}`.
    fail_on_nan: Raises DisagreementError for NaN.  memory: limit for one chunk, in bytes or as "256MB".
    hold: gates to hold at a value, "forget[:, 1]=1@2:"; `r.differences` compares with the run without them.
    """
    from rnncli.commands import run
    from rnncli.process import memory as sizes

    checks = _checks(atol, rtol, expect, hold, check=check, fail_on_nan=fail_on_nan)
    ask = ask_of(inputs, layer, options, hold=hold, all_layers=all_layers, all_calls=all_calls)
    budget = sizes.parse(memory) if isinstance(memory, str) else memory
    answer, remarks = passed(run.compute_answer(ask, checks, several(select), budget, stats=stats))
    figures = {str(label): numbers for label, numbers in answer.stats.items()}
    return Result.of(answer.result, stats=figures, remarks=remarks, view=view_of(options))


@expand_options
def shape(
    inputs: Any = None,
    layer: Any = None,
    *,
    all_layers: bool = False,
    explain: bool = False,
    **options: Unpack[Options],
) -> Report:
    """Return tensors, shapes and `.parameters` without computing any numbers; of a model, every layer.

    input_shape: a size may be None or a name, `("batch", None, 8)`.
    explain: show the formula behind each number of parameters.
    """
    from rnncli.commands import shape
    from rnncli.commands.shape import ShapeAnswer

    ask = ask_of(inputs, layer, options, all_layers=all_layers)
    answer, remarks = passed(shape.shape(ask, explain=explain))
    if isinstance(answer, ShapeAnswer):
        return Report("shape", answer.report.specs, answer.report, answer, remarks, view_of(options))
    return Report("shape", (), answer.summary, answer, remarks, view_of(options))


@expand_options
def matrix(inputs: Any = None, layer: Any = None, **options: Unpack[Options]) -> Report:
    """Run all four combinations of return_sequences and return_state: `found.results[True, False]`."""
    from rnncli.commands import matrix

    answer, remarks = passed(matrix.matrix(ask_of(inputs, layer, options)))
    specs = answer.matrix.results[False, False].specs
    return Report("matrix", specs, answer.matrix, answer, remarks, view_of(options))


@expand_options
def trace(
    inputs: Any = None,
    layer: Any = None,
    *,
    step: int | Sequence[int] | None = None,
    unit: int | Sequence[int] | None = None,
    batch: int | Sequence[int] | None = None,
    gate: str | Sequence[str] | None = None,
    state: str | None = None,
    head: str | None = None,
    check: bool = False,
    expect: Any = None,
    atol: Tolerance | None = None,
    rtol: Tolerance | None = None,
    stats: bool = False,
    fail_on_nan: bool = False,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Return every gate and state at every time step: `t["forget"]`, (batch, steps, units).

    An LSTM has a gate `output`: `t["output/activation"]`.  What the layer returns is `t["output/layer"]`.

    step, unit, batch, gate: keep only these indices, or the gates of these names.
    state, head: of a cell with matrices, the numbers of one state or line, and of one head, "2" or "1,0".
    check, expect, atol, rtol, fail_on_nan, hold: same as for `run`.
    stats: add statistics to the printed answer, with saturated and dead units.
    """
    from rnncli.commands import trace
    from rnncli.compute.trace import TraceSelection

    checks = _checks(atol, rtol, expect, hold, check=check, fail_on_nan=fail_on_nan)
    ask = ask_of(inputs, layer, options, hold=hold)
    if checks.expected is not None:
        checks.expected.require_names("Give arrays by name, such as another trace's tensors().")
    steps = None if step is None else [str(index) for index in several(step)]
    selection = TraceSelection(steps, several(unit), several(batch), several(gate))
    reply = trace.compute_answer(ask, checks, selection, stats=stats, state=state, head=head)
    answer, remarks = passed(reply)
    return Report("trace", answer.result.specs, answer.loops, answer, remarks, view_of(options))


@expand_options
def explain(
    tensor: str,
    inputs: Any = None,
    layer: Any = None,
    *,
    depth: int = 1,
    terms: int | None = 10,
    symbols: bool = False,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Explain how one number is computed, `explain("last_cell_state[0,1]")`; `found.value` is the number.

    terms: number of largest terms of a sum to list; None lists all.
    depth: number of time steps to explain; 1 does not follow the states back.  hold: same as for `run`.
    symbols: also write the equations of the cell in symbols.
    """
    from rnncli.commands import explain

    if not isinstance(tensor, str):
        raise UsageError("explain needs the name of a number first.", "For example 'hidden_state[0,2]'.")
    most = None if options.get("full") else terms
    ask = ask_of(inputs, layer, options, hold=hold)
    answer, remarks = passed(explain.compute_answer(ask, tensor, depth, most, symbols=symbols))
    return Report("explain", answer.result.specs, answer.explanation, answer, remarks, view_of(options))


@expand_options
def gradients(
    inputs: Any = None,
    layer: Any = None,
    *,
    of: str | None = None,
    against: Sequence[Any] = (),
    whole: bool = False,
    batch: int | None = None,
    **options: Unpack[Options],
) -> Report:
    """Compute how far back the output depends on the input: gradient norms per time step.

    `found` has one item per layer.
    of: numbers of the output, "hidden_state[0,2]", or a weight, "kernel".
    against: other layers to compare with, also several in a text, "lstm,gru"; only names take the options.
    whole: from the last output to the input, through every layer; of a live model by its framework's tape.
    batch: with whole, the sequence; default 0.
    """
    from rnncli.commands import gradients

    ask = ask_of(inputs, layer, options)
    answer, remarks = passed(
        gradients.gradients(ask, of=of, against=pass_layers(against), whole=whole, batch=batch)
    )
    specs = (answer.model or answer.gradients[0].header).specs
    return Report("gradients", specs, answer.gradients, answer, remarks, view_of(options))


@expand_options
def compare(
    inputs: Any = None,
    layer: Any = None,
    other: Any = None,
    *,
    mapping: Mapping[str, str] | None = None,
    alone: bool = False,
    try_lengths: Sequence[int] | str | None = None,
    engines: Sequence[str] | str | None = None,
    expect: Any = None,
    split: int | None = None,
    select: Sequence[str] | str | None = None,
    atol: Tolerance | None = None,
    rtol: Tolerance | None = None,
    all_layers: bool = False,
    all_calls: bool = False,
    **options: Unpack[Options],
) -> Report:
    """Compare engines; or two models; or a result with stored arrays; or one call with consecutive pieces.

    The result is falsy if a tensor differs, `r.agrees`.  `found` has one item per tensor and pair.
    other: what to compare the layer, or the model in its place, with: `compare(x, "a.keras", "b.onnx")`;
        or a function, or its name, "kernel.py:chunked"; it gets `try_lengths` time steps of a cell's input.
    alone: compare each sequence with the same sequence in its batch.
    mapping: layers of `layer` by the layers of `other`, where order and shapes do not tell the pairs; with
        `expect` its tensors, each with the tensor that it is compared with.
    engines: their names; default: all that can compute the layer.
    expect: arrays by name, one array, or the path of a file that holds them.
    split: time steps of each piece, which starts from the last state before.  atol, rtol: as for `run`.
    """
    from rnncli.commands.compare import compute_answer, function

    limits = complete_tolerances(atol, rtol)
    model, layer = split_model(layer) if other is not None else (None, layer)
    passed = options if model is None else {**options, "model": model}
    ask = ask_of(inputs, layer, passed, all_layers=all_layers, all_calls=all_calls)
    second: dict[str, Any] | None = None if other is None else {"model": other}
    if other is not None and not function.is_function(other):
        model, layer = split_model(other)
        layer, live = pass_live(layer, {})
        second = {"model": live or model, "layer": pass_layers(layer)}
        if live is not None:
            second |= {name: getattr(ask, name) for name in (*INPUT_OPTIONS, "training")}
    reply = compute_answer(
        ask,
        limits,
        engines=join_names(engines),
        other=second,
        mapping=mapping or {},
        expected=read_expectation(expect),
        split=split,
        alone=alone,
        try_lengths=try_lengths,
        select=several(select),
    )
    if second is not None and reply.failure is not None and not alone:
        reply = reply._replace(remarks=(*reply.remarks, reply.failure.advice))
    answer, specs = reply.answer, reply.answer.header.specs
    return Report("compare", specs, answer.differences, answer, tuple(reply.remarks), view_of(options))


@expand_options
def plot(
    inputs: Any = None,
    layer: Any = None,
    *,
    diagram: bool = False,
    unit: int | None = None,
    what: Literal["trace", "result"] | None = None,
    gate: str | Sequence[str] | None = None,
    state: str | None = None,
    head: str | None = None,
    batch: int = 0,
    steps: str | int | None = None,
    size: str | tuple[float, float] | None = None,
    style: Literal["light", "dark", "grey"] | None = None,
    theme: Literal["light", "dark"] | None = None,
    scale: Literal["fixed", "auto"] = "fixed",
    all_layers: bool = False,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Picture:
    """Draw every gate and state as heat maps: a picture in a notebook, `.save("gates.svg")` in a file.

    diagram: draw the cell from its equations instead; with an input or `steps`, with the numbers of a step.
    unit: of a diagram, the unit whose numbers stand beside the operators.
    what: a trace, the default if there is one, or the result.  gate: draw only these gates and states.
    state, head: of a cell with matrices, draw only this state or line, and this head, "2" or "1,0".
    batch: which sequence.  steps: time steps, "2:5" or 2.  size: in inches, (7, 4), or "1600x900px".
    scale: colors for 0 to 1 and -1 to 1, or for the range of the values ("auto").  hold: same as for `run`.
    """
    from rnncli.commands import plot
    from rnncli.commands.plot import fonts

    if isinstance(size, (tuple, list)):
        size = "x".join(map(str, size))
    flags = plot.PlotFlags(
        diagram=diagram,
        unit=unit,
        what=what,
        gate=several(gate),
        state=state,
        head=head,
        batch=batch,
        steps=None if steps is None else str(steps),
        size=None if size is None else str(size),
        style=style,
        theme=theme,
        scale=scale,
    )
    drawing = plot.drawing_of(ask_of(inputs, layer, options, all_layers=all_layers, hold=hold), flags)
    view = view_of(options)
    sheet, names, missing = fonts.fit_fonts(drawing.sheet, view.lang)
    remarks = (*drawing.remarks, *missing)
    return Picture(drawing.specs, sheet, drawing.style, drawing.size, names, remarks, view, drawing.agrees)


@expand_options
def report(
    inputs: Any = None,
    layer: Any = None,
    *,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> LivePage:
    """Write a page that shows the layer step by step, and recomputes what a reader changes.

    A notebook shows it; `.save("page.html")` writes the file, which needs nothing but a browser.
    hold: same as for `run`.
    """
    from rnncli.commands.report.page import build_page

    page = build_page(ask_of(inputs, layer, options, hold=hold), options.get("lang") or "en")
    return LivePage(page.layers, page.text, page.tables, page.remarks)


def why(text: str, *, width: int | None = None, lang: Literal["en", "ko"] | None = None) -> Report:
    """Find what causes an error message of Keras, TensorFlow or PyTorch, and run its fixes.

    text: the message, or a whole traceback.  `found.cause` names the cause.
    Raises DisagreementError if the message is not known.
    """
    from rnncli.commands.why.answer import WhyAnswer
    from rnncli.commands.why.diagnosis import diagnose

    if not isinstance(text, str) or not text.strip():
        raise UsageError("why needs the text of an error message.", "Give the last lines of a traceback.")
    shown = {"width": width, "lang": lang}
    require_kinds("why", shown)
    diagnosis = diagnose(text)
    return Report("why", (), diagnosis, WhyAnswer.of(diagnosis), (), view_of(shown))


def tour(
    topic: str | int | None = None,
    *,
    step: int | None = None,
    width: int | None = None,
    lang: Literal["en", "ko"] | None = None,
) -> Report:
    """Return a step of the lesson by its topic or number, `tour("masks")`; without them, the whole lesson.

    `found` has one item per step; the step's tensors are the report's arrays.
    """
    from rnncli.commands.tour import find_step, lesson
    from rnncli.commands.tour.answer import TourAnswer

    shown = {"width": width, "lang": lang}
    require_kinds("tour", {"step": step, **shown})
    if topic is not None and step is not None:
        raise UsageError("both a topic and a step are given.", "Leave one out.")
    word = step if topic is None else topic
    steps = tuple(lesson.steps()) if word is None else (find_step(str(word)),)
    return Report("tour", (), steps, TourAnswer(steps), (), view_of(shown))


def _checks(
    atol: Tolerance | None,
    rtol: Tolerance | None,
    expect: Any,
    hold: str | Sequence[str] | None,
    *,
    check: bool,
    fail_on_nan: bool,
) -> ResultChecks:
    require_purpose(atol, rtol, check=check, expect=expect, hold=hold)
    return ResultChecks(check, read_expectation(expect), complete_tolerances(atol, rtol), fail_on_nan)


@expand_options
def weights(
    source: Any = None,
    layer: Any = None,
    *,
    to: Literal["cudnn", "keras", "onnx", "torch"] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Return weights by name, `weights("model.keras")["lstm/kernel"]`, and their table gate by gate.

    source: the path of a model or of weights, a live model or layer, a state dict, or what
        `layer.get_weights()` returned.
    layer: a layer whose weights are drawn by `seed`, or given by `weights=`; source is then its input.
    to: the layout of a framework; `.save("lstm.pt")` writes its files.
    """
    from rnncli.commands.weights import contents, weights

    ask = ask_of(source if find_framework(source) else None, layer, options)
    if ask.model is None and contents.is_described(ask):
        ask = ask_of(source, layer, options)
    elif source is not None and ask.model is None:
        ask = ask._replace(input=pass_value("weights", source))
    answer, remarks = passed(weights(ask, OutputFlags(), to=to))
    specs = () if to or answer.description is None else answer.description.specs
    return Report("weights", specs, answer, answer, remarks, view_of(options))


@expand_options
def export(
    inputs: Any = None,
    layer: Any = None,
    *,
    to: Literal["c", "cell", "config", "keras", "latex", "numpy", "onnx", "torch"],
    **options: Unpack[Options],
) -> ExportedFile:
    """Write a layer as a script or a file that gives the same numbers: `print(export(to="numpy"))`.

    to: a script of numpy, torch, keras or c, an onnx model, or the options alone: config, cell, latex.
    """
    from rnncli.commands.export import export, targets

    ask, target = ask_of(inputs, layer, options), targets.get(to)
    data, remarks = passed(export(ask, OutputFlags(output=target.SUFFIX), to=to))
    return ExportedFile(to, target.SUFFIX, data, not target.BINARY, remarks)


@expand_options
def port(
    inputs: Any = None,
    layer: Any = None,
    *,
    expect: Any,
    probe: str | None = None,
    atol: float = ATOL,
    rtol: float = RTOL,
    **options: Unpack[Options],
) -> Report:
    """Find which known differences explain the numbers of another framework: `port(x, weights=w, expect=y)`.

    The result is falsy if none does.  With one explanation it has the weights in Keras's layout,
    `r["kernel"]`, and `r.save("gru.npz")` writes them; `found` has one item per explanation.

    weights: what the other framework has, a state dict or a file.  expect: what it returned for the inputs.
    initial_state: what it started from.  atol, rtol: tolerances.
    probe: a file, `probe.json`, for a small input that tells several explanations apart.
    """
    from rnncli.commands.port import port

    known = {entry.name for entry in entries("port")}
    others = [entry.name for entry in entries("run") if entry.goes == "ask" and entry.name not in known]
    if refused := first_given(options, others):
        raise UsageError("{flag} does not apply to port.", "Leave {flag} out.", flag=Flag(refused))
    ask = ask_of(inputs, layer, options)
    expected = read_expectation(expect)
    reply = port(
        ask._replace(weights=None, initial_state=None),
        OutputFlags(),
        weights=ask.weights,
        expect=expected and expected.tensors,
        initial_state=ask.initial_state,
        probe=probe,
        atol=atol,
        rtol=rtol,
    )
    failed = reply.failure
    remarks = (*reply.remarks, *(() if failed is None else (failed.detail, failed.advice)))
    returned = {"return_sequences": False, "return_state": False, "dtype": "float32"}
    specs = tuple(finding.spec(**returned) for finding in reply.answer.findings[:1])
    answer = replace(reply.answer, has_file=True)  # `save` writes it
    return Report("port", specs, tuple(answer.findings), answer, remarks, view_of(options))
