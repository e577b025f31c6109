"""Mistakes in the use of what a layer returns, and in training."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers
from mistakes import build_lstm, fit, model, ones, provokes

# what a layer returns


@provokes("unpack-few")
def three_names_for_one_tensor() -> None:
    _, _, _ = layers.LSTM(3)(ones(1, 4, 5))


@provokes("unpack-few")
def three_names_for_gru() -> None:
    _, _, _ = layers.GRU(3, return_state=True)(ones(1, 4, 5))


@provokes("unpack-many")
def two_names_for_lstm() -> None:
    _, _ = layers.LSTM(3, return_state=True)(ones(1, 4, 5))


@provokes("unpack-many")
def three_names_for_both_directions() -> None:
    _, _, _ = layers.Bidirectional(layers.LSTM(3, return_state=True))(ones(1, 4, 5))


@provokes("unpack-many")
def three_names_for_a_batch() -> None:
    _, _, _ = layers.LSTM(3)(ones(8, 4, 5))


@provokes("unpack-symbolic")
def three_names_for_a_symbol() -> None:
    _, _, _ = layers.LSTM(3)(keras.Input((4, 5)))


@provokes("list-input")
def states_into_dense() -> None:
    model(layers.LSTM(3, return_state=True), layers.Dense(1))


@provokes("list-input")
def state_beside_the_input() -> None:
    layers.LSTM(3)([ones(1, 4, 5), ones(1, 3)])


@provokes("list-input")
def states_beside_the_input() -> None:
    layers.LSTM(3)([ones(1, 4, 5), ones(1, 3), ones(1, 3)])


@provokes("list-input")
def states_of_both_directions_into_dense() -> None:
    model(layers.Bidirectional(layers.LSTM(4, return_state=True)), layers.Dense(1))


@provokes("list-input")
def states_of_both_gru_into_a_layer() -> None:
    both = layers.Bidirectional(layers.GRU(4, return_state=True, return_sequences=True))
    model(both, layers.LSTM(3))


@provokes("list-input")
def three_inputs() -> None:
    layers.LSTM(3)([ones(1, 4, 5)] * 3)


@provokes("list-input")
def both_directions_into_a_layer() -> None:
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=None)
    model(both, layers.LSTM(3), shape=(10, 8))


@provokes("list-output")
def shape_of_a_list() -> None:
    _ = layers.LSTM(3, return_state=True)(keras.Input((4, 5))).shape


# training


@provokes("loss-shape-run")
def sequence_against_vector() -> None:
    fit(model(layers.LSTM(3, return_sequences=True)), ones(8, 4, 5), ones(8, 3))


@provokes("loss-shape")
def classes_against_sequence() -> None:
    fit(model(layers.LSTM(3, return_sequences=True)), ones(8, 4, 5), ones(8, 3), "categorical_crossentropy")


@provokes("loss-shape")
def other_classes() -> None:
    fit(model(layers.LSTM(3)), ones(8, 4, 5), ones(8, 4), "categorical_crossentropy")


@provokes("loss-shape-graph")
def other_outputs() -> None:
    fit(model(layers.LSTM(3)), ones(8, 4, 5), ones(8, 4))


@provokes("loss-shape-graph")
def fewer_steps_in_the_target() -> None:
    fit(model(layers.LSTM(3, return_sequences=True), layers.Dense(1)), ones(8, 4, 5), ones(8, 2, 1))


@provokes("loss-shape-graph")
def more_steps_in_the_target() -> None:
    net = model(layers.LSTM(3, return_sequences=True), layers.Dense(1))
    fit(net, ones(8, 4, 5), ones(8, 6, 1), "mean_absolute_error")


@provokes("loss-shape")
def fewer_steps_of_classes() -> None:
    net = model(layers.LSTM(3, return_sequences=True), layers.Dense(2))
    fit(net, ones(8, 4, 5), ones(8, 3, 2), "categorical_crossentropy")


@provokes("loss-shape-run")
def fewer_steps_eagerly() -> None:
    keras.losses.MeanSquaredError()(ones(8, 3, 2), layers.LSTM(2, return_sequences=True)(ones(8, 4, 5)))


@provokes("loss-sparse")
def one_class_per_sequence() -> None:
    net = model(layers.LSTM(3, return_sequences=True, activation="softmax"))
    fit(net, ones(8, 4, 5), ones(8), "sparse_categorical_crossentropy")


@provokes("no-gradient")
def constant_loss() -> None:
    variables = build_lstm().trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.constant(1.0)
    keras.optimizers.SGD().apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


@provokes("join-rank")
def sequence_beside_vector() -> None:
    x = keras.Input((4, 5))
    layers.Concatenate()([layers.LSTM(3)(x), layers.LSTM(3, return_sequences=True)(x)])


@provokes("keras-tensor")
def function_of_tensorflow() -> None:
    tf.reduce_sum(keras.Input((4, 5)))
