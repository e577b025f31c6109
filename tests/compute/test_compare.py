"""How far a tensor, or a whole result, differs: held to numpy.testing and to NumPy's count of floats."""

import dataclasses
import json
from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rnncli import arrays as blocks
from rnncli import compute
from rnncli.addresses import parse_label
from rnncli.compute import compare
from rnncli.compute.compare import TensorDifference, count_ulps
from rnncli.result import NamedTensor

FLOATS = st.floats(width=32)
VALUES = arrays.arrays(np.float32, (2, 3, 2), elements=FLOATS)
X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")


def measure(
    first: Any, second: Any, atol: Any = 0, rtol: Any = 0, time: tuple[int, ...] = ()
) -> TensorDifference:
    axes = ("batch", "timesteps", "units")
    tensor = NamedTensor(parse_label("hidden_states"), axes, np.asarray(first, np.float32), (), time)
    return compare.measure(tensor, np.asarray(second), ("one", "two"), atol, rtol)


@pytest.mark.slow
@given(VALUES, VALUES, st.sampled_from([0.0, 1e-6, 0.5]), st.sampled_from([0.0, 1e-5, 0.5]))
def test_agreement_is_that_of_numpy_testing(first: Any, second: Any, atol: float, rtol: float) -> None:
    found = measure(first, second, atol, rtol)
    try:
        np.testing.assert_allclose(first.astype(np.float64), second.astype(np.float64), rtol=rtol, atol=atol)
    except AssertionError:
        assert not found.agrees
    else:
        assert found.agrees


@given(VALUES, VALUES, st.sampled_from([0.0, 0.5]))
@pytest.mark.slow
def test_a_large_tensor_is_compared_in_blocks(first: Any, second: Any, atol: float) -> None:
    whole = measure(first, second, atol)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 6)
        assert str(measure(first, second, atol)) == str(whole)  # NaN is unlike itself


@given(VALUES)
def test_a_tensor_equals_itself(values: Any) -> None:
    found = measure(values, values.copy())
    assert (found.absolute, found.relative, found.indices, found.step) == (0, 0, None, None)
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
    found = measure(first, second, 1e-6, 1e-5)
    assert (found.absolute, found.relative, found.indices, found.step) == (0.5, 1.0, (0, 3, 0), 2)
    assert found.mismatch == ((0, 2, 1), 0.0, 0.25, 2)
    assert measure(first, second, time=(3, 2, 1, 0)).step == 1  # the input's index
    found = measure([[[0.5, 3.0]]], [[[0.0, 3.0]]])
    assert (found.absolute, found.relative) == (0.5, np.inf)


@pytest.mark.parametrize(("atol", "agrees"), [
    (0.3, True), (0.2, False), ({"": 0, "hidden_states": 1}, True), ({"": 1, "hidden_states": 0}, False),
    ({"": 0, "other": 1}, False),
])  # fmt: skip
def test_a_number_within_the_tolerance_is_no_mismatch(atol: Any, agrees: bool) -> None:
    found = measure(np.ones((1, 1, 2)), np.full((1, 1, 2), 1.25), atol)
    assert (found.agrees, found.absolute, found.relative) == (agrees, 0.25, 0.2)
    assert (found.step is None) == agrees


def test_other_shapes_differ() -> None:
    found = measure(np.zeros((1, 2, 3)), np.zeros((1, 3, 2)), 1, 1)
    assert (found.agrees, found.mismatch, found.shapes) == (False, None, ((1, 2, 3), (1, 3, 2)))


def changed_result(value: float) -> Any:
    """A result, and the same with one other number."""
    result = oracle.run_case(["GRU(2)"], X, seed=1)
    values = result.outputs[0].values.copy()
    values[1, 1] = value
    return result, dataclasses.replace(result, outputs=(result.outputs[0]._replace(values=values),))


def test_differences_of_results_are_absolute_and_the_largest() -> None:
    result, other = changed_result(9.0)
    expected = abs(float(result.outputs[0].values[1, 1]) - 9)
    compared = compare.compare_results(result, other, 1e-5, 1e-5)
    assert compared.differences["hidden_state"] == pytest.approx(expected, abs=1e-12)
    assert compared.disagreeing == ("hidden_state",)
    assert compare.compare_results(result, other, 10, 0).disagreeing == ()
    assert compare.compare_results(result, result, 0, 0).disagreeing == ()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_differs_from_others_alone(odd: float) -> None:
    assert measure([[[0, odd]]], [[[0, odd]]]).agrees
    found = measure([[[0, odd]]], [[[0, 0]]], 1e9, 1e9)
    assert (found.agrees, found.absolute, found.ulps) == (False, np.inf, None)
    result, other = changed_result(odd)
    compared = compare.compare_results(other, other)
    assert (compared.differences, compared.disagreeing) == ({"hidden_state": 0.0}, ())
    compared = compare.compare_results(result, other, 1e9, 0)
    assert (compared.differences, compared.disagreeing) == ({"hidden_state": np.inf}, ("hidden_state",))


@pytest.mark.slow
def test_check_fills_the_largest_difference_by_name_and_compares_nothing_with_itself() -> None:
    case = oracle.case(["LSTM(3, return_state=True)"], X, seed=1)
    result = compare.compare_with_keras(case, compute.run(case, "numpy"))
    assert result.disagreeing == ()
    assert list(result.differences) == ["hidden_state", "last_hidden_state", "last_cell_state"]
    assert max(result.differences.values()) < 4e-6
    for tensor, theirs in zip(result.outputs, compute.run(case, "tensorflow").outputs, strict=True):
        worst = abs(tensor.values.astype("float64") - theirs.values).argmax()
        ends = np.array([tensor.values.flat[worst], theirs.values.flat[worst]])
        apart_by = int(
            abs(np.diff(ends.view(np.int32)))[0]
        )  # of one sign, their bits count the floats between
        assert result.ulps.get(tensor.name, 0) == apart_by
    result = compare.compare_with_keras(case, compute.run(case, "tensorflow"))
    assert (result.differences, result.ulps, result.disagreeing) == ({}, {}, ())


@pytest.mark.slow
def test_check_shows_rounding_as_compare_does(rnncli: Any) -> None:
    words = ("-l", "lstm", "--return-state", "--units", "8", "--seed", "1")
    rows = json.loads(rnncli("compare", *words, "--engines", "numpy,tensorflow", "-f", "json").stdout)
    by_name = {row["name"]: row for row in rows["comparisons"]}
    assert any(row["ulps"] for row in by_name.values())
    document = json.loads(rnncli("run", *words, "--check", "-f", "json").stdout)
    assert document["differences"] == {name: row["absolute"] for name, row in by_name.items()}
    assert document["ulps"] == {name: row["ulps"] for name, row in by_name.items() if row["ulps"] is not None}
    shown = [f"{row['absolute']:.1e} ({row['ulps']} ulp)" for row in by_name.values() if row["ulps"]]
    for command in ("run", "trace"):
        table = " ".join(rnncli(command, *words, "--check").stdout.split())
        assert all(text in table for text in shown), table
    noted = rnncli("run", *words, "--check", "-f", "csv").stderr
    assert all(text in noted for text in shown)
