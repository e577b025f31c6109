"""--check of models of Keras 2 runs tf_keras, on files as its versions wrote them."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import old_keras as old
import pytest
from keras_calls import compute_numpy, graph_in

from rnncli.errors import EngineError, write
from rnncli.locale import translate
from rnncli.models import ModelRequest
from rnncli.models.keras import model as keras
from rnncli.models.keras.by_keras import first_sentence

pytest.importorskip("tf_keras")

X = np.random.default_rng(4).normal(size=(3, 5, 2)).astype("float32")


def plain(entry: dict[str, Any]) -> dict[str, Any]:
    """Without the regularizer of the user's own, which tf_keras does not know."""
    entry["config"]["activity_regularizer"] = None
    return entry


def earliest(folder: Path) -> Path:
    """A Sequential of Keras 2.1: GRU knows no reset_after, gates are hard_sigmoid."""
    first = plain(old.lstm("lstm_1", 3, return_sequences=True, batch_input_shape=[None, 5, 2]))
    last = plain(old.dense("dense_1", 1))
    config = {"class_name": "Sequential", "config": [first, plain(old.gru("gru_1", 2)), last]}
    weights = {
        "lstm_1": old.pairs(old.names("lstm_1"), old.of_gates(4, 2, 3)),
        "gru_1": old.pairs(old.names("gru_1"), old.of_gates(3, 3, 2)),
        "dense_1": old.pairs(old.names("dense_1", "kernel", "bias"), old.drawn((2, 1), (1,))),
    }
    old.write(folder / "m.h5", "2.1.3", config, weights)
    return folder / "m.h5"


def cudnn(folder: Path) -> Path:
    """CuDNNLSTM, whose weights are in another layout."""
    options = {name: value for name, value in old.LOOP.items() if name != "unroll"}
    first = plain(old.layer("CuDNNLSTM", "fast", units=3, unit_forget_bias=True, **options))
    first["config"]["batch_input_shape"] = [None, 5, 2]
    weights = [*old.of_gates(4, 2, 3)[:2], *old.drawn((24,))]
    saved = {"fast": old.pairs(old.names("fast"), weights)}
    old.write(folder / "m.h5", "2.2.4", {"class_name": "Sequential", "config": [first]}, saved)
    return folder / "m.h5"


def test_what_tf_keras_says_is_whole(tmp_path: Path) -> None:
    """Its first sentence; a long one is cut between its words."""
    first = old.lstm("lstm", 3, batch_input_shape=[None, 5, 2])
    weights = {"lstm": old.pairs(old.names("lstm"), old.of_gates(4, 2, 3))}
    path = tmp_path / "m.h5"
    old.write(path, "2.1.3", {"class_name": "Sequential", "config": [first]}, weights)
    graph = graph_in(path)
    with pytest.raises(EngineError) as caught:
        keras.Model(graph, path).outputs(ModelRequest(keras.Model(graph).fit_inputs(X), compute_numpy), ())
    assert caught.value.what == (
        "--check: m.h5: tf_keras cannot run this model: Unknown regularizer: 'MyL3'."
    )
    words = "so many words " * 30
    assert first_sentence(ValueError(words)) == f"{words[:198]}…"


@pytest.mark.slow
def test_a_note_says_by_how_much_keras_3_would_differ(tmp_path: Path) -> None:
    """The layers of Keras 3 with the same weights, whose hard_sigmoid is another function."""
    from oracle import keras as today

    path = earliest(tmp_path)
    graph = graph_in(path)
    given = keras.Model(graph).fit_inputs(X)
    found = keras.Model(graph, path).run(ModelRequest(given, compute_numpy))
    gates = {"recurrent_activation": "hard_sigmoid"}
    layers = [
        today.layers.LSTM(3, return_sequences=True, **gates),
        today.layers.GRU(2, reset_after=False, **gates),
    ]
    array, amounts = given["lstm_1_input"], []
    for layer, part in zip(layers, found.parts, strict=True):
        layer.build(array.shape)
        layer.set_weights(list((part.case.weights or {}).values()))
        array = np.asarray(layer(array))
        amounts.append(float(np.abs(array - compute_numpy(part.case).outputs[0].values).max()))
    assert min(amounts) > 1e-3
    assert found.notes == (
        f"with the hard_sigmoid of Keras 3, the outputs would differ by up to {amounts[0]:.2g} (lstm_1), "
        f"{amounts[1]:.2g} (gru_1).",
    )
    (alone,) = keras.Model(graph, path).run(ModelRequest(given, compute_numpy, layers=["lstm_1"])).notes
    assert str(alone).endswith(f"by up to {amounts[0]:.2g} (lstm_1).")


@pytest.mark.parametrize("make", [earliest, cudnn])
@pytest.mark.slow
def test_old_files_are_run_as_they_were_meant(rnncli: Any, tmp_path: Path, make: Any) -> None:
    words = (json.dumps(X.tolist()), "--model", str(make(tmp_path)), "--check")
    found = rnncli("run", *words, "--return-state", "--all-layers", "-f", "json").answer()
    assert set(found["differences"]) == {one["name"] for one in found["outputs"]}
    assert max(found["differences"].values()) < 1e-6
    assert "largest difference from tf_keras" in rnncli("run", *words, "--quiet").stdout


def test_without_tf_keras_its_install_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    path = earliest(tmp_path)
    graph = graph_in(path)
    with pytest.raises(EngineError, match=r"pip install tf_keras"):
        keras.Model(graph, path).outputs(ModelRequest(keras.Model(graph).fit_inputs(X), compute_numpy), ())


@pytest.mark.slow
def test_a_layer_of_keras_2_that_numpy_does_not_know_is_no_obstacle(tmp_path: Path) -> None:
    import tf_keras

    x = tf_keras.Input((4, 3))
    wide = tf_keras.layers.Conv1DTranspose(3, 2, name="wide")(x)
    model = tf_keras.Model(x, tf_keras.layers.GRU(2, recurrent_activation="hard_sigmoid", name="gru")(wide))
    model.save(tmp_path / "m.h5")
    given = np.random.default_rng(1).standard_normal((2, 4, 3)).astype("float32")
    graph = graph_in(tmp_path / "m.h5")
    found = keras.Model(graph, tmp_path / "m.h5").run(
        ModelRequest(keras.Model(graph).fit_inputs(given), compute_numpy)
    )
    shown = compute_numpy(found.parts[0].case).outputs[0].values
    np.testing.assert_allclose(shown, model(given).numpy(), atol=1e-6)


def bytecode(trap: Path, x: Any, k: Any) -> Any:
    code = eval(f"lambda z: (__import__('pathlib').Path({str(trap)!r}).touch(), z)[1]")
    return k.layers.Lambda(code, name="trap")(x)


def function(trap: Path, x: Any, k: Any) -> Any:
    import tensorflow

    return tensorflow.ensure_shape(tensorflow.debugging.check_numerics(x, str(trap)), (None, 4, 3))


@pytest.mark.parametrize("make", [bytecode, function])
@pytest.mark.slow
def test_no_code_of_a_model_runs(tmp_path: Path, make: Any) -> None:
    import tf_keras

    trap, x = tmp_path / "trap", tf_keras.Input((4, 3))
    gru = tf_keras.layers.GRU(2, name="gru")(make(trap, x, tf_keras))
    tf_keras.Model(x, gru).save(tmp_path / "m.h5")
    trap.unlink(missing_ok=True)
    graph = graph_in(tmp_path / "m.h5")
    own_code = "contains or names its own code, which rnncli does not run"
    request = ModelRequest(keras.Model(graph).fit_inputs(np.ones((1, 4, 3))), compute_numpy)
    with pytest.raises(EngineError, match=own_code) as raised:
        keras.Model(graph, tmp_path / "m.h5").outputs(request, ())
    assert not trap.exists()
    assert "자체 코드가 들어 있거나" in write(raised.value, translate)
