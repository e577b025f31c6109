"""The ONNX engine against Keras, beyond the product of all engines; what it refuses; when `auto` takes it.

Random weights, inputs and states; tolerances as for NumPy.
"""

import sys
from typing import Any

import numpy as np
import oracle
import pytest
from engine_products import FLAGS, KINDS, check_engine, pairs_of_options

from rnncli import compute
from rnncli.compute import compare, engines
from rnncli.compute.engines import onnx as engine
from rnncli.errors import EngineError, UsageError
from rnncli.frameworks import onnx as layout
from rnncli.layers.case import Case

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 5, 3)).astype("float32")
RIGHT = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)
LEFT, MIDDLE = RIGHT[:, ::-1].copy(), np.array([[1, 0, 1, 1, 1]] * 4, bool)
ACTIVATIONS = [name for name in layout.ACTIVATIONS if name not in engine.INEXACT]
TAKEN: dict[str, Any] = {
    "activation": ("tanh", tuple(name for name in ACTIVATIONS if name != "tanh")),
    "recurrent_activation": engine.GATES,
    "dtype": ("float32",),
    "mask": ("none", "right"),
    "merge_mode": ("concat", None),  # merging is not the engine's work; test_every_layer has every mode
}


class TestNumbers:
    @pytest.mark.sampled
    @pytest.mark.parametrize(("expression", "mask", "given", "dtype"), pairs_of_options(TAKEN))
    def test_of_every_pair_of_options(self, expression: str, mask: str, given: bool, dtype: str) -> None:
        """onnx reads alphas and betas one after the other, those of all functions of a node."""
        check_engine(expression, mask, given, dtype, "onnx")

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_of_an_activation_over_its_whole_range(self, activation: str) -> None:
        ends = [0.0, -0.0, 1e-8, -1e-8, 1e4, -1e4, 1e17, -1e17]
        points = np.concatenate([np.linspace(-120, 120, 4001), np.linspace(-4, 4, 4001), ends])
        inputs = points.astype("float32")[:, None, None]
        weights = {"kernel": np.ones((1, 3), "float32"), "recurrent_kernel": np.zeros((3, 3), "float32")}
        expression = f"SimpleRNN(3, activation={activation!r}, use_bias=False)"
        layers = oracle.build_layers(oracle.make_layers(expression), inputs)
        layers[0].set_weights(list(weights.values()))
        theirs = oracle.call_layers(layers, inputs)[-1][0]
        mine = oracle.run_case([expression], inputs, "onnx", weights=weights).outputs[0].values
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.slow
    def test_of_layers_that_are_made_once(self, kind: str) -> None:
        """Other lengths, other batches, then the first again: no call leaves anything behind."""
        expression = f"{kind}(3, return_sequences=True)"
        layers = oracle.build_layers(oracle.make_layers(expression), X)
        case = oracle.case([expression], X, weights=oracle.fill_weights(layers, np.random.default_rng(1)))
        answer = compute.prepare(case, "onnx")
        for inputs in (X, X[:1], X[:, :2], np.repeat(X, 3, axis=1), X):
            oracle.check_outputs(answer(case._replace(inputs=inputs)), oracle.call_layers(layers, inputs)[-1])

    @pytest.mark.slow
    def test_of_large_work(self) -> None:
        inputs = np.random.default_rng(1).standard_normal((1, 20_000, 3)).astype("float32")
        expression = "LSTM(3, return_sequences=True)"
        first, second = (oracle.run_case([expression], inputs, name, seed=1) for name in ("auto", "numpy"))
        assert (first.engines, second.engines) == (("onnx",), ("numpy",))
        assert compare.compare_results(first, second).differences["hidden_states"] <= 1e-6


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("LSTM(3)", {"mask": LEFT}, "the mask skips others too"),
    ("LSTM(3)", {"mask": MIDDLE}, "the mask skips others too"),
    ("GRU(3, dtype='float64')", {}, "float32 only"),
    ("GRU(3, activation='gelu')", {}, "no activation gelu"),
    ("GRU(3, recurrent_activation='tanh')", {}, "gates with sigmoid or hard_sigmoid, not"),
    ("Bidirectional(LSTM(3, recurrent_activation='relu6'))", {}, "not with relu6"),
    ("LSTM(3, dropout=0.5)", {"training": True}, "no dropout"),
    ("RNN([LSTMCell(3), GRUCell(3)])", {}, "no node for RNN"),
    ("LSTM(3)", {"with_trace": True}, "does not record gates"),
    ("Masking()", {}, "Masking may skip any step"),
    ("ConvLSTM1D(2, 2)", {}, "only Keras computes"),
    ("TimeDistributed(Dense(2))", {}, "it does not run the layer inside TimeDistributed"),
]


@pytest.mark.parametrize(("expression", "rest", "message"), REFUSED, ids=str)
def test_a_refusal_says_why_and_holds_for_auto(
    expression: str, rest: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = X.astype("float64") if "float64" in expression else X
    case = oracle.case([expression], inputs[..., None] if "Conv" in expression else inputs, **rest)
    with pytest.raises(UsageError, match=message) as caught:
        compute.run(case, "onnx")
    assert caught.value.exit_code == 2
    assert caught.value.what.startswith("the engine onnx cannot compute this: ")
    assert caught.value.advice
    monkeypatch.setattr(engines, "has_many_steps", lambda case: True)  # however large the work is
    assert engines.choose(case) != "onnx"


def test_dropout_outside_training_is_not_refused() -> None:
    check_engine("LSTM(3, dropout=0.5, recurrent_dropout=0.5)", "right", given=True, engine="onnx")


class TestNumbersThatItWouldLose:
    """ONNX Runtime turns NaN and infinity into ordinary numbers."""

    @pytest.fixture(autouse=True)
    def many_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "has_many_steps", lambda case: True)

    def refused_but_answered(self, expression: str, inputs: np.ndarray, **given: Any) -> Any:
        with pytest.raises(EngineError, match="NaN, infinity"):
            oracle.run_case([expression], inputs, "onnx", **given)
        result = oracle.run_case([expression], inputs, "auto", **given)
        assert result.engines == ("numpy",)
        return result

    @pytest.mark.sampled
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("where", ["inputs", "initial_state", "weights"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_are_given_by_auto_and_refused_by_onnx(self, kind: str, where: str, bad: float) -> None:
        expression = f"{kind}(3, return_sequences=True)"
        layers = oracle.build_layers(oracle.make_layers(expression), X)
        weights = oracle.fill_weights(layers, np.random.default_rng(1))
        states = oracle.random_states(layers, 4, np.random.default_rng(2), "float32")
        inputs = X.copy()
        spoiled = {"inputs": inputs, "initial_state": states[-1], "weights": weights["recurrent_kernel"]}
        spoiled[where][1, 1] = bad
        oracle.variables_by_path(layers)["recurrent_kernel"].assign(weights["recurrent_kernel"])
        result = self.refused_but_answered(expression, inputs, weights=weights, initial_state=states)
        oracle.check_outputs(result, oracle.call_layers(layers, inputs, None, states)[-1])

    @pytest.mark.sampled
    @pytest.mark.parametrize("activation", ["relu", "elu", "leaky_relu", "linear"])
    @pytest.mark.parametrize("sequences", FLAGS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_arise_where_a_layer_explodes(self, kind: str, activation: str, sequences: bool) -> None:
        expression = f"{kind}(3, activation={activation!r}, return_sequences={sequences})"
        layers = oracle.build_layers(oracle.make_layers(expression), X)
        weights = {path: np.full_like(values, 30) for path, values in oracle.weights(layers).items()}
        if kind == "GRU":
            weights["kernel"][:, :3] = weights["bias"][:, :3] = weights["recurrent_kernel"][:, :3] = -30
        self.refused_but_answered(expression, np.repeat(abs(X), 12, axis=1), weights=weights)


def zero_case(expression: str, steps: int, batch: int = 1, features: int = 5) -> Case:
    return oracle.case([expression], np.zeros((batch, steps, features), "float32"))


@pytest.mark.parametrize(("case", "chosen"), [
    *((zero_case(f"{kind}(3)", steps), "onnx" if steps > 1000 else "numpy")
      for kind in KINDS for steps in (4, 1000, 80_000)),
    (zero_case("LSTM(64)", 400, 2, 512), "numpy"),
    (zero_case("LSTM(1024)", 400, 128, 512), "onnx"),
    (zero_case("SimpleRNN(512)", 20_000, 32, 1), "numpy"),  # however many the steps are
    (zero_case("SimpleRNN(300)", 20_000, 8, 1), "numpy"),
    (zero_case("LSTM(3)", 10_000), "numpy"),
    (zero_case("LSTM(3)", 10_000)._replace(calls=8), "onnx"),
    (zero_case("Bidirectional(LSTM(3))", 10_000), "onnx"),
    (oracle.case(["LSTM(3, return_sequences=True)"] * 3, np.zeros((1, 10_000, 5), "float32")), "onnx"),
    (zero_case("GRU(3, stateful=True)", 100_000), "numpy"),
])  # fmt: skip
def test_auto_takes_it_for_many_steps(case: Case, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engines.choose(case) == chosen
    monkeypatch.setattr(engines, "find_spec", lambda name: None)  # its packages are missing
    assert engines.choose(case) == "numpy"


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_its_installer(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    engine._packages.cache_clear()  # another test may have loaded them
    with pytest.raises(EngineError, match=package) as caught:
        compute.run(oracle.case(["LSTM(3)"], X), "onnx")
    assert caught.value.exit_code == 3
    assert "pip install onnx onnxruntime" in str(caught.value.advice)


@pytest.mark.slow
def test_a_graph_that_onnx_runtime_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    case = oracle.case(["LSTM(3)"], X)
    monkeypatch.setattr(layout, "OPSET", 999)
    with pytest.raises(EngineError, match=r"ONNX Runtime refused the graph: .*opset") as caught:
        compute.run(case, "onnx")
    assert caught.value.advice == "Use another engine: --engine numpy"
    assert not caught.value.what.endswith("..")
    compute.run(case, "numpy")
