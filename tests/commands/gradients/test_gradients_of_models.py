"""gradients of a saved model: each recurrent layer with its own input, held to TensorFlow's derivatives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from oracle import keras

import rnncli as package
from rnncli.errors import UsageError

L = keras.layers
GIVEN = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    keras.utils.set_random_seed(3)
    layers = [keras.Input((5, 3)), L.GRU(4, return_sequences=True, name="gru")]
    model = keras.Sequential([*layers, L.MaxPooling1D(2, name="pool"), L.LSTM(2, name="lstm")])
    path = tmp_path_factory.mktemp("model") / "m.keras"
    model.save(path)
    return path, model


def norms_by_keras(layer: Any, inputs: Any) -> np.ndarray:
    """Return the norms of the derivatives of the last output of sequence 0, one per time step."""
    given = tf.constant(np.asarray(inputs)[:1])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        output = layer(given)
        numbers = output[0, -1] if len(output.shape) == 3 else output[0]
    return np.asarray(
        (tape.jacobian(numbers, given, experimental_use_pfor=False).numpy()[:, 0] ** 2).sum(axis=(0, 2))
        ** 0.5
    )


@pytest.mark.slow
def test_every_layer_is_differentiated_by_its_own_input(model: Any) -> None:
    path, keras_model = model
    found = package.gradients(GIVEN, model=path)
    pooled = keras.Model(keras_model.inputs[0], keras_model.get_layer("pool").output)(GIVEN)
    for name, inputs in (("gru", GIVEN), ("lstm", pooled)):
        theirs = norms_by_keras(keras_model.get_layer(name), inputs)
        np.testing.assert_allclose(found[f"{name}/forward/input"], theirs, atol=1e-5)
    layers = found.document()["layers"]
    assert [layer["name"] for layer in layers] == ["gru", "lstm"]
    assert [layer["of"]["text"] for layer in layers] == ["hidden_states[0, 4, :]", "hidden_state[0, :]"]
    assert [len(layer["curves"][0]["norms"]) for layer in layers] == [5, 2]
    assert "norm of the gradient of lstm/hidden_state[0, :]" in str(found)


@pytest.mark.slow
def test_an_address_chooses_a_layer(model: Any) -> None:
    found = package.gradients(GIVEN, model=model[0], of="gru/hidden_states[1,2]")
    assert found.document()["of"]["text"] == "hidden_states[1, 2, :]"
    alone = package.gradients(GIVEN, model=f"{model[0]}#gru", of="hidden_states[1,2]")
    np.testing.assert_array_equal(found["forward/input"], alone["forward/input"])
    with pytest.raises(UsageError, match="lstm: of: there is no tensor 'hidden_states'"):
        package.gradients(GIVEN, model=model[0], of="hidden_states[0,1]")


def test_a_weight_of_every_layer(model: Any) -> None:
    found = package.gradients(GIVEN, model=model[0], of="kernel")
    assert [*found.tensors()] == [
        *("gru/update", "gru/reset", "gru/candidate"),
        *("lstm/input", "lstm/forget", "lstm/candidate", "lstm/output"),
    ]
    assert "norm of the gradient of each layer's last output with respect to kernel" in str(found)
