"""Flags beside an expression or a config: they fill in what it does not say."""

from typing import Any

import numpy as np
import oracle
import pytest

from rnncli import compute, specs
from rnncli.layers.case import Case

keras = oracle.keras
X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
BOTH = "Bidirectional(LSTM(3), backward_layer=GRU(2, go_backwards=True))"
CONFIG: dict[str, Any] = {"class_name": "LSTM", "config": {"units": 3, "use_bias": False, "dtype": None}}

MET = [
    ("LSTM(3)", {"return_sequences": True}, "LSTM(3, return_sequences=True)"),
    ("LSTM(3)", {"units": 3}, "LSTM(3)"),
    ("LSTM(3)", {"bidirectional": True, "merge_mode": "sum"}, "Bidirectional(LSTM(3), merge_mode='sum')"),
    ("bilstm(2)", {"merge_mode": "mul", "stateful": True},
     "Bidirectional(LSTM(2, stateful=True), merge_mode='mul')"),
    (BOTH, {"return_state": True},
     "Bidirectional(LSTM(3, return_state=True), "
     "backward_layer=GRU(2, go_backwards=True, return_state=True))"),
    ("RNN([LSTMCell(3), GRUCell(2)])", {"return_sequences": True, "go_backwards": True},
     "RNN([LSTMCell(3), GRUCell(2)], return_sequences=True, go_backwards=True)"),
    ("RNN(StackedRNNCells([LSTMCell(3)]))", {"dtype": "float64"},
     "RNN([LSTMCell(3, dtype='float64')], dtype='float64')"),
    (CONFIG, {"return_sequences": True}, "LSTM(3, use_bias=False, return_sequences=True)"),
    ("GRU(2, kernel_initializer=Constant(0.1))",
     {"kernel_initializer": "constant:0.1", "reset_after": False},
     "GRU(2, kernel_initializer=Constant(0.1), reset_after=False)"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "flags", "text"), MET)
def test_a_flag_fills_in_what_a_layer_does_not_say(written: Any, flags: dict[str, Any], text: str) -> None:
    (spec,) = specs.from_flags([written], flags)
    assert specs.describe(spec) == text


@pytest.mark.parametrize(("text", "flags", "script"), [
    ("LSTM(3, recurrent_initializer=RandomNormal())",
     {"kernel_initializer": "RandomUniform()", "return_sequences": True},
     "LSTM(3, recurrent_initializer=RandomNormal(), kernel_initializer=RandomUniform(), "
     "return_sequences=True)"),
    (BOTH, {"return_sequences": True},
     "Bidirectional(LSTM(3, return_sequences=True), "
     "backward_layer=GRU(2, go_backwards=True, return_sequences=True))"),
])  # fmt: skip
def test_the_numbers_are_those_of_the_whole_layer(text: str, flags: dict[str, Any], script: str) -> None:
    keras.utils.set_random_seed(5)
    theirs = oracle.call_layers(oracle.make_layers(script), X)[-1]
    oracle.check_outputs(compute.run(Case(specs.from_flags([text], flags), X, seed=5), "numpy"), theirs)
