"""Weights that Keras saved, in the layers that are asked for: they give what Keras predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnncli import compute, specs
from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case, check_states, check_weights
from rnncli.layers.stack import Stack
from rnncli.models.weights import read_weights
from rnncli.values import SavedLayer

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


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def saved_layer(name: Any, *weights: Any) -> Any:
    return SavedLayer(name, f"{name}!", tuple(np.full(shape, 1.0) for shape in weights))


def weights_for(texts: Any, layers: Any) -> Any:
    return check_weights(tuple(layers), Stack(specs.from_flags(texts, {})), (2, 3, 4), "m.weights.h5")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.slow
def test_a_model_predicts_the_same(keras: Any, tmp_path: Any, name: Any) -> None:
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
