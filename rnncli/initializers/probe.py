"""Probe: fills every weight with a different number, so that mixing up any two shows in the results.

This initializer does not exist in Keras.  The weight at flat index i in C order, counted from `start`, is

    1.2 * frac((i + 1) / g) - 0.6        with g = (1 + sqrt(5)) / 2

Multiples of 1 / g are evenly spread and never repeat.  For a bare `probe`, `start` is the number of
weights before it in the whole stack; it also fills the forget gate's bias.
"""

from __future__ import annotations

import math

from rnncli.case import Array, Option
from rnncli.initializers._contract import ArrayShape, Config, Initializer


def _probe(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    import numpy as np

    index = config["start"] + np.arange(math.prod(shape), dtype=np.float64)
    turns = (index + 1) / ((1 + math.sqrt(5)) / 2)
    return np.asarray(1.2 * (turns % 1.0) - 0.6).reshape(shape).astype(dtype)


INITIALIZERS = (Initializer("Probe", _probe, {"start": Option("index", 0)}),)
