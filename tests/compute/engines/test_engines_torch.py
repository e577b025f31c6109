"""The engine torch, beyond the product of all engines: NaN, and who chooses it."""

from typing import Any

import numpy as np
import oracle
import pytest
from engine_products import KINDS

from rnncli.compute import engines

pytest.importorskip("torch")

INPUTS = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_infinity_go_where_numpy_sends_them(kind: str) -> None:
    inputs, expressions = INPUTS.copy(), [f"{kind}(3, return_sequences=True)"]
    inputs[:, 2, 0] = np.nan, np.inf, -np.inf
    wanted, found = (oracle.run_case(expressions, inputs, engine, seed=7) for engine in ("numpy", "torch"))
    oracle.check_outputs(found, [tensor.values for tensor in wanted.outputs])


def test_auto_never_chooses_it() -> None:
    long = np.zeros((64, 5000, 8), "float32")
    assert engines.choose(oracle.case(["LSTM(64)"], long)) in ("onnx", "numpy")
    half = oracle.case(["LSTM(3, dtype='float64')"], INPUTS.astype("float64"))
    assert engines.choose(half) == "numpy"


@pytest.mark.slow
def test_the_command_names_the_engine_and_can_be_checked(rnncli: Any) -> None:
    done = rnncli("run", "-l", "bigru", "--seed", "1", "--engine", "torch", "--check").success()
    assert "engine torch" in done.stdout
