"""Weights that Keras saved, against the layers that saved them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnncli.case import SavedLayer
from rnncli.errors import InputError
from rnncli.inputs.formats import (
    Source,
    read,
)
from rnncli.models.keras import reader as keras_models
from rnncli.models.keras.file import read_arrays_by_layer
from rnncli.models.modules import keras_weights as weights_only
from rnncli.models.weights import read_weights


def _models(keras: Any) -> dict[str, Any]:
    layers = keras.layers
    entry = keras.Input((4, 5))
    x = layers.LSTM(3, return_sequences=True, name="zeta")(entry)
    x = layers.GRU(2, name="alpha")(x)
    gru = layers.GRU(2, return_sequences=True)
    return {
        "lstm": keras.Sequential([keras.Input((4, 5)), layers.LSTM(3)]),
        "no_bias": keras.Sequential([keras.Input((4, 5)), layers.SimpleRNN(3, use_bias=False)]),
        "bidirectional": keras.Sequential([keras.Input((4, 5)), layers.Bidirectional(gru), layers.Dense(2)]),
        "stack": keras.Sequential(
            [
                keras.Input((4, 5)),
                layers.LSTM(3, return_sequences=True),
                layers.Dense(4),
                layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
                *(layers.GRU(2, return_sequences=True, reset_after=index % 2 == 0) for index in range(11)),
                layers.SimpleRNN(2, name="forward_last"),
            ]
        ),
        "functional": keras.Model(entry, layers.Dense(1)(x)),
        "nested": keras.Sequential(
            [
                keras.Input((4, 5)),
                layers.LSTM(3, return_sequences=True),
                keras.Sequential([keras.Input((4, 3)), layers.GRU(2), layers.Dense(2)]),
            ]
        ),
        "convolutional": keras.Sequential([keras.Input((3, 8, 2)), layers.ConvLSTM1D(2, 3)]),
        "cells": keras.Sequential(
            [
                keras.Input((4, 5)),
                layers.TimeDistributed(layers.Dense(2)),
                layers.RNN([layers.LSTMCell(3, dropout=0.5), layers.GRUCell(2)], return_sequences=True),
                layers.Bidirectional(
                    layers.LSTM(2, return_sequences=True),
                    backward_layer=layers.GRU(3, return_sequences=True, go_backwards=True),
                ),
                layers.Bidirectional(layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])),
            ]
        ),
        "words": keras.Sequential(
            [
                keras.Input((4,)),
                layers.Embedding(9, 5),
                layers.Dropout(0.5),
                layers.BatchNormalization(),
                layers.LSTM(3, dropout=0.5),
                layers.Dense(1),
            ]
        ),
    }


NAMES = (
    "lstm", "no_bias", "bidirectional", "stack", "functional", "nested", "convolutional", "cells", "words",
)  # fmt: skip


def _weighted(keras: Any, model: Any) -> dict[str, Any]:
    """Every layer's weights by its name, in the model's order."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= _weighted(keras, layer)
        elif layer.weights:
            found[layer.name] = layer.get_weights()
    return found


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def models(keras: Any, tmp_path_factory: Any) -> Any:
    """A folder of models in all three forms, and beside each its weights as Keras has them."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in _models(keras).items():
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        model.save(folder / f"{name}.h5")
        arrays = {
            f"{layer}/{index}": array
            for layer, weights in _weighted(keras, model).items()
            for index, array in enumerate(weights)
        }
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


def read_layers(source: Source) -> tuple[SavedLayer, ...]:
    """The layers in a file that Keras saved."""
    layers = read_weights(source)
    assert isinstance(layers, tuple)
    return layers


class TestKerasModel:
    @pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
    @pytest.mark.parametrize("name", NAMES)
    def test_weights_are_keras_own(self, models: Any, name: Any, suffix: Any) -> None:
        path = models / f"{name}{suffix}"
        layers = read_arrays_by_layer(Source(path.name, path=path), "Save it again.")
        found = {f"{name}/{index}": array for name, arrays in layers for index, array in enumerate(arrays)}
        with np.load(models / f"{name}.npz") as expected:
            assert list(found) == expected.files
            for key in found:
                np.testing.assert_array_equal(found[key], expected[key])
        held = read_layers(Source(path.name, path=path))
        assert [(one.name, len(one.weights)) for one in held] == [(name, len(own)) for name, own in layers]

    def test_layers_say_what_they_are(self, models: Any) -> None:
        held = read_layers(Source("m", path=models / "functional.weights.h5"))
        assert [layer.what for layer in held] == ["LSTM(3)", "GRU(2)", "(2, 1) (1,)"]

    def test_layers_by_name(self, models: Any) -> None:
        path = models / "functional.weights.h5#alpha,zeta"
        assert [layer.name for layer in read_layers(Source(path.name, path=path))] == ["zeta", "alpha"]
        path = models / "functional.weights.h5#alhpa"
        with pytest.raises(
            InputError, match=r"(?s)^functional\.weights\.h5: there is no layer.*mean alpha\?"
        ):
            read_layers(Source(path.name, path=path))

    @pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
    def test_a_model_has_no_inputs(self, models: Any, suffix: str) -> None:
        with pytest.raises(InputError, match="--weights" if "weights" in suffix else "--model"):
            read(Source(f"lstm{suffix}", path=models / f"lstm{suffix}"))

    def test_a_model_without_weights(self, keras: Any, tmp_path: Path) -> None:
        path = tmp_path / "nothing.weights.h5"
        keras.Sequential([keras.Input((4, 5)), keras.layers.Dropout(0.5)]).save_weights(path)
        with pytest.raises(InputError, match="no layer with weights"):
            read_layers(Source(path.name, path=path))

    def test_a_cut_model(self, models: Any) -> None:
        for name in ("lstm.keras", "lstm.weights.h5", "lstm.h5"):
            data = (models / name).read_bytes()
            for cut in (4, 100, len(data) // 2, len(data) - 10):
                for reader in (read_weights, keras_models.read, weights_only.read):
                    with pytest.raises(InputError, match=r"^m: "):
                        reader(Source("m", data[:cut], Path("m.h5")))
