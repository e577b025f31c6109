"""Models as published packages have them: what is unknown is refused by name, with advice that works."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from command import Run
from keras_calls import with_changed_config
from onnx import TensorProto, helper, numpy_helper
from oracle import keras

from rnncli.errors import LayerError
from rnncli.inputs.formats import Source
from rnncli.models import ModelRequest
from rnncli.models.onnx import model as program
from rnncli.models.onnx import reader as reader

L = keras.layers
NUMBERS = json.dumps(np.random.default_rng(1).normal(size=(2, 5, 4)).round(3).tolist())


def arrays() -> dict[str, Any]:
    random = np.random.default_rng(3)
    found = onnx_graphs.weights(random, "LSTM", 4, 3)
    return {**found, "X": random.normal(size=(5, 2, 4)).astype(np.float32)}


def voice_detector() -> tuple[Any, dict[str, Any]]:
    """As silero-vad: a network for each rate inside an If, whose states are slices of the inputs h and c."""
    held = {**arrays(), "h": np.ones((2, 2, 3), np.float32), "c": np.ones((2, 2, 3), np.float32)}
    branches = {}
    for branch, start in (("then_branch", 0), ("else_branch", 1)):
        cut = [
            helper.make_node("Slice", [name, f"s{start}", f"s{start + 1}"], [f"{name}{start}"])
            for name in "hc"
        ]
        own = onnx_graphs.node("LSTM", held, name=f"{branch}/LSTM", outputs=["out"])
        own.input[5:7] = [f"h{start}", f"c{start}"]
        result = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
        branches[branch] = helper.make_graph([*cut, own], branch, [], [result])
    rate = helper.make_node("Equal", ["sr", "high"], ["is_high"], name="equal")
    nodes = [rate, helper.make_node("If", ["is_high"], ["Y"], name="if", **branches)]
    constants = {name: held[name] for name in "WRB"}
    constants |= {f"s{number}": np.array([number], np.int64) for number in range(3)}
    feeds = {name: held[name] for name in ("X", "h", "c")} | {"sr": np.array(16000, np.int32)}
    made = onnx_graphs.model(nodes, feeds, {**constants, "high": np.array(16000, np.int32)}, ["Y"])
    for value in made.graph.input:
        if value.name in "hc":
            for axis, size in zip(value.type.tensor_type.shape.dim, (2, None, 3), strict=True):
                axis.dim_param = "" if size else "X1"
                if size:
                    axis.dim_value = size
    return made, feeds


def run(made: Any, feeds: Any, **options: Any) -> Any:
    from rnncli import compute

    model = reader.read(Source("m.onnx", data=made.SerializeToString()))
    inputs = program.Model(model).fit_inputs(feeds)
    request = ModelRequest(inputs, lambda case: compute.run(case, "numpy"), **options)
    return program.Model(model, Path("m.onnx")).run(request)


@pytest.mark.slow
def test_states_inside_an_if_may_be_left_out() -> None:
    made, feeds = voice_detector()
    without = run(made, {name: feeds[name] for name in ("X", "sr")})
    assert without.notes[0] == "initial states that were not given are zeros: h, c."
    zeros = run(made, {**feeds, "h": feeds["h"] * 0, "c": feeds["c"] * 0})
    ones = run(made, feeds)
    for name, same in (("zeros", True), ("ones", False)):
        other = {"zeros": zeros, "ones": ones}[name]
        pairs = zip(without.parts[0].case.initial_state, other.parts[0].case.initial_state, strict=True)
        assert all(np.array_equal(one, two) for one, two in pairs) is same


def custom() -> tuple[Any, dict[str, Any]]:
    held = arrays()
    nodes = [
        onnx_graphs.node("LSTM", held, name="free"),
        helper.make_node("Weird", ["X"], ["w"], name="weird", domain="my.ops"),
        helper.make_node("LSTM", ["w", "W", "R"], ["Y2"], name="bound", hidden_size=3),
    ]
    made = onnx_graphs.model(nodes, {"X": held["X"]}, {name: held[name] for name in "WRB"}, ["Y", "Y2"])
    made.opset_import.append(helper.make_opsetid("my.ops", 1))
    return made, {"X": held["X"]}


@pytest.mark.slow
def test_an_operator_of_ones_own_is_refused_by_name() -> None:
    made, feeds = custom()
    with pytest.raises(LayerError, match=r"weird: the operator my\.ops\.Weird is not one of ONNX's"):
        run(made, feeds)
    found = run(made, feeds, layers=["free"], everything=True)
    assert [part.layer for part in found.parts] == ["free"]
    left_out = "skipped weird, bound: ONNX Runtime does not know the operator my.ops.Weird."
    turned = "free: shown batch first; in the file, X and Y have time first."
    assert found.notes == (turned, left_out)


def test_bfloat16_is_refused_by_name() -> None:
    held = arrays()
    cast = helper.make_node("Cast", ["given"], ["X"], name="cast", to=TensorProto.BFLOAT16)
    constants = {name: held[name] for name in "WRB"}
    made = onnx_graphs.model([cast, onnx_graphs.node("LSTM", held)], {"given": held["X"]}, constants, ["Y"])
    for tensor in made.graph.initializer:
        array = numpy_helper.to_array(tensor)
        tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.BFLOAT16, array.shape, array.ravel()))
    with pytest.raises(LayerError, match=r"rnn \(LSTM\) computes in bfloat16"):
        run(made, {"given": held["X"]})


@keras.saving.register_keras_serializable("strange")
class Pooled(keras.layers.Layer):  # type: ignore[misc]
    """A layer of the user's own."""

    def call(self, x: Any) -> Any:
        return keras.ops.mean(x, axis=1, keepdims=True)


def refused_when_run(x: Any) -> dict[str, Any]:
    """One for an option, which only a run finds, in a file that Keras cannot load either."""
    frames = L.Reshape((5, 4, 1))(x)
    both = L.Bidirectional(L.ConvLSTM1D(2, 2), name="both")(frames)
    odd = L.Lambda(lambda t: t * 2, name="odd")(frames)
    return {"one": L.Reshape((6, 2))(both), "two": L.Reshape((5, 4))(odd), "free": x}


def drawing(x: Any) -> dict[str, Any]:
    first, second = L.Dropout(0.5)(x, training=True), L.GaussianNoise(0.5)(x, training=True)
    return {"one": first, "two": second, "free": x}


@pytest.mark.parametrize(("make", "said", "free"), [
    (lambda x: {"a.b c": x, "one": Pooled(name="first")(x), "two": Pooled(name="second")(x)},
     "first (strange>Pooled)", "a.b c"),
    (refused_when_run, "cannot be run in both directions", "free"),
    (drawing, "draws random numbers", "free"),
    (lambda x: {"bad": x, "free": x}, "there is no activation 'foo'. Keras cannot run this model", "free"),
])  # fmt: skip
@pytest.mark.slow
def test_the_advice_leads_to_numbers(rnncli: Run, tmp_path: Path, make: Any, said: str, free: str) -> None:
    """No layer is advised that is refused in turn."""
    x, whole = keras.Input((5, 4)), tmp_path / "whole.keras"
    keras.Model(x, [L.GRU(2, name=name)(end) for name, end in make(x).items()]).save(whole)
    bad, tanh = b'"name": "bad", "trainable": true', b'"activation": "tanh"'
    with_changed_config(whole, lambda text: text.replace(tanh, tanh.replace(b"tanh", b"foo"), bad in text))
    words, followed = ["--model", "m.keras"], list[Any]()
    while (done := rnncli("run", NUMBERS, *words, cwd=tmp_path)).returncode == 2:
        assert said in done.stderr or followed
        words = shlex.split(done.stderr.splitlines()[-1].partition(": ")[2])
        assert words not in followed
        followed.append(words)
    assert (done.returncode, words) == (0, ["--model", f"m.keras#{free}"])


@pytest.mark.slow
def test_a_layer_in_a_model_in_time_distributed_is_not_advised(rnncli: Run, tmp_path: Path) -> None:
    inside = keras.Input((4, 1))
    deep = L.LSTM(3, return_sequences=True, name="deep")(inside)
    inner = keras.Model(inside, Pooled(name="pool")(deep))
    x = keras.Input((5, 4))
    after = L.Reshape((5, 3))(L.TimeDistributed(inner, name="each")(L.Reshape((5, 4, 1))(x)))
    file = tmp_path / "m.keras"
    keras.Model(x, [L.GRU(2, name="after")(after), L.GRU(2, name="free")(x)]).save(file)
    alone = ["rnncli", "run", "INPUT", "--weights", f"{file}#after", "--layer", "GRU(2)"]
    for chosen, advised in (("", ["--model", f"{file}#free"]), ("#after", alone)):
        said = rnncli("run", NUMBERS, "--model", f"{file}{chosen}").refusal()
        assert "after (GRU) depends on" in said
        assert "pool (strange>Pooled)" in said
        advice = shlex.split(said.splitlines()[-1].rpartition(": ")[2])
        assert advice == advised
    assert rnncli("run", NUMBERS, "--model", f"{file}#free").returncode == 0


@pytest.mark.parametrize("sizes", [(0, 5), (2, 0)])
@pytest.mark.parametrize("suffix", ["keras", "weights.h5"])
@pytest.mark.slow
def test_an_empty_input_is_refused(rnncli: Run, tmp_path: Path, sizes: tuple[int, int], suffix: str) -> None:
    x = keras.Input((None, 4), name="x")
    model = keras.Model(
        x, [L.GRU(2, name="gru")(x), L.GRU(2, name="last")(L.LSTM(4, return_sequences=True)(x))]
    )
    file = tmp_path / f"m.{suffix}"
    (model.save if suffix == "keras" else model.save_weights)(file)
    np.savez(tmp_path / "x.npz", x=np.zeros((*sizes, 4), "float32"))
    said = rnncli("run", str(tmp_path / "x.npz"), "--model", str(file)).refusal()
    assert " gets an empty input.\nGive at least one sequence of one step." in said


@pytest.mark.parametrize("dtype", ["<U1", "complex64"])
@pytest.mark.parametrize("suffix", ["npz", "npy"])
@pytest.mark.slow
def test_an_array_not_of_numbers_is_refused(rnncli: Run, tmp_path: Path, dtype: str, suffix: str) -> None:
    file, given = tmp_path / "m.keras", tmp_path / f"x.{suffix}"
    keras.Sequential([keras.Input((5, 4), name="x"), L.LSTM(3)]).save(file)
    array = np.ones((1, 5, 4)).astype(dtype)
    np.save(given, array) if suffix == "npy" else np.savez(given, x=array)
    said = rnncli("run", str(given), "--model", str(file)).refusal()
    assert f"has dtype {array.dtype}, not numbers.\nSave real numbers." in said


@pytest.mark.filterwarnings("ignore:Layer \\w+ does not have a `quantize` method:UserWarning")
@pytest.mark.slow
def test_quantized_layers_are_run_by_keras(rnncli: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.keras"
    layers = [keras.Input((5,), dtype="int32"), L.Embedding(9, 4, name="e"), L.LSTM(3, name="lstm")]
    model = keras.Sequential([*layers, L.Dense(2, name="dense")])
    model.quantize("int8")
    model.save(file)
    ids = [[1, 2, 3, 4, 5]]
    found = rnncli("run", json.dumps(ids), "--model", str(file), "--all-layers", "-f", "json").tensors()
    np.testing.assert_allclose(found["dense/output"], model(np.array(ids)), atol=1e-5)
    assert set(found) == {"e/output", "lstm/hidden_state", "dense/output"}


@pytest.mark.parametrize(("before", "after", "message"), [
    ('["a", 0, 0]', '["a", 0, "x"]', "a: the model's config has no output x of it."),
    ('["a", 0, 0]', '["a", 0, 7]', "the layer b (GRU) takes an output that no layer has."),
    ('"strides": [1]', '"strides": [0]', "the layer c (Conv1D) cannot take (2, 5, 4)"),
])  # fmt: skip
@pytest.mark.slow
def test_broken_configs_are_refused(
    before: str, after: str, message: str, rnncli: Run, tmp_path: Path
) -> None:
    inputs = keras.Input((5, 4))
    seen = L.Conv1D(2, 1, name="c")(inputs)
    model = keras.Model(inputs, L.GRU(2, name="b")(L.GRU(3, return_sequences=True, name="a")(seen)))
    model.save(tmp_path / "m.keras")
    file = with_changed_config(
        tmp_path / "m.keras", lambda text: text.replace(before.encode(), after.encode()), "n.keras"
    )
    assert message in rnncli("run", NUMBERS, "--model", str(file)).refusal()


@pytest.mark.slow
def test_a_layer_below_in_half_precision_is_said_so(rnncli: Any, tmp_path: Path) -> None:
    """Keras could run it, but not the Lambda in the same file."""
    x, file = keras.Input((5, 4)), tmp_path / "m.keras"
    half = L.LSTM(3, return_sequences=True, name="half", dtype="mixed_float16")(x)
    keras.Model(x, [L.GRU(2, name="after")(half), L.Lambda(lambda t: t)(x)]).save(file)
    said = rnncli("run", NUMBERS, "--model", f"{file}#after").refusal()
    assert "the layer half (LSTM) does not compute in float32 or float64. Keras cannot run" in said


def test_weights_that_do_not_fit_are_shown_with_their_shapes(rnncli: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", weight_ih_l0=np.ones((12, 4)), weight_hh_l0=np.ones((12, 5)))
    done = rnncli("run", NUMBERS, "--model", "w.npz", cwd=tmp_path)
    assert "Its weights must fit together, and be named as in PyTorch" in done.stderr
    assert "it has weight_ih_l0 (12, 4), weight_hh_l0 (12, 5)." in done.stderr


@pytest.mark.slow
def test_a_token_that_is_too_large_is_said_as_it_was_given(rnncli: Run, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3,)), L.Embedding(10, 4, name="e"), L.LSTM(2)]).save(tmp_path / "m.keras")
    assert "[0, 2] is 50.\n" in rnncli("run", "[[1, 2, 50]]", "--model", "m.keras", cwd=tmp_path).stderr


@pytest.mark.slow
def test_a_layer_inside_two_time_distributed_is_run(rnncli: Run, tmp_path: Path) -> None:
    inner = L.TimeDistributed(L.TimeDistributed(L.LSTM(2)), name="td")
    model = keras.Sequential([keras.Input((3, 2, 5, 4)), inner, L.Reshape((3, 4)), L.LSTM(3, name="a")])
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2, 3, 2, 5, 4)).astype(np.float32))
    rnncli("run", "x.npy", "--model", "m.keras", "--check", cwd=tmp_path).success()
