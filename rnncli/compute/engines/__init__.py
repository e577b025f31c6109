"""The engines, which compute a Case, each in a file; and the choice that `auto` makes.

An engine's file has
    PACKAGES                       the packages it needs
    NOTE                           one line for the user
    refusal(case)                  why the engine cannot give Keras's numbers for the case, or None
    Layers(case, weights, seeds)   the layers, built once; called with a Case, they give an EngineOutput
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from math import inf
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.errors import (
    Either,
    EngineError,
    InputError,
    Message,
    RnncliError,
    Text,
    UsageError,
    did_you_mean,
)
from rnncli.layers.case import Case
from rnncli.result import LoopTrace
from rnncli.values import Array, walk

if TYPE_CHECKING:
    from rnncli.layers.layer import LayerCall
    from rnncli.layers.recurrent import RecurrentLayer


ENGINES = {
    "numpy": "rnncli.compute.engines.numpy",
    "onnx": "rnncli.compute.engines.onnx",
    "tensorflow": "rnncli.compute.engines.tensorflow",
    "torch": "rnncli.compute.engines.torch",
}
LIBRARIES = {"onnx": "ONNX Runtime", "tensorflow": "TensorFlow", "torch": "PyTorch"}
"""The engines that compute in native code, which can crash, and what computes there."""
AFTER_CRASH = Message(
    "Try {--engine numpy} without {--check}, another {--dtype}, or another version of the engine."
)
REFERENCE = "tensorflow"
"""Its numbers, and the weights that it draws, are Keras's own; the others are checked against it."""
STEPWISE = "numpy"
"""The only engine that records every gate of every step, and that can hold a gate at a value."""
STEPS = Message("time steps")
"""What the loops over time report, see process/progress.py."""

FEWEST_STEPS: Mapping[str, tuple[tuple[float, int], ...]] = {
    "SimpleRNN": ((150, 70_000), (1_000, 35_000)),
    "LSTM": ((50, 18_000), (1_000, 12_000), (10_000, 2_300), (30_000, 1_000), (inf, 250)),
    "GRU": ((50, 15_000), (500, 12_500), (2_000, 6_000), (10_000, 3_000), (30_000, 1_500), (inf, 300)),
}
"""For each layer, rows (most numbers in a state: batch * units, fewest time steps): from that many steps on,
ONNX Runtime is faster than NumPy, including the time to import its packages.

With more numbers than in the last row, it is never faster.
Measure the sizes again with `python tests/benchmarks/thresholds.py`.
"""


class InexactError(EngineError):
    """During the computation, the engine met numbers for which its results differ from Keras."""


Tensors = tuple[tuple[Array, ...], ...]
"""Every layer's tensors in Keras's order."""


class EngineOutput(NamedTuple):
    """The result of an engine: the tensors of the last call, and the weights it used.

    earlier: the tensors of the earlier calls, in order, if all calls are requested.
    """

    tensors: Tensors
    weights: Mapping[str, Array]
    trace: tuple[LoopTrace, ...] = ()
    earlier: tuple[Tensors, ...] = ()


LayerCaller = Callable[[Case], EngineOutput]
"""Calls the layers that an engine built."""


class EngineInfo(NamedTuple):
    """What `rnncli engines` shows for one engine."""

    name: str
    available: bool
    version: str
    note: Text


def repeat(case: Case, call: Callable[[Case], Tensors]) -> Sequence[Tensors]:
    """Call the layers as often as the case asks for; return the tensors of all calls, or of the last one."""
    return deque((call(case) for _ in range(case.calls)), None if case.all_calls else 1)


def get(name: str) -> ModuleType:
    """Return the engine's module.  Raises UsageError if there is no such engine."""
    if name not in ENGINES:
        raise UsageError("there is no engine '{name}'.", did_you_mean(name, ("auto", *ENGINES)), name=name)
    return import_module(ENGINES[name])


def installed() -> dict[str, str]:
    """Return the versions of the engines' packages that are installed; does not import the packages."""
    from importlib import metadata

    versions = {}
    for package in chain.from_iterable(get(name).PACKAGES for name in ENGINES):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def available() -> list[EngineInfo]:
    """Return all engines, with the installed versions of their packages."""
    infos, known = [], installed()
    for name in ENGINES:
        engine = get(name)
        versions = [f"{package} {known[package]}" for package in engine.PACKAGES if package in known]
        missing = [package for package in engine.PACKAGES if package not in known]
        needs = "needs {missing}: pip install {packages}"
        note = Message(needs, missing=", ".join(missing), packages=" ".join(missing))
        infos.append(EngineInfo(name, not missing, ", ".join(versions), note if missing else engine.NOTE))
    return infos


def require_steps(engine: str) -> None:
    """Raise UsageError for an engine that does not record steps."""
    if engine not in ("auto", STEPWISE):
        typed = Message("Leave {--engine} out; rnncli trace --check compares a trace with tensorflow.")
        way = Either(typed, Message("Leave it out."))
        what = "{--engine:engine}: this engine does not record steps."
        raise UsageError(what, "{way}", engine=engine, way=way)


def reason_not_traced(case: Case) -> Text | None:
    """Return why the engine that records steps cannot trace the case; None if it can."""
    reason: Text | None = get(STEPWISE).refusal(case._replace(with_trace=True))
    return reason


def choose(case: Case, engine: str = "auto") -> str:
    """Return the engine that computes this case; for `auto`, the fastest one that gives Keras's numbers.

    Raises UsageError if the engine does not give them.
    """
    if engine == "auto":
        engine = STEPWISE if case.hold else REFERENCE
        if not case.hold and not get("numpy").refusal(case):
            if not has_many_steps(case):  # the usual case, which should not load another engine
                return "numpy"
            onnx = get("onnx")
            return "onnx" if all(map(find_spec, onnx.PACKAGES)) and not onnx.refusal(case) else "numpy"
    require_able(case, engine)
    return engine


def require_able(case: Case, engine: str) -> None:
    """Raise UsageError if `engine` does not give Keras's numbers for this case."""
    refusal = get(engine).refusal(case)
    if case.hold and engine != STEPWISE:
        raise UsageError(
            "{--hold}: the engine {engine} cannot hold a gate.", "Leave {--engine} out.", engine=engine
        )
    if case.hold and refusal:
        what = "{--hold}: the engine {engine}, the only one that holds gates, cannot compute this: {refusal}."
        raise UsageError(what, "Leave {--hold} out.", engine=engine, refusal=refusal)
    if refusal:
        advice: Text = ""  # the refusal of the reference already says what to do
        if engine != REFERENCE:
            why = get(REFERENCE).refusal(case)
            advice = Message("Leave {--engine} out, or use {reference}.", reference=REFERENCE)
            advice = Message("Leave {--engine} out. {why}.", why=why) if why else advice
        raise UsageError(
            "the engine {engine} cannot compute this: {refusal}.", advice, engine=engine, refusal=refusal
        )


def has_many_steps(case: Case) -> bool:
    """Return whether the loops have enough steps for ONNX Runtime to be faster than NumPy.

    Always False for stateful layers: after a NaN, another engine could not continue from their states.
    """
    batch, timesteps = case.inputs.shape[:2]
    share = 0.0
    for layer in case.stack:
        loops = [spec for spec in walk((layer,)) if spec.class_name in FEWEST_STEPS]
        each = 2 if layer.class_name == "Bidirectional" and len(loops) == 1 else 1
        for spec in loops:
            if spec.config["stateful"]:
                return False
            numbers = batch * spec.config["units"]
            least = next((steps for most, steps in FEWEST_STEPS[spec.class_name] if numbers <= most), None)
            if least is None:
                return False
            share += each * timesteps * case.calls / least
    return share > 1


def reason_for_keras(case: Case) -> Text | None:
    """Return why a layer needs Keras; None if rnncli can compute every layer."""
    reasons = (layer.reason_for_keras(case.training) for layer in case.stack.layers)
    return next((reason for reason in reasons if reason), None)


class LayerRunner(ABC):
    """Calls rnncli's own layers in an engine's loop over time; stateful layers keep their states."""

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        self.stack, self.weights, self.seeds = case.stack, weights, seeds
        self.states: dict[str, Any] = {}
        self.traces: list[LoopTrace] = []

    def __call__(self, case: Case) -> EngineOutput:
        """Return every layer's tensors from the last call, or from all calls, and the trace of the last.

        If a call fails, the states of stateful layers are restored.
        """
        import numpy as np

        def call_once(case: Case) -> Tensors:
            self.traces = []
            returned = self.stack.call(self, case.inputs, case.mask, case.initial_state, self.weights)
            return tuple(layer.tensors for layer in returned)

        kept = dict(self.states)
        try:
            with np.errstate(all="ignore"):
                *earlier, last = repeat(case, call_once)
        except RnncliError:
            self.states = kept  # do not keep the states of a failed call
            raise
        return EngineOutput(last, self.weights, tuple(self.traces), tuple(earlier))

    def loop(self, layer: RecurrentLayer, call: LayerCall) -> tuple[Array, tuple[Array, ...]]:
        outputs, state = self.steps_of(layer, call, self._start(layer, call))
        if layer.config["stateful"]:
            self.states[call.place.path] = state
        return outputs, layer.cell.unpack(state)

    @abstractmethod
    def steps_of(self, layer: RecurrentLayer, call: LayerCall, state: Any) -> tuple[Array, Any]:
        """Run one layer over the time steps of one call, starting from `state`.

        Returns the outputs and the last state.  The outputs are (batch, timesteps, units), in the order of
        processing; if the layer returns no sequence, they are (batch, units), from the last step.
        """

    def _start(self, layer: RecurrentLayer, call: LayerCall) -> Any:
        if call.initial_state is not None:
            return layer.cell.pack(call.initial_state)
        kept, batch = self.states.get(call.place.path), len(call.inputs)
        if kept is None:
            return layer.cell.start(batch, call.inputs.dtype, call.inputs.shape[-1])
        before = len(layer.cell.output(kept))
        if before != batch:
            what = "a stateful layer keeps the states of a batch of {before}, but this batch has {batch}."
            advice = "Use the same batch size every time, or leave stateful out."
            raise InputError(what, advice, before=before, batch=batch)
        return kept


def refusal_of_library(case: Case) -> Text | None:
    """Return why no engine that runs the loop in another library can compute the case; None if it may."""
    if case.with_trace:
        return Message("it does not record gates")
    for spec in walk(case.stack):
        if case.training and (spec.config.get("dropout") or spec.config.get("recurrent_dropout")):
            return Message("it has no dropout inside recurrent layers")
        if spec.class_name == "Masking":
            return Message("it can skip only trailing steps, and Masking may skip any step")
    for layer in case.stack.layers:
        if layer.is_opaque:
            return Message("it does not run the layer inside {class_name}", class_name=layer.spec.class_name)
    mask = case.mask
    # Each sequence needs at least one unmasked step, and all masked steps at the end.
    if mask is not None and not (mask[:, 0].all() and (mask[:, :-1] >= mask[:, 1:]).all()):
        return Message("it can skip only trailing steps, but the mask skips others too")
    return reason_for_keras(case)


def mask_outputs(
    layer: RecurrentLayer, outputs: Array, lengths: Array | None, final: Array, timesteps: int
) -> Array:
    """Return what Keras returns at the masked steps too: the sequence, or the last output.

    outputs: (batch, timesteps, units) in the order of the inputs, zeros at masked steps; unused if the layer
        returns no sequence.
    lengths: (batch,), the number of unmasked steps of each sequence; None if no step is masked.
    final: (batch, units), the output of the last unmasked step.
    """
    import numpy as np

    backwards, zeroing = layer.config["go_backwards"], layer.config["zero_output_for_mask"]
    if not layer.sequences:
        if lengths is None or backwards or not zeroing:
            return final
        return np.where((lengths < timesteps)[:, None], np.zeros_like(final), final)
    if backwards:
        return np.ascontiguousarray(outputs[:, ::-1])
    if zeroing or lengths is None:
        return np.ascontiguousarray(outputs)
    padded = np.arange(timesteps) >= lengths[:, None]
    return np.where(padded[..., None], final[:, None], outputs)
