"""The list of mistakes that provoke messages of Keras, and what they are made of."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
from keras import layers

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


def build_lstm() -> Any:
    layer = layers.LSTM(3)
    layer(ones(1, 4, 5))
    return layer


def fit(net: Any, x: Any, y: Any, loss: str = "mse") -> None:
    net.compile(loss=loss)
    net.fit(x, y, verbose=0)


def message_of(provoke: Provoke) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the message is what is tested
        provoke()
    return f"{type(caught.value).__name__}: {caught.value}"
