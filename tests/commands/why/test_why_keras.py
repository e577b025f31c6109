"""why: messages that Keras and TensorFlow really give, and fixes that Keras really accepts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnncli.commands.why.diagnosis import Diagnosis, diagnose, matches
from rnncli.commands.why.trial import Outcome, attempt

pytestmark = pytest.mark.filterwarnings("ignore")  # the mistakes are meant

Provoke = Callable[[], object]
PROVOKED: list[tuple[str, Provoke]] = []


def provokes(cause: str) -> Callable[[Provoke], Provoke]:
    def add(provoke: Provoke) -> Provoke:
        PROVOKED.append((cause, provoke))
        return provoke

    return add


def ones(*shape: int) -> Any:
    return np.ones(shape, "float32")


def model(*held: Any, shape: tuple[int | None, ...] = (4, 5)) -> Any:
    return keras.Sequential([keras.Input(shape), *held])


def fit(net: Any, x: Any, y: Any, loss: str = "mse") -> None:
    net.compile(loss=loss)
    net.fit(x, y, verbose=0)


def message_of(provoke: Provoke) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the message is what is tested
        provoke()
    return f"{type(caught.value).__name__}: {caught.value}"


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


# arguments


@provokes("argument-unknown")
def time_major() -> None:
    layers.LSTM(3, time_major=True)


@provokes("argument-unknown")
def batch_input_shape() -> None:
    layers.LSTM(3, batch_input_shape=(1, 4, 5))


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


# weights


def built() -> Any:
    layer = layers.LSTM(3)
    layer(ones(1, 4, 5))
    return layer


@provokes("set-weights-count")
def too_few_weights() -> None:
    built().set_weights([ones(5, 12), ones(3, 12)])


@provokes("set-weights-count")
def weights_before_build() -> None:
    layers.LSTM(3).set_weights([ones(5, 12), ones(3, 12), ones(12)])


@provokes("set-weights-shape")
def weights_of_gru() -> None:
    built().set_weights([ones(5, 9), ones(3, 12), ones(12)])


@provokes("set-weights-shape")
def one_bias_for_gru() -> None:
    layer = layers.GRU(3)
    layer(ones(1, 4, 5))
    layer.set_weights([ones(5, 9), ones(3, 9), ones(9)])


def load(saved: Any, into: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.weights.h5"
        saved.save_weights(file)
        into.load_weights(file)


@provokes("load-weights-shape")
def weights_of_other_units() -> None:
    load(model(layers.LSTM(3)), model(layers.LSTM(4)))


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
    tf.matmul(ones(1, 5).astype("float64"), built().cell.kernel)


@provokes("no-steps")
def no_steps() -> None:
    layers.LSTM(3)(ones(1, 0, 5))


@provokes("batch-sizes")
def more_x_than_y() -> None:
    fit(model(layers.LSTM(3)), ones(8, 4, 5), ones(7, 3))


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


@provokes("loss-sparse")
def one_class_per_sequence() -> None:
    net = model(layers.LSTM(3, return_sequences=True, activation="softmax"))
    fit(net, ones(8, 4, 5), ones(8), "sparse_categorical_crossentropy")


@provokes("no-gradient")
def constant_loss() -> None:
    variables = built().trainable_variables
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


# Keras 2


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


NAMES = [provoke.__name__ for _, provoke in PROVOKED]


@cache
def provoked(name: str) -> str:
    return message_of(PROVOKED[NAMES.index(name)][1])


def outcomes_of(found: Diagnosis) -> list[Outcome | None]:
    return [attempt(fix) for fix in found.fixes]


@pytest.mark.parametrize(("cause", "name"), [(cause, provoke.__name__) for cause, provoke in PROVOKED])
def test_message_has_one_cause(cause: str, name: str) -> None:
    assert [found.diagnosis.cause for found in matches(provoked(name))] == [cause], provoked(name)


@pytest.mark.parametrize("name", NAMES)
def test_no_fix_is_refused(name: str) -> None:
    found = diagnose(provoked(name))
    assert found.fixes
    assert None not in outcomes_of(found), provoked(name)


@pytest.mark.parametrize("name", NAMES)
def test_keras_returns_the_shapes_that_a_fix_shows(name: str) -> None:
    for outcome in outcomes_of(diagnose(provoked(name))):
        assert outcome is not None
        if outcome.stack is not None:
            asked = outcome.fix.layers, outcome.sizes, outcome.fix.mask, len(outcome.states)
            assert keras_shapes(*asked) == [info.shape for info in outcome.stack.outputs(outcome.sizes)]


@cache
def keras_shapes(
    written: tuple[str, ...], sizes: tuple[int, ...], mask: bool, states: int
) -> list[tuple[int, ...]]:
    """Return the shapes that Keras returns for these expressions on an input of these sizes."""
    x: Any = tf.ones(sizes)
    for index, text in enumerate(written):
        layer = eval(text, {**vars(layers), "Constant": keras.initializers.Constant})
        given: dict[str, Any] = {}
        if mask and not index:
            given["mask"] = np.ones(sizes[:2], bool)
        if states and not index:
            inner = getattr(layer, "forward_layer", layer)
            given["initial_state"] = [tf.zeros((sizes[0], inner.units)) for _ in range(states)]
        x = layer(x, **given)
    tensors = x if isinstance(x, (list, tuple)) else [x]
    return [tuple(tensor.shape) for tensor in tensors]


RESHAPED = ("two_axes", "one_axis", "four_axes", "missing_batch", "swapped_axes")


@pytest.mark.parametrize("name", RESHAPED)
def test_reshaping_gives_the_shape_that_it_says(name: str) -> None:
    found = diagnose(provoked(name))
    x = {
        "two_axes": ones(1, 60),
        "one_axis": ones(60),
        "four_axes": ones(1, 4, 5, 6),
        "missing_batch": ones(4, 5),
        "swapped_axes": ones(1, 5, 4),
    }[name]
    reshaping = [fix for fix in found.fixes if fix.snippet.startswith("x")]
    assert reshaping
    for fix in reshaping:
        assert eval(fix.snippet, {"x": x}).shape == fix.shape


def test_forty_causes_and_more_are_provoked() -> None:
    assert len({cause for cause, _ in PROVOKED}) >= 40
