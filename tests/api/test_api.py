"""rnncli.run: plain arguments, the same answers, and errors that say what came."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import rnncli
from rnncli.errors import RnncliError

X = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


def test_answers_as_the_same_keras_script_does() -> None:
    keras.utils.set_random_seed(7)
    theirs = keras.layers.LSTM(3, return_state=True)(X)
    result = rnncli.run(X, "LSTM(3, return_state=True)", seed=7)
    for mine, one in zip(result.outputs, theirs, strict=True):
        np.testing.assert_allclose(mine.values, one.numpy(), rtol=0, atol=1e-6)


def test_takes_lists_one_sequence_and_a_stack() -> None:
    result = rnncli.run(X[0].tolist(), ["LSTM(3, return_sequences=True)", "gru"], seed=1, all_layers=True)
    assert [tensor.name for tensor in result.outputs] == ["0/hidden_states", "1/hidden_state"]
    assert result.input_shape == (1, 4, 3)


def test_takes_a_mask_states_and_weights_as_lists() -> None:
    layer = keras.layers.GRU(2)
    mask, state = [[True, True, False, False]] * 2, np.full((2, 2), 0.5, "float32")
    theirs = layer(X, mask=np.array(mask), initial_state=state).numpy()
    names = ("kernel", "recurrent_kernel", "bias")
    weights = {name: weight.tolist() for name, weight in zip(names, layer.get_weights(), strict=True)}
    for states in ([state.tolist()], {"last_hidden_state": state.tolist()}):
        result = rnncli.run(X, "GRU(2)", mask=mask, initial_state=states, weights=weights)
        np.testing.assert_allclose(result.outputs[0].values, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"inputs": "abc"}, "inputs"),
        ({"inputs": [[1, 2], [3]]}, "inputs"),
        ({"inputs": 3.0}, "inputs"),
        ({"inputs": [[True]]}, "inputs"),
        ({"layer": "lsmt"}, "Did you mean"),
        ({"mask": [[True]]}, "mask"),
        ({"weights": {"kernel": [[1.0]]}}, "kernel"),
        ({"initial_state": [[0.0, 0.0, 0.0]]}, "initial_state"),
        ({"initial_state": {"hidden": [[0.0]]}}, "initial_state"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed"),
        ({"calls": 0}, "calls is 0"),
        ({"engine": "nump"}, "Did you mean numpy"),
    ],
)
def test_what_cannot_be_meant_is_said(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(RnncliError, match=said):
        rnncli.run(**{"inputs": X, **arguments})
