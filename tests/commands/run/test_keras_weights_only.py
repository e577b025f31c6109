"""--model with Keras files that hold weights alone, against the layers that wrote them."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from oracle import keras

import rnncli as package
from rnncli.errors import LayerError

pytestmark = pytest.mark.slow

L = keras.layers
X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


def branches(family: Any) -> Any:
    """Layers that all take the input."""
    k = family.layers
    given = family.Input((5, 3))
    every = {"return_sequences": True}
    layers = [
        k.LSTM(2, name="lstm", **every),
        k.GRU(3, name="gru", reset_after=False, **every),
        k.GRU(2, name="after", **every),
        k.SimpleRNN(4, name="rnn", use_bias=False, **every),
        k.Bidirectional(k.GRU(2, **every), name="both"),
    ]
    outputs = [layer(given) for layer in layers]
    model = family.Model(given, [*outputs, k.Dense(2, name="dense")(outputs[0])])
    for number, variable in enumerate(model.weights):
        variable.assign(np.random.default_rng(number).uniform(-1, 1, variable.shape))
    return model


@pytest.mark.parametrize("family", ["keras", "tf_keras"])
def test_layers_are_recognized_and_computed(family: str, tmp_path: Path) -> None:
    model = branches(pytest.importorskip(family))
    path = tmp_path / ("m.weights.h5" if family == "keras" else "m.h5")
    model.save_weights(path)
    result = package.run(X, model=str(path), return_state=True, check=True)
    wanted = dict(zip(("lstm", "gru", "after", "rnn", "both"), model(X), strict=False))
    for name, values in wanted.items():
        np.testing.assert_allclose(result[f"{name}/hidden_states"], values, atol=1e-5, err_msg=name)
    assert set(result.differences) == set(result.keys())
    assert result.reference == "Keras"


@pytest.mark.parametrize("names", ["keras", "npz"])
def test_what_a_file_does_not_say_can_be_assumed(names: str, tmp_path: Path) -> None:
    gru = L.GRU(2, use_bias=False, reset_after=False, activation="relu", return_sequences=True)
    both = L.Bidirectional(gru, merge_mode="sum", name="both")
    given = keras.Input((5, 3))
    model = keras.Model(given, both(given))
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    if names == "npz":
        keys = [
            f"both/{side}/{key}" for side in ("forward", "backward") for key in ("kernel", "recurrent_kernel")
        ]
        path = tmp_path / "m.npz"
        np.savez(path, **dict(zip(keys, both.get_weights(), strict=True)))
    plain = package.run(X, model=str(path))
    assert any("reset_after True" in note and "merge_mode concat" in note for note in map(str, plain.remarks))
    assume: dict[str, str | bool] = {"activation": "relu", "merge_mode": "sum", "reset_after": False}
    result = package.run(X, model=str(path), assume=assume, check=True)
    np.testing.assert_allclose(result["both/hidden_states"], model(X), atol=1e-6)


@pytest.mark.parametrize("layer", ["cells", "distributed"])
def test_weights_of_which_the_layer_is_not_clear_are_refused(rnncli: Any, tmp_path: Path, layer: str) -> None:
    given = keras.Input((5, 3))
    cells = L.RNN([L.LSTMCell(3), L.LSTMCell(3)], name="odd")
    steps = L.TimeDistributed(L.LSTM(3), name="odd")
    plain = L.GRU(2, name="plain")(given)
    odd = cells(given) if layer == "cells" else steps(L.Reshape((5, 3, 1))(given))
    keras.Model(given, [odd, plain]).save_weights(tmp_path / "m.weights.h5")
    path = str(tmp_path / "m.weights.h5")
    done = rnncli("run", json.dumps(X.tolist()), "--model", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "odd: it " in done.stderr
    assert f"--model {path}#plain" in done.stderr
    assert rnncli("run", json.dumps(X.tolist()), "--model", f"{path}#plain").returncode == 0
    with pytest.raises(LayerError, match="odd"):
        package.run(X, model=f"{path}#odd")
    if layer == "cells":
        words = ("-l", "RNN([LSTMCell(3), LSTMCell(3)])", "--weights", f"{path}#odd", "-f", "json")
        done = rnncli("run", json.dumps(X.tolist()), *words)
        np.testing.assert_allclose(done.answer()["outputs"][0]["values"], cells(X), atol=1e-5)


def written(path: Path, version: str, layers: dict[str, dict[str, np.ndarray]]) -> str:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        if version:
            file.attrs["keras_version"] = version.encode()
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, array in arrays.items():
                group[key] = array
    return str(path)


def old_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def lstm_by_hand(x: np.ndarray, parts: dict[str, np.ndarray]) -> np.ndarray:
    """One LSTM of Keras 1: W, U and b of the gates i, c, f, o, and hard_sigmoid."""
    hidden = cell = np.zeros((len(x), len(parts["U_i"])))
    rows = []
    for step in range(x.shape[1]):
        before = {
            g: x[:, step] @ parts[f"W_{g}"] + hidden @ parts[f"U_{g}"] + parts[f"b_{g}"] for g in "icfo"
        }
        cell = old_sigmoid(before["f"]) * cell + old_sigmoid(before["i"]) * np.tanh(before["c"])
        hidden = old_sigmoid(before["o"]) * np.tanh(cell)
        rows.append(hidden)
    return np.stack(rows, 1)


@pytest.mark.parametrize("version", ["", "1.2.2"])
def test_keras_1_has_its_own_names_and_hard_sigmoid(version: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    shapes = {"W": (3, 2), "U": (2, 2), "b": (2,)}
    parts = {
        f"{role}_{g}": random.uniform(-2, 2, shapes[role]).astype("float32") for g in "icfo" for role in "WUb"
    }
    arrays = {f"lstm_1_{name}:0": array for name, array in parts.items()}
    dense = {"dense_1_W:0": np.ones((2, 1), "float32"), "dense_1_b:0": np.ones(1, "float32")}
    path = written(tmp_path / "old.h5", version, {"lstm_1": arrays, "dense_1": dense})
    result = package.run(X, model=path)
    np.testing.assert_allclose(result["lstm_1/hidden_states"], lstm_by_hand(X, parts), atol=1e-5)
    (note,) = (note for note in map(str, result.remarks) if "assumed" in note)
    assert f"clip(0.2 x + 0.5, 0, 1) as in Keras {version or '1'}" in note
    sigmoid = package.run(X, model=path, assume="recurrent_activation=sigmoid")
    assert np.abs(sigmoid["lstm_1/hidden_states"] - result["lstm_1/hidden_states"]).max() > 1e-3


@pytest.mark.parametrize(("version", "hard"), [("2.2.4", True), ("2.3.0", False), ("2.2.4-tf", False)])
def test_the_version_decides_the_activation_of_the_gates(version: str, hard: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    shapes = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
    arrays = {
        f"lstm/{name}:0": random.uniform(-2, 2, shape).astype("float32") for name, shape in shapes.items()
    }
    path = written(tmp_path / "old.h5", version, {"lstm": arrays})
    result = package.run(X, model=path, check=True)["lstm/hidden_states"]
    blocks = {name: np.split(array, 4, axis=-1) for name, array in zip("WUb", arrays.values(), strict=True)}
    parts = {f"{role}_{g}": blocks[role]["ifco".index(g)] for role in "WUb" for g in "ifco"}
    apart = np.abs(result - lstm_by_hand(X, parts)).max()
    assert apart < 1e-5 if hard else apart > 1e-3


@pytest.mark.parametrize(("version", "old"), [("2.3.0", True), ("", False)])
def test_hard_sigmoid_means_what_the_version_of_keras_meant(version: str, old: bool, tmp_path: Path) -> None:
    """A file without a version may be of Keras 3, whose hard_sigmoid is another function."""
    arrays = {
        f"lstm/{name}:0": np.random.default_rng(3).uniform(-2, 2, shape).astype("float32")
        for name, shape in (("kernel", (3, 8)), ("recurrent_kernel", (2, 8)), ("bias", (8,)))
    }
    path = written(tmp_path / "old.h5", version, {"lstm": arrays})
    result = package.run(X, model=path, assume="recurrent_activation=hard_sigmoid", check=True)
    assert result.assumed is not None
    assert result.assumed.values["recurrent_activation"] == ("hard_sigmoid_keras2" if old else "hard_sigmoid")
    blocks = {name: np.split(array, 4, axis=-1) for name, array in zip("WUb", arrays.values(), strict=True)}
    parts = {f"{role}_{g}": blocks[role]["ifco".index(g)] for role in "WUb" for g in "ifco"}
    apart = np.abs(result["lstm/hidden_states"] - lstm_by_hand(X, parts)).max()
    assert apart < 1e-5 if old else apart > 1e-3
