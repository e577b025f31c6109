"""Random functional Keras models: branches, masks, joins, nested and shared layers, encoders and decoders."""

from collections.abc import Callable
from typing import Any

import numpy as np
from oracle import keras

STEPS = 4
WIDTHS = (3, 4)


class Maker:
    """One model out of one seed, of Keras 3 or of tf_keras.

    sequences: tensors of (batch, timesteps, features); vectors: of (batch, features).
    """

    def __init__(self, seed: int, family: Any = keras) -> None:
        self.keras, self.layers = family, family.layers
        self.rng = np.random.default_rng(seed)
        self.inputs: list[Any] = []
        self.data: dict[str, np.ndarray] = {}
        self.sequences: list[Any] = []
        self.vectors: list[Any] = []
        self.made: list[tuple[Any, int]] = []

    def model(self, size: int = 4) -> Any:
        """The model; `data` then holds what to call it with."""
        self.keras.utils.set_random_seed(int(self.rng.integers(2**31)))
        for number in range(int(self.rng.integers(1, 4))):
            self._input(number)
        first = self._recurrent(sequences=True)(self._one())
        self._put(self.sequences, first)
        steps: list[Callable[[], None]] = [
            self._along, self._along, self._recur, self._recur, self._recur, self._join, self._join,
            self._end, self._decode, self._again, self._nest, self._vector, self._spread, self._change,
        ]  # fmt: skip
        for _ in range(size):
            steps[int(self.rng.integers(len(steps)))]()
        model = self.keras.Model(self.inputs, [first, self.sequences[-1], *self.vectors[-2:]])
        self._fill(model)
        return model

    def _pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def _maybe(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    def _put(self, where: list[Any], tensor: Any) -> None:
        where.append(tensor)

    def _one(self, length: int | None = None) -> Any:
        fitting = [x for x in self.sequences if length is None or x.shape[1] == length]
        return fitting[int(self.rng.integers(len(fitting)))]

    def _width(self) -> int:
        return int(self._pick(*WIDTHS))

    def _input(self, number: int) -> None:
        k = self.layers
        name, lengths = f"in_{number}", self.rng.integers(1, STEPS + 1, (2, 1))
        counts = np.arange(STEPS) < lengths
        if self._maybe(0.3):
            counts = counts[:, ::-1]
        if self._maybe():
            tensor = self.keras.Input((STEPS,), dtype="int32", name=name)
            self.data[name] = (self.rng.integers(1, 9, (2, STEPS)) * counts).astype("int32")
            made = k.Embedding(9, self._width(), mask_zero=self._maybe(0.7))(tensor)
        else:
            width = self._width()
            tensor = self.keras.Input((STEPS, width), name=name)
            values = self.rng.standard_normal((2, STEPS, width)) * counts[..., None]
            self.data[name] = values.astype("float32")
            made = k.Masking()(tensor) if self._maybe(0.6) else tensor
        self.inputs.append(tensor)
        self._put(self.sequences, made)

    def _recurrent(self, sequences: bool, units: int | None = None, **more: Any) -> Any:
        k = self.layers
        units = units or self._width()
        more.update(kernel_initializer="zeros", recurrent_initializer="zeros")  # filled later, made sooner
        kind = self._pick(k.LSTM, k.GRU, k.SimpleRNN)
        if kind is k.GRU and self._maybe(0.4):
            more["reset_after"] = False
        if self._maybe(0.2):
            more["go_backwards"] = True
        if self._maybe(0.2):
            more["activation"] = self._pick("relu", "hard_sigmoid", "softsign")
        if self._maybe(0.2):
            more["zero_output_for_mask"] = True
        if self._maybe(0.3) and "return_state" not in more:
            more.pop("go_backwards", None)
            mode = self._pick("concat", "sum", "mul", "ave")
            return k.Bidirectional(kind(units, return_sequences=sequences, **more), merge_mode=mode)
        return kind(units, return_sequences=sequences, **more)

    def _along(self) -> None:
        """A layer that takes a sequence and gives one of the same length."""
        k = self.layers
        x = self._one()
        width = self._width()
        layer = self._pick(
            lambda: k.Dense(width, activation="tanh"), lambda: k.LayerNormalization(),
            lambda: k.BatchNormalization(), lambda: k.Dropout(0.3), lambda: k.SpatialDropout1D(0.2),
            lambda: k.Activation("relu"), lambda: k.LeakyReLU(), lambda: k.PReLU(), lambda: k.Masking(),
            lambda: k.TimeDistributed(k.Dense(width)), lambda: k.Conv1D(width, 3, padding="same"),
            lambda: k.Conv1D(width, 2, padding="causal", activation="relu"),
            lambda: k.UnitNormalization(), lambda: k.Rescaling(0.5, offset=0.1), lambda: k.GaussianNoise(0.1),
            lambda: k.ELU(), lambda: k.Identity(), lambda: k.Reshape((x.shape[1], x.shape[2])),
            lambda: k.Activation("softmax"),
        )()  # fmt: skip
        self.made.append((layer, x.shape[2]))
        if isinstance(layer, (k.Reshape, k.PReLU, k.BatchNormalization)):
            self.made.pop()
        self._put(self.sequences, layer(x))

    def _recur(self) -> None:
        k = self.layers
        x = self._one()
        if self._maybe(0.35):
            found = self._recurrent(True, return_state=True)(x)
            self.vectors.extend(found[1:])
            self._put(self.sequences, found[0])
            return
        if self._maybe(0.1):
            both = k.Bidirectional(k.GRU(3, return_sequences=True), merge_mode=None)(x)
            self.sequences.extend(both)
            return
        if self._maybe(0.1):
            cells = [k.LSTMCell(3), k.GRUCell(4)]
            self._put(self.sequences, k.RNN(cells, return_sequences=True)(k.Reshape(tuple(x.shape[1:]))(x)))
            return
        layer = self._recurrent(sequences=True)
        self.made.append((layer, x.shape[2]))
        self._put(self.sequences, layer(x))

    def _join(self) -> None:
        """Two or three sequences of one length."""
        k = self.layers
        first = self._one()
        kind = self._pick(
            "Concatenate", "Add", "Multiply", "Average", "Maximum", "Subtract", "Time", "+", "Att"
        )
        fitting = [x for x in self.sequences if x.shape[1:] == first.shape[1:]]
        same = fitting[int(self.rng.integers(len(fitting)))]
        if kind == "Concatenate":
            self._put(self.sequences, k.Concatenate()([first, self._one(first.shape[1])]))
        elif kind == "Time" and first.shape[1] < 9:
            self._put(self.sequences, k.Concatenate(axis=1)([first, same]))
        elif kind == "+":
            self._put(self.sequences, first * 0.5 + same)
        elif kind == "Att":
            self._put(self.sequences, k.Attention()([first, same]))
        elif kind != "Time":
            self._put(self.sequences, getattr(k, kind)()([first, same]))

    def _end(self) -> None:
        """A sequence becomes a vector."""
        k = self.layers
        x = self._one()
        kind = self._pick("recurrent", "recurrent", "average", "largest", "flat", "last")
        if kind == "recurrent":
            self._put(self.vectors, self._recurrent(sequences=False)(x))
        elif kind == "last":
            self._put(self.vectors, x[:, -1])
        else:
            layer = {
                "average": k.GlobalAveragePooling1D, "largest": k.GlobalMaxPooling1D, "flat": k.Flatten,
            }[kind]()  # fmt: skip
            self._put(self.vectors, layer(x))

    def _decode(self) -> None:
        """An encoder whose states start a decoder."""
        k = self.layers
        x, y, units = self._one(), self._one(), self._width()
        kind = self._pick(k.LSTM, k.GRU, k.Bidirectional)
        if kind is k.Bidirectional:
            states = k.Bidirectional(k.LSTM(units, return_state=True))(x)[1:]
            decoder = k.Bidirectional(k.LSTM(units, return_sequences=True))
        else:
            states = kind(units, return_state=True)(x)[1:]
            decoder = kind(units, return_sequences=True)
        self.vectors.append(states[0])
        self._put(self.sequences, decoder(y, initial_state=list(states)))

    def _again(self) -> None:
        """A layer that has been used is used on another sequence."""
        fitting = [
            (layer, x) for layer, width in self.made for x in self.sequences[-6:] if x.shape[2] == width
        ]
        if fitting:
            layer, x = fitting[int(self.rng.integers(len(fitting)))]
            self._put(self.sequences, layer(x))

    def _nest(self) -> None:
        """A model in the model, functional or Sequential, once or twice."""
        k = self.layers
        x = self._one()
        if self._maybe(0.4):
            layers = [k.Dense(3), self._recurrent(sequences=True), k.Dropout(0.1)]
            inner = self.keras.Sequential([self.keras.Input(tuple(x.shape[1:])), *layers])
        else:
            inside = self.keras.Input(tuple(x.shape[1:]))
            one = self._recurrent(sequences=True, units=3)(inside)
            joined = k.Concatenate()([one, self._recurrent(sequences=True, units=3)(k.Dense(3)(inside))])
            inner = self.keras.Model(inside, joined)
        self._put(self.sequences, inner(x))
        others = [y for y in self.sequences if y.shape[1:] == x.shape[1:]]
        if self._maybe(0.4):
            self._put(self.sequences, inner(others[int(self.rng.integers(len(others)))]))

    def _vector(self) -> None:
        k = self.layers
        if len(self.vectors) > 1:
            first, second = self.vectors[-1], self.vectors[int(self.rng.integers(len(self.vectors)))]
            self._put(self.vectors, k.Dense(3, activation="sigmoid")(k.Concatenate()([first, second])))

    def _spread(self) -> None:
        """A vector becomes a sequence."""
        k = self.layers
        if self.vectors:
            x = self.vectors[int(self.rng.integers(len(self.vectors)))]
            self._put(self.sequences, k.RepeatVector(STEPS)(k.Dense(self._width())(x)))

    def _change(self) -> None:
        """A sequence of another length."""
        k = self.layers
        x = self._one()
        layer = self._pick(
            lambda: k.MaxPooling1D(2), lambda: k.AveragePooling1D(2, strides=1), lambda: k.Conv1D(3, 2),
            lambda: k.ZeroPadding1D(1), lambda: k.Cropping1D((1, 0)), lambda: k.UpSampling1D(2),
        )()  # fmt: skip
        if 3 <= x.shape[1] <= 6:
            self._put(self.sequences, layer(x))

    def _fill(self, model: Any) -> None:
        """Other numbers than zeros in every weight."""
        for weight in model.weights:
            values = self.rng.standard_normal(weight.shape) * 0.4
            weight.assign(
                np.abs(values) + 0.5 if "variance" in getattr(weight, "path", weight.name) else values
            )
