"""How strongly the last hidden state depends on each input, by the chain rule over the steps of a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rnncli.case import Array
from rnncli.layers.stack import Stack

STEP = 1e-6
"""Half the distance of the two points of a central difference in float64; its error is about 1e-10."""


def measure_norms(line: str) -> Array:
    """Return the Frobenius norm of d(last hidden state)/d(input at t), for each t, (timesteps,) of float64.

    line: a command with one layer and one sequence, `rnncli run -l lstm --input-shape 1,30,4 --seed 7`.
    The Jacobian of every single step is measured in float64 by central differences; multiplying them keeps
    the relative precision of norms that vanish.
    """
    import numpy as np

    from rnncli import compute
    from rnncli.cli.flags import CommandLine

    case = CommandLine.parse(line).case()
    layer: Any = Stack(case.specs).layers[0]
    weights = compute.run(case, "numpy").weights
    wide = {name: values.astype(np.float64) for name, values in weights.items()}
    inputs = case.inputs[0].astype(np.float64)
    states = [np.concatenate(list(layer.cell.start(1, np.float64)), axis=-1)]
    step = partial(_step_states, layer.cell, wide)
    with np.errstate(all="ignore"):
        for x in inputs:
            states.append(step(x[None], states[-1]))
        found = []
        row = np.eye(layer.cell.units, states[0].shape[-1])  # hidden comes first in a state
        for x, state in zip(inputs[::-1], states[-2::-1], strict=True):
            found.append(np.linalg.norm(row @ _jacobian(partial(step, states=state), x)))
            row = row @ _jacobian(partial(step, x[None]), state[0])
    return np.array(found[::-1])


def _step_states(cell: Any, weights: Mapping[str, Array], inputs: Array, states: Array) -> Array:
    """Return the states after one step, (batch, all units).

    inputs: (batch, features).  states: (batch, all units).  Either batch may be 1, which is broadcast.
    """
    import numpy as np

    batch = max(len(inputs), len(states))
    inputs, states = (np.broadcast_to(one, (batch, one.shape[-1])) for one in (inputs, states))
    parts = np.split(states, states.shape[-1] // cell.units, axis=-1)
    project, step = cell.bind(weights, cell.no_dropout())
    state, _ = step(project(inputs), tuple(parts))
    return np.concatenate(list(state), axis=-1)


def _jacobian(function: Callable[[Array], Array], point: Array) -> Array:
    """Return d(function)/d(point), (outputs, inputs).  function: from (batch, inputs) to (batch, outputs)."""
    import numpy as np

    moves = STEP * np.eye(len(point))
    return (function(point + moves) - function(point - moves)).T / (2 * STEP)
