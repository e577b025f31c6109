"""What is refused before anything is computed."""

from __future__ import annotations

import numpy as np
import oracle
import pytest

from rnncli.errors import EngineError, InputError, LayerError, RnncliError

X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")


class TestRefusals:
    def test_what_cannot_fit_into_memory(self) -> None:
        with pytest.raises(InputError, match="memory"):
            oracle.asked(["LSTM(1000000)"], X)
        with pytest.raises(InputError, match="memory"):
            oracle.asked(["LSTM(3000000)", "Dense(1)"], np.zeros((1, 1, 1), "float32"), "tensorflow")

    @pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
    def test_a_mask_or_a_state_of_another_shape(self, engine: str) -> None:
        with pytest.raises(InputError, match="mask has shape"):
            oracle.asked(["LSTM(2)"], X, engine, mask=np.ones((2, 3), bool))
        with pytest.raises(InputError, match="last_hidden_state has shape"):
            oracle.asked(["GRU(2)"], X, engine, initial_state=[np.zeros((2, 3), "float32")])

    def test_a_state_that_keras_would_halve_wrongly(self) -> None:
        uneven = "Bidirectional(LSTM(2), backward_layer=GRU(2, go_backwards=True))"
        states = tuple(np.zeros((len(X), 2), "float32") for _ in range(3))
        with pytest.raises(
            LayerError, match="splits the initial states in half, but its layers keep 2 and 1"
        ):
            oracle.case([uneven], X, initial_state=states)

    def test_every_refusal_is_one_of_ours(self) -> None:
        assert issubclass(InputError, RnncliError)
        assert EngineError.exit_code == 3
