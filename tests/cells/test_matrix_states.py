"""Cells whose states are matrices, against loops that are written apart from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from command import ROOT
from matrix_loops import SMALL, UNITS

from rnncli import compute, specs
from rnncli.ask.layer_files import read_layer
from rnncli.case import sizes
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import Result

BATCH, TIMESTEPS, FEATURES = 3, 6, 7
MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0], [1, 0, 0, 1, 1, 0]], bool)


def layer_of(name: str, **loop: Any) -> str:
    given = {**SMALL[name][1], **loop}
    options = "".join(f", {key}={value!r}" for key, value in given.items())
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
    outputs, states = [], []
    count = len(case.stack.states(case.inputs.shape)) // (2 if path else 1)
    starts = (case.initial_state or ())[count:] if path == "backward/" else case.initial_state
    for row in range(BATCH):
        kept = [state[row] for state in (starts or ())[1:count]]
        made, last = [], np.zeros(UNITS)
        for step in range(TIMESTEPS)[order]:
            if mask is None or mask[row, step]:
                (last,), kept = loop(weights, case.inputs[row, step][None], n, *kept)
            made.append(last)
        outputs.append(made)
        states.append(kept)
    return np.array(outputs), [np.array(part) for part in zip(*states, strict=True)]


def check(result: Result, outputs: Any, states: Any, near: float = 1e-12) -> None:
    ours = [tensor.values for tensor in result.outputs]
    for values, wanted in zip(ours, [outputs, None, *states], strict=True):
        if wanted is not None:
            assert values.shape == wanted.shape
            np.testing.assert_allclose(values, wanted, rtol=near, atol=near)


@pytest.mark.parametrize("name", SMALL)
def test_outputs_and_states(name: str) -> None:
    case = case_of(layer_of(name, return_sequences=True, return_state=True, dtype="float64"))
    outputs, states = expected(name, case)
    check(compute.run(case, "numpy"), outputs, states)


@pytest.mark.parametrize("name", SMALL)
def test_backwards_with_a_mask(name: str) -> None:
    text = layer_of(name, return_sequences=True, return_state=True, dtype="float64", go_backwards=True)
    case = case_of(text, mask=MASK)
    outputs, states = expected(name, case, slice(None, None, -1), MASK)
    check(compute.run(case, "numpy"), outputs, states)


@pytest.mark.parametrize("name", SMALL)
def test_bidirectional(name: str) -> None:
    inner = layer_of(name, return_sequences=True, return_state=True, dtype="float64")
    case = case_of(f"Bidirectional({inner}, dtype='float64')")
    forward, last = expected(name, case, path="forward/")
    backward, first = expected(name, case, slice(None, None, -1), path="backward/")
    result = compute.run(case, "numpy")
    merged = np.concatenate([forward, backward[:, ::-1]], axis=-1)
    np.testing.assert_allclose(result.outputs[0].values, merged, rtol=1e-12, atol=1e-12)
    half = len(result.outputs) // 2 + 1
    for tensor, wanted in zip(
        [*result.outputs[2:half], *result.outputs[half + 1 :]], [*last, *first], strict=True
    ):
        np.testing.assert_allclose(tensor.values, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_a_sequence_in_two_parts(name: str) -> None:
    """The states of the first half, handed over, start the second."""
    case = case_of(layer_of(name, return_sequences=True, return_state=True, dtype="float64"))
    whole = compute.run(case, "numpy").outputs
    first = compute.run(case._replace(inputs=case.inputs[:, :2]), "numpy").outputs
    states = tuple(tensor.values for tensor in first[1:])
    second = compute.run(case._replace(inputs=case.inputs[:, 2:], initial_state=states), "numpy").outputs
    joined = np.concatenate([first[0].values, second[0].values], axis=1)
    np.testing.assert_allclose(joined, whole[0].values, rtol=1e-12, atol=1e-12)
    for tensor, wanted in zip(second[1:], whole[1:], strict=True):
        np.testing.assert_allclose(tensor.values, wanted.values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_keras_computes_the_same(name: str) -> None:
    for text, mask in (
        (layer_of(name, return_sequences=True, return_state=True), MASK),
        (f"Bidirectional({layer_of(name, return_state=True)})", None),
    ):
        case = case_of(text, "float32", mask=mask)
        ours, theirs = (compute.run(case, engine).outputs for engine in ("numpy", "tensorflow"))
        for tensor, other in zip(ours, theirs, strict=True):
            assert tensor.values.shape == other.values.shape
            np.testing.assert_allclose(tensor.values, other.values, rtol=2e-4, atol=2e-5)
