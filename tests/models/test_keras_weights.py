"""Weights that Keras saved, against the layers that saved them, and in the layers that are asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

from rnncli import compute, specs
from rnncli.errors import InputError
from rnncli.inputs.formats import Source, read
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case, check_states, check_weights
from rnncli.layers.stack import Stack
from rnncli.models.keras import reader as keras_models
from rnncli.models.keras.file import read_arrays_by_layer
from rnncli.models.weight_files import keras_weights as weights_only
from rnncli.models.weights import read_weights
from rnncli.values import SavedLayer

SUFFIXES = (".keras", ".weights.h5", ".h5")


def sample_models() -> dict[str, Any]:
    layers = keras.layers
    entry = keras.Input((4, 5))
    x = layers.LSTM(3, return_sequences=True, name="zeta")(entry)
    x = layers.GRU(2, name="alpha")(x)
    sequences = {"return_sequences": True}
    stacks: dict[str, tuple[tuple[int, ...], list[Any]]] = {
        "lstm": ((4, 5), [layers.LSTM(3)]),
        "no_bias": ((4, 5), [layers.SimpleRNN(3, use_bias=False)]),
        "bidirectional": ((4, 5), [layers.Bidirectional(layers.GRU(2, **sequences)), layers.Dense(2)]),
        "stack": ((4, 5), [
            layers.LSTM(3, **sequences), layers.Dense(4), layers.Bidirectional(layers.LSTM(2, **sequences)),
            *(layers.GRU(2, **sequences, reset_after=index % 2 == 0) for index in range(11)),
            layers.SimpleRNN(2, name="forward_last"),
        ]),
        "nested": ((4, 5), [
            layers.LSTM(3, **sequences),
            keras.Sequential([keras.Input((4, 3)), layers.GRU(2), layers.Dense(2)]),
        ]),
        "convolutional": ((3, 8, 2), [layers.ConvLSTM1D(2, 3)]),
        "cells": ((4, 5), [
            layers.TimeDistributed(layers.Dense(2)),
            layers.RNN([layers.LSTMCell(3, dropout=0.5), layers.GRUCell(2)], **sequences),
            layers.Bidirectional(
                layers.LSTM(2, **sequences), backward_layer=layers.GRU(3, go_backwards=True, **sequences)
            ),
            layers.Bidirectional(layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])),
        ]),
        "words": ((4,), [
            layers.Embedding(9, 5), layers.Dropout(0.5), layers.BatchNormalization(),
            layers.LSTM(3, dropout=0.5), layers.Dense(1),
        ]),
    }  # fmt: skip
    found = {name: keras.Sequential([keras.Input(shape), *own]) for name, (shape, own) in stacks.items()}
    return {**found, "functional": keras.Model(entry, layers.Dense(1)(x))}


def weights_by_layer(model: Any) -> dict[str, Any]:
    """Every layer's weights by its name, in the model's order."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= weights_by_layer(layer)
        elif layer.weights:
            found[layer.name] = layer.get_weights()
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: Any) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A folder of models in all three forms, and the weights of each as Keras has them."""
    folder, weights = tmp_path_factory.mktemp("models"), {}
    for name, model in sample_models().items():
        for suffix in SUFFIXES:
            (model.save_weights if suffix == ".weights.h5" else model.save)(folder / f"{name}{suffix}")
        weights[name] = weights_by_layer(model)
    return folder, weights


def read_layers(source: Source) -> tuple[SavedLayer, ...]:
    """The layers in a file that Keras saved."""
    layers = read_weights(source)
    assert isinstance(layers, tuple)
    return layers


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_weights_are_keras_own(models: Any, suffix: str) -> None:
    folder, weights = models
    for name, expected in weights.items():
        path = folder / f"{name}{suffix}"
        layers = dict(read_arrays_by_layer(Source(path.name, path=path), "Save it again."))
        assert list(layers) == list(expected)
        for layer, arrays in layers.items():
            for ours, theirs in zip(arrays, expected[layer], strict=True):
                np.testing.assert_array_equal(ours, theirs, err_msg=f"{path.name} {layer}")
        held = read_layers(Source(path.name, path=path))
        assert [(one.name, len(one.weights)) for one in held] == [
            (name, len(own)) for name, own in layers.items()
        ]


@pytest.mark.slow
def test_layers_say_what_they_are(models: Any) -> None:
    held = read_layers(Source("m", path=models[0] / "functional.weights.h5"))
    assert [layer.what for layer in held] == ["LSTM(3)", "GRU(2)", "(2, 1) (1,)"]


@pytest.mark.slow
def test_layers_by_name(models: Any) -> None:
    path = models[0] / "functional.weights.h5#alpha,zeta"
    assert [layer.name for layer in read_layers(Source(path.name, path=path))] == ["zeta", "alpha"]
    path = models[0] / "functional.weights.h5#alhpa"
    with pytest.raises(InputError, match=r"(?s)^functional\.weights\.h5: there is no layer.*mean alpha\?"):
        read_layers(Source(path.name, path=path))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_a_model_has_no_inputs(models: Any, suffix: str) -> None:
    with pytest.raises(InputError, match="--weights" if "weights" in suffix else "--model"):
        read(Source(f"lstm{suffix}", path=models[0] / f"lstm{suffix}"))


def test_a_model_without_weights(tmp_path: Path) -> None:
    path = tmp_path / "nothing.weights.h5"
    keras.Sequential([keras.Input((4, 5)), keras.layers.Dropout(0.5)]).save_weights(path)
    with pytest.raises(InputError, match="no layer with weights"):
        read_layers(Source(path.name, path=path))


@pytest.mark.slow
def test_a_cut_model(models: Any) -> None:
    for name in ("lstm.keras", "lstm.weights.h5", "lstm.h5"):
        data = (models[0] / name).read_bytes()
        for cut in (4, 100, len(data) // 2, len(data) - 10):
            for reader in (read_weights, keras_models.read, weights_only.read):
                with pytest.raises(InputError, match=r"^m: "):
                    reader(Source("m", data[:cut], Path("m.h5")))


MODELS = {
    "dense last": ("LSTM(3)", "Dense(1)"),
    "both ways": ("Bidirectional(GRU(2, return_sequences=True))", "LSTM(3)", "Dense(2, use_bias=False)"),
    "dense first": ("Dense(3, activation='tanh')", "LSTM(2)"),
    "dense at every step": ("TimeDistributed(Dense(2))", "GRU(3)"),
    "cells": ("RNN([LSTMCell(3), GRUCell(2)])",),
    "one cell": ("RNN(GRUCell(2))", "Dense(1)"),
    "another backward": ("Bidirectional(LSTM(2), backward_layer=GRU(2, go_backwards=True))", "Dense(1)"),
    "cells both ways": ("Bidirectional(RNN([SimpleRNNCell(3), LSTMCell(2)]))",),
    "alike": ("LSTM(4, return_sequences=True)", "LSTM(4, return_sequences=True)", "LSTM(4)"),
}
INPUTS = np.linspace(-1, 1, 24).reshape(2, 3, 4).astype("float32")


def saved_layer(name: Any, *weights: Any) -> Any:
    return SavedLayer(name, f"{name}!", tuple(np.full(shape, 1.0) for shape in weights))


def weights_for(texts: Any, layers: Any) -> Any:
    return check_weights(tuple(layers), Stack(specs.from_flags(texts, {})), (2, 3, 4), "m.weights.h5")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.slow
def test_a_model_predicts_the_same(tmp_path: Any, name: Any) -> None:
    layers = [eval(text, vars(keras.layers)) for text in MODELS[name]]
    model = keras.Sequential([keras.Input(INPUTS.shape[1:]), *layers])
    for index, variable in enumerate(model.trainable_variables):
        variable.assign(np.random.default_rng(index).uniform(-0.5, 0.5, variable.shape))
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    asked = specs.from_flags(MODELS[name], {})
    weights = check_weights(read_weights(Source("m", path=path)), Stack(asked), INPUTS.shape)
    result = compute.run(Case(asked, INPUTS, weights=weights))
    np.testing.assert_allclose(result.outputs[0].values, np.asarray(model(INPUTS)), rtol=1e-5, atol=1e-6)


LSTM = ((4, 12), (3, 12), (12,))
DENSE = ((3, 1), (1,))


def test_layers_that_are_not_asked_for_are_passed_over() -> None:
    layers = [saved_layer("words", (9, 4)), saved_layer("lstm", *LSTM), saved_layer("out", *DENSE)]
    assert list(weights_for(["LSTM(3)"], layers)) == ["kernel", "recurrent_kernel", "bias"]
    names = list(weights_for(["Masking()", "LSTM(3)", "Dense(1)"], layers))
    assert names[2:] == ["1/bias", "2/kernel", "2/bias"]


def test_what_does_not_fit_says_what_is_there() -> None:
    layers = [saved_layer("lstm", *LSTM), saved_layer("out", *DENSE)]
    with pytest.raises(InputError) as caught:
        weights_for(["LSTM(3)", "Dense(2)"], layers)
    assert caught.value.what == (
        "m.weights.h5: no layer in it fits layer 1 (Dense), which needs kernel (3, 2), bias (2,)."
    )
    assert caught.value.advice == "It holds lstm = lstm!, out = out!."
    with pytest.raises(InputError, match=r"layer 0 \(Dense\)"):
        weights_for(["Dense(3)", "LSTM(3)"], layers)


def test_errors_begin_with_the_source() -> None:
    stack = Stack(specs.from_flags(["LSTM(3)"], {}))
    for given in ({}, {"kernel": np.ones(1)}, {"foo": np.ones(1)}):
        with pytest.raises(InputError, match=r"^w\.npz: "):
            check_weights(given, stack, (2, 3, 4), "w.npz")
    for states in ([], [np.ones((2, 3))], [np.ones((2, 3)), np.ones((3, 2))]):
        with pytest.raises(InputError, match=r"^h\.npy: "):
            check_states(states, stack, (2, 3, 4), "h.npy")


def test_one_sequence_may_leave_the_batch_axis_of_its_states_out() -> None:
    states = np.arange(3.0), np.ones((1, 3))
    layers = specs.from_flags(["LSTM(3)"], {})
    first, second = check_states(states, Stack(layers), (1, 3, 4)) or ()
    np.testing.assert_array_equal(first, states[0][None])
    assert second is states[1]
    short, long = (
        compute.run(check_case(Case(layers, INPUTS[:1], initial_state=(first, second)))).outputs[0].values
        for first, second in (states, (states[0][None], states[1]))
    )
    np.testing.assert_array_equal(short, long)
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        check_states(states, Stack(layers), (2, 3, 4))
