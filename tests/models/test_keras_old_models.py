"""Files as Keras 2.1 to 2.12 wrote them, made by hand, and held to tf_keras where that reads them."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_calls import graph_in, outputs_in_numpy
from old_keras import (
    GATES,
    LOOP,
    NOISE,
    RANDOM,
    called,
    dense,
    drawn,
    functional,
    given,
    gru,
    layer,
    lstm,
    names,
    of_gates,
    pairs,
    to_cudnn,
    write,
)

from rnncli.errors import InputError
from rnncli.models.graph import Graph, Ref

ROLES = ("kernel", "recurrent_kernel", "bias")


def test_a_sequential_of_keras_2_1_is_a_list_with_retired_arguments(tmp_path: Path) -> None:
    first = lstm("lstm_1", 3, return_sequences=True, batch_input_shape=[None, 5, 2], input_dim=2)
    first["config"]["dtype"] = "float32"
    config = {"class_name": "Sequential", "config": [first, gru("gru_1", 2), dense("dense_1", 1)]}
    one, two, three = of_gates(4, 2, 3), of_gates(3, 3, 2), drawn((2, 1), (1,))
    weights = {
        "lstm_1": pairs(names("lstm_1"), one),
        "gru_1": pairs(names("gru_1_2"), two),
        "dense_1": pairs(names("dense_1", "kernel", "bias"), three),
    }
    write(tmp_path / "m.h5", "2.1.3", config, weights)
    graph = graph_in(tmp_path / "m.h5")
    assert graph.origin == "Keras 2.1.3"
    assert [node.name for node in graph.nodes] == ["lstm_1_input", "lstm_1", "gru_1", "dense_1"]
    assert graph.inputs[0].shape == ("batch", 5, 2)
    by_name = {node.name: node for node in graph.nodes}
    assert by_name["lstm_1"].config["recurrent_activation"] == "hard_sigmoid_keras2"
    assert not {"implementation", "input_dim", "batch_input_shape", "kernel_initializer"} & set(
        by_name["lstm_1"].config
    )
    assert by_name["gru_1"].config["reset_after"] is False
    assert list(by_name["gru_1"].weights) == ["kernel", "recurrent_kernel", "bias"]
    np.testing.assert_array_equal(by_name["gru_1"].weights["kernel"], two[0])
    assert str(graph.notes[0]).startswith("hard_sigmoid in lstm_1, gru_1 is clip(0.2 x + 0.5, 0, 1)")
    assert str(graph.notes[1]).startswith("gru_1: reset_after=False")


@pytest.mark.slow
def test_numbers_are_tf_keras_s(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    first = lstm("lstm", 3, return_sequences=True, time_major=False, implementation=2)
    first["config"]["batch_input_shape"] = [None, 5, 2]
    back = gru("gru", 2, go_backwards=True, reset_after=False, return_sequences=True)
    both = layer("Bidirectional", "both", layer=lstm("inner", 2), merge_mode="concat")
    layers = [first, back, both, dense("dense", 1, activation="hard_sigmoid")]
    for entry in (first, back, both["config"]["layer"]):
        entry["config"]["activity_regularizer"] = None
    layers[-1]["config"]["activity_regularizer"] = None
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    sides = of_gates(4, 2, 2) + of_gates(4, 2, 2)
    paths = names("both/forward_inner/lstm_cell_2") + names("both/backward_inner/lstm_cell_3")
    weights = {
        "lstm": pairs(names("lstm/lstm_cell"), of_gates(4, 2, 3)),
        "gru": pairs(names("gru/gru_cell_1"), of_gates(3, 3, 2)),
        "both": pairs(paths, sides),
        "dense": pairs(names("dense", "kernel", "bias"), drawn((4, 1), (1,))),
    }
    write(tmp_path / "m.h5", "2.11.0", config, weights)
    x = RANDOM.normal(size=(3, 5, 2)).astype("float32")
    expected = tf_keras.models.load_model(tmp_path / "m.h5", compile=False).predict(x, verbose=0)
    graph = graph_in(tmp_path / "m.h5")
    (ours,) = outputs_in_numpy(graph, {graph.inputs[0].name: x})
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_encoder_and_decoder_of_keras_2_2_pass_states_as_more_inputs(tmp_path: Path) -> None:
    encoder = lstm("encoder", 3, return_state=True)
    decoder = lstm("decoder", 3, return_sequences=True)
    layers = [
        given("x", 5, 2),
        given("y", 4, 2),
        called(encoder, [["x", 0, 0, {}]]),
        called(decoder, [["y", 0, 0, {}], ["encoder", 0, 1, {}], ["encoder", 0, 2, {}]], [["y", 0, 0, {}]]),
    ]
    outputs = [["decoder", 0, 0], ["decoder", 1, 0]]
    config = functional("m", layers, [["x", 0, 0], ["y", 0, 0]], outputs)
    weights = {
        "x": [],
        "y": [],
        "encoder": pairs(names("encoder"), of_gates(4, 2, 3)),
        "decoder": pairs(names("decoder"), of_gates(4, 2, 3)),
    }
    write(tmp_path / "m.h5", "2.2.4", config, weights)
    graph = graph_in(tmp_path / "m.h5")
    first, second = graph.nodes[3:]
    assert (first.name, second.name, second.layer) == ("decoder", "decoder@1", "decoder")
    assert first.args == (Ref("y"),)
    assert first.kwargs == {"initial_state": [Ref("encoder", 1), Ref("encoder", 2)]}
    assert second.args == (Ref("y"),)
    assert second.kwargs == {}
    assert graph.outputs == (Ref("decoder"), Ref("decoder@1"))
    assert first.weights is second.weights


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("named", [True, False])
def test_a_model_in_a_model_shares_its_list_of_weights(tmp_path: Path, shift: Any, named: Any) -> None:
    held = [
        given("a", 5, 2),
        called(gru("deep", 2, return_sequences=True), [["a", 0, 0, {}]]),
        called(layer("BatchNormalization", "norm", axis=-1, momentum=0.9, epsilon=0.1), [["deep", 0, 0, {}]]),
        called(dense("out", 2), [["norm", 0, 0, {}]]),
    ]
    inner = functional("inside", held, [["a", 0, 0]], [["out", 0, 0]])
    layers = [given("x", 5, 2), called(inner, [["x", 0, 0, {}]], [["inside", shift, 0, {}]])]
    config = functional("m", layers, [["x", 0, 0]], [["inside", 1 + shift, 0]])
    arrays = of_gates(3, 2, 2) + drawn((2,), (2,), (2, 2), (2,), (2,), (2,))
    starts = ("deep", "norm", "out") if named else ("deep_7", "norm_7", "out_7")
    paths = [
        *names(starts[0]),
        *names(starts[1], "gamma", "beta"),
        *names(starts[2], "kernel", "bias"),
        *names(starts[1], "moving_mean", "moving_variance"),
    ]
    write(tmp_path / "m.h5", "2.2.0", config, {"x": [], "inside": pairs(paths, arrays)})
    graph = graph_in(tmp_path / "m.h5")
    assert [node.name for node in graph.nodes[1:]] == [
        "inside/deep", "inside/norm", "inside/out", "inside/deep@1", "inside/norm@1", "inside/out@1",
    ]  # fmt: skip
    assert graph.nodes[4].args == (Ref("inside/out"),)
    assert graph.outputs == (Ref("inside/out@1"),)
    norm = graph.nodes[2].weights
    assert list(norm) == ["gamma", "beta", "moving_mean", "moving_variance"]
    for name, array in zip(norm, (arrays[3], arrays[4], arrays[7], arrays[8]), strict=True):
        np.testing.assert_array_equal(norm[name], array)
    np.testing.assert_array_equal(graph.nodes[3].weights["kernel"], arrays[5])


SIGMOID = {**GATES, "recurrent_activation": "sigmoid"}
CUDNN = {
    "CuDNNGRU": (3, {}, True),
    "CuDNNLSTM": (4, {}, None),
    "GRU": (3, {**SIGMOID, "reset_after": True}, True),
    "LSTM": (4, SIGMOID, None),
}
"""The gates, options and reset_after of layers with cuDNN's weights.

Weights of the plain classes were loaded on a machine without a GPU, and not yet converted.
"""


def write_cudnn(path: Path, class_name: str) -> tuple[list[Any], Any]:
    """Write a model with one layer; return its weights in Keras's layout, and its two biases."""
    gates, options, _ = CUDNN[class_name]
    plain = of_gates(gates, 3, 2)
    (biases,) = drawn((2, gates * 2))
    config = {**LOOP, "time_major": False, "batch_input_shape": [None, 5, 3], **options}
    entry = layer(class_name, "rnn", units=2, **config)
    entry["config"]["activity_regularizer"] = None
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": [entry]}}
    write(path, "2.2.4-tf", model, {"rnn": pairs(names("rnn"), to_cudnn(plain, gates, biases.ravel()))})
    return plain, biases


@pytest.mark.parametrize("class_name", CUDNN)
def test_cudnn_weights_are_converted(tmp_path: Path, class_name: str) -> None:
    plain, biases = write_cudnn(tmp_path / "m.h5", class_name)
    graph = graph_in(tmp_path / "m.h5")
    node = graph.nodes[1]
    np.testing.assert_array_equal(node.weights["kernel"], plain[0])
    np.testing.assert_array_equal(node.weights["recurrent_kernel"], plain[1])
    bias = {"GRU": biases, "LSTM": biases.sum(axis=0)}
    np.testing.assert_array_equal(node.weights["bias"], bias[node.class_name])
    assert node.class_name == class_name.removeprefix("CuDNN")
    assert node.config["recurrent_activation"] == "sigmoid"
    assert node.config.get("reset_after") is CUDNN[class_name][2]
    notes = {"rnn: the weights are converted from cuDNN's layout."} & set(map(str, graph.notes))
    assert len(notes) == class_name.count("CuDNN")


@pytest.mark.parametrize("class_name", ["GRU", "LSTM"])
@pytest.mark.slow
def test_cudnn_weights_in_a_plain_layer_are_converted_as_by_tf_keras(tmp_path: Path, class_name: str) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    write_cudnn(tmp_path / "m.h5", class_name)
    theirs = tf_keras.models.load_model(tmp_path / "m.h5", compile=False).get_weights()
    for ours, other in zip(graph_in(tmp_path / "m.h5").nodes[1].weights.values(), theirs, strict=True):
        np.testing.assert_array_equal(ours, other)


def test_long_lists_of_names_are_in_pieces(tmp_path: Path) -> None:
    entries = [lstm(f"lstm_{index}", 2, return_sequences=True) for index in range(4)]
    entries[0]["config"]["batch_input_shape"] = [None, 5, 2]
    weights = {f"lstm_{index}": pairs(names(f"lstm_{index}"), of_gates(4, 2, 2)) for index in range(4)}
    write(tmp_path / "m.h5", "2.3.0-tf", {"class_name": "Sequential", "config": {"layers": entries}}, weights)
    with h5py.File(tmp_path / "m.h5", "a") as file:
        attrs = file["model_weights"].attrs
        listed = list(attrs["layer_names"])
        del attrs["layer_names"]
        attrs["layer_names0"], attrs["layer_names1"] = listed[:3], listed[3:]
    graph = graph_in(tmp_path / "m.h5")
    np.testing.assert_array_equal(graph.nodes[4].weights["bias"], weights["lstm_3"][2][1])


def one_layer_graph(path: Path, version: str, entry: Any, arrays: Any, backend: str = "tensorflow") -> Graph:
    """Return the graph of a file with one layer.  arrays: for its variables, or by their names."""
    name = entry["config"]["name"]
    named = arrays if isinstance(arrays, dict) else dict(zip(names("", *ROLES), arrays, strict=False))
    held = {name: [(f"{name}/{variable.strip('/')}", array) for variable, array in named.items()]}
    write(path / "m.h5", version, {"class_name": "Sequential", "config": [entry]}, held, backend)
    return graph_in(path / "m.h5")


SHAPE = {"batch_input_shape": [None, 5, 2]}
LSTM, GRU = lstm("lstm", 2, **SHAPE), gru("gru", 2, **SHAPE)


def test_a_bias_of_two_rows_says_reset_after(tmp_path: Path) -> None:
    graph = one_layer_graph(tmp_path, "2.1.2", GRU, drawn((2, 6), (2, 6), (2, 6)))
    assert graph.nodes[1].config["reset_after"] is True
    assert not any("reset_after" in note for note in map(str, graph.notes))


@pytest.mark.slow
def test_kernels_of_theano_are_turned_round(tmp_path: Path) -> None:
    conv = layer("Conv1D", "conv", filters=2, kernel_size=[3], padding="same", use_bias=True, **SHAPE)
    kernel, bias = drawn((3, 2, 2), (2,))
    graph = one_layer_graph(tmp_path, "2.1.0", conv, {"kernel:0": kernel, "bias:0": bias}, "theano")
    np.testing.assert_array_equal(graph.nodes[1].weights["kernel"], kernel[::-1])
    assert any("Theano" in note for note in map(str, graph.notes))
    graph = one_layer_graph(tmp_path, "2.1.0", LSTM, of_gates(4, 2, 2), "theano")  # which has no convolution
    assert not any("Theano" in note for note in map(str, graph.notes))


def test_a_file_without_a_version_is_of_keras_2(tmp_path: Path) -> None:
    assert one_layer_graph(tmp_path, "", GRU, of_gates(3, 2, 2)).notes == (
        "the file does not say which version of Keras saved it; Keras 2 is assumed.",
        "hard_sigmoid in gru is clip(0.2 x + 0.5, 0, 1), as in Keras 2; "
        "Keras 3 computes clip(x / 6 + 0.5, 0, 1).",
        "gru: reset_after=False, as in Keras 2, which did not save it; the default of Keras 3 is True.",
    )


@pytest.mark.parametrize(("version", "entry", "arrays", "message"), [
    ("2.4.0", lstm("lstm", 2, time_major=True, **SHAPE), of_gates(4, 2, 2), "lstm.*time_major"),
    ("2.1.0", layer("LSTM", "lstm", units=2), of_gates(4, 2, 2), "lstm.*recurrent_activation"),
    ("1.2.2", LSTM, of_gates(4, 2, 2), "Keras 1.2.2"),
    ("2.1.0", LSTM, of_gates(4, 2, 2)[:2], "lstm: LSTM has 3 weights"),
    ("2.1.0", LSTM, of_gates(4, 2, 3), "lstm: its config says 2 units"),
])  # fmt: skip
def test_what_is_refused_by_name(tmp_path: Path, version: str, entry: Any, arrays: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"^m\.h5: .*{message}"):
        one_layer_graph(tmp_path, version, entry, arrays)


@pytest.mark.slow
def test_a_layer_normalization_of_keras_2_2_is_not_today_s(tmp_path: Path) -> None:
    entry = layer("LayerNormalization", "ln", **SHAPE, epsilon=1e-14)
    gamma, beta = drawn((2,), (2,))
    for version, class_name in (("2.2.4", "Custom>LayerNormalization"), ("2.2.4-tf", "LayerNormalization")):
        graph = one_layer_graph(tmp_path, version, entry, {"gamma:0": gamma, "beta:0": beta})
        assert graph.nodes[1].class_name == class_name


def test_not_a_number_in_a_config_is_read(tmp_path: Path) -> None:
    graph = one_layer_graph(tmp_path, "2.4.0", layer("Masking", "mask", mask_value=float("nan"), **SHAPE), {})
    assert np.isnan(graph.nodes[1].config["mask_value"])


@pytest.mark.slow
def test_keras_2_12_counts_a_layer_twice_in_its_groups(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    layers = [tf_keras.layers.Dense(2, name=name) for name in ("c", "a", "b")]
    model = tf_keras.Sequential([tf_keras.Input((3,)), *layers])
    model.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as archive:
        config, weights = archive.read("config.json"), io.BytesIO(archive.read("model.weights.h5"))
    for separator in "/", "\\":
        made = io.BytesIO()
        with h5py.File(weights, "r") as file, h5py.File(made, "w") as other:
            for place, name in enumerate(("dense", "dense_1", "dense_2")):
                below = f"dense_{2 * place}" if place else "dense"
                path = separator.join(("_layer_checkpoint_dependencies", below, "vars"))
                for number in "01":
                    other.create_group(path, track_order=True) if path not in other else None
                    other[path][number] = file[f"layers/{name}/vars/{number}"][()]
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "2.12.0"}))
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", made.getvalue())
        graph = graph_in(tmp_path / "m.keras")
        assert graph.origin == "Keras 2.12.0"
        for ours, theirs in zip(graph.nodes[1:], layers, strict=True):
            np.testing.assert_array_equal(ours.weights["kernel"], theirs.get_weights()[0])
            np.testing.assert_array_equal(ours.weights["bias"], theirs.get_weights()[1])


@pytest.mark.slow
def test_states_of_cells_that_stand_last_cell_first_are_refused(tmp_path: Path) -> None:
    cells = [layer("LSTMCell", name, units=2, **GATES, **NOISE) for name in ("a", "b")]
    cell = layer("StackedRNNCells", "cells", cells=cells)
    weights = {"rnn": pairs(names("rnn/a") + names("rnn/b"), of_gates(4, 2, 2) + of_gates(4, 2, 2))}
    config = {**LOOP, "cell": cell, "batch_input_shape": [None, 5, 2]}

    def write_model(version: str, *, return_state: bool) -> Path:
        rnn = layer("RNN", "rnn", **{**config, "return_state": return_state})
        write(tmp_path / "m.h5", version, {"class_name": "Sequential", "config": [rnn]}, weights)
        return tmp_path / "m.h5"

    with pytest.raises(InputError, match=r"rnn: Keras 2\.1\.6 orders the states of several cells"):
        graph_in(write_model("2.1.6", return_state=True))
    for version, return_state in (("2.1.6", False), ("2.4.0", True)):
        graph = graph_in(write_model(version, return_state=return_state))
        assert list(graph.nodes[1].weights)[3] == "1/kernel"


def test_a_model_of_a_class_of_its_own_is_followed_where_its_graph_is_there(tmp_path: Path) -> None:
    layers = [given("x", 5, 2), called(dense("out", 2), [["x", 0, 0, {}]])]
    config = functional("m", layers, [["x", 0, 0]], [["out", 0, 0]])
    weights = {"x": [], "out": pairs(names("out", "kernel", "bias"), drawn((2, 2), (2,)))}
    write(tmp_path / "m.h5", "2.4.0", {**config, "class_name": "Tagger"}, weights)
    graph = graph_in(tmp_path / "m.h5")
    assert graph.outputs == (Ref("out"),)
    assert graph.notes == (
        "the class of the model is Tagger; if it has its own call method, that is not in the file, and "
        "rnncli does not run it.",
    )


@pytest.mark.slow
def test_models_in_models_that_double_are_refused_in_time(tmp_path: Path) -> None:
    inner = functional("m0", [given("x0", 2)], [["x0", 0, 0]], [["x0", 0, 0]])
    for depth in range(1, 40):
        name, before = f"m{depth}", f"m{depth - 1}"
        one = called({**inner, "config": inner["config"]}, [[f"x{depth}", 0, 0, {}]], [[before, 1, 0, {}]])
        inner = functional(name, [given(f"x{depth}", 2), one], [[f"x{depth}", 0, 0]], [[before, 2, 0]])
    write(tmp_path / "m.h5", "2.4.0", inner, {})
    with pytest.raises(InputError, match=r"calls more than 50000 layers\.\nSave only the part"):
        graph_in(tmp_path / "m.h5")
