"""`rnncli port`."""

# Annotations are objects rather than text, as in rnncli.cli.flags.

import math
from typing import TYPE_CHECKING, Annotated, NamedTuple

from rnncli.cli.flag_groups import RUN, WEIGHTS, flag
from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags
from rnncli.cli.tolerances import ATOL, RTOL
from rnncli.errors import DisagreementError, UsageError

if TYPE_CHECKING:
    from rnncli.commands.port.port_task import Task
    from rnncli.commands.port.probe_input import Probe
    from rnncli.commands.port.search import Finding, SearchResult, Tolerances

SECTION = "Between frameworks"
SUMMARY = "Which known differences make another framework's numbers match."
EXAMPLES = """\
rnncli port x.npy --weights torch_gru.npz --expect y.npy --layer 'GRU(8)'
rnncli port x.npy --weights torch_gru.npz --expect y.npy --output gru.npz
"""
REFUSED = (
    "stateful", "dropout", "recurrent_dropout",
    "zero_output_for_mask", "dtype", "kernel_initializer", "recurrent_initializer", "bias_initializer",
    "return_sequences", "return_state", "unit_forget_bias",
)  # fmt: skip
ROUNDING = 1e-4
"""The largest difference that float32 makes over many time steps; unrelated numbers differ by more."""
WRITTEN = (".npz", ".safetensors", ".json", ".weights.h5", ".h5")


class PortFlags(NamedTuple):
    """Files of the other framework, and tolerances."""

    weights: Annotated[
        str | None,
        flag(WEIGHTS, "--weights", metavar="FILE[#LAYER]", help="The other framework's weights, as saved."),
    ] = None
    expect: Annotated[
        str | None,
        flag(RUN, "--expect", metavar="FILE", help="What it returned: json, npy, npz or safetensors."),
    ] = None
    initial_state: Annotated[
        str | None, flag(RUN, "--initial-state", metavar="FILE", help="The initial states it was given.")
    ] = None
    probe: Annotated[
        str | None,
        flag(
            RUN, "--probe", metavar="FILE",
            help="If several explanations fit, write a small input that tells them apart.",
        ),
    ] = None  # fmt: skip
    atol: Annotated[
        float, flag(RUN, "--atol", metavar="X", min=0, help="Absolute tolerance (default 1e-6).")
    ] = ATOL
    rtol: Annotated[
        float, flag(RUN, "--rtol", metavar="X", min=0, help="Relative tolerance (default 1e-5).")
    ] = RTOL

    def demand_sense(self) -> None:
        """Raise UsageError for a missing file, and for a tolerance that is not a finite number."""
        for name, value in (("--weights", self.weights), ("--expect", self.expect)):
            if value is None:
                raise UsageError(
                    f"port needs {name} FILE.", "rnncli port x.npy --weights weights.npz --expect y.npy"
                )
        for name, number in (("--atol", self.atol), ("--rtol", self.rtol)):
            if not math.isfinite(number):
                raise UsageError(
                    f"{name} {number:g}: a tolerance must be a finite number.", f"For example {name} 1e-4."
                )


def port(input: InputFlags, layer: LayerFlags, port: PortFlags, output: OutputFlags) -> None:
    """Find the known differences, alone or two together, that make foreign numbers match.

    INPUT is what the other framework was given, --weights its weights and --expect what it returned. port
    computes the layer in Keras's way under every known difference, and shows those that explain all numbers.
    --output writes the weights in Keras's layout: npz, safetensors, json, h5. It exits with 1 if none fits.
    """
    from rnncli.cli.output import delivery
    from rnncli.commands.port import evidence, port_task
    from rnncli.commands.port.answer import PortAnswer
    from rnncli.commands.port.probe_input import make_probe
    from rnncli.commands.port.search import Tolerances

    _demand_applicable(input, layer)
    states, probe = port.initial_state, port.probe
    reading = (input, layer, RunFlags(weights=port.weights, initial_state=states, model=port.expect))
    _demand_places(output, probe, reading)
    deliver = delivery(output._replace(output=None), *reading)
    task = port_task.collect(input, layer, port.weights or "", port.expect or "", states)
    tolerances = Tolerances(port.atol, port.rtol)
    task, result = _search(task, tolerances)
    weighed = evidence.weigh(task.run, tolerances, result.tried)
    findings = () if weighed.doubts else result.findings
    made = make_probe(task.run, findings) if probe and len(findings) > 1 else None
    _write(task, findings, output, probe, made)
    written = output.output is not None
    answer = PortAnswer(task.run, task.layer, findings, weighed, made, probe or "", written)
    deliver(answer, (*task.remarks, *_about_probe(findings, probe, made)))
    _demand_explanation(
        result, findings, _accepting_atol(task, result, tolerances), proved=not weighed.doubts
    )
    _demand_one(findings, output.output)


def _search(task: "Task", tolerances: "Tolerances") -> "tuple[Task, SearchResult]":
    """Search in every reading of the expected tensors; return the one that matches, or the nearest."""
    from rnncli.commands.port.answer import RESULTS
    from rnncli.commands.port.search import search

    found = [(run, search(run, tolerances)) for run in (task.run, *task.others)]
    tried = sum(result.tried for _, result in found)
    run, result = min(found, key=lambda one: (not one[1].findings, one[1].distance))
    said = task.remarks
    if task.others and result.findings:
        name = RESULTS[next(iter(run.expected)).partition(" ")[0]]
        said += (f"--expect has no name; it matches as {name}",)
    return task._replace(run=run, others=(), remarks=said), result._replace(tried=tried)


def _accepting_atol(task: "Task", result: "SearchResult", tolerances: "Tolerances") -> float | None:
    """Return the power of ten that, as --atol, accepts the nearest miss; None if that is not rounding."""
    near = result.nearest
    if near is None or near.remaining > ROUNDING:
        return None
    atol = 10.0 ** math.ceil(math.log10(near.remaining))
    _, accepted = _search(task, tolerances._replace(atol=atol))
    return atol if accepted.findings else None


def _demand_one(findings: "tuple[Finding, ...]", place: str | None) -> None:
    """Raise DisagreementError if weights were to be written, and several explanations fit."""
    if len(findings) > 1 and place is not None:
        raise DisagreementError(
            f"{place} was not written: {len(findings)} explanations fit, with different weights.",
            "Run the other framework on an input that tells them apart, see --probe.",
        )


def _demand_applicable(input: InputFlags, layer: LayerFlags) -> None:
    """Raise UsageError for a flag that changes nothing here."""
    for name in REFUSED:
        if getattr(input, name, None) is not None or getattr(layer, name, None) is not None:
            given = f"--{name.replace('_', '-')}"
            raise UsageError(f"{given} does not apply to port.", f"Leave {given} out.")


def _demand_places(
    output: OutputFlags, probe: str | None, reading: tuple[InputFlags | LayerFlags | RunFlags, ...]
) -> None:
    """Raise UsageError if a file cannot be written, or if its suffix is of no form of weights."""
    from rnncli.cli import files, sources

    for place in (output.output, probe):
        files.demand_place(place, sources.read_by(*reading))
    for place, suffixes in ((output.output, WRITTEN), (probe, (".json", ".npy"))):
        if place is not None and not place.casefold().endswith(suffixes):
            raise UsageError(f"{place}: this suffix is not written.", f"Use one of {', '.join(suffixes)}.")


def _write(
    task: "Task",
    findings: "tuple[Finding, ...]",
    output: OutputFlags,
    probe: str | None,
    made: "Probe | None",
) -> None:
    """Write the weights of an only explanation, and the input that tells several apart."""
    if output.output is not None and len(findings) == 1:
        _write_weights(task, findings[0], output.output)
    if made is not None and probe is not None:
        _write_probe(made, probe)


def _write_weights(task: "Task", finding: "Finding", place: str) -> None:
    from rnncli import layouts
    from rnncli.cli import files
    from rnncli.commands.port.answer import PortedWeights
    from rnncli.layers import within
    from rnncli.layouts import CellWeights, Chain, LayerWeights
    from rnncli.renderers import formats
    from rnncli.renderers.page import View

    ported = PortedWeights.of(task.run, finding.hypothesis)
    kind, options = task.run.class_name, dict(task.run.options)
    if not place.casefold().endswith(".h5"):
        with files.open_output(place) as file:
            formats.get(formats.for_output(place)).write(ported, View(), file)
        return
    paths = ("",) if len(task.run.cells) == 1 else ("forward", "backward")
    cells = tuple(
        CellWeights(kind, options, within(ported.weights, path) if path else ported.weights) for path in paths
    )
    layer = LayerWeights(kind.lower(), cells, task.run.merge_mode)
    suffix = ".weights.h5" if place.casefold().endswith(".weights.h5") else ".h5"
    files.write(place, layouts.get("keras").dump([Chain("", (layer,))], suffix))


def _write_probe(made: "Probe", place: str) -> None:
    import json

    import numpy as np

    from rnncli.cli import files

    if place.casefold().endswith(".json"):
        files.write(place, json.dumps(made.inputs.tolist()) + "\n")
        return
    with files.open_output(place) as file:
        np.save(file, made.inputs.astype(np.float32))


def _about_probe(findings: "tuple[Finding, ...]", probe: str | None, made: "Probe | None") -> tuple[str, ...]:
    """Return why --probe wrote nothing."""
    if probe is None or made is not None or not findings:
        return ()
    if len(findings) == 1:
        return (f"{probe} was not written: only one explanation fits",)
    return (f"{probe} was not written: no input was found that tells the explanations apart",)


def _demand_explanation(
    result: "SearchResult", findings: "tuple[Finding, ...]", atol: float | None, *, proved: bool
) -> None:
    """Raise DisagreementError if nothing explains the numbers; it names the nearest miss.

    atol: the absolute tolerance that accepts this miss, if it may be rounding.
    """
    if findings:
        return
    if not proved:
        raise DisagreementError(
            "port claims nothing, because this comparison could not show a difference.",
            "Use random weights and a random input, several units and steps.",
        )
    near = result.nearest
    if near is None:
        raise DisagreementError(
            "no known difference gives the shapes of --expect.", "Check that the files belong together."
        )
    names = " and ".join(one.name for one in near.differences) or "no difference"
    raise DisagreementError(
        f"none of {result.tried:,} combinations explains the numbers. The nearest is {names}: largest "
        f"difference {near.remaining:.1e}.",
        "Check that input, weights and expected tensors belong to one layer and one run."
        if atol is None
        else f"If this is rounding, which grows over many time steps, add --atol {atol:g}.",
    )
