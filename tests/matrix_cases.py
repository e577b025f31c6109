"""Cases of the samples whose states are matrices, and what the loops of `matrix_loops` return for them."""

from typing import Any

import numpy as np
from command import ROOT
from matrix_loops import SMALL, UNITS
from random_matrix_cells import UNITS as RANDOM_UNITS

from rnncli import specs
from rnncli.ask.layer_files import read_layer
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.specs.build import read_equations
from rnncli.specs.expressions import parse
from rnncli.values import sizes

BATCH, TIMESTEPS, FEATURES = 3, 6, 7
MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0], [1, 0, 0, 1, 1, 0]], bool)


def layer_of(name: str, **loop: Any) -> str:
    options = "".join(f", {key}={value!r}" for key, value in {**SMALL[name][1], **loop}.items())
    return f"@'{ROOT}/samples/cells/{name}.toml'({UNITS}{options})"


def case_of(text: str, dtype: str = "float64", *, started: bool = True, **given: Any) -> Case:
    """Return a case with random weights and, if `started`, random states before the first step."""
    rng = np.random.default_rng(5)
    stack = Stack(specs.from_flags([read_layer(text)], {}))
    inputs = rng.standard_normal((BATCH, TIMESTEPS, FEATURES))
    shapes = stack.weight_shapes(inputs.shape)
    weights = {path: 0.5 * rng.standard_normal(sizes(shape)) for path, shape in shapes.items()}
    states = [rng.standard_normal(sizes(info.shape)) for info in stack.states(inputs.shape)]
    return Case(
        stack, inputs.astype(dtype),
        weights={path: values.astype(dtype) for path, values in weights.items()},
        initial_state=tuple(state.astype(dtype) for state in states) if started else None, **given,
    )  # fmt: skip


def expected(name: str, case: Case, order: Any = slice(None), mask: Any = None, path: str = "") -> Any:
    """Return the loop's outputs and last states; a masked step keeps the states and repeats the output."""
    loop, given = SMALL[name]
    n = {"units": UNITS, **given}
    weights = {
        key.removeprefix(path): value for key, value in (case.weights or {}).items() if key.startswith(path)
    }
    weights.setdefault("bias", np.zeros(weights["kernel"].shape[-1]))  # without use_bias
    outputs, states = [], []
    count = len(case.stack.states(case.inputs.shape)) // (2 if path else 1)
    zeros = [np.zeros(sizes(info.shape)) for info in case.stack.states(case.inputs.shape)]
    starts = (case.initial_state or zeros)[count if path == "backward/" else 0 :]
    for row in range(BATCH):
        kept = [state[row] for state in starts[1:count]]
        made, last = [], np.zeros(UNITS)
        for step in range(TIMESTEPS)[order]:
            if mask is None or mask[row, step]:
                (last,), kept = loop(weights, case.inputs[row, step][None], n, *kept)
            made.append(last)
        outputs.append(made)
        states.append(kept)
    return np.array(outputs), [np.array(part) for part in zip(*states, strict=True)]


def random_case(text: str, **options: Any) -> Case:
    """Return a case of a random cell, with random weights and states."""
    given = {"return_sequences": True, "return_state": True, "dtype": "float64", **options}
    words = "".join(f", {name}={value!r}" for name, value in given.items())
    call = parse(f"@r.toml({RANDOM_UNITS}{words})", {"r.toml": read_equations(text)})
    stack, rng = Stack(specs.from_flags([call], {})), np.random.default_rng(3)
    inputs = rng.standard_normal((2, 4, 3))
    shapes = stack.weight_shapes(inputs.shape).items()
    weights = {path: 0.7 * rng.standard_normal(sizes(shape)) for path, shape in shapes}
    states = tuple(rng.standard_normal(sizes(info.shape)) for info in stack.states(inputs.shape))
    return Case(stack, inputs, weights=weights, initial_state=states)
