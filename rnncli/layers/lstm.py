"""Long short-term memory (Hochreiter and Schmidhuber 1997), with the forget gate of Gers et al. (2000)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar, NamedTuple

from rnncli import initializers
from rnncli.case import Array, Option
from rnncli.layers import activations
from rnncli.layers.equations import Current, Previous, Sum, affine, times
from rnncli.layers.recurrent import (
    LOOP_OPTIONS,
    Cell,
    DropoutMasks,
    Gates,
    RecurrentLayer,
    StepHolds,
    activate_gates,
    cell_options,
    hold,
    product,
    split,
)
from rnncli.result import Gate


class LSTMState(NamedTuple):
    """hidden: (batch, units), the output.  cell: (batch, units), the memory."""

    hidden: Array
    cell: Array


class LSTMCell(Cell):
    """One step of an LSTM."""

    State = LSTMState
    gates = ("input", "forget", "candidate", "output")
    options: ClassVar[Mapping[str, Option]] = cell_options(unit_forget_bias=Option("flag", True))

    @cached_property
    def cell_activation(self) -> Callable[[Array], Array]:
        """Activation of the cell state in the output: the candidate's, except in some nodes of ONNX."""
        name = self.config.get("cell_activation")
        return self.activation if name is None else activations.get_unguarded(name)

    def initializers(self) -> dict[str, Any]:
        """Return the initializers; with unit_forget_bias, the forget bias is 1 unless it is `probe`."""
        found = super().initializers()
        if self.config["use_bias"] and self.config["unit_forget_bias"] and found["bias"] != "probe":
            found["bias"] = partial(self._draw_bias, found["bias"])
        return found

    def _draw_bias(self, value: Any, _: tuple[int, ...], dtype: str, seed: int | None) -> Array:
        import numpy as np

        before, after = (
            initializers.make(value, (size,), dtype, seed) for size in (self.units, 2 * self.units)
        )
        return np.concatenate([before, np.ones(self.units, dtype), after])

    def step(
        self,
        projected: Array,
        state: LSTMState,
        weights: Mapping[str, Array],
        dropout: DropoutMasks,
        holds: StepHolds | None = None,
    ) -> tuple[LSTMState, Gates]:
        """Compute one time step.

        i, f, o = sigmoid(x W + h U + b);  g = tanh(x W + h U + b);  c' = f c + i g;  h' = o tanh(c')

        projected: (batch, 4 * units), in the order i, f, g, o.  state: hidden and cell, (batch, units) each.
        """
        z = projected + product(state.hidden, weights["recurrent_kernel"], dropout.recurrent)
        input_, forget, output = activate_gates(self.recurrent_activation, z, self.units, (0, 1, 3))
        candidate = self.activation(z[:, 2 * self.units : 3 * self.units])
        if holds:
            input_, forget, candidate, output = hold(
                holds, input=input_, forget=forget, candidate=candidate, output=output
            )
        cell = forget * state.cell + input_ * candidate
        hidden = output * self.cell_activation(cell)

        def gates() -> tuple[Gate, ...]:
            return tuple(map(Gate, split(z, self.units), (input_, forget, candidate, output)))

        return LSTMState(hidden, cell), gates

    def equations(self) -> dict[str, Sum]:
        own = "cell_activation" if self.config.get("cell_activation") else "activation"
        functions = dict.fromkeys(self.gates, "recurrent_activation") | {"candidate": "activation"}
        biased = self.config["use_bias"]
        return {
            "hidden": Sum((times(Current("output"), Current("cell", own)),)),
            "cell": Sum(
                (
                    times(Current("forget"), Previous("cell")),
                    times(Current("input"), Current("candidate")),
                )
            ),
            **{gate: Sum(affine(gate, biased), function) for gate, function in functions.items()},
        }


class LSTM(RecurrentLayer):
    """An LSTM cell run over time; returns output[, last hidden state, last cell state]."""

    cell_class = LSTMCell
    options: ClassVar[Mapping[str, Option]] = {**LSTMCell.options, **LOOP_OPTIONS}
