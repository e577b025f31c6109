"""Layers built in an engine and called: their weights, their calls, and what an engine returns wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest

from rnncli import compute, specs
from rnncli.case import Case
from rnncli.compute import engines
from rnncli.errors import EngineError, InputError, UsageError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 3)).astype("float32")

WANTED = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}


class TestWeights:
    def given(self, **changes: Any) -> dict[str, np.ndarray]:
        weights = {name: np.full(shape, 0.1, "float32") for name, shape in WANTED.items()} | changes
        return {name: weight for name, weight in weights.items() if weight is not None}

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"bias": None}, "weights: bias is missing"),
            ({"kernal": np.zeros(3)}, "weights: there is no weight kernal in this layer"),
            ({"kernel": np.zeros((8, 3), "float32")}, "weights: kernel has shape (8, 3)"),
        ],
    )
    @pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
    def test_missing_unknown_or_misshapen_are_refused(self, changes: Any, message: str, engine: str) -> None:
        with pytest.raises(InputError) as caught:
            oracle.asked(["LSTM(2)"], X, engine, weights=self.given(**changes))
        assert message in caught.value.what

    def test_in_another_dtype_and_order_are_the_same(self) -> None:
        backwards = {name: weight.astype("float64") for name, weight in reversed(self.given().items())}
        mine = oracle.asked(["LSTM(2)"], X, weights=backwards)
        oracle.alike(mine, [oracle.asked(["LSTM(2)"], X, weights=self.given()).outputs[0].values])
        assert list(mine.weights) == list(WANTED)

    def test_come_back_in_the_result_and_give_the_same_again(self) -> None:
        for engine in ("numpy", "tensorflow"):
            first = oracle.asked(["Bidirectional(GRU(2))", "Dense(1)"], X, engine, seed=4)
            again = oracle.asked(
                ["Bidirectional(GRU(2))", "Dense(1)"], X, engine, seed=9, weights=first.weights
            )
            np.testing.assert_array_equal(first.outputs[0].values, again.outputs[0].values)
            assert next(iter(first.weights)) == "0/forward/kernel"


class TestEngines:
    def test_an_engine_that_is_not_there_or_cannot(self) -> None:
        with pytest.raises(UsageError, match="no engine 'nunpy'"):
            oracle.asked(["LSTM(2)"], X, "nunpy")
        with pytest.raises(UsageError, match="only Keras computes ConvLSTM1D"):
            oracle.asked(["ConvLSTM1D(2, 2)"], X[..., None], "numpy")

    def test_a_wrong_shape_from_an_engine_is_reported_and_not_recomputed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        onnx = engines.get("onnx")
        build = onnx.build_layers

        def build_wrong(*given: Any) -> engines.LayerCaller:
            layers: engines.LayerCaller = build(*given)

            def called(case: Case) -> engines.EngineOutput:
                output = layers(case)
                cut = tuple(tuple(tensor[..., :-1] for tensor in layer) for layer in output.tensors)
                return output._replace(tensors=cut)

            return called

        monkeypatch.setattr(engines, "choose", lambda case: "onnx")
        assert compute.run(oracle.case(["LSTM(2)"], X)).engines == ("onnx",)
        monkeypatch.setattr(onnx, "build_layers", build_wrong)
        with pytest.raises(EngineError, match=r"onnx returned hidden_state as \(2, 1\)"):
            compute.run(oracle.case(["LSTM(2)"], X))


def test_calls_and_all_layers_of_a_stateful_stack() -> None:
    stack = ["LSTM(3, stateful=True, return_sequences=True)", "GRU(2, stateful=True)"]
    layers = oracle.built(oracle.made(*stack), X)
    weights = oracle.filled(layers, RNG)
    theirs = oracle.called(layers, X, calls=3)
    for engine in ("numpy", "tensorflow"):
        result = compute.run(
            Case(specs.from_flags(stack, {}), X, weights=weights, calls=3, all_layers=True), engine
        )
        assert [tensor.name for tensor in result.outputs] == ["0/hidden_states", "1/hidden_state"]
        oracle.alike(result, [tensor for tensors in theirs for tensor in tensors])


def test_a_result_says_what_else_was_asked_for() -> None:
    plain = oracle.asked(["GRU(2)"], X, "numpy")
    assert plain.conditions == {}
    mask = np.ones(X.shape[:2], bool)
    asked = oracle.asked(["GRU(2)"], X, "numpy", mask=mask, calls=3, training=True)
    assert asked.conditions == {"training": 1, "calls": 3, "mask": 1}
