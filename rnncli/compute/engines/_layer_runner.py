"""Run rnncli's own layers in the loop over time of an engine; keep states between calls.

What follows `refusal_of_library` is for engines that loop in another library: it skips only trailing steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Case, walk
from rnncli.compute.engines import EngineOutput, Tensors, repeat
from rnncli.errors import EngineError, InputError, Message, RnncliError, Text
from rnncli.layers.stack import Stack
from rnncli.result import LoopTrace

if TYPE_CHECKING:
    from rnncli.layers.layer import Call
    from rnncli.layers.recurrent import RecurrentLayer


def reason_for_keras(case: Case) -> Text | None:
    """Return why one of the layers needs Keras; None if rnncli can compute all of them."""
    for layer in Stack(case.specs).layers:
        if not layer.without_keras:
            return Message("only Keras computes {class_name}", class_name=layer.spec.class_name)
        if case.training and not layer.trains_without_keras:
            return Message(
                "only Keras can draw the random numbers of {class_name} in training",
                class_name=layer.spec.class_name,
            )
    return None


class LayerRunner(ABC):
    """Calls the layers of a case, and keeps the states of stateful layers between calls."""

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        self.stack, self.weights, self.seeds = Stack(case.specs), weights, seeds
        self.states: dict[str, Any] = {}
        self.traces: list[LoopTrace] = []

    def __call__(self, case: Case) -> EngineOutput:
        """Return every layer's tensors from the last call, or from all calls, and the trace of the last.

        If a call fails, the states of stateful layers are restored.
        """
        import numpy as np

        kept = dict(self.states)
        try:
            with np.errstate(all="ignore"):
                *earlier, last = repeat(case, self._call_once)
        except RnncliError:
            self.states = kept  # do not keep the states of a failed call
            raise
        return EngineOutput(last, self.weights, tuple(self.traces), tuple(earlier))

    def _call_once(self, case: Case) -> Tensors:
        self.traces = []
        returned = self.stack.call(self, case.inputs, case.mask, case.initial_state, self.weights)
        return tuple(layer.tensors for layer in returned)

    def loop(self, layer: RecurrentLayer, call: Call) -> tuple[Array, tuple[Array, ...]]:
        outputs, state = self.steps_of(layer, call, self._start(layer, call))
        if layer.config["stateful"]:
            self.states[call.place.path] = state
        return outputs, layer.cell.unpack(state)

    @abstractmethod
    def steps_of(self, layer: RecurrentLayer, call: Call, state: Any) -> tuple[Array, Any]:
        """Run one layer over the time steps of one call, starting from `state`.

        Returns the outputs and the last state.  The outputs are (batch, timesteps, units), in the order of
        processing; if the layer returns no sequence, they are (batch, units), from the last step.
        """

    def _start(self, layer: RecurrentLayer, call: Call) -> Any:
        if call.initial_state is not None:
            return layer.cell.pack(call.initial_state)
        kept, batch = self.states.get(call.place.path), len(call.inputs)
        if kept is None:
            return layer.cell.start(batch, call.inputs.dtype)
        before = len(layer.cell.output(kept))
        if before != batch:
            raise InputError(
                "a stateful layer keeps the states of a batch of {before}, but this batch has {batch}.",
                "Use the same batch size every time, or leave stateful out.",
                before=before,
                batch=batch,
            )
        return kept


def refusal_of_library(case: Case) -> Text | None:
    """Return why no engine that runs the loop in another library can compute the case; None if it may."""
    if case.with_trace:
        return Message("it does not record gates")
    for spec in walk(case.specs):
        if case.training and (spec.config.get("dropout") or spec.config.get("recurrent_dropout")):
            return Message("it has no dropout inside recurrent layers")
        if spec.class_name == "Masking":
            return Message("it can skip only trailing steps, and Masking may skip any step")
    mask = case.mask
    # Each sequence needs at least one unmasked step, and all masked steps at the end.
    if mask is not None and not (mask[:, 0].all() and (mask[:, :-1] >= mask[:, 1:]).all()):
        return Message("it can skip only trailing steps, but the mask skips others too")
    return reason_for_keras(case)


def import_packages(engine: str, *packages: str) -> list[Any]:
    """Return the modules that the engine needs.  Raises EngineError if one is missing."""
    from rnncli.process.isolation import isolated
    from rnncli.process.signals import defer_signals

    try:
        with defer_signals(), isolated():
            return [import_module(package) for package in packages]
    except ImportError as error:
        raise EngineError(
            "the engine {engine} is not installed: {error}.",
            "pip install {packages}",
            engine=engine,
            error=error,
            packages=" ".join(packages),
        ) from error


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
