"""weights, export and port in Python: what goes to other frameworks, and what comes from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Unpack

from rnncli.api._keywords import ask_of, expand_options, passed, read_expectation, view_of
from rnncli.api._options import Options
from rnncli.api._results import ExportedFile, Report
from rnncli.api._values import pass_value
from rnncli.ask.live_object import find_framework
from rnncli.errors import Flag, UsageError
from rnncli.options import entries, first_given
from rnncli.show.formats import OutputFlags
from rnncli.values import ATOL, RTOL


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
    from rnncli.commands.weights import weight_source, weights

    ask = ask_of(source if find_framework(source) else None, layer, options)
    if ask.model is None and weight_source.is_described(ask):
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
