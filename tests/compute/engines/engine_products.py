"""The product of layers and flags that every engine is compared on."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import oracle

BATCH, TIMESTEPS, FEATURES = 4, 5, 3


KINDS = ("SimpleRNN", "LSTM", "GRU")


MERGES = ("concat", "sum", "mul", "ave", None)


FLAGS = (False, True)


MASKS = {
    "none": None,
    "right": [[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]],
    "left": [[0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]],
    "middle": [[1, 0, 1, 1, 1], [1, 1, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 1, 0, 1]],
    "whole": [[0, 0, 0, 0, 0]] * BATCH,
    "each": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0], [1, 1, 0, 1, 0]],
}


def mask_of(name: str) -> Any:
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


@cache
def setting(expression: str, dtype: str = "float32") -> tuple[Any, Any, Any, Any]:
    """Built layers with random weights, those weights, inputs, and an initial state."""
    rng = np.random.default_rng(len(expression))
    inputs = rng.standard_normal((BATCH, TIMESTEPS, FEATURES)).astype(dtype)
    layers = oracle.built(oracle.made(expression), inputs)
    weights = oracle.filled(layers, rng)
    return layers, weights, inputs, oracle.some_states(layers, BATCH, rng, dtype)


def holds(expression: str, mask: str, given: bool, dtype: str = "float32", engine: str = "numpy") -> None:
    layers, weights, inputs, states = setting(expression, dtype)
    states = states if given else None
    theirs = oracle.called(layers, inputs, mask_of(mask), states)[-1]
    ours = oracle.asked(
        [expression], inputs, engine, mask=mask_of(mask), weights=weights, initial_state=states
    )
    oracle.alike(ours, theirs)
