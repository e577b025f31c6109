"""The engine torch: the numbers of NumPy, and so of Keras, from PyTorch's own modules; else a refusal."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import numpy as np
import oracle
import pytest
import scripts
from hypothesis import given
from hypothesis import strategies as st

from rnncli import compute
from rnncli.compute import engines
from rnncli.errors import UsageError

pytest.importorskip("torch")

KINDS = ("SimpleRNN", "LSTM", "GRU")
FLAGS = (False, True)
RIGHT = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((3, 5, 4)).astype("float32")


def both(expressions: list[str], inputs: np.ndarray = INPUTS, **rest: Any) -> None:
    """Hold torch to numpy, every tensor of every layer."""
    rest = {"seed": 7, "all_layers": True, **rest}
    wanted = oracle.asked(expressions, inputs, "numpy", **rest)
    found = oracle.asked(expressions, inputs, "torch", **rest)
    assert found.engines == ("torch",)
    assert [tensor.name for tensor in found.outputs] == [tensor.name for tensor in wanted.outputs]
    oracle.alike(found, [tensor.values for tensor in wanted.outputs])


@pytest.mark.parametrize("masked", FLAGS)
@pytest.mark.parametrize(
    ("kind", "sequences", "backwards", "zeroing"), list(product(KINDS, FLAGS, FLAGS, FLAGS))
)
def test_one_layer(kind: str, sequences: bool, backwards: bool, zeroing: bool, masked: bool) -> None:
    flags = f"return_sequences={sequences}, go_backwards={backwards}, zero_output_for_mask={zeroing}"
    both([f"{kind}(3, return_state=True, {flags})"], mask=RIGHT if masked else None)


def test_one_step_after_a_layer_that_reverses_it() -> None:
    both(["GRU(3, return_sequences=True, go_backwards=True)", "LSTM(2)"], INPUTS[:, :1])


@pytest.mark.parametrize("masked", FLAGS)
@pytest.mark.parametrize(("kind", "merge"), list(product(KINDS, ("concat", "sum", "mul", "ave", None))))
def test_both_directions(kind: str, merge: str | None, masked: bool) -> None:
    inner = f"{kind}(3, return_sequences=True, return_state=True)"
    both([f"Bidirectional({inner}, merge_mode={merge!r})"], mask=RIGHT if masked else None)


@pytest.mark.parametrize(
    "options", ["use_bias=False", "bias_initializer='random_normal'", "dtype='float64'", "stateful=True"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_options(kind: str, options: str) -> None:
    inputs = INPUTS.astype("float64") if "float64" in options else INPUTS
    both([f"{kind}(3, {options})"], inputs, calls=3, all_calls=True)


def test_stacks_initial_states_and_relu() -> None:
    states = tuple(RNG.standard_normal((3, 3)).astype("float32") for _ in range(2))
    both(["LSTM(3, return_sequences=True, return_state=True)"], initial_state=states)
    both(["SimpleRNN(3, activation='relu', return_sequences=True)"])
    both(["GRU(3, return_sequences=True)", "Dropout(0.5)", "Bidirectional(LSTM(2))", "Dense(2)"], mask=RIGHT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_not_finite(kind: str, value: float) -> None:
    inputs = INPUTS.copy()
    inputs[1, 2, 0] = value
    rest = {"seed": 7}
    wanted = oracle.asked([f"{kind}(3, return_sequences=True)"], inputs, "numpy", **rest)
    found = oracle.asked([f"{kind}(3, return_sequences=True)"], inputs, "torch", **rest)
    np.testing.assert_allclose(found.outputs[0].values, wanted.outputs[0].values, rtol=0, atol=1e-6)


@given(st.randoms(use_true_random=False))
def test_random_scripts_give_the_numbers_of_numpy_or_are_refused(source: random.Random) -> None:
    script = scripts.Writer(source).script()
    case = oracle.case(script.layers, script.inputs, seed=3, all_layers=True, **script.rest)
    if engines.get("numpy").refusal(case):
        return
    wanted = compute.run(case, "numpy")
    if engines.get("torch").refusal(case):
        with pytest.raises(UsageError, match="the engine torch cannot compute this"):
            compute.run(case, "torch")
        return
    oracle.alike(compute.run(case, "torch"), [tensor.values for tensor in wanted.outputs])


REFUSED = [
    ("GRU(3, reset_after=False)", {}, "reset_after=False"),
    ("LSTM(3, activation='relu')", {}, "PyTorch has only the activation tanh, not relu"),
    ("GRU(3, recurrent_activation='hard_sigmoid')", {}, "not hard_sigmoid"),
    ("SimpleRNN(3, activation='elu')", {}, "tanh or relu, not elu"),
    ("RNN([LSTMCell(3)])", {}, "no module for RNN"),
    ("LSTM(3, dtype='float16')", {}, "not in float16"),
    ("LSTM(3, dropout=0.5)", {"training": True}, "no dropout inside recurrent layers"),
    ("Masking()", {}, "Masking may skip any step"),
    ("LSTM(3)", {"mask": RIGHT[:, ::-1]}, "the mask skips others too"),
    ("LSTM(3)", {"mask": np.zeros((3, 5), bool)}, "the mask skips others too"),
]


@pytest.mark.parametrize(("expression", "rest", "words"), REFUSED, ids=str)
def test_what_pytorch_computes_otherwise_is_refused(
    expression: str, rest: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        oracle.asked([expression], INPUTS, "torch", **rest)


def test_layers_of_two_dtypes_are_refused() -> None:
    layers = ["LSTM(3, return_sequences=True, dtype='float64')", "LSTM(3, dtype='float32')"]
    with pytest.raises(UsageError, match="its layers mix float32 and float64"):
        oracle.asked(layers, INPUTS, "torch")


def test_dropout_outside_of_training_is_none() -> None:
    both(["LSTM(3, dropout=0.5, recurrent_dropout=0.5)"])


def test_auto_never_chooses_it() -> None:
    long = np.zeros((64, 5000, 8), "float32")
    assert engines.choose(oracle.case(["LSTM(64)"], long)) in ("onnx", "numpy")
    half = oracle.case(["LSTM(3, dtype='float64')"], INPUTS.astype("float64"))
    assert engines.choose(half) == "numpy"


def test_the_command_names_the_engine_and_can_be_checked(rnncli: Any) -> None:
    done = rnncli("run", "-l", "bigru", "--seed", "1", "--engine", "torch", "--check")
    assert done.returncode == 0, done.stderr
    assert "engine torch" in done.stdout
