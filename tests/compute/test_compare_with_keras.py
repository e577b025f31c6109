"""The differences of a whole result from another."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import oracle
import pytest

from rnncli import compute
from rnncli.compute import compare

X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")


class TestCheck:
    def test_fills_the_largest_difference_by_name(self) -> None:
        case = oracle.case(["LSTM(3, return_state=True)"], X, seed=1)
        result, apart = compare.compare_with_keras(case, compute.run(case, "numpy"))
        assert apart == []
        assert list(result.differences) == ["hidden_state", "last_hidden_state", "last_cell_state"]
        assert max(result.differences.values()) < 4e-6

    def test_compares_nothing_with_itself(self) -> None:
        case = oracle.case(["LSTM(3)"], X, seed=1)
        result, apart = compare.compare_with_keras(case, compute.run(case, "tensorflow"))
        assert (result.differences, apart) == ({}, [])

    def changed(self, value: float) -> Any:
        result = oracle.asked(["GRU(2)"], X, seed=1)
        values = result.outputs[0].values.copy()
        values[1, 1] = value
        return result, dataclasses.replace(result, outputs=(result.outputs[0]._replace(values=values),))

    def test_differences_are_absolute_and_the_largest(self) -> None:
        result, other = self.changed(9.0)
        expected = abs(float(result.outputs[0].values[1, 1]) - 9)
        assert compare.differences(result, other)["hidden_state"] == pytest.approx(expected, abs=1e-12)
        assert compare.find_disagreements(result, other, 1e-5, 1e-5) == ["hidden_state"]
        assert compare.find_disagreements(result, other, 10, 0) == []
        assert compare.find_disagreements(result, result, 0, 0) == []

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_two_that_are_not_finite_are_the_same_and_one_is_infinitely_far(self, value: float) -> None:
        result, other = self.changed(value)
        assert compare.differences(other, other) == {"hidden_state": 0.0}
        assert compare.differences(result, other) == {"hidden_state": np.inf}
        assert compare.find_disagreements(other, other, 0, 0) == []
        assert compare.find_disagreements(result, other, 1e9, 0) == ["hidden_state"]
