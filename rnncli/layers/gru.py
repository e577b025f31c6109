"""Gated recurrent unit (Cho et al. 2014).

reset_after is the variant that cuDNN and PyTorch use, and Keras's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from rnncli.case import Array, Option
from rnncli.layers.equations import Bias, Current, DotProduct, Previous, Sum, affine, times
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


class GRUState(NamedTuple):
    """hidden: (batch, units), the output and the only state."""

    hidden: Array


class GRUCell(Cell):
    """One step of a GRU."""

    State = GRUState
    gates = ("update", "reset", "candidate")
    options: ClassVar[Mapping[str, Option]] = {**cell_options(), "reset_after": Option("flag", True)}

    def bias_shape(self) -> tuple[int, ...]:
        """(3 * units,); with reset_after (2, 3 * units): the input bias and the recurrent bias."""
        width = 3 * self.units
        return (2, width) if self.config["reset_after"] else (width,)

    def _recur(self, hidden: Array, weights: Mapping[str, Array], dropout: DropoutMasks) -> Array:
        """Return h U + b of every gate; without reset_after, h U of update and reset only."""
        kernel = weights["recurrent_kernel"]
        if not self.config["reset_after"]:
            return product(hidden, kernel[:, : 2 * self.units], dropout.recurrent[:2])
        recurrent = product(hidden, kernel, dropout.recurrent)
        if self.config["use_bias"]:
            recurrent += weights["bias"][1]
        return recurrent

    def step(
        self,
        projected: Array,
        state: GRUState,
        weights: Mapping[str, Array],
        dropout: DropoutMasks,
        holds: StepHolds | None = None,
    ) -> tuple[GRUState, Gates]:
        """Compute one time step.

        z, r = sigmoid(x W + h U);  h~ = tanh(x W + r (h U + b)), or tanh(x W + (r h) U) without
        reset_after;  h' = z h + (1 - z) h~

        projected: (batch, 3 * units), in the order z, r, h~.  state: hidden, (batch, units).
        """
        units = self.units
        recurrent = self._recur(state.hidden, weights, dropout)
        z = projected[:, : 2 * units] + recurrent[:, : 2 * units]
        update, reset = activate_gates(self.recurrent_activation, z, units, (0, 1))
        if holds:
            update, reset = hold(holds, update=update, reset=reset)
        inner = None
        if self.config["reset_after"]:
            inner = recurrent[:, 2 * units :]
            z_candidate = projected[:, 2 * units :] + reset * inner
        else:
            kernel = weights["recurrent_kernel"][:, 2 * units :]
            h_u = product(reset * state.hidden, kernel, dropout.recurrent[2:])
            z_candidate = projected[:, 2 * units :] + h_u
        candidate = self.activation(z_candidate)
        if holds:
            (candidate,) = hold(holds, candidate=candidate)
        hidden = update * state.hidden + (1 - update) * candidate

        def gates() -> tuple[Gate, ...]:
            z_update, z_reset = split(z, units)
            return Gate(z_update, update), Gate(z_reset, reset), Gate(z_candidate, candidate, inner)

        return GRUState(hidden), gates

    def equations(self) -> dict[str, Sum]:
        """Return the equations; with reset_after, the recurrent part of each gate has its own bias."""
        after, biased = self.config["reset_after"], self.config["use_bias"]

        def bias(gate: str, *lines: int) -> tuple[Bias, ...]:
            return tuple(Bias(gate, line if after else None) for line in lines) if biased else ()

        def gate_equation(gate: str) -> Sum:
            lines = (0, 1) if after else (0,)
            return Sum((*affine(gate, biased=False), *bias(gate, *lines)), "recurrent_activation")

        recurrent = DotProduct("hidden", "recurrent_kernel", "candidate", "" if after else "reset")
        inner = times(Current("reset"), Current("candidate", kind="recurrent")) if after else recurrent
        candidate = (DotProduct("inputs", "kernel", "candidate"), inner, *bias("candidate", 0))
        before, new = (
            times(Current("update"), Previous("hidden")),
            Current("update", complement=True),
        )
        return {
            "hidden": Sum((before, times(new, Current("candidate")))),
            "update": gate_equation("update"),
            "reset": gate_equation("reset"),
            "candidate": Sum(candidate, "activation"),
            **({"candidate.recurrent": Sum((recurrent, *bias("candidate", 1)))} if after else {}),
        }


class GRU(RecurrentLayer):
    """A GRU cell run over time; returns output[, last hidden state]."""

    cell_class = GRUCell
    options: ClassVar[Mapping[str, Option]] = {**GRUCell.options, **LOOP_OPTIONS}
