"""Probe: a filling in which every weight differs, so that no two can be mixed up unseen.

Keras does not know it.  The weight at flat index i in C order, counted from `start`, is

    1.2 * frac((i + 1) / g) - 0.6        with g = (1 + sqrt(5)) / 2

Multiples of 1 / g spread evenly and never meet.  A bare `probe` gets its `start` from the number of
weights before it in the whole stack; and it fills the forget gate's bias too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rnncli.case import Array
from rnncli.initializers._contract import Initializer, Option


def _probe(config: Mapping[str, Any], shape: tuple[int, ...], dtype: str, seed: int) -> Array:  # noqa: ARG001
    import numpy as np

    index = config["start"] + np.arange(math.prod(shape), dtype=np.float64)
    turns = (index + 1) / ((1 + math.sqrt(5)) / 2)
    return np.asarray(1.2 * (turns % 1.0) - 0.6).reshape(shape).astype(dtype)


def _start(value: Any) -> str:
    good = type(value) is int and 0 <= value <= 10**9
    return "" if good else "has to be an integer from 0 to 1e9"


INITIALIZERS = (Initializer("Probe", _probe, (Option("start", 0, _start),)),)
