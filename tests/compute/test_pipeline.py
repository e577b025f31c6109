"""The pipeline: shapes without an engine, weights that are given, and what is refused before computing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import oracle
import pytest
from claims import claim

from rnncli import addresses, compute, specs
from rnncli.case import Case
from rnncli.commands.matrix.answer import combinations
from rnncli.commands.shape import outline
from rnncli.compute import call, compare, engine_choice, engines
from rnncli.errors import EngineError, InputError, LayerError, RnncliError, UsageError

keras = oracle.keras
RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 3)).astype("float32")

SEQUENCES = (
    "SimpleRNN(3)",
    "LSTM(3, return_state=True)",
    "LSTM(3, return_sequences=True, return_state=True, use_bias=False)",
    "GRU(3, return_sequences=True)",
    "GRU(3, reset_after=False, return_state=True)",
    "Bidirectional(LSTM(3, return_state=True))",
    "Bidirectional(GRU(3, return_sequences=True, return_state=True), merge_mode='sum')",
    "Bidirectional(SimpleRNN(3, return_sequences=True), merge_mode='mul')",
    "RNN([LSTMCell(3), GRUCell(3)], return_state=True)",
    "RNN(GRUCell(3, use_bias=False), return_sequences=True)",
    "Dense(5)",
    "Dense(5, use_bias=False)",
    "Masking()",
    "TimeDistributed(Dense(5))",
)
FRAMES = {1: (2, 3, 9, 2), 2: (2, 3, 9, 8, 2), 3: (2, 3, 7, 6, 5, 2)}
CONVOLUTIONS = [
    f"ConvLSTM{rank}D(2, {size}, {options})"
    for rank in (1, 2, 3)
    for size, options in (
        (3, "padding='valid'"),
        (2, "padding='same', return_sequences=True"),
        (3, "strides=2, return_state=True"),
        (3, "strides=2, padding='same', return_sequences=True, return_state=True"),
        (2, "dilation_rate=2, use_bias=False"),
        (2, "dilation_rate=2, padding='same', return_state=True, unit_forget_bias=False"),
        ((2, 3, 1)[:rank], "go_backwards=True"),
    )
]
FIRST = [
    f"ConvLSTM{rank}D(3, 2, data_format='channels_first', {options})"
    for rank in (1, 2, 3)
    for options in ("return_sequences=True", "return_state=True, padding='same'", "strides=2")
]


def flat(shapes: Any) -> list[tuple[int, ...]]:
    """The shapes that Keras gives, whatever they are nested in."""
    if isinstance(shapes, (list, tuple)) and all(isinstance(size, (int, type(None))) for size in shapes):
        return [tuple(shapes)]
    return [found for inner in shapes for found in flat(inner)]


class TestShapes:
    @pytest.mark.parametrize("expression", [*SEQUENCES, *CONVOLUTIONS, *FIRST])
    def test_are_those_that_keras_computes(self, expression: str) -> None:
        rank = int(expression[8]) if expression.startswith("Conv") else 0
        shape = FRAMES.get(rank, X.shape)
        layer = oracle.made(expression)[0]
        layer.build(shape)
        report = outline.outline(specs.from_flags([expression], {}), shape)
        assert report.layers[0].parameters == layer.count_params()
        assert list(report.layers[0].weights.values()) == [tuple(v.shape) for v in layer.trainable_weights]
        mine = [info.shape for info in report.outputs]
        assert mine == flat(layer.compute_output_shape(shape))
        if "channels_first" not in expression:  # which TensorFlow has no convolution for on a CPU
            returned = keras.tree.flatten(layer(np.zeros(shape, "float32")))
            assert mine == [tuple(tensor.shape) for tensor in returned]
        assert [len(info.axes) for info in report.outputs] == [len(found) for found in mine]

    @pytest.mark.parametrize(
        "expression", [text for text in CONVOLUTIONS if "valid" in text or "same" in text]
    )
    def test_of_an_unknown_space_are_unknown_unless_it_stays(self, expression: str) -> None:
        shape = tuple(None if 1 < axis < len(FRAMES[int(expression[8])]) - 1 else size
                      for axis, size in enumerate(FRAMES[int(expression[8])]))  # fmt: skip
        report = outline.outline(specs.from_flags([expression], {}), shape)
        assert report.outputs[0].shape == flat(oracle.made(expression)[0].compute_output_shape(shape))[0]

    def test_keep_dimensions_that_are_not_known(self) -> None:
        report = outline.outline(specs.from_flags(["LSTM(3, return_sequences=True)"], {}), ("batch", None, 5))
        assert report.outputs[0].shape == ("batch", None, 3)
        assert report.layers[0].parameters == 4 * (5 * 3 + 3 * 3 + 3)
        report = outline.outline(specs.from_flags(["LSTM(3)"], {}), (2, 4, "features"))
        assert report.layers[0].parameters is None
        assert report.layers[0].weights["kernel"] == ("features", 12)

    def test_of_a_stack(self) -> None:
        stack = specs.from_flags(
            ["LSTM(3, return_sequences=True, return_state=True)", "Bidirectional(GRU(2))"], {}
        )
        report = outline.outline(stack, X.shape, all_layers=True)
        assert [(info.name, info.shape) for info in report.outputs] == [
            ("0/hidden_states", (2, 4, 3)),
            ("0/last_hidden_state", (2, 3)),
            ("0/last_cell_state", (2, 3)),
            ("1/hidden_state", (2, 4)),
        ]
        assert report.claims[addresses.label("0/last_hidden_state")] == (claim("0/hidden_states[:, -1, :]"),)
        assert [layer.path for layer in report.layers] == ["0", "1"]
        assert [info.name for info in stack.states(X.shape)] == [
            "0/last_hidden_state",
            "0/last_cell_state",
            "1/forward_last_hidden_state",
            "1/backward_last_hidden_state",
        ]

    @pytest.mark.parametrize(
        ("stack", "shape", "message"),
        [
            (["LSTM(3)", "GRU(2)"], X.shape, "layer 0 (LSTM) returns (batch, units)"),
            (
                ["Bidirectional(GRU(2, return_sequences=True), merge_mode=None)", "GRU(2)"],
                X.shape,
                "two outputs",
            ),
            (["LSTM(3)"], (2, 4, 3, 1), "needs an input of 3 axes, but the input has 4"),
            (["ConvLSTM2D(2, 3)"], X.shape, "needs an input of 5 axes, but the input has 3"),
        ],
    )
    def test_that_do_not_fit_are_refused(
        self, stack: list[str], shape: tuple[int, ...], message: str
    ) -> None:
        with pytest.raises(LayerError) as caught:
            outline.outline(specs.from_flags(stack, {}), shape)
        assert message in caught.value.what.replace("\n", " ")


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


class TestRefusals:
    def test_what_cannot_fit_into_memory(self) -> None:
        with pytest.raises(InputError, match="memory"):
            oracle.asked(["LSTM(1000000)"], X)
        with pytest.raises(InputError, match="memory"):
            oracle.asked(["LSTM(3000000)", "Dense(1)"], np.zeros((1, 1, 1), "float32"), "tensorflow")

    def test_an_engine_that_is_not_there_or_cannot(self) -> None:
        with pytest.raises(UsageError, match="no engine 'nunpy'"):
            oracle.asked(["LSTM(2)"], X, "nunpy")
        with pytest.raises(UsageError, match="only Keras computes ConvLSTM1D"):
            oracle.asked(["ConvLSTM1D(2, 2)"], X[..., None], "numpy")

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

        monkeypatch.setattr(call, "choose", lambda case: "onnx")
        assert compute.run(oracle.case(["LSTM(2)"], X)).engines == ("onnx",)
        monkeypatch.setattr(onnx, "build_layers", build_wrong)
        with pytest.raises(EngineError, match=r"onnx returned hidden_state as \(2, 1\)"):
            compute.run(oracle.case(["LSTM(2)"], X))

    def test_every_refusal_is_one_of_ours(self) -> None:
        assert issubclass(InputError, RnncliError)
        assert EngineError.exit_code == 3


class TestMatrix:
    @pytest.mark.parametrize(
        "expression", ["LSTM(3)", "Bidirectional(GRU(2), merge_mode='sum')", "RNN([LSTMCell(2)])"]
    )
    @pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
    def test_all_four_share_their_weights_and_are_keras_four(self, expression: str, engine: str) -> None:
        matrix = combinations(oracle.case([expression], X, seed=6), engine)
        assert list(matrix.results) == [(False, False), (False, True), (True, False), (True, True)]
        for (sequences, state), result in matrix.results.items():
            text = specs.describe(result.specs[0])
            assert ("return_sequences=True" in text) == sequences
            assert ("return_state=True" in text) == state
            keras.utils.set_random_seed(6)
            oracle.alike(result, oracle.called(oracle.made(text), X)[-1], 4e-6)
        kept = [list(result.weights.values()) for result in matrix.results.values()]
        for other in kept[1:]:
            for one, two in zip(kept[0], other, strict=True):
                np.testing.assert_array_equal(one, two)

    def test_changes_the_last_layer_alone(self) -> None:
        matrix = combinations(oracle.case(["LSTM(3, return_sequences=True)", "GRU(2)"], X))
        assert matrix.results[True, True].outputs[0].values.shape == (2, 4, 2)

    def test_of_a_layer_without_these_flags_is_refused(self) -> None:
        with pytest.raises(LayerError, match="neither return_sequences nor return_state"):
            combinations(oracle.case(["Dense(3)"], X))


class TestCheck:
    def test_fills_the_largest_difference_by_name(self) -> None:
        case = oracle.case(["LSTM(3, return_state=True)"], X, seed=1)
        result, apart = compare.compare_with_keras(case, compute.run(case, "numpy"))
        assert apart == []
        assert list(result.differences) == ["hidden_state", "last_hidden_state", "last_cell_state"]
        assert max(result.differences.values()) < 4e-6

    def test_compares_nothing_with_itself(self) -> None:
        case = oracle.case(["LSTM(3)"], X, seed=1)
        result, apart = compare.compare_with_keras(case, compute.run(case, "tensorflow"))
        assert (result.differences, apart) == ({}, [])

    def changed(self, value: float) -> Any:
        result = oracle.asked(["GRU(2)"], X, seed=1)
        values = result.outputs[0].values.copy()
        values[1, 1] = value
        return result, dataclasses.replace(result, outputs=(result.outputs[0]._replace(values=values),))

    def test_differences_are_absolute_and_the_largest(self) -> None:
        result, other = self.changed(9.0)
        expected = abs(float(result.outputs[0].values[1, 1]) - 9)
        assert compare.differences(result, other)["hidden_state"] == pytest.approx(expected, abs=1e-12)
        assert compare.find_disagreements(result, other, 1e-5, 1e-5) == ["hidden_state"]
        assert compare.find_disagreements(result, other, 10, 0) == []
        assert compare.find_disagreements(result, result, 0, 0) == []

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_two_that_are_not_finite_are_the_same_and_one_is_infinitely_far(self, value: float) -> None:
        result, other = self.changed(value)
        assert compare.differences(other, other) == {"hidden_state": 0.0}
        assert compare.differences(result, other) == {"hidden_state": np.inf}
        assert compare.find_disagreements(other, other, 0, 0) == []
        assert compare.find_disagreements(result, other, 1e9, 0) == ["hidden_state"]


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
        assert oracle.case(expressions, inputs).stack.input_rank == len(shape)
        keras.utils.set_random_seed(8)
        theirs = oracle.called(oracle.made(*expressions), inputs)[-1]
        oracle.alike(oracle.asked(expressions, inputs, "auto", seed=8), theirs)

    def test_what_keras_refuses_is_said_in_its_own_words(self) -> None:
        mask = np.ones(X.shape[:2], bool)
        with pytest.raises(EngineError, match="don't have the same nested structure"):
            oracle.asked(["RNN([LSTMCell(3)], return_state=True)"], X, "tensorflow", mask=mask)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_is_left_to_keras(self, dtype: str) -> None:
        assert engine_choice.choose(oracle.case([f"LSTM(2, dtype='{dtype}')"], X)) == "tensorflow"


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
