"""Notes on comparisons that would agree even if something were wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rnncli import arrays
from rnncli.case import Array, Case, walk
from rnncli.errors import Message, Text
from rnncli.layers.stack import Stack
from rnncli.result import NamedTensor


def find_cautions(case: Case, weights: Mapping[str, Array], outputs: Sequence[NamedTensor]) -> Iterator[Text]:
    """Yield a note for constant weights, a zero input, one unit, one time step and results without numbers.

    weights: those that the layers computed with, by path.  outputs: what one engine returned.
    """
    constant = [path for path, array in weights.items() if path.endswith("kernel") and _is_constant(array)]
    if constant:
        instead = (
            Message("give different weights")
            if case.weights is not None
            else Message("use {--kernel-initializer probe}")
        )
        yield Message(
            "this proves little: every number in {constant} is the same, so gates, units and "
            "features in a wrong order give the same result; {instead}",
            constant=", ".join(constant),
            instead=instead,
        )
    if not any(block.any() for block in arrays.blocks(case.inputs)):
        yield Message(
            "this proves little: every input is 0, so the kernel has no effect; give a different input"
        )
    if any(spec.config.get("units") == 1 for spec in walk(case.specs)):
        yield Message(
            "this proves little: with one unit, a wrong order of units cannot show; use several units"
        )
    if _is_first_step_alone(case):
        yield Message(
            "this proves little: with one time step from zeros, the recurrent kernel has no "
            "effect; give a longer input"
        )
    names = [
        tensor.name
        for tensor in outputs
        if not any(np.isfinite(block).any() for block in arrays.blocks(tensor.values))
    ]
    if names:
        yield Message(
            "this proves little: no number in {names} is finite, and NaN counts as equal to NaN; "
            "give a finite input and finite weights",
            names=", ".join(names),
        )


def _is_first_step_alone(case: Case) -> bool:
    """Return whether every recurrent layer takes one step from zero states; False without one."""
    recurrent = any(layer.recurrent for layer in Stack(case.specs).layers)
    return recurrent and case.inputs.shape[1] == 1 and case.initial_state is None and case.calls == 1


def _is_constant(array: Array) -> bool:
    return bool(array.size > 1 and (array == array.flat[0]).all())
