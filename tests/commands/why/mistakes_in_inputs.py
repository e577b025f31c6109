"""Mistakes in the axes, the features or the numbers of an input."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from mistakes import build_lstm, fit, model, ones, provokes

# axes


@provokes("rank")
def two_axes() -> None:
    layers.LSTM(3)(ones(1, 60))


@provokes("rank")
def one_axis() -> None:
    layers.GRU(3)(ones(60))


@provokes("rank")
def four_axes() -> None:
    layers.SimpleRNN(3)(ones(1, 4, 5, 6))


@provokes("rank")
def stacked() -> None:
    model(layers.LSTM(4), layers.LSTM(3))


@provokes("rank")
def stacked_both_ways() -> None:
    model(layers.Bidirectional(layers.LSTM(4)), layers.Bidirectional(layers.LSTM(3)))


@provokes("rank")
def fitted_without_features() -> None:
    fit(keras.Sequential([layers.LSTM(4)]), ones(8, 60), ones(8, 4))


@provokes("rank")
def embedded_twice() -> None:
    model(layers.Embedding(10, 3), layers.LSTM(3), shape=(4, 7))


@provokes("rank")
def repeated_sequence() -> None:
    model(layers.LSTM(3, return_sequences=True), layers.RepeatVector(3))


@provokes("rank")
def images_without_channels() -> None:
    layers.ConvLSTM1D(3, 2)(ones(1, 4, 5))


@provokes("time-distributed-rank")
def distributed_vector() -> None:
    model(layers.LSTM(3), layers.TimeDistributed(layers.Dense(1)))


@provokes("time-distributed-recurrent")
def distributed_layer() -> None:
    layers.TimeDistributed(layers.LSTM(3))(ones(2, 4, 5))


# features


@provokes("features")
def other_features() -> None:
    layer = layers.LSTM(3)
    layer(ones(1, 4, 5))
    layer(ones(1, 4, 6))


@provokes("features")
def other_features_of_simple_rnn() -> None:
    layer = layers.SimpleRNN(3)
    layer(ones(1, 4, 5))
    layer(ones(1, 4, 6))


@provokes("features")
def product() -> None:
    tf.matmul(ones(1, 6), ones(5, 12))


@provokes("features-graph")
def other_features_in_predict() -> None:
    model(layers.GRU(3)).predict(ones(1, 4, 6), verbose=0)


@provokes("features-axis")
def other_features_of_dense() -> None:
    layer = layers.Dense(2)
    layer(ones(1, 3))
    layer(ones(1, 4))


@provokes("features-unknown")
def unknown_features() -> None:
    layers.LSTM(3)(keras.Input((4, None)))


@provokes("features-unknown")
def flattened_sequence() -> None:
    model(layers.LSTM(3, return_sequences=True), layers.Flatten(), layers.Dense(1), shape=(None, 5))


@provokes("features-unknown")
def distributed_features() -> None:
    layers.TimeDistributed(layers.LSTM(3))(keras.Input((4, 5)))


@provokes("model-input")
def functional_features() -> None:
    x = keras.Input((4, 5))
    keras.Model(x, layers.LSTM(3)(x))(ones(1, 4, 6))


@provokes("model-input")
def missing_batch() -> None:
    model(layers.LSTM(3)).predict(ones(4, 5), verbose=0)


@provokes("model-input")
def swapped_axes() -> None:
    x = keras.Input((4, 5))
    keras.Model(x, layers.LSTM(3)(x))(ones(1, 5, 4))


# data


@provokes("dtype-text")
def text() -> None:
    layers.LSTM(3)(np.array([[["a"]]]))


@provokes("dtype-text")
def text_to_fit() -> None:
    fit(keras.Sequential([layers.LSTM(3)]), np.array(["a"]), ones(1, 3))


@provokes("ragged")
def unequal_sequences() -> None:
    np.array([[[1.0]], [[1.0], [2.0]]])


@provokes("ragged")
def array_of_lists() -> None:
    layers.LSTM(3)(np.array([[1, 2], [3]], dtype=object))


@provokes("nested-lists")
def lists() -> None:
    layers.LSTM(3)([[[1.0, 2.0]]])


@provokes("no-input")
def nothing() -> None:
    layers.LSTM(3)(None)


@provokes("token")
def large_token() -> None:
    layers.Embedding(10, 3)(np.array([[1, 10]]))


@provokes("token")
def large_token_in_predict() -> None:
    model(layers.Embedding(10, 3), layers.LSTM(3), shape=(2,)).predict(np.array([[1, 10]]), verbose=0)


@provokes("precision")
def mixed_precision() -> None:
    tf.matmul(ones(1, 5).astype("float64"), build_lstm().cell.kernel)


@provokes("no-steps")
def no_steps() -> None:
    layers.LSTM(3)(ones(1, 0, 5))


@provokes("batch-sizes")
def more_x_than_y() -> None:
    fit(model(layers.LSTM(3)), ones(8, 4, 5), ones(7, 3))
