"""Mistakes in the arguments of a layer, of Bidirectional, of masks and of cells."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from mistakes import ones, provokes

# arguments


@provokes("argument-unknown")
def time_major() -> None:
    layers.LSTM(3, time_major=True)


@provokes("argument-unknown")
def batch_input_shape() -> None:
    layers.LSTM(3, batch_input_shape=(1, 4, 5))


@provokes("argument-unknown")
def batch_shape() -> None:
    layers.GRU(3, batch_shape=(32, None, 5))


@provokes("argument-unknown")
def batch_input_shape_both_ways() -> None:
    layers.Bidirectional(layers.LSTM(3), batch_input_shape=(1, 4, 5))


@provokes("argument-unknown")
def batch_input_shape_of_tokens() -> None:
    layers.Embedding(10, 3, batch_input_shape=(1, 4))


@provokes("argument-input")
def batch_input_shape_of_input() -> None:
    keras.Input((4, 5), batch_input_shape=(1, 4, 5))


@provokes("argument-unknown")
def saved_batch_input_shape() -> None:
    layers.LSTM.from_config({"units": 3, "batch_input_shape": [None, 4, 5]})


@provokes("argument-unknown")
def weights_argument() -> None:
    layers.LSTM(3, weights=[1])


@provokes("argument-unknown")
def input_length() -> None:
    layers.GRU(3, input_dim=8, input_length=4)


@provokes("argument-unknown")
def misspelled() -> None:
    layers.LSTM(3, return_sequence=True)


@provokes("argument-unknown")
def of_another_layer() -> None:
    layers.LSTM(3, reset_after=True)


@provokes("argument-unknown")
def of_pytorch() -> None:
    layers.LSTM(3, num_layers=2, batch_first=True, bidirectional=True)


@provokes("units-missing")
def hidden_size() -> None:
    layers.LSTM(hidden_size=3)


@provokes("argument-unknown")
def saved_argument() -> None:
    layers.LSTM.from_config({"units": 3, "time_major": False})


@provokes("units")
def negative_units() -> None:
    layers.LSTM(-3)


@provokes("units")
def no_units() -> None:
    layers.GRU(0)


@provokes("units-float")
def half_units() -> None:
    layers.LSTM(3.5)(ones(1, 4, 5))


@provokes("units-text")
def text_units() -> None:
    layers.LSTM("3")


@provokes("activation")
def unknown_activation() -> None:
    layers.LSTM(3, activation="tahn")


@provokes("activation")
def two_sizes() -> None:
    layers.LSTM(3, 4)


@provokes("initializer")
def unknown_initializer() -> None:
    layers.LSTM(3, kernel_initializer="glorot")


@provokes("cudnn-layer")
def cudnn_layer() -> None:
    _ = layers.CuDNNLSTM


@provokes("cudnn")
def cudnn_with_dropout() -> None:
    layers.LSTM(3, use_cudnn=True, recurrent_dropout=0.2)(ones(1, 4, 5))


# Bidirectional


@provokes("wrapper-without-layer")
def bidirectional_number() -> None:
    layers.Bidirectional(3)


@provokes("wrapper-without-layer")
def bidirectional_class() -> None:
    layers.Bidirectional(layers.LSTM)


@provokes("wrapper-without-layer")
def distributed_number() -> None:
    layers.TimeDistributed(3)


@provokes("direction-layer")
def bidirectional_dense() -> None:
    layers.Bidirectional(layers.Dense(3))


@provokes("merge-mode")
def unknown_merge_mode() -> None:
    layers.Bidirectional(layers.LSTM(3), merge_mode="add")


@provokes("direction")
def same_direction() -> None:
    layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3))


@provokes("direction-attribute")
def sequences_one_way() -> None:
    back = layers.LSTM(3, go_backwards=True)
    layers.Bidirectional(layers.LSTM(3, return_sequences=True), backward_layer=back)


@provokes("direction-units")
def sum_of_other_units() -> None:
    back = layers.LSTM(4, go_backwards=True)
    layers.Bidirectional(layers.LSTM(3), backward_layer=back, merge_mode="sum")(ones(1, 4, 5))


# masks and cells


@provokes("mask-steps")
def short_mask() -> None:
    layers.LSTM(3)(ones(2, 4, 5), mask=np.ones((2, 3), bool))


@provokes("mask-axes")
def mask_of_features() -> None:
    layers.LSTM(3)(ones(2, 4, 5), mask=np.ones((2, 4, 5), bool))


@provokes("cell-call")
def number_for_a_cell() -> None:
    layers.RNN(3)


@provokes("cell-call")
def object_for_a_cell() -> None:
    layers.RNN(object())


@provokes("cell-call")
def number_among_cells() -> None:
    layers.RNN([layers.LSTMCell(3), 3])


@provokes("cell-state-size")
def cell_without_size() -> None:
    class Cell(keras.Layer):  # type: ignore[misc]
        def call(self, x: Any, states: Any) -> Any:
            return x, states

    layers.RNN(Cell())
