"""Mistakes that provoke messages of Keras: a line of Python each, after the name of the cause that why finds.

An indented line continues the one above.  `old` is Keras 2: mistakes with it are left out if it is missing.
"""

import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

MISTAKES = """
rank: LSTM(3)(ones(1, 60))
rank: GRU(3)(ones(60))
rank: SimpleRNN(3)(ones(1, 4, 5, 6))
rank: model(LSTM(4), LSTM(3))
rank: model(Bidirectional(LSTM(4)), Bidirectional(LSTM(3)))
rank: fit(keras.Sequential([LSTM(4)]), ones(8, 60), ones(8, 4))
rank: model(Embedding(10, 3), LSTM(3), shape=(4, 7))
rank: model(LSTM(3, return_sequences=True), RepeatVector(3))
rank: ConvLSTM1D(3, 2)(ones(1, 4, 5))
rank: old.layers.LSTM(3)(ones(1, 60))
time-distributed-rank: model(LSTM(3), TimeDistributed(Dense(1)))
time-distributed-recurrent: TimeDistributed(LSTM(3))(ones(2, 4, 5))
features: twice(LSTM(3), ones(1, 4, 5), ones(1, 4, 6))
features: twice(SimpleRNN(3), ones(1, 4, 5), ones(1, 4, 6))
features: tf.matmul(ones(1, 6), ones(5, 12))
features-graph: model(GRU(3)).predict(ones(1, 4, 6), verbose=0)
features-axis: twice(Dense(2), ones(1, 3), ones(1, 4))
features-unknown: LSTM(3)(keras.Input((4, None)))
features-unknown: model(LSTM(3, return_sequences=True), Flatten(), Dense(1), shape=(None, 5))
features-unknown: TimeDistributed(LSTM(3))(keras.Input((4, 5)))
model-input: x = keras.Input((4, 5)); keras.Model(x, LSTM(3)(x))(ones(1, 4, 6))
model-input: model(LSTM(3)).predict(ones(4, 5), verbose=0)
model-input: x = keras.Input((4, 5)); keras.Model(x, LSTM(3)(x))(ones(1, 5, 4))
model-input: twice(old.layers.LSTM(3), ones(1, 4, 5), ones(1, 4, 6))
model-input: layer = old.layers.LSTM(3, stateful=True, batch_input_shape=(1, None, 5));
  old.Sequential([layer])(ones(32, 10, 5))
dtype-text: LSTM(3)(np.array([[["a"]]]))
dtype-text: fit(keras.Sequential([LSTM(3)]), np.array(["a"]), ones(1, 3))
ragged: np.array([[[1.0]], [[1.0], [2.0]]])
ragged: LSTM(3)(np.array([[1, 2], [3]], dtype=object))
nested-lists: LSTM(3)([[[1.0, 2.0]]])
no-input: LSTM(3)(None)
token: Embedding(10, 3)(np.array([[1, 10]]))
token: model(Embedding(10, 3), LSTM(3), shape=(2,)).predict(np.array([[1, 10]]), verbose=0)
precision: tf.matmul(ones(1, 5).astype("float64"), build_lstm().cell.kernel)
no-steps: LSTM(3)(ones(1, 0, 5))
batch-sizes: fit(model(LSTM(3)), ones(8, 4, 5), ones(7, 3))
argument-unknown: LSTM(3, time_major=True)
argument-unknown: LSTM(3, batch_input_shape=(1, 4, 5))
argument-unknown: GRU(3, batch_shape=(32, None, 5))
argument-unknown: Bidirectional(LSTM(3), batch_input_shape=(1, 4, 5))
argument-unknown: Embedding(10, 3, batch_input_shape=(1, 4))
argument-unknown: LSTM.from_config({"units": 3, "batch_input_shape": [None, 4, 5]})
argument-unknown: LSTM(3, weights=[1])
argument-unknown: GRU(3, input_dim=8, input_length=4)
argument-unknown: LSTM(3, return_sequence=True)
argument-unknown: LSTM(3, reset_after=True)
argument-unknown: LSTM(3, num_layers=2, batch_first=True, bidirectional=True)
argument-unknown: LSTM.from_config({"units": 3, "time_major": False})
argument-input: keras.Input((4, 5), batch_input_shape=(1, 4, 5))
units-missing: LSTM(hidden_size=3)
units: LSTM(-3)
units: GRU(0)
units-float: LSTM(3.5)(ones(1, 4, 5))
units-text: LSTM("3")
activation: LSTM(3, activation="tahn")
activation: LSTM(3, 4)
activation: old.layers.LSTM(3, activation="tahn")
initializer: LSTM(3, kernel_initializer="glorot")
cudnn-layer: layers.CuDNNLSTM
cudnn: LSTM(3, use_cudnn=True, recurrent_dropout=0.2)(ones(1, 4, 5))
wrapper-without-layer: Bidirectional(3)
wrapper-without-layer: Bidirectional(LSTM)
wrapper-without-layer: TimeDistributed(3)
direction-layer: Bidirectional(Dense(3))
merge-mode: Bidirectional(LSTM(3), merge_mode="add")
direction: Bidirectional(LSTM(3), backward_layer=LSTM(3))
direction-attribute: back = LSTM(3, go_backwards=True);
  Bidirectional(LSTM(3, return_sequences=True), backward_layer=back)
direction-units: back = LSTM(4, go_backwards=True);
  Bidirectional(LSTM(3), backward_layer=back, merge_mode="sum")(ones(1, 4, 5))
mask-steps: LSTM(3)(ones(2, 4, 5), mask=np.ones((2, 3), bool))
mask-axes: LSTM(3)(ones(2, 4, 5), mask=np.ones((2, 4, 5), bool))
cell-call: RNN(3)
cell-call: RNN(object())
cell-call: RNN([LSTMCell(3), 3])
cell-state-size: RNN(Cell())
unpack-few: _, _, _ = LSTM(3)(ones(1, 4, 5))
unpack-few: _, _, _ = GRU(3, return_state=True)(ones(1, 4, 5))
unpack-many: _, _ = LSTM(3, return_state=True)(ones(1, 4, 5))
unpack-many: _, _, _ = Bidirectional(LSTM(3, return_state=True))(ones(1, 4, 5))
unpack-many: _, _, _ = LSTM(3)(ones(8, 4, 5))
unpack-symbolic: _, _, _ = LSTM(3)(keras.Input((4, 5)))
list-input: model(LSTM(3, return_state=True), Dense(1))
list-input: LSTM(3)([ones(1, 4, 5), ones(1, 3)])
list-input: LSTM(3)([ones(1, 4, 5), ones(1, 3), ones(1, 3)])
list-input: model(Bidirectional(LSTM(4, return_state=True)), Dense(1))
list-input: both = Bidirectional(GRU(4, return_state=True, return_sequences=True)); model(both, LSTM(3))
list-input: LSTM(3)([ones(1, 4, 5)] * 3)
list-input: both = Bidirectional(LSTM(4, return_sequences=True), merge_mode=None);
  model(both, LSTM(3), shape=(10, 8))
list-input: old.layers.Dense(1)([ones(1, 4, 3), ones(1, 3), ones(1, 3)])
list-output: _ = LSTM(3, return_state=True)(keras.Input((4, 5))).shape
loss-shape-run: fit(model(LSTM(3, return_sequences=True)), ones(8, 4, 5), ones(8, 3))
loss-shape-run: keras.losses.MeanSquaredError()(ones(8, 3, 2), LSTM(2, return_sequences=True)(ones(8, 4,
  5)))
loss-shape: fit(model(LSTM(3, return_sequences=True)), ones(8, 4, 5), ones(8, 3),
  "categorical_crossentropy")
loss-shape: fit(model(LSTM(3)), ones(8, 4, 5), ones(8, 4), "categorical_crossentropy")
loss-shape: fit(model(LSTM(3, return_sequences=True), Dense(2)), ones(8, 4, 5), ones(8, 3, 2),
  "categorical_crossentropy")
loss-shape: fit(model(LSTM(3)), ones(8, 4, 5), np.zeros(8, int), "categorical_crossentropy")
loss-shape: fit(model(LSTM(3)), ones(8, 4, 5), np.zeros((8, 1), int), "categorical_crossentropy")
loss-shape: fit(model(LSTM(3, return_sequences=True)), ones(8, 4, 5), np.zeros((8, 4), int),
  "categorical_crossentropy")
loss-shape: fit(model(LSTM(3, return_sequences=True)), ones(8, 4, 5), np.zeros(8, int),
  "categorical_crossentropy")
loss-shape: fit(model(LSTM(3)), ones(8, 4, 5), ones(8, 4, 3), "categorical_crossentropy")
loss-shape: fit(model(LSTM(3, return_sequences=True)), ones(8, 3, 5), ones(8, 3),
  "categorical_crossentropy")
loss-shape-graph: fit(model(LSTM(3)), ones(8, 4, 5), ones(8, 4))
loss-shape-run: fit(model(LSTM(3, return_sequences=True), Dense(1), shape=(10, 5)), ones(8, 10, 5),
  ones(8, 3), eager=True)
loss-shape-graph: fit(model(LSTM(3), Dense(10)), ones(8, 4, 5), ones(8, 3))
loss-shape-graph: fit(model(LSTM(3, return_sequences=True), Dense(1), shape=(10, 5)), ones(8, 10, 5),
  ones(8, 3))
loss-shape-graph: fit(model(LSTM(3, return_sequences=True), Dense(1)), ones(8, 4, 5), ones(8, 2, 1))
loss-shape-graph: fit(model(LSTM(3, return_sequences=True), Dense(1)), ones(8, 4, 5), ones(8, 6, 1),
  "mean_absolute_error")
loss-shape-graph: fit_fewer_steps(old, "mse")
loss-shape-graph: fit_fewer_steps(old, "mae")
loss-shape-graph: fit_fewer_steps(old, "binary_crossentropy")
loss-sparse: fit(model(LSTM(3, return_sequences=True, activation="softmax")), ones(8, 4, 5), ones(8),
  "sparse_categorical_crossentropy")
loss-sparse: fit(model(LSTM(3, activation="softmax")), ones(8, 4, 5), ones(8, 3),
  "sparse_categorical_crossentropy")
loss-sparse: fit(model(LSTM(3, activation="softmax")), ones(8, 4, 5), ones(8, 4),
  "sparse_categorical_crossentropy")
no-gradient: learn_from_a_constant(build_lstm())
no-gradient: old.optimizers.SGD().apply_gradients([(None, tf.Variable(1.0))])
join-rank: x = keras.Input((4, 5)); Concatenate()([LSTM(3)(x), LSTM(3, return_sequences=True)(x)])
keras-tensor: tf.reduce_sum(keras.Input((4, 5)))
state-count: LSTM(3)(ones(1, 4, 5), initial_state=[ones(1, 3)])
state-count: Bidirectional(LSTM(3))(ones(1, 4, 5), initial_state=[ones(1, 3)] * 2)
state-count: Bidirectional(GRU(3))(ones(1, 4, 5), initial_state=[ones(1, 3)])
state-count: LSTMCell(3)(ones(1, 5), [ones(1, 3)])
state-count-many: Bidirectional(LSTM(3))(ones(1, 4, 5), initial_state=[ones(1, 3)] * 5)
state-units: LSTM(3)(ones(1, 4, 5), initial_state=[ones(1, 4), ones(1, 4)])
state-units: GRU(3)(ones(1, 4, 5), initial_state=ones(1, 4))
state-batch: GRU(3)(ones(2, 4, 5), initial_state=ones(3, 3))
cell-states: LSTMCell(3)(ones(1, 5))
cell-states-list: LSTMCell(3)(ones(1, 5), ones(1, 3))
stateful-batch: LSTM(3, stateful=True)(keras.Input((4, 5)))
stateful-batch: old.layers.LSTM(3, stateful=True)(old.Input((4, 5)))
stateful-batch-change: twice(LSTM(3, stateful=True), ones(2, 4, 5), ones(3, 4, 5))
stateful-reset: keras.Sequential([LSTM(3)]).reset_states()
stateful-reset: old.layers.LSTM(3).reset_states()
set-weights-count: build_lstm().set_weights([ones(5, 12), ones(3, 12)])
set-weights-count: LSTM(3).set_weights([ones(5, 12), ones(3, 12), ones(12)])
set-weights-shape: build_lstm().set_weights([ones(5, 9), ones(3, 12), ones(12)])
set-weights-shape: layer = GRU(3); layer(ones(1, 4, 5));
  layer.set_weights([ones(5, 9), ones(3, 9), ones(9)])
set-weights-shape: layer = GRU(3, reset_after=False); layer(ones(1, 4, 5));
  layer.set_weights([ones(5, 9), ones(3, 9), ones(2, 9)])
set-weights-shape: build_lstm().set_weights([ones(5, 12), ones(3, 12), ones(2, 12)])
set-weights-shape: build_lstm().set_weights([ones(5, 12), ones(3, 12), ones(16)])
load-weights-shape: load(model(LSTM(3)), model(LSTM(4)))
load-weights-shape: load(model(GRU(3)), model(GRU(3, reset_after=False)))
load-weights-shape: load(model(GRU(3, reset_after=False)), model(GRU(3)))
load-weights-missing: load(model(GRU(3)), model(LSTM(3)))
save-weights-name: model(LSTM(3)).save_weights("a.h5")
unbuilt: LSTM(3).count_params()
unbuilt: keras.Sequential([LSTM(3)]).save_weights("a.weights.h5")
argument-unknown-keras2: old.layers.LSTM(3, return_sequence=True)
argument-unknown-keras2: old.layers.LSTM(3, batch_shape=(1, 4, 5))
state-spec: old.layers.LSTM(3)(old.Input((4, 5)), initial_state=[old.Input((4,)), old.Input((4,))])
state-spec: both = old.layers.Bidirectional(old.layers.LSTM(3));
  both(old.Input((4, 5)), initial_state=[old.Input((3,)), old.Input((3,))])
state-bidirectional: old.layers.Bidirectional(old.layers.LSTM(3))(ones(1, 4, 5), initial_state=[ones(1,
  3)] * 3)
saved-input: old.layers.InputLayer.from_config({"batch_shape": [None, 4, 5]})
sequential-outputs: old.Sequential([old.Input((4, 5)), old.layers.LSTM(3, return_state=True)])
"""


def read(table: str) -> list[tuple[str, str]]:
    """Return the cause and the code of every line."""
    lines = table.replace("\n  ", " ").strip().splitlines()
    return [(cause, code) for cause, _, code in (line.partition(": ") for line in lines)]


PROVOKED = read(MISTAKES)


def ones(*shape: int) -> Any:
    return np.ones(shape, "float32")


def model(*held: Any, shape: tuple[int | None, ...] = (4, 5)) -> Any:
    return keras.Sequential([keras.Input(shape), *held])


def build_lstm() -> Any:
    layer = layers.LSTM(3)
    layer(ones(1, 4, 5))
    return layer


def twice(layer: Any, first: Any, second: Any) -> None:
    layer(first)
    layer(second)


def fit(net: Any, x: Any, y: Any, loss: str = "mse", *, eager: bool = False) -> None:
    net.compile(loss=loss, run_eagerly=eager)
    net.fit(x, y, verbose=0)


def fit_fewer_steps(old: Any, loss: str) -> None:
    net = old.Sequential([old.layers.LSTM(1, return_sequences=True, input_shape=(4, 5))])
    fit(net, ones(8, 4, 5), ones(8, 3, 1), loss)


def learn_from_a_constant(layer: Any) -> None:
    variables = layer.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.constant(1.0)
    keras.optimizers.SGD().apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def load(saved: Any, into: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.weights.h5"
        saved.save_weights(file)
        into.load_weights(file)


class Cell(keras.Layer):  # type: ignore[misc]
    def call(self, x: Any, states: Any) -> Any:
        return x, states


def message_of(code: str, known: dict[str, Any] | None = None) -> str:
    """Run the code with these names (default: Keras's layers); return the message of its error."""
    names = dict(known) if known else {**vars(layers), **globals()}
    if re.search(r"\bold\b", code):
        names["old"] = pytest.importorskip("tf_keras")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the message is what is tested
        exec(code, names)
    return f"{type(caught.value).__name__}: {caught.value}"


@cache
def provoked(code: str) -> str:
    """Return the message of Keras about a mistake; some train a model, so each is made once."""
    return message_of(code)
