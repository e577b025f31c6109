"""The fully connected recurrent layer (Elman 1990)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from rnncli.case import Array, Option
from rnncli.layers.equations import Current, Sum, affine, times
from rnncli.layers.recurrent import (
    LOOP_OPTIONS,
    Cell,
    DropoutMasks,
    Gates,
    RecurrentLayer,
    StepHolds,
    cell_options,
    hold,
    product,
)
from rnncli.result import Gate


class SimpleRNNState(NamedTuple):
    """hidden: (batch, units), the output."""

    hidden: Array


class SimpleRNNCell(Cell):
    """One step of a SimpleRNN."""

    State = SimpleRNNState
    gates = ("candidate",)
    seed_order = ("dropout", "kernel", "recurrent_kernel", "bias")
    options: ClassVar[Mapping[str, Option]] = cell_options(gated=False)

    def step(
        self,
        projected: Array,
        state: SimpleRNNState,
        weights: Mapping[str, Array],
        dropout: DropoutMasks,
        holds: StepHolds | None = None,
    ) -> tuple[SimpleRNNState, Gates]:
        """Compute one time step: h' = tanh(x W + h U + b).

        projected: (batch, units).  state: hidden, (batch, units).
        """
        z = projected + product(state.hidden, weights["recurrent_kernel"], dropout.recurrent)
        hidden = self.activation(z)
        if holds:
            (hidden,) = hold(holds, candidate=hidden)
        return SimpleRNNState(hidden), lambda: (Gate(z, hidden),)

    def equations(self) -> dict[str, Sum]:
        return {
            "hidden": Sum((times(Current("candidate")),)),
            "candidate": Sum(affine("candidate", self.config["use_bias"]), "activation"),
        }


class SimpleRNN(RecurrentLayer):
    """A SimpleRNN cell run over time; returns output[, last hidden state]."""

    cell_class = SimpleRNNCell
    unsaved = frozenset({"seed"})
    options: ClassVar[Mapping[str, Option]] = {**SimpleRNNCell.options, **LOOP_OPTIONS}
