"""How far a tensor differs: held to numpy.testing and to NumPy's count of floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rnncli.addresses import parse_label
from rnncli.compute.compare import count_ulps, measure
from rnncli.result import NamedTensor

SEQUENCE = ("batch", "timesteps", "units")
FLOATS = st.floats(width=32)
SIDES = ("one", "two")


def tensor(values: Any, time: tuple[int, ...] = ()) -> NamedTensor:
    return NamedTensor(parse_label("hidden_states"), SEQUENCE, np.asarray(values, np.float32), (), time)


@given(
    arrays.arrays(np.float32, (2, 3, 2), elements=FLOATS),
    arrays.arrays(np.float32, (2, 3, 2), elements=FLOATS),
    st.sampled_from([0.0, 1e-6, 0.5]),
    st.sampled_from([0.0, 1e-5, 0.5]),
)
def test_agreement_is_that_of_numpy_testing(first: Any, second: Any, atol: float, rtol: float) -> None:
    found = measure(tensor(first), second, SIDES, atol, rtol)
    try:
        np.testing.assert_allclose(first.astype(np.float64), second.astype(np.float64), rtol=rtol, atol=atol)
    except AssertionError:
        assert not found.agrees
    else:
        assert found.agrees


@given(arrays.arrays(np.float32, (2, 3, 2), elements=FLOATS))
def test_a_tensor_equals_itself(values: Any) -> None:
    found = measure(tensor(values), values.copy(), SIDES, 0, 0)
    assert (found.absolute, found.relative, found.place, found.step) == (0, 0, None, None)
    assert found.agrees


@given(FLOATS, st.integers(0, 300), st.sampled_from([np.float16, np.float32, np.float64]))
def test_ulps_count_the_floats_between(start: float, steps: int, dtype: Any) -> None:
    with np.errstate(over="ignore", under="ignore"):
        first = second = dtype(start)
        for _ in range(steps):
            second = np.nextafter(second, dtype(np.inf))
    expected = steps if np.isfinite(float(first)) and np.isfinite(float(second)) else None
    assert count_ulps(float(first), float(second), np.dtype(dtype)) == expected


def test_place_step_and_mismatch() -> None:
    first, second = np.zeros((1, 4, 2)), np.zeros((1, 4, 2))
    second[0, 2, 1], second[0, 3, 0] = 0.25, -0.5
    found = measure(tensor(first), second, SIDES, 1e-6, 1e-5)
    assert (found.absolute, found.relative) == (0.5, 1.0)
    assert found.place == (0, 3, 0)
    assert found.step == 2
    assert found.mismatch is not None
    assert found.mismatch == ((0, 2, 1), 0.0, 0.25, 2)


def test_differences_from_zero_alone_are_relatively_infinite() -> None:
    found = measure(tensor(np.array([[[0.5, 3.0]]])), np.array([[[0.0, 3.0]]]), SIDES, 0, 0)
    assert (found.absolute, found.relative) == (0.5, np.inf)


def test_a_step_is_the_input_s_index() -> None:
    second = np.zeros((1, 4, 2))
    second[0, 0, 0] = 1
    assert measure(tensor(second * 0, (3, 2, 1, 0)), second, SIDES, 0, 0).step == 3


def test_a_number_within_the_tolerance_is_no_mismatch() -> None:
    found = measure(tensor(np.ones((1, 1, 2))), np.full((1, 1, 2), 1.25), SIDES, 0.3, 0)
    assert found.agrees
    assert (found.absolute, found.relative, found.step) == (0.25, 0.2, None)
    assert not measure(tensor(np.ones((1, 1, 2))), np.full((1, 1, 2), 1.25), SIDES, 0.2, 0).agrees


def test_a_tolerance_of_one_tensor() -> None:
    values = np.ones((1, 1, 2))
    assert measure(tensor(values), values + 1, SIDES, {"": 0, "hidden_states": 1}, 0).agrees
    assert not measure(tensor(values), values + 1, SIDES, {"": 1, "hidden_states": 0}, 0).agrees
    assert not measure(tensor(values), values + 1, SIDES, {"": 0, "other": 1}, 0).agrees


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_differs_from_others_alone(odd: float) -> None:
    values = np.zeros((1, 1, 2))
    values[0, 0, 1] = odd
    assert measure(tensor(values), values, SIDES, 0, 0).agrees
    found = measure(tensor(values), np.zeros((1, 1, 2)), SIDES, 1e9, 1e9)
    assert not found.agrees
    assert found.absolute == np.inf
    assert found.ulps is None


def test_other_shapes_differ() -> None:
    found = measure(tensor(np.zeros((1, 2, 3))), np.zeros((1, 3, 2)), SIDES, 1, 1)
    assert not found.agrees
    assert found.mismatch is None
    assert found.shapes == ((1, 2, 3), (1, 3, 2))
