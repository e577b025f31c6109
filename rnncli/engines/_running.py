"""What the engines that run our own layers share: a call, and what stays between calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnncli.case import Case
from rnncli.engines import Computed
from rnncli.errors import InputError, RnncliError
from rnncli.layers import make
from rnncli.layers.stack import Stack
from rnncli.recorded import Recording

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.layers._layer import Call
    from rnncli.layers._recurrent import Recurrent


def without_step(case: Case) -> str | None:
    """Why only Keras computes one of the layers; None where each has a step of ours."""
    for spec in case.layers:
        layer = make(spec)
        if not layer.without_keras:
            return f"{spec.class_name} has no step here"
        if case.training and not layer.trains_without_keras:
            return f"Keras draws what {spec.class_name} leaves out while it trains"
    return None


class Running(ABC):
    """Lends the layers a loop over time, and keeps the states of stateful layers from call to call."""

    def __init__(self, case: Case, weights: Mapping[str, Array]) -> None:
        self.stack, self.weights = Stack(case.layers), weights
        self.states: dict[str, Any] = {}
        self.steps = Recording()

    def __call__(self, case: Case) -> Computed:
        """Every layer's tensors of the last of the calls, or of all; and its steps for a trace."""
        import numpy as np

        kept = dict(self.states)
        calls: list[tuple[tuple[Array, ...], ...]] = []
        try:
            with np.errstate(all="ignore"):
                for _ in range(case.calls):
                    self.steps = Recording()
                    returned = self.stack.call(self, case.inputs, case.mask, case.initial_state, self.weights)
                    if not case.all_calls:
                        calls.clear()
                    calls.append(tuple(layer.tensors for layer in returned))
        except RnncliError:
            self.states = kept  # no layer goes on from what another, or a later call, refused
            raise
        return Computed(calls[-1], self.weights, self.steps, tuple(calls[:-1]))

    def loop(self, layer: Recurrent, call: Call) -> tuple[Array, tuple[Array, ...]]:
        """See layers._layer.Run."""
        outputs, state = self.steps_of(layer, call, self._start(layer, call))
        if layer.config["stateful"]:
            self.states[call.place.path] = state
        return outputs, tuple(layer.cell.unpack(state).values())

    @abstractmethod
    def steps_of(self, layer: Recurrent, call: Call, state: Any) -> tuple[Array, Any]:
        """One layer over the time steps of one call, from `state`.

        Returns the outputs in the order of processing, (batch, timesteps, units), or (batch, units) of
        the last step where the layer returns no sequence; and the state after it.
        """

    def _start(self, layer: Recurrent, call: Call) -> Any:
        if call.initial_state is not None:
            return layer.cell.pack(call.initial_state)
        kept, batch = self.states.get(call.place.path), len(call.inputs)
        if kept is None:
            return layer.cell.start(batch, call.inputs.dtype)
        before = len(layer.cell.output(kept))
        if before != batch:
            raise InputError(
                f"a stateful layer keeps the states of a batch of {before}, and this batch has {batch}.",
                "Give the same number every time, or leave --stateful out.",
            )
        return kept
