"""What is refused before a call, which engine is called, and what it returns."""

from typing import Any

import numpy as np
import oracle
import pytest
from convolutions import CONVOLUTIONS, FRAMES

import rnncli
from rnncli import compute
from rnncli.compute import engines
from rnncli.errors import EngineError, InputError, UsageError
from rnncli.layers.case import Case

keras = oracle.keras
RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 3)).astype("float32")
WANTED = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}


def weights(**changes: Any) -> dict[str, np.ndarray]:
    given = {name: np.full(shape, 0.1, "float32") for name, shape in WANTED.items()} | changes
    return {name: weight for name, weight in given.items() if weight is not None}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("LSTM(2)", {"weights": weights(bias=None)}, "weights: bias is missing"),
    ("LSTM(2)", {"weights": weights(kernal=np.zeros(3))}, "there is no weight kernal in this layer"),
    ("LSTM(2)", {"weights": weights(kernel=np.zeros((8, 3), "float32"))}, r"kernel has shape \(8, 3\)"),
    ("GRU(2)", {"initial_state": [np.zeros((2, 3), "float32")]}, "last_hidden_state has shape"),
    ("LSTM(3000000)", {}, "memory"),
]


@pytest.mark.parametrize(("expression", "given", "message"), REFUSED)
@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
def test_what_is_refused(expression: str, given: dict[str, Any], message: str, engine: str) -> None:
    with pytest.raises(InputError, match=message):
        oracle.run_case([expression], X, engine, **given)


def test_weights_in_another_dtype_and_order_are_the_same() -> None:
    backwards = {name: weight.astype("float64") for name, weight in reversed(weights().items())}
    mine = oracle.run_case(["LSTM(2)"], X, weights=backwards)
    oracle.check_outputs(mine, [oracle.run_case(["LSTM(2)"], X, weights=weights()).outputs[0].values])
    assert list(mine.weights) == list(WANTED)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
def test_weights_come_back_in_the_result_and_give_the_same_again(engine: str) -> None:
    layers = ["Bidirectional(GRU(2))", "Dense(1)"]
    first = oracle.run_case(layers, X, engine, seed=4)
    again = oracle.run_case(layers, X, engine, seed=9, weights=first.weights)
    np.testing.assert_array_equal(first.outputs[0].values, again.outputs[0].values)
    assert next(iter(first.weights)) == "0/forward/kernel"


def test_engines_say_what_can_compute_here() -> None:
    found = {info.name: info for info in engines.available()}
    assert found["numpy"].available
    assert found["numpy"].version == f"numpy {np.__version__}"
    assert keras.__version__ in found["tensorflow"].version


def test_an_engine_that_is_not_there_or_cannot() -> None:
    with pytest.raises(UsageError, match="no engine 'nunpy'"):
        oracle.run_case(["LSTM(2)"], X, "nunpy")
    with pytest.raises(UsageError, match="only Keras computes ConvLSTM1D"):
        oracle.run_case(["ConvLSTM1D(2, 2)"], X[..., None], "numpy")


def test_a_wrong_shape_from_an_engine_is_reported_and_not_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = engines.get("onnx")
    build = onnx.Layers

    def build_wrong(*given: Any) -> engines.LayerCaller:
        layers: engines.LayerCaller = build(*given)

        def called(case: Case) -> engines.EngineOutput:
            output = layers(case)
            cut = tuple(tuple(tensor[..., :-1] for tensor in layer) for layer in output.tensors)
            return output._replace(tensors=cut)

        return called

    monkeypatch.setattr(engines, "choose", lambda case, engine: "onnx")
    assert compute.run(oracle.case(["LSTM(2)"], X)).engines == ("onnx",)
    monkeypatch.setattr(onnx, "Layers", build_wrong)
    with pytest.raises(EngineError, match=r"onnx returned hidden_state as \(2, 1\)"):
        compute.run(oracle.case(["LSTM(2)"], X))


def test_a_result_says_what_else_was_asked_for() -> None:
    assert oracle.run_case(["GRU(2)"], X, "numpy").conditions == {}
    mask = np.ones(X.shape[:2], bool)
    asked = oracle.run_case(["GRU(2)"], X, "numpy", mask=mask, calls=3, training=True)
    assert asked.conditions == {"training": 1, "calls": 3, "mask": 1}


ALONE: list[tuple[list[str], tuple[int, ...], str]] = [
    *(([expression], FRAMES[int(expression[8])], "tensorflow") for expression in CONVOLUTIONS),
    (["TimeDistributed(Dense(5))"], X.shape, "numpy"),
    (["TimeDistributed(LSTM(2))"], (2, 3, 4, 3), "numpy"),
    # A layer for any rank takes the input of the next layer.
    (["Masking()", "TimeDistributed(LSTM(2))"], (2, 2, 3, 4), "numpy"),
    (["Dense(3)", "TimeDistributed(LSTM(2))"], (2, 2, 3, 4), "numpy"),
    (["Dropout(0.5)", "ConvLSTM2D(2, 2)"], (1, 2, 3, 4, 2), "tensorflow"),
    (["Masking()", "LSTM(2)"], (2, 3, 4), "numpy"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("expressions", "shape", "engine"), ALONE)
def test_layers_that_are_not_recurrent_and_what_only_keras_computes_are_kerass_own_numbers(
    expressions: list[str], shape: tuple[int, ...], engine: str
) -> None:
    inputs = np.random.default_rng(1).standard_normal(shape).astype("float32")
    inputs[0, -1] = 0
    assert oracle.case(expressions, inputs).stack.input_rank == len(shape)
    keras.utils.set_random_seed(8)
    theirs = oracle.call_layers(oracle.make_layers(*expressions), inputs)[-1]
    result = oracle.run_case(expressions, inputs, "auto", seed=8)
    assert result.engines == (engine,)
    oracle.check_outputs(result, theirs)


@pytest.mark.slow
def test_conv_lstm_takes_weights_states_and_a_mask() -> None:
    expression = "ConvLSTM2D(2, 2, return_sequences=True, return_state=True)"
    inputs = np.random.default_rng(1).standard_normal(FRAMES[2]).astype("float32")
    layers = oracle.build_layers(oracle.make_layers(expression), inputs)
    filled = oracle.fill_weights(layers, RNG)
    states = [RNG.standard_normal((2, 8, 7, 2)).astype("float32") for _ in range(2)]
    mask = np.array([[1, 0, 1], [1, 1, 0]], bool)
    theirs = keras.tree.flatten(layers[0](inputs, initial_state=states, mask=mask))
    result = oracle.run_case([expression], inputs, "auto", weights=filled, initial_state=states, mask=mask)
    oracle.check_outputs(result, [tensor.numpy() for tensor in theirs])


@pytest.mark.parametrize("inner", ["LSTM(2)", "Bidirectional(GRU(2))"])
def test_recurrent_layers_of_each_step_take_a_mask_of_their_own_steps(inner: str) -> None:
    inputs = np.random.default_rng(1).standard_normal((2, 2, 3, 4)).astype("float32")
    mask = np.array([[[1, 1, 0], [1, 0, 0]], [[0, 1, 1], [1, 1, 1]]], bool)
    expression = f"TimeDistributed({inner})"
    keras.utils.set_random_seed(8)
    theirs = oracle.call_layers(oracle.make_layers(expression), inputs, mask=mask)[-1]
    oracle.check_outputs(oracle.run_case([expression], inputs, "auto", seed=8, mask=mask), theirs)
    with pytest.raises(InputError, match=r"the mask is \(2, 2\), (?s:.*)here \(2, 2, 3\)"):
        rnncli.run(inputs, expression, mask=mask[..., 0])
    inputs[~mask] = 0
    oracle.check_close(rnncli.run(inputs, expression, seed=8, mask_value=0).outputs[0].values, theirs[0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_left_to_keras(dtype: str) -> None:
    expression = f"LSTM(2, dtype='{dtype}', recurrent_initializer='zeros')"
    assert engines.choose(oracle.case([expression], X)) == "tensorflow"


MASK = np.array([[True, True, True, False], [False, True, True, True]])
GRU = "GRU(2, return_sequences=True)"
STARTS = [np.zeros((2, 2), "float32")] * 2


@pytest.mark.parametrize(("layers", "given"), [
    (["GRU(2, return_sequences=True)"], {"mask": MASK}),
    (["GRU(2, return_sequences=True, go_backwards=True)"], {"mask": MASK}),
    (["Bidirectional(GRU(2, return_sequences=True))"], {"mask": MASK}),
    (["Bidirectional(GRU(2, return_sequences=True), merge_mode=None)"], {"mask": MASK}),
    (["GRU(2, return_sequences=True, go_backwards=True)", GRU], {"mask": MASK}),
    ([GRU, GRU], {"mask": MASK, "initial_state": STARTS}),
    (["Masking(0)", "Dropout(0.5)", "GRU(2, return_sequences=True)"], {}),
    (["Masking(0)", "GRU(2, return_sequences=True)"], {"initial_state": STARTS[:1]}),
    (["GRU(2, return_sequences=True)"], {}),
])  # fmt: skip
def test_masked_rows_are_the_steps_that_a_layer_skips(layers: list[str], given: dict[str, Any]) -> None:
    padded = X * MASK[..., None].astype("float32")
    found = oracle.run_case(layers, padded, **given, with_trace=True, all_layers=True)
    sequences = [one for one in found.outputs if one.label.part == "hidden" and one.label.sequence]
    assert sequences
    for tensor in sequences:
        loop = next(loop for loop in found.trace if loop.layer == (tensor.label.layer or 0))
        masked = np.zeros((2, 4), bool) if tensor.masked is None else tensor.masked
        np.testing.assert_array_equal(masked, loop.status != 0)


def test_only_concatenated_outputs_have_halves() -> None:
    for merge, halves in (("concat", [2, 0, 0]), ("sum", [0, 0, 0])):
        layer = f"Bidirectional(GRU(2, return_state=True), merge_mode={merge!r})"
        assert [one.half for one in oracle.run_case([layer], X).outputs] == halves
    assert [one.half for one in oracle.run_case(["Bidirectional(GRU(2))", "Dense(4)"], X).outputs] == [0]


def test_marks_of_joined_chunks_and_of_split_lines() -> None:
    case = oracle.case(["GRU(2, return_sequences=True)"], X, mask=MASK)
    joined = compute.run(case, "numpy", budget=compute.bytes_of_a_sequence(case, case.stack))
    np.testing.assert_array_equal(joined.outputs[0].masked, ~MASK)
    for mask, part in zip(MASK, compute.split_result(joined, [1, 1], case), strict=True):
        np.testing.assert_array_equal(part.outputs[0].masked, ~mask[None])
