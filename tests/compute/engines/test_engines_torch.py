"""The engine torch, beyond the product of all engines, gives the numbers of NumPy, or refuses."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import numpy as np
import oracle
import pytest
import scripts
from engine_products import FLAGS, KINDS, MERGES
from hypothesis import given
from hypothesis import strategies as st

from rnncli import compute
from rnncli.compute import engines
from rnncli.errors import UsageError

pytest.importorskip("torch")

RIGHT = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((3, 5, 4)).astype("float32")
BAD = INPUTS.copy()
BAD[:, 2, 0] = np.nan, np.inf, -np.inf
STATES = tuple(RNG.standard_normal((3, 3)).astype("float32") for _ in range(2))
CASES: list[tuple[list[str], dict[str, Any]]] = [
    *(
        ([f"{kind}(3, zero_output_for_mask=True, return_sequences={sequences}, go_backwards={backwards})"],
         {"mask": RIGHT})
        for kind, sequences, backwards in product(KINDS, FLAGS, FLAGS)
    ),
    *(
        ([f"Bidirectional({kind}(3, return_sequences=True), merge_mode={merge!r})"], {"mask": RIGHT})
        for kind, merge in product(KINDS, MERGES)
    ),
    *(
        ([f"{kind}(3, {options})"], {"calls": 3, "all_calls": True})
        for kind in KINDS
        for options in ("use_bias=False", "bias_initializer='random_normal'", "dtype='float64'",
                        "stateful=True", "dropout=0.5, recurrent_dropout=0.5")
    ),
    *(([f"{kind}(3, return_sequences=True)"], {"inputs": BAD}) for kind in KINDS),
    (["GRU(3, return_sequences=True, go_backwards=True)", "LSTM(2)"], {"inputs": INPUTS[:, :1]}),
    (["LSTM(3, return_sequences=True, return_state=True)"], {"initial_state": STATES}),
    (["SimpleRNN(3, activation='relu', return_sequences=True)"], {}),
    (["GRU(3, return_sequences=True)", "Dropout(0.5)", "Bidirectional(LSTM(2))", "Dense(2)"],
     {"mask": RIGHT}),
]  # fmt: skip


@pytest.mark.parametrize(("expressions", "rest"), CASES, ids=lambda value: str(value)[:60])
def test_every_tensor_is_that_of_numpy(expressions: list[str], rest: dict[str, Any]) -> None:
    rest = {"inputs": INPUTS, "seed": 7, "all_layers": True, **rest}
    inputs = rest.pop("inputs").astype("float64" if "float64" in expressions[0] else "float32")
    wanted = oracle.asked(expressions, inputs, "numpy", **rest)
    found = oracle.asked(expressions, inputs, "torch", **rest)
    assert found.engines == ("torch",)
    assert [tensor.name for tensor in found.outputs] == [tensor.name for tensor in wanted.outputs]
    oracle.alike(found, [tensor.values for tensor in wanted.outputs])


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


REFUSED: list[tuple[list[str], dict[str, Any], str]] = [
    (["GRU(3, reset_after=False)"], {}, "reset_after=False"),
    (["LSTM(3, activation='relu')"], {}, "PyTorch has only the activation tanh, not relu"),
    (["GRU(3, recurrent_activation='hard_sigmoid')"], {}, "not hard_sigmoid"),
    (["SimpleRNN(3, activation='elu')"], {}, "tanh or relu, not elu"),
    (["RNN([LSTMCell(3)])"], {}, "no module for RNN"),
    (["LSTM(3, dtype='float16')"], {}, "not in float16"),
    (["LSTM(3, dropout=0.5)"], {"training": True}, "no dropout inside recurrent layers"),
    (["Masking()"], {}, "Masking may skip any step"),
    (["LSTM(3)"], {"mask": RIGHT[:, ::-1]}, "the mask skips others too"),
    (["LSTM(3)"], {"mask": np.zeros((3, 5), bool)}, "the mask skips others too"),
    (
        ["LSTM(3, return_sequences=True, dtype='float64')", "LSTM(3, dtype='float32')"],
        {},
        "its layers mix float32 and float64",
    ),
]


@pytest.mark.parametrize(("expressions", "rest", "words"), REFUSED, ids=str)
def test_what_pytorch_computes_otherwise_is_refused(
    expressions: list[str], rest: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        oracle.asked(expressions, INPUTS, "torch", **rest)


def test_auto_never_chooses_it() -> None:
    long = np.zeros((64, 5000, 8), "float32")
    assert engines.choose(oracle.case(["LSTM(64)"], long)) in ("onnx", "numpy")
    half = oracle.case(["LSTM(3, dtype='float64')"], INPUTS.astype("float64"))
    assert engines.choose(half) == "numpy"


def test_the_command_names_the_engine_and_can_be_checked(rnncli: Any) -> None:
    done = rnncli("run", "-l", "bigru", "--seed", "1", "--engine", "torch", "--check")
    assert done.returncode == 0, done.stderr
    assert "engine torch" in done.stdout
