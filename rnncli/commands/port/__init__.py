"""`rnncli port`: its flags, and its steps from reading the files to the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.errors import DisagreementError, Flag, Message, UsageError, join
from rnncli.options import GRAPH, first_given, refused_by

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.port.answer import PortAnswer
    from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli port x.npy --weights torch_gru.npz --expect y.npy --layer 'GRU(8)'
rnncli port x.npy --weights torch_gru.npz --expect y.npy --output gru.npz
rnncli port x.npy --model model.keras#gru --expect y.npy
"""
SUFFIXES = (".npz", ".safetensors", ".json", ".weights.h5", ".h5")
"""The suffixes of the files of weights that --output can write."""
OWN_FILES = True
ROUNDING = 1e-4
"""The largest difference that float32 makes over many time steps; unrelated numbers differ by more."""


def port(
    ask: Ask,
    output: OutputFlags,
    *,
    weights: Any,
    expect: Any,
    initial_state: Any,
    probe: str | None,
    atol: float,
    rtol: float,
) -> Reply[PortAnswer]:
    """Find which known differences, singly or in pairs, explain another framework's numbers.

    INPUT is what the other framework was given, --weights its weights and --expect what it returned; with
    --model FILE#LAYER, the layer gets the input and the mask that it has in its model. port applies every
    known difference to Keras's computation, and shows those that explain all numbers. --output writes the
    weights in Keras's layout: npz, safetensors, json, h5. Exit code 1 if none fits.
    """
    from rnncli.cli import files
    from rnncli.commands.checks import parse_tolerances
    from rnncli.commands.port import answer, port_task
    from rnncli.commands.port.search import search
    from rnncli.inputs.source import split_layers
    from rnncli.show.answer import Reply

    _require_sources(ask, weights, expect)
    parse_tolerances([str(atol)], [str(rtol)])
    if refused := first_given(ask.options, refused_by("port")):
        raise UsageError("{flag} does not apply to port.", "Leave {flag} out.", flag=Flag(refused))
    given = {"--expect": expect}
    if weights is None:
        ask, initial_state = ask._replace(initial_state=initial_state), None
    else:
        given |= {"--weights": weights, "--initial-state": initial_state}
    sources = {flag: split_layers(word)[0] for flag, word in given.items() if isinstance(word, str)}
    path, reading = output.output, {**ask.files, **sources}
    _require_writable(path, probe, reading)
    ask.require_options(sources)
    runs, remarks = port_task.collect(ask, weights, expect, initial_state, atol, rtol)
    searched = [(run, *search(run)) for run in runs]
    run, hypotheses, _ = min(searched, key=lambda result: _distance(result[1]))
    tried = sum(number for *_, number in searched)
    if len(runs) > 1 and hypotheses and hypotheses[0].matches:
        name = answer.RESULTS[next(iter(run.expected)).partition(" ")[0]]
        remarks.append(Message("{--expect} has no name; it matches as {name}", name=name))
    weighed = answer.assess(run, tried)
    findings = [finding for finding in hypotheses if finding.matches and not weighed.doubts]
    predictions = answer.write_probe(run, findings, probe) if probe else []
    if probe and findings and not predictions:
        text = "{place} was not written: only one explanation fits"
        if len(findings) > 1:
            text = "{place} was not written: no input was found that tells the explanations apart"
        remarks.append(Message(text, place=probe))
    port_answer = answer.PortAnswer(findings, weighed, predictions, probe or "", path is not None)
    if path is not None and len(findings) == 1:
        files.write(path, port_answer.own_file(path) or b"")
    if not findings and not weighed.doubts:
        remarks += port_task.recognize_expected(ask, expect, run)
    failure = _explain_failure(run, hypotheses, tried, port_answer, path)
    return Reply(port_answer, remarks, failure, to_stdout=True)


def _distance(hypotheses: Sequence[Hypothesis]) -> tuple[bool, float]:
    return (not hypotheses[0].matches, hypotheses[0].remaining) if hypotheses else (True, math.inf)


def _require_sources(ask: Ask, weights: Any, expect: Any) -> None:
    from rnncli.ask.layer_files import refuse_layer_options

    example = "For example: rnncli port x.npy --weights weights.npz --expect y.npy"
    if ask.model is not None and weights is not None:
        refuse_layer_options({"weights": weights}, GRAPH)
    if ask.model is None and weights is None:
        raise UsageError("port needs {--weights FILE} or {--model FILE}.", example)
    if expect is None:
        raise UsageError("port needs {--expect FILE}.", example)


def _require_writable(output: str | None, probe: str | None, reading: Mapping[str, str | None]) -> None:
    from rnncli.cli import files
    from rnncli.inputs.source import words_of

    for path, suffixes in ((output, SUFFIXES), (probe, (".json", ".npy"))):
        files.require_place(path, words_of(reading))
        if path is not None and not path.casefold().endswith(suffixes):
            text = "{place}: port cannot write files with this suffix."
            raise UsageError(text, "Use one of {suffixes}.", place=path, suffixes=", ".join(suffixes))


def _explain_failure(
    run: ForeignRun, hypotheses: Sequence[Hypothesis], tried: int, port_answer: PortAnswer, path: str | None
) -> DisagreementError | None:
    from rnncli.commands.port.search import search

    if len(port_answer.findings) > 1 and path is not None:
        return DisagreementError(
            "{place} was not written: {count} explanations fit, with different weights.",
            "Run the other framework on an input that tells them apart, see {--probe}.",
            place=path,
            count=len(port_answer.findings),
        )
    if port_answer.findings:
        return None
    if port_answer.evidence.doubts:
        what = "inconclusive: this comparison could not have revealed a difference."
        return DisagreementError(what, "Use random weights and a random input, several units and steps.")
    if not hypotheses:
        return DisagreementError(
            "no known difference gives the shapes of {--expect}.", "Check that the files belong together."
        )
    (near,) = hypotheses
    advice = Message("Check that input, weights and expected tensors belong to one layer and one run.")
    if near.remaining <= ROUNDING:
        atol = 10.0 ** math.ceil(math.log10(near.remaining))
        accepted, _ = search(run._replace(atol=atol))
        if accepted and accepted[0].matches:
            advice = Message(
                "If this is rounding, which grows over many time steps, add {--atol} {atol:g}.", atol=atol
            )
    return DisagreementError(
        "none of {hypothesis_count:,} combinations explains the numbers. The nearest is "
        "{names}: largest difference {remaining:.1e}.",
        advice,
        hypothesis_count=tried,
        names=join((difference.name for difference in near.differences), " and ") or Message("no difference"),
        remaining=near.remaining,
    )
