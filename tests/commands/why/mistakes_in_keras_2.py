"""Mistakes whose messages are others in Keras 2."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from mistakes import ones, provokes


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


def _keras_2() -> Any:
    return pytest.importorskip("tf_keras")
