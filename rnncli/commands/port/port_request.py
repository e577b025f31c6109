"""Search what explains the numbers, show it, and write the weights in Keras's layout and a probe."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np

from rnncli.cli import files, sources
from rnncli.cli.flag_groups import first_given
from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, ReadingFlags
from rnncli.cli.output import delivery
from rnncli.commands.port import evidence, port_task
from rnncli.commands.port.answer import RESULTS, PortAnswer
from rnncli.commands.port.port_flags import REFUSED, PortFlags
from rnncli.commands.port.port_task import Task
from rnncli.commands.port.ported_weights import SUFFIXES, write_weights
from rnncli.commands.port.probe_input import Probe, make_probe
from rnncli.commands.port.search import Finding, SearchResult, Tolerances, search
from rnncli.errors import DisagreementError, Flag, Message, Text, UsageError, join

ROUNDING = 1e-4
"""The largest difference that float32 makes over many time steps; unrelated numbers differ by more."""


def answer(input_flags: InputFlags, layer: LayerFlags, port: PortFlags, output: OutputFlags) -> None:
    """Show what explains the numbers, and write the files that were asked for.

    Raises DisagreementError if nothing explains them, or if weights are to be written and several
    explanations fit.
    """
    if flag := first_given(layer, REFUSED):
        raise UsageError("{flag} does not apply to port.", "Leave {flag} out.", flag=Flag(flag))
    place, probe = output.output, port.probe
    reading = (input_flags, layer, port)
    _require_places(place, probe, reading)
    deliver = delivery(output._replace(output=None), *reading)
    task = port_task.collect(input_flags, layer, port)
    tolerances = Tolerances(port.atol, port.rtol)
    task, result = _search(task, tolerances)
    weighed = evidence.assess(task.run, tolerances, result.hypothesis_count)
    findings = () if weighed.doubts else result.findings
    if place is not None and len(findings) == 1:
        write_weights(task.run, findings[0].hypothesis, place)
    made = make_probe(task.run, findings) if probe and len(findings) > 1 else None
    if probe and made is not None:
        _write_probe(made, probe)
    shown = PortAnswer(task.run, task.layer, findings, weighed, made, probe or "", place is not None)
    deliver(shown, (*task.remarks, *_explain_no_probe(findings, probe, made)))
    if not findings:
        _fail(result, _accepting_atol(task, result, tolerances), proved=not weighed.doubts)
    if len(findings) > 1 and place is not None:
        raise DisagreementError(
            "{place} was not written: {count} explanations fit, with different weights.",
            "Run the other framework on an input that tells them apart, see {--probe}.",
            place=place,
            count=len(findings),
        )


def _require_places(output: str | None, probe: str | None, reading: Sequence[ReadingFlags]) -> None:
    """Raise UsageError if a file cannot be written, or if its suffix is of no form of weights."""
    for place, suffixes in ((output, SUFFIXES), (probe, (".json", ".npy"))):
        files.require_place(place, sources.input_sources(*reading))
        if place is not None and not place.casefold().endswith(suffixes):
            raise UsageError(
                "{place}: port cannot write files with this suffix.",
                "Use one of {suffixes}.",
                place=place,
                suffixes=", ".join(suffixes),
            )


def _search(task: Task, tolerances: Tolerances) -> tuple[Task, SearchResult]:
    """Search in every reading of the expected tensors; return the one that matches, or the nearest."""
    found = [(run, search(run, tolerances)) for run in (task.run, *task.other_readings)]
    hypothesis_count = sum(result.hypothesis_count for _, result in found)
    run, result = min(found, key=lambda one: (not one[1].findings, one[1].distance))
    remarks = task.remarks
    if task.other_readings and result.findings:
        name = RESULTS[next(iter(run.expected)).partition(" ")[0]]
        remarks += (Message("{--expect} has no name; it matches as {name}", name=name),)
    return task._replace(run=run, other_readings=(), remarks=remarks), result._replace(
        hypothesis_count=hypothesis_count
    )


def _accepting_atol(task: Task, result: SearchResult, tolerances: Tolerances) -> float | None:
    """Return the power of ten that, as --atol, accepts the nearest miss; None if that is not rounding."""
    near = result.nearest
    if near is None or near.remaining > ROUNDING:
        return None
    atol = 10.0 ** math.ceil(math.log10(near.remaining))
    _, accepted = _search(task, tolerances._replace(atol=atol))
    return atol if accepted.findings else None


def _write_probe(probe: Probe, place: str) -> None:
    if place.casefold().endswith(".json"):
        files.write(place, json.dumps(probe.inputs.tolist()) + "\n")
        return
    with files.open_output(place) as file:
        np.save(file, probe.inputs.astype(np.float32))


def _explain_no_probe(
    findings: tuple[Finding, ...], place: str | None, probe: Probe | None
) -> tuple[Text, ...]:
    """Return why --probe wrote nothing."""
    if place is None or probe is not None or not findings:
        return ()
    if len(findings) == 1:
        return (Message("{place} was not written: only one explanation fits", place=place),)
    return (
        Message("{place} was not written: no input was found that tells the explanations apart", place=place),
    )


def _fail(result: SearchResult, atol: float | None, *, proved: bool) -> None:
    """Raise DisagreementError, which names the nearest miss.

    atol: the absolute tolerance that accepts this miss, if it may be rounding.
    """
    if not proved:
        raise DisagreementError(
            "inconclusive: this comparison could not have revealed a difference.",
            "Use random weights and a random input, several units and steps.",
        )
    near = result.nearest
    if near is None:
        raise DisagreementError(
            "no known difference gives the shapes of {--expect}.", "Check that the files belong together."
        )
    names = join((one.name for one in near.differences), " and ") or Message("no difference")
    raise DisagreementError(
        "none of {hypothesis_count:,} combinations explains the numbers. The nearest is "
        "{names}: largest difference {remaining:.1e}.",
        Message("Check that input, weights and expected tensors belong to one layer and one run.")
        if atol is None
        else Message(
            "If this is rounding, which grows over many time steps, add {--atol} {atol:g}.", atol=atol
        ),
        hypothesis_count=result.hypothesis_count,
        names=names,
        remaining=near.remaining,
    )
