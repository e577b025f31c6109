"""`rnncli port`: its flags, and its steps from reading the files to the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.cli import sources
from rnncli.errors import DisagreementError, Flag, Message, UsageError, join
from rnncli.options import first_given

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.output import OutputFlags
    from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis
    from rnncli.commands.port.search import Tolerances

EXAMPLES = """\
rnncli port x.npy --weights torch_gru.npz --expect y.npy --layer 'GRU(8)'
rnncli port x.npy --weights torch_gru.npz --expect y.npy --output gru.npz
"""
REFUSED = (
    "stateful", "dropout", "recurrent_dropout",
    "zero_output_for_mask", "dtype", "kernel_initializer", "recurrent_initializer", "bias_initializer",
    "return_sequences", "return_state", "unit_forget_bias",
)  # fmt: skip
SUFFIXES = (".npz", ".safetensors", ".json", ".weights.h5", ".h5")
"""Of the files of weights that --output can write."""
ROUNDING = 1e-4
"""The largest difference that float32 makes over many time steps; unrelated numbers differ by more."""


class PortFlags(NamedTuple):
    """Files of the other framework, and tolerances."""

    weights: str | None
    expect: str | None
    initial_state: str | None
    probe: str | None
    atol: float
    rtol: float

    @property
    def files(self) -> Mapping[str, str | None]:
        """What is read, by its flag."""
        from rnncli.inputs.source import split_layers

        return {
            "--weights": self.weights and split_layers(self.weights)[0],
            "--expect": self.expect,
            "--initial-state": self.initial_state,
        }

    def validate(self) -> None:
        """Raise UsageError for a missing file, and for a tolerance that is not a finite number."""
        for name, value in (("--weights", self.weights), ("--expect", self.expect)):
            if value is None:
                raise UsageError(
                    "port needs {name} FILE.",
                    "For example: rnncli port x.npy --weights weights.npz --expect y.npy",
                    name=name,
                )
        for name, number in (("--atol", self.atol), ("--rtol", self.rtol)):
            if not math.isfinite(number):
                raise UsageError(
                    "{name} {number:g}: a tolerance must be a finite number.",
                    "For example {name} 1e-4.",
                    name=name,
                    number=number,
                )


def port(ask: Ask, output: OutputFlags, **flags: Any) -> None:
    """Find which known differences, singly or in pairs, explain another framework's numbers.

    INPUT is what the other framework was given, --weights its weights and --expect what it returned. port
    applies every known difference to Keras's computation, and shows those that explain all numbers.
    --output writes the weights in Keras's layout: npz, safetensors, json, h5. Exit code 1 if none fits.
    """
    from rnncli.cli.output import delivery
    from rnncli.commands.port import answer, evidence, port_task
    from rnncli.commands.port.search import Tolerances, search_readings

    port_flags = PortFlags(**flags)
    port_flags.validate()
    if refused := first_given(ask.options, REFUSED):
        raise UsageError("{flag} does not apply to port.", "Leave {flag} out.", flag=Flag(refused))
    place, probe, reading = output.output, port_flags.probe or "", {**ask.files, **port_flags.files}
    _require_places(place, port_flags.probe, reading)
    deliver = delivery(output._replace(output=None), reading)
    sources.validate_sources(ask, port_flags.files)
    runs, remarks = port_task.collect(
        ask, port_flags.weights or "", port_flags.expect or "", port_flags.initial_state
    )
    tolerances = Tolerances(port_flags.atol, port_flags.rtol)
    run, found, hypothesis_count = search_readings(runs, tolerances)
    if len(runs) > 1 and found and found[0].matches:
        name = answer.RESULTS[next(iter(run.expected)).partition(" ")[0]]
        remarks.append(Message("{--expect} has no name; it matches as {name}", name=name))
    weighed = evidence.assess(run, tolerances, hypothesis_count)
    findings = [finding for finding in found if finding.matches and not weighed.doubts]
    if place is not None and len(findings) == 1:
        answer.write_weights(findings[0], place)
    inputs, predictions = evidence.predict_apart(run, findings if probe else [])
    if inputs is not None:
        evidence.write_probe(inputs, probe)
    if probe and findings and not predictions:
        text = Message(
            "{place} was not written: no input was found that tells the explanations apart", place=probe
        )
        if len(findings) == 1:
            text = Message("{place} was not written: only one explanation fits", place=probe)
        remarks.append(text)
    deliver(answer.PortAnswer(findings, weighed, predictions, probe, place is not None), remarks)
    if not findings:
        raise _explain_failure(run, found, tolerances, hypothesis_count, doubts=weighed.doubts)
    if len(findings) > 1 and place is not None:
        raise DisagreementError(
            "{place} was not written: {count} explanations fit, with different weights.",
            "Run the other framework on an input that tells them apart, see {--probe}.",
            place=place,
            count=len(findings),
        )


def _require_places(output: str | None, probe: str | None, reading: Mapping[str, str | None]) -> None:
    """Raise UsageError if a file cannot be written, or if its suffix is of no form of weights."""
    from rnncli.cli import files

    for place, suffixes in ((output, SUFFIXES), (probe, (".json", ".npy"))):
        files.require_place(place, sources.words_of(reading))
        if place is not None and not place.casefold().endswith(suffixes):
            raise UsageError(
                "{place}: port cannot write files with this suffix.",
                "Use one of {suffixes}.",
                place=place,
                suffixes=", ".join(suffixes),
            )


def _explain_failure(
    run: ForeignRun,
    found: Sequence[Hypothesis],
    tolerances: Tolerances,
    hypothesis_count: int,
    doubts: Sequence[Message],
) -> DisagreementError:
    """Return the error that names the nearest hypothesis, and --atol if rounding may be what remains."""
    from rnncli.commands.port.search import search

    if doubts:
        return DisagreementError(
            "inconclusive: this comparison could not have revealed a difference.",
            "Use random weights and a random input, several units and steps.",
        )
    if not found:
        return DisagreementError(
            "no known difference gives the shapes of {--expect}.", "Check that the files belong together."
        )
    (near,) = found
    advice = Message("Check that input, weights and expected tensors belong to one layer and one run.")
    if near.remaining <= ROUNDING:
        atol = 10.0 ** math.ceil(math.log10(near.remaining))
        accepted, _ = search(run, tolerances._replace(atol=atol))
        if accepted and accepted[0].matches:
            advice = Message(
                "If this is rounding, which grows over many time steps, add {--atol} {atol:g}.", atol=atol
            )
    return DisagreementError(
        "none of {hypothesis_count:,} combinations explains the numbers. The nearest is "
        "{names}: largest difference {remaining:.1e}.",
        advice,
        hypothesis_count=hypothesis_count,
        names=join((one.name for one in near.differences), " and ") or Message("no difference"),
        remaining=near.remaining,
    )
