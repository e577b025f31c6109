"""Random cells whose axes have names: in NumPy, in Keras, and by an interpreter that shares no code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_matrix_cells import Interpreter, Named, some_matrix_cells

from rnncli import compute, specs
from rnncli.compute import trace as tracing
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.specs.build import read_equations
from rnncli.specs.expressions import parse
from rnncli.values import sizes

UNITS, FEATURES, BATCH, TIMESTEPS = 2, 3, 2, 4


def random_case(text: str, *, backwards: bool = False) -> Case:
    options = f"return_sequences=True, return_state=True, dtype='float64', go_backwards={backwards}"
    call = parse(f"@r.toml({UNITS}, {options})", {"r.toml": read_equations(text)})
    stack, rng = Stack(specs.from_flags([call], {})), np.random.default_rng(3)
    inputs = rng.standard_normal((BATCH, TIMESTEPS, FEATURES))
    shapes = stack.weight_shapes(inputs.shape).items()
    weights = {path: 0.7 * rng.standard_normal(sizes(shape)) for path, shape in shapes}
    states = tuple(rng.standard_normal(sizes(info.shape)) for info in stack.states(inputs.shape))
    return Case(stack, inputs, weights=weights, initial_state=states)


@settings(max_examples=1_000 if settings().max_examples > 100 else 25, deadline=None)
@given(some_matrix_cells(), st.booleans())
@pytest.mark.slow
def test_every_line_by_an_interpreter(text: str, backwards: bool) -> None:
    case = random_case(text, backwards=backwards)
    loop = tracing.trace(case).trace[0]
    alone = compute.run(case, "numpy").outputs
    interpreter = Interpreter(text, UNITS, FEATURES, case.weights or {})
    names = ("hidden", "memory", "window")
    order = range(TIMESTEPS)[::-1] if backwards else range(TIMESTEPS)
    for row in range(BATCH):
        starts = case.initial_state or ()
        states = {
            name: Named(part[row], interpreter.axes(name)) for name, part in zip(names, starts, strict=True)
        }
        for step, time in enumerate(order):
            known = interpreter.step(case.inputs[row, time], states)
            states = {name: known[name] for name in names}
            for part, values in loop.parts.items():
                if part.part in known and part.kind in ("", "activation"):
                    wanted = known[part.part].values.ravel()
                    np.testing.assert_allclose(
                        values[row, step], wanted, rtol=1e-9, atol=1e-10, err_msg=str(part)
                    )
        for name, tensor in zip(names, alone[1:], strict=True):
            np.testing.assert_allclose(tensor.values[row], states[name].values, rtol=1e-9, atol=1e-10)


@settings(max_examples=300 if settings().max_examples > 100 else 6, deadline=None)
@given(some_matrix_cells())
@pytest.mark.slow
def test_keras_computes_the_same(text: str) -> None:
    case = random_case(text)
    ours, theirs = (compute.run(case, engine).outputs for engine in ("numpy", "tensorflow"))
    for tensor, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(tensor.values, other.values, rtol=1e-9, atol=1e-10)
