"""What the engines that run our own layers share: calls in a row, and what stays between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnncli.case import Case
from rnncli.engines import Computed
from rnncli.layers import make
from rnncli.layers.stack import Stack

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.layers._layer import Call
    from rnncli.layers._recurrent import Recurrent
    from rnncli.result import Step


def without_step(case: Case) -> str | None:
    """Why only Keras computes one of the layers; None where each has a step of ours."""
    for spec in case.layers:
        if not make(spec).without_keras:
            return f"{spec.class_name} has no step here"
    return None


class Running(ABC):
    """Lends the layers a loop over time, and keeps the states of stateful layers from call to call."""

    def __init__(self) -> None:
        self.states: dict[str, Any] = {}
        self.steps: list[Step] = []

    def compute(self, case: Case, weights: Mapping[str, Array]) -> Computed:
        """Every layer's tensors after the last of `case.calls` calls, and the steps of that call."""
        import numpy as np

        stack = Stack(case.layers)
        with np.errstate(all="ignore"):
            for _ in range(case.calls):
                self.steps = []
                returned = stack.call(self, case.inputs, case.mask, case.initial_state, weights)
        return Computed(tuple(layer.tensors for layer in returned), weights, tuple(self.steps))

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
        kept = self.states.get(call.place.path)
        return layer.cell.start(len(call.inputs), call.inputs.dtype) if kept is None else kept
