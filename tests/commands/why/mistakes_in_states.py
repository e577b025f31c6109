"""Mistakes in states and weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
from keras import layers
from mistakes import build_lstm, model, ones, provokes

# states


@provokes("state-count")
def one_state_for_lstm() -> None:
    layers.LSTM(3)(ones(1, 4, 5), initial_state=[ones(1, 3)])


@provokes("state-count")
def too_few_states_both_ways() -> None:
    layers.Bidirectional(layers.LSTM(3))(ones(1, 4, 5), initial_state=[ones(1, 3)] * 2)


@provokes("state-count")
def one_state_for_two_gru() -> None:
    layers.Bidirectional(layers.GRU(3))(ones(1, 4, 5), initial_state=[ones(1, 3)])


@provokes("state-count-many")
def too_many_states() -> None:
    layers.Bidirectional(layers.LSTM(3))(ones(1, 4, 5), initial_state=[ones(1, 3)] * 5)


@provokes("state-units")
def states_of_other_units() -> None:
    layers.LSTM(3)(ones(1, 4, 5), initial_state=[ones(1, 4), ones(1, 4)])


@provokes("state-units")
def state_of_other_units() -> None:
    layers.GRU(3)(ones(1, 4, 5), initial_state=ones(1, 4))


@provokes("state-batch")
def states_of_other_batch() -> None:
    layers.GRU(3)(ones(2, 4, 5), initial_state=ones(3, 3))


@provokes("cell-states")
def cell_without_states() -> None:
    layers.LSTMCell(3)(ones(1, 5))


@provokes("cell-states-list")
def cell_with_a_tensor() -> None:
    layers.LSTMCell(3)(ones(1, 5), ones(1, 3))


@provokes("state-count")
def cell_with_one_state() -> None:
    layers.LSTMCell(3)(ones(1, 5), [ones(1, 3)])


@provokes("stateful-batch")
def stateful_without_batch() -> None:
    layers.LSTM(3, stateful=True)(keras.Input((4, 5)))


@provokes("stateful-batch-change")
def stateful_with_other_batch() -> None:
    layer = layers.LSTM(3, stateful=True)
    layer(ones(2, 4, 5))
    layer(ones(3, 4, 5))


@provokes("stateful-reset")
def reset_of_a_model() -> None:
    keras.Sequential([layers.LSTM(3)]).reset_states()


# weights


@provokes("set-weights-count")
def too_few_weights() -> None:
    build_lstm().set_weights([ones(5, 12), ones(3, 12)])


@provokes("set-weights-count")
def weights_before_build() -> None:
    layers.LSTM(3).set_weights([ones(5, 12), ones(3, 12), ones(12)])


@provokes("set-weights-shape")
def weights_of_gru() -> None:
    build_lstm().set_weights([ones(5, 9), ones(3, 12), ones(12)])


@provokes("set-weights-shape")
def one_bias_for_gru() -> None:
    layer = layers.GRU(3)
    layer(ones(1, 4, 5))
    layer.set_weights([ones(5, 9), ones(3, 9), ones(9)])


@provokes("set-weights-shape")
def two_biases_for_gru() -> None:
    layer = layers.GRU(3, reset_after=False)
    layer(ones(1, 4, 5))
    layer.set_weights([ones(5, 9), ones(3, 9), ones(2, 9)])


@provokes("set-weights-shape")
def kernel_for_a_bias() -> None:
    build_lstm().set_weights([ones(5, 12), ones(3, 12), ones(2, 12)])


@provokes("set-weights-shape")
def bias_of_other_units() -> None:
    build_lstm().set_weights([ones(5, 12), ones(3, 12), ones(16)])


def load(saved: Any, into: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.weights.h5"
        saved.save_weights(file)
        into.load_weights(file)


@provokes("load-weights-shape")
def weights_of_other_units() -> None:
    load(model(layers.LSTM(3)), model(layers.LSTM(4)))


@provokes("load-weights-shape")
def saved_with_two_biases() -> None:
    load(model(layers.GRU(3)), model(layers.GRU(3, reset_after=False)))


@provokes("load-weights-shape")
def saved_with_one_bias() -> None:
    load(model(layers.GRU(3, reset_after=False)), model(layers.GRU(3)))


@provokes("load-weights-missing")
def weights_of_other_class() -> None:
    load(model(layers.GRU(3)), model(layers.LSTM(3)))


@provokes("save-weights-name")
def other_suffix() -> None:
    model(layers.LSTM(3)).save_weights("a.h5")


@provokes("unbuilt")
def count_before_build() -> None:
    layers.LSTM(3).count_params()


@provokes("unbuilt")
def save_before_build() -> None:
    keras.Sequential([layers.LSTM(3)]).save_weights("a.weights.h5")
