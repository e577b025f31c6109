"""Run a fix: its layers on an input of its shape, with the numpy engine."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from rnncli import specs
from rnncli.case import Array, Dimension, Shape
from rnncli.commands.why.diagnosis import Fix
from rnncli.errors import Message, RnncliError, Text
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import TensorInfo

MOST_STEPS = 1_000
"""Time steps of the longest run; a longer one would take more than a moment."""
MOST_NUMBERS = 2**18
"""Numbers in the input, and in the weights, of the largest run."""
MOST_PRODUCTS = 2**26
"""Products of the largest run: every weight is used for every time step of every sequence."""

STAND_INS: dict[str, int] = {"batch": 2, "timesteps": 4, "features": 5, "units": 3}
"""Sizes of a run if the message does not give them."""

SEED = 0


class Outcome(NamedTuple):
    """The result of running a fix.

    stack: None if there is nothing to run.  sizes: the sizes of the input of the run.
    outputs: the returned tensors; a size is unknown where the shape of the fix has a name or None.
    weights: the shapes by path.  states: the shapes of the initial states.
    obstacle: why it was not run, "" if it was.
    """

    fix: Fix
    stack: Stack | None = None
    sizes: tuple[int, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    weights: Mapping[str, Shape] = {}
    states: tuple[Shape, ...] = ()
    obstacle: Text = ""


def attempt(fix: Fix) -> Outcome | None:
    """Run the layers of `fix`; None if rnncli refuses them, so that no fix is shown that fails."""
    if not fix.layers:
        return Outcome(fix)
    sizes = tuple(map(_size, fix.shape))
    if 0 in sizes:
        return None
    try:
        stack = specs.from_flags(list(fix.layers), {})
        obstacle = _obstacle(stack, sizes)
        if not obstacle:
            _run(stack, sizes, fix)
        outputs = stack.outputs(fix.shape)
        weights = stack.weight_shapes(fix.shape)
        states = tuple(info.shape for info in stack.states(fix.shape)) if fix.states else ()
    except RnncliError:
        return None
    return Outcome(fix, stack, sizes, outputs, weights, states, obstacle)


def _size(dimension: Dimension) -> int:
    return dimension if isinstance(dimension, int) else STAND_INS.get(dimension or "", 2)


def _obstacle(stack: Stack, sizes: tuple[int, ...]) -> Text:
    """Return the reason not to run: only Keras computes a layer, or the sizes of the message are huge."""
    if not all(layer.without_keras for layer in stack.layers):
        return Message("shapes only: only Keras computes this layer")
    weights = sum(prod(map(_size, shape)) for shape in stack.weight_shapes(sizes).values())
    batch, steps = sizes[:2]
    large = max(prod(sizes), weights) > MOST_NUMBERS or steps > MOST_STEPS
    too_large = large or weights * batch * steps > MOST_PRODUCTS
    return Message("shapes only: too large to run here") if too_large else ""


def _run(stack: Stack, sizes: tuple[int, ...], fix: Fix) -> None:
    """Compute the outputs.  Raises RnncliError if the layers reject the input, the mask or the states."""
    import numpy as np

    from rnncli import compute
    from rnncli.inputs import generated
    from rnncli.layers.shape_checks import check_case

    def draw(shape: Shape) -> Array:
        return generated.make_input(tuple(map(_size, shape)), "normal", SEED, stack.dtype)

    states = tuple(draw(info.shape) for info in stack.states(sizes)) if fix.states else None
    mask = np.ones(sizes[:2], dtype=bool) if fix.mask else None
    case = Case(stack, draw(sizes), mask=mask, initial_state=states, seed=SEED)
    compute.run(check_case(case), "numpy")
