"""Models that Keras runs: a small file takes little memory, and ordinary models run as before."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from keras_calls import with_changed_config
from limits import processor_time
from oracle import keras

from rnncli.process import memory
from rnncli.process.memory import limit_growth

pytestmark = pytest.mark.slow

L = keras.layers
SECONDS = 10.0
INPUT = "[[[0.5, -1.0, 2.0, 0.25], [2.0, 0.25, 1.0, 1.0]]]"
LAYERS: Mapping[str, Callable[[], list[Any]]] = {
    "Conv1DTranspose": lambda: [L.Conv1DTranspose(3, 2, padding="same")],
    "SeparableConv1D": lambda: [L.SeparableConv1D(4, 2, padding="same")],
    "Conv2DTranspose": lambda: [L.Reshape((2, 4, 1)), L.Conv2DTranspose(2, 3), L.Reshape((4, -1))],
    "Conv3D": lambda: [L.Reshape((2, 2, 2, 1)), L.Conv3D(2, 1), L.Reshape((2, 8))],
    "GroupNormalization": lambda: [L.GroupNormalization(2)],
    "SpectralNormalization": lambda: [L.SpectralNormalization(L.Conv1D(3, 1))],
    "Resizing": lambda: [L.Reshape((2, 4, 1)), L.Resizing(4, 6), L.Reshape((4, 6))],
    "EinsumDense": lambda: [L.EinsumDense("abc,cd->abd", output_shape=(None, 5))],
    "RandomFlip": lambda: [L.Reshape((2, 4, 1)), L.RandomFlip(), L.Reshape((2, 4))],
    "nested": lambda: [keras.Sequential([L.Conv1DTranspose(3, 2), L.BatchNormalization()]), L.Masking()],
}


@pytest.mark.parametrize("name", LAYERS)
def test_an_ordinary_model_is_run(name: str, tmp_path: Path, rnncli: Run) -> None:
    model = keras.Sequential([keras.Input((2, 4)), *LAYERS[name](), L.LSTM(3, name="lstm")])
    model.save(tmp_path / "m.keras")
    printed = rnncli("run", INPUT, "--model", str(tmp_path / "m.keras"), "-f", "json").success().stdout
    values = json.loads(printed)["outputs"][0]["values"]
    expected = model(np.array(json.loads(INPUT), np.float32), training=False)
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_a_stateful_model_is_run(tmp_path: Path, rnncli: Run) -> None:
    """Keras creates the states of its layers where no variable may be missing."""
    given = keras.Input((2, 4), batch_size=1)
    model = keras.Model(given, L.LSTM(3, stateful=True, name="lstm")(L.Conv1DTranspose(2, 2)(given)))
    model.save(tmp_path / "m.keras")
    rnncli("run", INPUT, "--model", str(tmp_path / "m.keras")).success()


def change_layer(path: Path, class_name: str, **config: Any) -> Path:
    """Write a model with one layer's config changed."""
    layers = [L.UpSampling1D(2), L.Conv1DTranspose(4, 3, padding="same"), L.LSTM(3)]
    keras.Sequential([keras.Input((2, 4)), *layers]).save(path)

    def change(text: bytes) -> bytes:
        whole = json.loads(text)
        layer = next(one for one in whole["config"]["layers"] if one["class_name"] == class_name)
        layer["config"].update(config)
        return json.dumps(whole).encode()

    return with_changed_config(path, change, path.name)


@pytest.mark.parametrize(("class_name", "config", "said"), [
    ("UpSampling1D", {"size": 40_000_000}, "needs too much memory for (1, 2, 4)"),
    ("Conv1DTranspose", {"strides": 15_000_000}, "needs tensors of "),
    ("Conv1DTranspose", {"strides": 40_000_000}, "needs a tensor of 2.4 GiB, far more than its file"),
    ("Conv1DTranspose", {"strides": 10**9}, "Keras cannot run this model"),
    ("Conv1DTranspose", {"filters": 10**7}, "objects could not be loaded"),
    ("Conv1DTranspose", {"filters": 10**9}, "objects could not be loaded"),
    ("Conv1DTranspose", {"kernel_size": [10**7]}, "objects could not be loaded"),
])  # fmt: skip
def test_a_model_that_would_fill_the_memory_is_refused(
    class_name: str, config: dict[str, Any], said: str, tmp_path: Path, rnncli: Run
) -> None:
    path = change_layer(tmp_path / "m.keras", class_name, **config)
    with processor_time(SECONDS), limit_growth(0):
        assert said in rnncli("run", INPUT, "--model", str(path)).refusal()


def test_outputs_of_all_layers_count(tmp_path: Path, rnncli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a third of what is allowed, and a chain of them takes more."""
    monkeypatch.setattr(memory, "ROOM", 3 * 2**26)
    steps = 2**21
    layers = [L.UpSampling1D(steps), *[L.Activation("tanh") for _ in range(4)], L.GlobalAveragePooling1D()]
    model = keras.Sequential([keras.Input((2, 4)), *layers, L.Reshape((1, 4)), L.LSTM(3)])
    model.save(tmp_path / "m.keras")
    said = rnncli("run", INPUT, "--model", str(tmp_path / "m.keras")).refusal()
    assert f"needs too much memory for (1, {2 * steps}, 4)" in said
