"""Models of Keras as people write them: functional, Sequential, subclassed, and what stands around them.

MODELS: by name, a function that makes the model, built, and an input.  SAVED: those that a file holds, too.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from oracle import keras
from zoo import keras_model

L: Any = keras.layers
BATCH, STEPS, FEATURES = 2, 4, 5


def numbers(*shape: int) -> Any:
    """Numbers that do not repeat."""
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


X = numbers(BATCH, STEPS, FEATURES)
PADDED = np.where(np.arange(STEPS)[:, None] < np.array([2, 4])[:, None, None], X, 0).astype("float32")
TOKENS = np.array([[3, 1, 4, 0, 0], [2, 7, 1, 8, 5]])


def classifier() -> Any:
    return keras.Sequential([
        keras.Input((None,)), L.Embedding(9, 4, mask_zero=True), L.LSTM(3), L.Dense(1, activation="sigmoid"),
    ]), TOKENS  # fmt: skip


def tagger() -> Any:
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedded = L.SpatialDropout1D(0.2)(L.Embedding(9, 4, mask_zero=True)(tokens))
    both = L.Bidirectional(L.LSTM(3, return_sequences=True, recurrent_dropout=0.1), name="both")(embedded)
    tags = L.TimeDistributed(L.Dense(5, activation="softmax"))(both)
    return keras.Model(tokens, tags, name="tagger"), TOKENS


def stacked() -> Any:
    return keras.Sequential([
        keras.Input((STEPS, FEATURES)), L.LSTM(4, return_sequences=True, name="first"), L.Dropout(0.3),
        L.BatchNormalization(), L.GRU(3, return_sequences=True, name="second"), L.LayerNormalization(),
        L.SimpleRNN(2, name="third"), L.Dense(1),
    ]), X  # fmt: skip


def padded() -> Any:
    masked = L.Masking(0.0)
    return keras.Sequential(
        [keras.Input((None, FEATURES)), masked, L.GRU(3, return_sequences=True, name="gru")]
    ), PADDED


def encoder_decoder() -> Any:
    source, target = keras.Input((None,), name="source"), keras.Input((None,), name="target")
    _, *states = L.LSTM(3, return_state=True, name="encoder")(L.Embedding(9, 4, mask_zero=True)(source))
    embedded = L.Embedding(9, 4, mask_zero=True)(target)
    decoded = L.LSTM(3, return_sequences=True, name="decoder")(embedded, initial_state=states)
    return keras.Model([source, target], L.Dense(9)(decoded)), [TOKENS, TOKENS[:, ::-1]]


def attention() -> Any:
    source, target = (
        keras.Input((None, FEATURES), name="source"),
        keras.Input((None, FEATURES), name="target"),
    )
    around = L.Bidirectional(L.LSTM(2, return_sequences=True, return_state=True), name="encoder")
    values, forward_h, forward_c, backward_h, backward_c = around(source)
    states = [L.Concatenate()([forward_h, backward_h]), L.Concatenate()([forward_c, backward_c])]
    query = L.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=states)
    context = L.AdditiveAttention(name="attention")([query, values])
    outputs = L.Dense(3)(L.Concatenate()([query, context]))
    return keras.Model([source, target], outputs), {"source": X, "target": X[:, :2]}


def character_model() -> Any:
    model = keras.Sequential([
        keras.Input(batch_shape=(BATCH, 5)), L.Embedding(9, 4),
        L.GRU(3, return_sequences=True, stateful=True, name="low"), L.LSTM(2, stateful=True, name="high"),
        L.Dense(9, activation="softmax"),
    ])  # fmt: skip
    model(TOKENS)  # so that it has states
    return model, TOKENS


def siamese() -> Any:
    left, right = keras.Input((STEPS, FEATURES), name="left"), keras.Input((STEPS, FEATURES), name="right")
    shared = L.LSTM(3, name="shared")
    distance = L.Subtract()([shared(left), shared(right)])
    return keras.Model({"left": left, "right": right}, {"distance": L.Dense(1)(distance)}), {
        "left": X,
        "right": -X,
    }


def nested() -> Any:
    inner = keras.Sequential(
        [keras.Input((STEPS, FEATURES)), L.LSTM(5, return_sequences=True, name="deep")], name="inside"
    )
    inputs = keras.Input((STEPS, FEATURES))
    return keras.Model(inputs, L.GRU(2, name="top")(inner(inner(inputs)))), X


def several_outputs() -> Any:
    inputs = keras.Input((STEPS, FEATURES))
    sequence, last = L.GRU(3, return_sequences=True, return_state=True, name="gru")(inputs)
    return keras.Model(inputs, [L.Dense(2, name="tags")(sequence), last]), X


def fitted() -> Any:
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), L.LSTM(3, name="lstm"), L.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)  # nothing is traced for a single step
    model.fit(X, np.zeros((BATCH, 1)), verbose=0)
    return model, X


def frozen() -> Any:
    encoder = keras.Sequential(
        [keras.Input((STEPS, FEATURES)), L.Bidirectional(L.GRU(3), name="gru")], name="encoder"
    )
    encoder.trainable = False
    return keras.Sequential([keras.Input((STEPS, FEATURES)), encoder, L.Dense(1)]), X


def double() -> Any:
    return keras.Sequential([
        keras.Input((STEPS, FEATURES), dtype="float64"), L.LSTM(3, dtype="float64", name="lstm"),
    ]), X.astype("float64")  # fmt: skip


def stacked_cells() -> Any:
    cells = [L.LSTMCell(3), L.GRUCell(2), L.SimpleRNNCell(2, activation="relu")]
    return keras.Sequential([
        keras.Input((None, FEATURES)), L.Masking(), L.RNN(cells, return_sequences=True, name="rnn"),
        L.RNN(L.LSTMCell(2), name="top"),
    ]), PADDED  # fmt: skip


def document() -> Any:
    return keras.Sequential([
        keras.Input((3, STEPS, FEATURES)), L.TimeDistributed(L.LSTM(3), name="sentences"),
        L.GRU(2, name="whole"),
    ]), numbers(BATCH, 3, STEPS, FEATURES)  # fmt: skip


def backward() -> Any:
    return keras.Sequential([
        keras.Input((STEPS, FEATURES)),
        L.GRU(3, go_backwards=True, return_sequences=True, reset_after=False, name="back"),
        L.SimpleRNN(2, use_bias=False, unroll=True, name="last"),
    ]), X  # fmt: skip


def two_directions(mode: str | None) -> Callable[[], Any]:
    def make() -> Any:
        inputs = keras.Input((STEPS, FEATURES))
        layer = L.Bidirectional(
            L.LSTM(3, return_sequences=True, return_state=True), merge_mode=mode, name="both"
        )
        return keras.Model(inputs, layer(inputs)), X

    return make


def own_backward_layer() -> Any:
    back = L.GRU(3, go_backwards=True, return_sequences=True, activation="relu", reset_after=False)
    layer = L.Bidirectional(L.GRU(3, return_sequences=True), backward_layer=back, name="both")
    return keras.Sequential([keras.Input((STEPS, FEATURES)), L.Masking(), layer]), PADDED


def text() -> Any:
    words = L.TextVectorization(output_sequence_length=5, vocabulary=["rain", "sun", "wind"])
    return keras.Sequential([
        keras.Input((1,), dtype="string"), words, L.Embedding(6, 3, mask_zero=True), L.LSTM(2, name="lstm"),
    ]), [["sun and rain"], ["wind"]]  # fmt: skip


def with_lambda() -> Any:
    inner = L.LSTM(3, name="hidden")
    inner.build((None, STEPS, FEATURES))
    return keras.Sequential([
        keras.Input((STEPS, FEATURES)), L.Lambda(lambda x: x[:, ::-1] * 2), L.Lambda(lambda x: inner(x)),
    ]), X  # fmt: skip


class Translator(keras.Model):  # type: ignore[misc]
    """A subclass with attention by hand, one decoder step after the other, and plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = L.Embedding(9, 4, mask_zero=True)
        self.encoder = L.Bidirectional(L.GRU(3, return_sequences=True, return_state=True), merge_mode="sum")
        self.decoder = L.GRU(3, return_sequences=False, return_state=True)
        self.score, self.head = L.Dense(3), L.Dense(9)
        self.steps, self.last = 0, None
        self.attention: list[Any] = []

    def call(self, source: Any, target: Any, training: Any = None) -> Any:
        ops = keras.ops
        values, state, _ = self.encoder(self.embedding(source))
        embedded, logits = self.embedding(target), []
        for step in range(target.shape[1]):
            weights = ops.softmax(ops.einsum("bu,btu->bt", self.score(state), values))
            context = ops.einsum("bt,btu->bu", weights, values)
            entry = ops.concatenate([embedded[:, step], context], -1)[:, None]
            output, state = self.decoder(entry, initial_state=state, training=training)
            logits.append(self.head(output))
            self.attention.append(weights)
            self.steps += 1
        self.last = state
        return ops.stack(logits, 1)


def translator() -> Any:
    model = Translator()
    model(TOKENS, TOKENS)
    return model, (TOKENS, TOKENS)


def loop(make_cell: Callable[[], Any]) -> Callable[[], Any]:
    """Cells called step by step."""

    def call(self: Any, inputs: Any) -> Any:
        state = self.cell.get_initial_state(batch_size=inputs.shape[0])
        for step in range(inputs.shape[1]):
            output, state = self.cell(inputs[:, step], state if isinstance(state, list) else [state])
        return self.out(output)

    def make() -> Any:
        model = keras_model(call, cell=make_cell(), out=L.Dense(1))
        model(X)
        return model, X

    return make


def forecast() -> Any:
    """Reads with a layer, and goes on with the layer's cell."""

    def call(self: Any, inputs: Any, training: Any = None) -> Any:
        output, *states = self.warm(inputs)
        outputs = [self.dense(output)]
        for _ in range(3):
            output, states = self.cell(outputs[-1], states=states, training=training)
            outputs.append(self.dense(output))
        return keras.ops.stack(outputs, 1)

    cell = L.LSTMCell(3)
    model = keras_model(call, cell=cell, warm=L.RNN(cell, return_state=True), dense=L.Dense(FEATURES))
    model(X)
    return model, X


class Block(keras.layers.Layer):  # type: ignore[misc]
    """A layer of the user's that holds a recurrent one."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = L.SimpleRNN(2, return_sequences=True)

    def call(self, inputs: Any) -> Any:
        return keras.ops.mean(self.rnn(inputs), 1)


def residual() -> Any:
    """Layers in a list, of which one is used twice, and in a dict, with a layer of the user's among them."""

    def call(self: Any, inputs: Any) -> Any:
        for block in (*self.blocks, self.blocks[0]):
            inputs = inputs + block(inputs)
        return {"mean": self.heads["mean"](inputs), "last": self.heads["last"](inputs)}

    blocks = [L.LSTM(FEATURES, return_sequences=True) for _ in range(2)]
    model = keras_model(call, blocks=blocks, heads={"mean": Block(), "last": L.GRU(2)})
    model(X)
    return model, X


class Gated(keras.layers.Layer):  # type: ignore[misc]
    """A cell in Python."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = self.state_size = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1] + self.units, self.units))

    def call(self, inputs: Any, states: Any) -> Any:
        state = keras.ops.tanh(keras.ops.concatenate([inputs, states[0]], -1) @ self.kernel)
        return state, [state]


class Doubled(keras.layers.LSTM):  # type: ignore[misc]
    """An LSTM with a `call` of its own."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False) -> Any:
        return super().call(2 * sequences, initial_state, mask, training)


class Double(keras.layers.LSTM):  # type: ignore[misc]
    """An LSTM that returns two tensors."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False) -> Any:
        return [super().call(sequences, initial_state, mask, training)] * 2


class Tenths(keras.initializers.Initializer):  # type: ignore[misc]
    """An initializer of the user's own."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.ones(shape, dtype) / 10


def built(layer: Any) -> Any:
    layer(numbers(BATCH, 5, 4))
    return layer


def around(layer: Callable[[], Any], *shape: int) -> Callable[[], Any]:
    def make() -> Any:
        array = numbers(BATCH, *(shape or (STEPS, FEATURES)))
        return keras.Sequential([keras.Input(array.shape[1:]), layer()]), array

    return make


SAVED: dict[str, Callable[[], Any]] = {
    "classifier": classifier,
    "tagger": tagger,
    "stacked": stacked,
    "padded": padded,
    "encoder-decoder": encoder_decoder,
    "attention": attention,
    "character model": character_model,
    "siamese": siamese,
    "nested": nested,
    "several outputs": several_outputs,
    "fitted": fitted,
    "frozen": frozen,
    "double": double,
    "stacked cells": stacked_cells,
    "document": document,
    "backward": backward,
    "own backward layer": own_backward_layer,
    **{f"merged by {mode}": two_directions(mode) for mode in ("concat", "sum", "mul", "ave", None)},
}
MODELS: dict[str, Callable[[], Any]] = {
    **SAVED,
    "text": text,
    "Lambda": with_lambda,
    "translator": translator,
    "LSTM cells": loop(lambda: L.LSTMCell(3)),
    "GRU cells": loop(lambda: L.GRUCell(3)),
    "stacked cells in a loop": loop(lambda: L.StackedRNNCells([L.SimpleRNNCell(3), L.LSTMCell(2)])),
    "forecast": forecast,
    "residual": residual,
    "an own class that agrees": around(lambda: type("Same", (L.LSTM,), {})(3)),
    "an own initializer": around(lambda: L.GRU(3, kernel_initializer=Tenths())),
}
LACKING: dict[str, tuple[str, Callable[[], Any]]] = {
    "a cell in Python": (
        "Gated is written in Python",
        around(lambda: L.RNN(Gated(3), return_sequences=True)),
    ),
    "an own activation": ("activation", around(lambda: L.LSTM(3, activation=lambda x: x / 2))),
    "an own call": ("Doubled has its own call", around(lambda: Doubled(3))),
    "an own call that returns more": (
        "Double has its own call",
        lambda: (built(Double(3)), numbers(BATCH, 5, 4)),
    ),
    "an activation that is a layer": ("LeakyReLU", around(lambda: L.LSTM(3, activation=L.LeakyReLU()))),
    "ConvLSTM": ("ConvLSTM2D", around(lambda: L.ConvLSTM2D(2, 3), STEPS, 6, 6, 1)),
    "mixed_float16": ("float16", around(lambda: L.LSTM(3, dtype="mixed_float16"))),
    "bfloat16": ("bfloat16", around(lambda: L.GRU(3, dtype="mixed_bfloat16"))),
    "both directions in bfloat16": (
        "bfloat16",
        around(
            lambda: L.Bidirectional(L.GRU(3, dtype="mixed_bfloat16"), merge_mode=None, dtype="mixed_bfloat16")
        ),
    ),
    "TimeDistributed of a model": (
        "it holds Sequential",
        around(lambda: L.TimeDistributed(keras.Sequential([L.LSTM(3)])), 3, STEPS, FEATURES),
    ),
}
"""By name what is said to lack, and the model."""
