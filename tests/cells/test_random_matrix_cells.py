"""Random cells whose axes have names: in NumPy, in Keras, and by an interpreter that shares no code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import RANDOM_FORMS, RANDOM_MASKS, random_case
from random_matrix_cells import UNITS, Interpreter, Named, some_matrix_cells

from rnncli import compute
from rnncli.compute import trace as tracing


@settings(max_examples=1_000 if settings().max_examples > 100 else 25, deadline=None)
@given(some_matrix_cells(), st.booleans(), st.booleans())
@pytest.mark.slow
def test_every_line_by_an_interpreter(text: str, backwards: bool, use_bias: bool) -> None:
    case = random_case(text, go_backwards=backwards, use_bias=use_bias)
    batch, timesteps, features = case.inputs.shape
    loop = tracing.trace(case).trace[0]
    alone = compute.run(case, "numpy").outputs
    interpreter = Interpreter(text, UNITS, features, case.weights or {})
    names = ("hidden", "memory", "window")
    order = range(timesteps)[::-1] if backwards else range(timesteps)
    for row in range(batch):
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
@given(some_matrix_cells(), st.sampled_from(RANDOM_FORMS), st.sampled_from(RANDOM_MASKS))
@pytest.mark.slow
def test_keras_computes_the_same(text: str, form: str, mask: np.ndarray | None) -> None:
    case = random_case(text, form, mask)
    ours, theirs = (compute.run(case, engine).outputs for engine in ("numpy", "tensorflow"))
    for tensor, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(tensor.values, other.values, rtol=1e-9, atol=1e-10)
