"""The four results of return_sequences x return_state."""

from __future__ import annotations

import numpy as np
import oracle
import pytest

from rnncli import specs
from rnncli.commands.matrix.answer import combinations
from rnncli.errors import LayerError

keras = oracle.keras
X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")


class TestMatrix:
    @pytest.mark.parametrize(
        "expression", ["LSTM(3)", "Bidirectional(GRU(2), merge_mode='sum')", "RNN([LSTMCell(2)])"]
    )
    @pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
    def test_all_four_share_their_weights_and_are_keras_four(self, expression: str, engine: str) -> None:
        matrix = combinations(oracle.case([expression], X, seed=6), engine)
        assert list(matrix.results) == [(False, False), (False, True), (True, False), (True, True)]
        for (sequences, state), result in matrix.results.items():
            text = specs.describe(result.specs[0])
            assert ("return_sequences=True" in text) == sequences
            assert ("return_state=True" in text) == state
            keras.utils.set_random_seed(6)
            oracle.alike(result, oracle.called(oracle.made(text), X)[-1], 4e-6)
        kept = [list(result.weights.values()) for result in matrix.results.values()]
        for other in kept[1:]:
            for one, two in zip(kept[0], other, strict=True):
                np.testing.assert_array_equal(one, two)

    def test_changes_the_last_layer_alone(self) -> None:
        matrix = combinations(oracle.case(["LSTM(3, return_sequences=True)", "GRU(2)"], X))
        assert matrix.results[True, True].outputs[0].values.shape == (2, 4, 2)

    def test_of_a_layer_without_these_flags_is_refused(self) -> None:
        with pytest.raises(LayerError, match="neither return_sequences nor return_state"):
            combinations(oracle.case(["Dense(3)"], X))
