"""The engine that `auto` chooses, and what only Keras computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from convolutions import CONVOLUTIONS, FRAMES

from rnncli.compute import engines
from rnncli.errors import EngineError, InputError
from rnncli.layers.stack import Stack

keras = oracle.keras
RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 3)).astype("float32")


class TestKerasAlone:
    """Layers without a step of ours go to the tensorflow engine."""

    @pytest.mark.parametrize(
        "expression", [*CONVOLUTIONS, "TimeDistributed(Dense(5))", "TimeDistributed(LSTM(2))"]
    )
    def test_are_kerass_own_numbers(self, expression: str) -> None:
        shape = FRAMES[int(expression[8])] if expression.startswith("Conv") else X.shape
        shape = (2, 3, 4, 3) if "LSTM(2))" in expression else shape
        inputs = np.random.default_rng(1).standard_normal(shape).astype("float32")
        keras.utils.set_random_seed(8)
        theirs = oracle.called(oracle.made(expression), inputs)[-1]
        result = oracle.asked([expression], inputs, "auto", seed=8)
        assert result.engines == ("tensorflow",)
        oracle.alike(result, theirs)

    def test_conv_lstm_takes_weights_states_and_a_mask(self) -> None:
        expression = "ConvLSTM2D(2, 2, return_sequences=True, return_state=True)"
        inputs = np.random.default_rng(1).standard_normal(FRAMES[2]).astype("float32")
        layers = oracle.built(oracle.made(expression), inputs)
        weights = oracle.filled(layers, RNG)
        states = [RNG.standard_normal((2, 8, 7, 2)).astype("float32") for _ in range(2)]
        mask = np.array([[1, 0, 1], [1, 1, 0]], bool)
        theirs = keras.tree.flatten(layers[0](inputs, initial_state=states, mask=mask))
        result = oracle.asked([expression], inputs, "auto", weights=weights, initial_state=states, mask=mask)
        oracle.alike(result, [tensor.numpy() for tensor in theirs])

    @pytest.mark.parametrize("inner", ["LSTM(2)", "Bidirectional(GRU(2))"])
    def test_recurrent_layers_of_each_step_take_a_mask_of_their_own_steps(self, inner: str) -> None:
        inputs = np.random.default_rng(1).standard_normal((2, 2, 3, 4)).astype("float32")
        mask = np.array([[[1, 1, 0], [1, 0, 0]], [[0, 1, 1], [1, 1, 1]]], bool)
        expression = f"TimeDistributed({inner})"
        keras.utils.set_random_seed(8)
        theirs = oracle.called(oracle.made(expression), inputs, mask=mask)[-1]
        oracle.alike(oracle.asked([expression], inputs, "auto", seed=8, mask=mask), theirs)
        with pytest.raises(InputError, match=r"the mask has shape \(2, 2\), but the inputs need \(2, 2, 3\)"):
            oracle.asked([expression], inputs, "auto", mask=mask[..., 0])

    @pytest.mark.parametrize(
        ("expressions", "shape"),
        [
            (["Masking()", "TimeDistributed(LSTM(2))"], (2, 2, 3, 4)),
            (["Dense(3)", "TimeDistributed(LSTM(2))"], (2, 2, 3, 4)),
            (["Dropout(0.5)", "ConvLSTM2D(2, 2)"], (1, 2, 3, 4, 2)),
            (["Masking()", "LSTM(2)"], (2, 3, 4)),
        ],
    )
    def test_a_layer_for_any_rank_takes_the_input_of_the_next_layer(
        self, expressions: Any, shape: Any
    ) -> None:
        inputs = np.random.default_rng(1).standard_normal(shape).astype("float32")
        inputs[0, -1] = 0
        assert Stack(oracle.case(expressions, inputs).specs).input_rank == len(shape)
        keras.utils.set_random_seed(8)
        theirs = oracle.called(oracle.made(*expressions), inputs)[-1]
        oracle.alike(oracle.asked(expressions, inputs, "auto", seed=8), theirs)

    def test_what_keras_refuses_is_said_in_its_own_words(self) -> None:
        mask = np.ones(X.shape[:2], bool)
        with pytest.raises(EngineError, match="don't have the same nested structure"):
            oracle.asked(["RNN([LSTMCell(3)], return_state=True)"], X, "tensorflow", mask=mask)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_is_left_to_keras(self, dtype: str) -> None:
        assert engines.choose(oracle.case([f"LSTM(2, dtype='{dtype}')"], X)) == "tensorflow"
