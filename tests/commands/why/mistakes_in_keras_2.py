"""Mistakes whose messages are others in Keras 2."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from mistakes import fit, ones, provokes


@provokes("rank")
def two_axes_in_keras_2() -> None:
    _keras_2().layers.LSTM(3)(ones(1, 60))


@provokes("argument-unknown-keras2")
def misspelled_in_keras_2() -> None:
    _keras_2().layers.LSTM(3, return_sequence=True)


@provokes("model-input")
def other_features_in_keras_2() -> None:
    layer = _keras_2().layers.LSTM(3)
    layer(ones(1, 4, 5))
    layer(ones(1, 4, 6))


@provokes("stateful-batch")
def stateful_in_keras_2() -> None:
    old = _keras_2()
    old.layers.LSTM(3, stateful=True)(old.Input((4, 5)))


@provokes("stateful-reset")
def reset_in_keras_2() -> None:
    _keras_2().layers.LSTM(3).reset_states()


@provokes("state-spec")
def states_in_keras_2() -> None:
    old = _keras_2()
    old.layers.LSTM(3)(old.Input((4, 5)), initial_state=[old.Input((4,)), old.Input((4,))])


@provokes("state-spec")
def states_both_ways_in_keras_2() -> None:
    old = _keras_2()
    both = old.layers.Bidirectional(old.layers.LSTM(3))
    both(old.Input((4, 5)), initial_state=[old.Input((3,)), old.Input((3,))])


@provokes("state-bidirectional")
def odd_states_in_keras_2() -> None:
    old = _keras_2()
    old.layers.Bidirectional(old.layers.LSTM(3))(ones(1, 4, 5), initial_state=[ones(1, 3)] * 3)


@provokes("activation")
def activation_in_keras_2() -> None:
    _keras_2().layers.LSTM(3, activation="tahn")


@provokes("no-gradient")
def gradient_in_keras_2() -> None:
    _keras_2().optimizers.SGD().apply_gradients([(None, tf.Variable(1.0))])


@provokes("argument-unknown-keras2")
def batch_shape_in_keras_2() -> None:
    _keras_2().layers.LSTM(3, batch_shape=(1, 4, 5))


@provokes("saved-input")
def input_of_keras_3() -> None:
    _keras_2().layers.InputLayer.from_config({"batch_shape": [None, 4, 5]})


@provokes("model-input")
def fixed_batch_in_keras_2() -> None:
    layer = _keras_2().layers.LSTM(3, stateful=True, batch_input_shape=(1, None, 5))
    _keras_2().Sequential([layer])(ones(32, 10, 5))


@provokes("sequential-outputs")
def states_in_sequential_of_keras_2() -> None:
    old = _keras_2()
    old.Sequential([old.Input((4, 5)), old.layers.LSTM(3, return_state=True)])


@provokes("list-input")
def states_into_dense_of_keras_2() -> None:
    _keras_2().layers.Dense(1)([ones(1, 4, 3), ones(1, 3), ones(1, 3)])


@provokes("loss-shape-graph")
def fewer_steps_in_keras_2() -> None:
    _fit_fewer_steps("mse")


@provokes("loss-shape-graph")
def fewer_steps_of_errors_in_keras_2() -> None:
    _fit_fewer_steps("mae")


@provokes("loss-shape-graph")
def fewer_steps_of_classes_in_keras_2() -> None:
    _fit_fewer_steps("binary_crossentropy")


def _fit_fewer_steps(loss: str) -> None:
    old = _keras_2()
    net = old.Sequential([old.layers.LSTM(1, return_sequences=True, input_shape=(4, 5))])
    fit(net, ones(8, 4, 5), ones(8, 3, 1), loss)


def _keras_2() -> Any:
    return pytest.importorskip("tf_keras")
