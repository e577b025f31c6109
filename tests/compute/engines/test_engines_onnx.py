"""The ONNX engine against Keras, what it refuses, and what `auto` makes of it.

Every pair of options that it takes, random weights, inputs and states; tolerances as for NumPy.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np
import oracle
import pytest
from engine_options import keras_applies_the_mask_backwards, rows, written
from engine_products import FLAGS, KINDS, MERGES, holds

from rnncli import compute
from rnncli.case import Case
from rnncli.compute import call, compare, engines
from rnncli.compute.engines import onnx as engine
from rnncli.errors import EngineError, UsageError
from rnncli.frameworks import onnx as layout

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 5, 3)).astype("float32")
RIGHT = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)
LEFT, MIDDLE = RIGHT[:, ::-1].copy(), np.array([[1, 0, 1, 1, 1]] * 4, bool)
ACTIVATIONS = tuple(engine.ACTIVATIONS)
TAKEN: dict[str, Any] = {
    "activation": ACTIVATIONS,
    "recurrent_activation": engine.GATES,
    "dtype": ("float32",),
    "mask": ("none", "right"),
}


def pairs(outer: str, values: tuple[Any, ...]) -> list[Any]:
    return rows(outer, values, TAKEN)


class TestNumbers:
    @pytest.mark.parametrize("given", FLAGS, ids=("zeros", "given"))
    @pytest.mark.parametrize("mask", ["none", "right"])
    @pytest.mark.parametrize(
        ("kind", "sequences", "state", "backwards"), list(product(KINDS, FLAGS, FLAGS, FLAGS))
    )
    def test_of_a_layer(
        self, kind: str, sequences: bool, state: bool, backwards: bool, mask: str, given: bool
    ) -> None:
        flags = f"return_sequences={sequences}, return_state={state}, go_backwards={backwards}"
        holds(f"{kind}(3, {flags})", mask, given, engine="onnx")

    @pytest.mark.parametrize("mask", ["none", "right"])
    @pytest.mark.parametrize(
        ("kind", "sequences", "state", "merge"), list(product(KINDS, FLAGS, FLAGS, MERGES))
    )
    def test_of_bidirectional(
        self, kind: str, sequences: bool, state: bool, merge: str | None, mask: str
    ) -> None:
        inner = f"{kind}(3, return_sequences={sequences}, return_state={state})"
        for given in FLAGS:
            holds(f"Bidirectional({inner}, merge_mode={merge!r})", mask, given, engine="onnx")

    @pytest.mark.parametrize(("kind", "row"), pairs("go_backwards", FLAGS))
    def test_of_every_pair_of_options(self, kind: str, row: dict[str, Any]) -> None:
        if keras_applies_the_mask_backwards(row, row["go_backwards"], row["zero_output_for_mask"]):
            row = {**row, "unroll": False}
        holds(written(kind, row), row["mask"], row["given"], engine="onnx")

    @pytest.mark.parametrize(("kind", "row"), pairs("merge_mode", MERGES))
    def test_of_every_pair_of_options_inside_bidirectional(self, kind: str, row: dict[str, Any]) -> None:
        if keras_applies_the_mask_backwards(row, backwards=True, zeroing=row["return_sequences"]):
            row = {**row, "unroll": False}
        outer = f"merge_mode={row['merge_mode']!r}"
        holds(f"Bidirectional({written(kind, row, 'merge_mode')}, {outer})", row["mask"], row["given"],
              engine="onnx")  # fmt: skip

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_of_both_functions_in_every_combination(self, kind: str, activation: str) -> None:
        """onnx reads alphas and betas one after the other, those of all functions of a node."""
        if kind == "SimpleRNN":
            holds(f"SimpleRNN(3, activation={activation!r})", "right", given=True, engine="onnx")
            return
        for recurrent in engine.GATES:
            functions = f"activation={activation!r}, recurrent_activation={recurrent!r}"
            holds(f"{kind}(3, {functions})", "right", given=True, engine="onnx")

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_of_an_activation_over_its_whole_range(self, activation: str) -> None:
        ends = [0.0, -0.0, 1e-8, -1e-8, 1e4, -1e4, 1e17, -1e17]
        points = np.concatenate([np.linspace(-120, 120, 4001), np.linspace(-4, 4, 4001), ends])
        inputs = points.astype("float32")[:, None, None]
        weights = {"kernel": np.ones((1, 3), "float32"), "recurrent_kernel": np.zeros((3, 3), "float32")}
        expression = f"SimpleRNN(3, activation={activation!r}, use_bias=False)"
        layers = oracle.built(oracle.made(expression), inputs)
        layers[0].set_weights(list(weights.values()))
        theirs = oracle.called(layers, inputs)[-1][0]
        mine = oracle.asked([expression], inputs, "onnx", weights=weights).outputs[0].values
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize(
        "stack",
        [
            ("LSTM(4, return_sequences=True)", "GRU(3, return_state=True)"),
            ("Bidirectional(GRU(3, return_sequences=True))", "LSTM(2)", "Dense(2, activation='softmax')"),
            ("SimpleRNN(3, return_sequences=True, return_state=True)", "SimpleRNN(3, go_backwards=True)"),
        ],
    )
    @pytest.mark.parametrize("mask", [None, RIGHT], ids=("none", "right"))
    def test_of_a_stack(self, stack: tuple[str, ...], mask: Any) -> None:
        layers = oracle.built(oracle.made(*stack), X)
        weights = oracle.filled(layers, np.random.default_rng(1))
        theirs = [tensor for tensors in oracle.called(layers, X, mask) for tensor in tensors]
        oracle.alike(oracle.asked(stack, X, "onnx", mask=mask, weights=weights, all_layers=True), theirs)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("outer", ["{}", "Bidirectional({})"])
    def test_of_stateful_calls(self, kind: str, outer: str) -> None:
        flags = "stateful=True, return_sequences=True" + (", return_state=True" if outer == "{}" else "")
        expression = outer.format(f"{kind}(3, {flags})")  # Keras fails where Bidirectional has all three
        layers = oracle.built(oracle.made(expression), X)
        weights = oracle.filled(layers, np.random.default_rng(1))
        theirs = oracle.called(layers, X, calls=3)[-1]
        oracle.alike(oracle.asked([expression], X, "onnx", weights=weights, calls=3), theirs)

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_layers_that_are_made_once(self, kind: str) -> None:
        """Other lengths, other batches, then the first again: no call leaves anything behind."""
        expression = f"{kind}(3, return_sequences=True)"
        layers = oracle.built(oracle.made(expression), X)
        case = oracle.case([expression], X, weights=oracle.filled(layers, np.random.default_rng(1)))
        answer = call.prepare(case, "onnx")
        for inputs in (X, X[:1], X[:, :2], np.repeat(X, 3, axis=1), X):
            oracle.alike(answer(case._replace(inputs=inputs)), oracle.called(layers, inputs)[-1])

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_many_steps_and_units(self, kind: str) -> None:
        inputs = np.random.default_rng(1).standard_normal((3, 300, 20)).astype("float32")
        expression = f"{kind}(40, return_sequences=True, return_state=True)"
        layers = oracle.built(oracle.made(expression), inputs)
        theirs = oracle.called(layers, inputs)[-1]
        oracle.alike(oracle.asked([expression], inputs, "onnx", weights=oracle.values(layers)), theirs)


REFUSED: dict[str, tuple[Case, str]] = {
    "mask on the left": (oracle.case(["LSTM(3)"], X, mask=LEFT), "the mask skips others too"),
    "mask in the middle": (oracle.case(["LSTM(3)"], X, mask=MIDDLE), "the mask skips others too"),
    "mask over all": (oracle.case(["GRU(3)"], X, mask=np.zeros((4, 5), bool)), "the mask skips others too"),
    "float64": (oracle.case(["GRU(3, dtype='float64')"], X.astype("float64")), "float32 only"),
    "activation": (oracle.case(["GRU(3, activation='gelu')"], X), "no activation gelu"),
    "softplus": (oracle.case(["GRU(3, activation='softplus')"], X), "no activation softplus"),
    "gates": (
        oracle.case(["GRU(3, recurrent_activation='tanh')"], X),
        "gates with sigmoid or hard_sigmoid, not",
    ),
    "gates inside": (
        oracle.case(["Bidirectional(LSTM(3, recurrent_activation='relu6'))"], X),
        "not with relu6",
    ),
    "inner": (oracle.case(["Bidirectional(GRU(3, activation='mish'))"], X), "no activation mish"),
    "dropout": (oracle.case(["LSTM(3, dropout=0.5)"], X, training=True), "no dropout"),
    "recurrent dropout": (oracle.case(["GRU(3, recurrent_dropout=0.5)"], X, training=True), "no dropout"),
    "RNN of cells": (oracle.case(["RNN([LSTMCell(3), GRUCell(3)])"], X), "no node for RNN"),
    "RNN of a cell": (oracle.case(["RNN(LSTMCell(3))"], X), "no node for RNN"),
    "trace": (oracle.case(["LSTM(3)"], X, with_trace=True), "does not record gates"),
    "Masking": (oracle.case(["Masking()", "LSTM(3)"], X), "Masking may skip any step"),
    "ConvLSTM": (oracle.case(["ConvLSTM1D(2, 2)"], np.zeros((2, 3, 5, 1), "float32")), "only Keras computes"),
    "TimeDistributed": (oracle.case(["TimeDistributed(Dense(2))"], X), "only Keras computes"),
}


class TestRefusals:
    @pytest.mark.parametrize("name", REFUSED)
    def test_say_why(self, name: str) -> None:
        case, message = REFUSED[name]
        with pytest.raises(UsageError, match=message) as caught:
            compute.run(case, "onnx")
        assert caught.value.exit_code == 2
        assert caught.value.what.startswith("the engine onnx cannot compute this: ")
        assert caught.value.advice

    @pytest.mark.parametrize("name", REFUSED)
    def test_hold_for_auto(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """However large the work is."""
        monkeypatch.setattr(engines, "has_many_steps", lambda case: True)
        assert engines.choose(REFUSED[name][0]) != "onnx"

    def test_spare_dropout_outside_training(self) -> None:
        holds("LSTM(3, dropout=0.5, recurrent_dropout=0.5)", "right", given=True, engine="onnx")


class TestNumbersThatItWouldLose:
    """ONNX Runtime turns NaN and infinity into ordinary numbers."""

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("where", ["inputs", "initial_state", "weights"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_are_given_by_auto_and_refused_by_onnx(
        self, kind: str, where: str, bad: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expression = f"{kind}(3, return_sequences=True)"
        layers = oracle.built(oracle.made(expression), X)
        weights = oracle.filled(layers, np.random.default_rng(1))
        states = oracle.some_states(layers, 4, np.random.default_rng(2), "float32")
        inputs = X.copy()
        spoiled = {"inputs": inputs, "initial_state": states[-1], "weights": weights["recurrent_kernel"]}
        spoiled[where][1, 1] = bad
        oracle.variables(layers)["recurrent_kernel"].assign(weights["recurrent_kernel"])
        given = {"weights": weights, "initial_state": states}
        with pytest.raises(EngineError, match="NaN, infinity"):
            oracle.asked([expression], inputs, "onnx", **given)
        monkeypatch.setattr(engines, "has_many_steps", lambda case: True)
        result = oracle.asked([expression], inputs, "auto", **given)
        assert result.engines == ("numpy",)
        oracle.alike(result, oracle.called(layers, inputs, None, states)[-1])

    @pytest.mark.parametrize("activation", ["relu", "elu", "leaky_relu", "linear"])
    @pytest.mark.parametrize("sequences", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_arise_where_a_layer_explodes(
        self, kind: str, activation: str, sequences: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expression = f"{kind}(3, activation={activation!r}, return_sequences={sequences})"
        layers = oracle.built(oracle.made(expression), X)
        weights = {path: np.full_like(values, 30) for path, values in oracle.values(layers).items()}
        if kind == "GRU":
            weights["kernel"][:, :3] = weights["bias"][:, :3] = weights["recurrent_kernel"][:, :3] = -30
        inputs = np.repeat(abs(X), 12, axis=1)
        with pytest.raises(EngineError, match="NaN, infinity"):
            oracle.asked([expression], inputs, "onnx", weights=weights)
        monkeypatch.setattr(engines, "has_many_steps", lambda case: True)
        assert oracle.asked([expression], inputs, "auto", weights=weights).engines == ("numpy",)


class TestAuto:
    @pytest.mark.parametrize("kind", KINDS)
    def test_takes_it_for_many_steps_and_leaves_few_to_numpy(self, kind: str) -> None:
        assert [engines.choose(_steps(kind, count)) for count in (4, 1000, 80_000)] == [
            "numpy", "numpy", "onnx",
        ]  # fmt: skip

    def test_takes_it_for_large_products_and_leaves_small_ones_to_numpy(self) -> None:
        def wide(batch: int, units: int) -> Case:
            return oracle.case([f"LSTM({units})"], np.zeros((batch, 400, 512), "float32"))

        assert [engines.choose(wide(batch, units)) for batch, units in ((2, 64), (128, 1024))] == [
            "numpy", "onnx",
        ]  # fmt: skip

    @pytest.mark.parametrize(("expression", "batch"), [("SimpleRNN(512)", 32), ("SimpleRNN(300)", 8)])
    def test_leaves_wide_products_to_numpy_where_that_is_sooner(self, expression: str, batch: int) -> None:
        """However many the steps are."""
        case = oracle.case([expression], np.zeros((batch, 20_000, 1), "float32"))
        assert engines.choose(case) == "numpy"

    def test_counts_calls_directions_and_layers(self) -> None:
        below = _steps("LSTM", 10_000)
        above = [
            below._replace(calls=8),
            _steps("Bidirectional(LSTM(3))", 10_000),
            below._replace(specs=oracle.case(["LSTM(3, return_sequences=True)"] * 3, below.inputs).specs),
        ]
        assert not engines.has_many_steps(below)
        assert all(map(engines.has_many_steps, above))

    def test_says_which_engine_ran(self) -> None:
        assert compute.run(_steps("GRU", 20_000)).engines == ("onnx",)

    def test_leaves_what_keeps_its_state_to_numpy(self) -> None:
        assert engines.choose(_steps("GRU(3, stateful=True)", 100_000)) == "numpy"

    def test_leaves_all_to_numpy_where_the_packages_are_missing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engines, "find_spec", lambda name: None)
        assert engines.choose(_steps("GRU", 100_000)) == "numpy"

    def test_large_work_is_within_the_tolerance(self) -> None:
        inputs = np.random.default_rng(1).standard_normal((1, 20_000, 3)).astype("float32")
        expression = "LSTM(3, return_sequences=True)"
        first, second = (oracle.asked([expression], inputs, name, seed=1) for name in ("auto", "numpy"))
        assert (first.engines, second.engines) == (("onnx",), ("numpy",))
        assert compare.differences(first, second)["hidden_states"] <= 1e-6


def _steps(layer: str, count: int) -> Case:
    return oracle.case([layer if "(" in layer else f"{layer}(3)"], np.zeros((1, count, 5), "float32"))


WITHOUT = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
sys.argv = ["rnncli", "run", "--engine", "onnx"]
from rnncli.__main__ import main
main()
"""


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_what_installs_it(package: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT.format(package=package)], capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert package in done.stderr
    assert "pip install onnx onnxruntime" in done.stderr
    assert "Traceback" not in done.stderr


def test_engines_says_that_it_is_here() -> None:
    [info] = [info for info in engines.available() if info.name == "onnx"]
    assert info.available
    assert "onnxruntime" in info.version


def test_a_graph_that_onnx_runtime_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    case = oracle.case(["LSTM(3)"], X)
    monkeypatch.setattr(layout, "OPSET", 999)
    with pytest.raises(EngineError, match=r"ONNX Runtime refused the graph: .*opset") as caught:
        compute.run(case, "onnx")
    assert caught.value.advice == "Use another engine: --engine numpy"
    assert not caught.value.what.endswith("..")
    compute.run(case, "numpy")
