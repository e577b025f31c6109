"""The product layers on the NumPy engine against Keras.

The full product: layer x return_sequences x return_state x (go_backwards, or the five merge modes) x mask x
initial state.  Weights, inputs and states are random numbers, so that no two gates, directions or time
steps can be mixed up unseen.  Options are in test_engines_options.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import oracle
import pytest

BATCH, TIMESTEPS, FEATURES = 4, 5, 3
KINDS = ("SimpleRNN", "LSTM", "GRU")
MERGES = ("concat", "sum", "mul", "ave", None)
FLAGS = (False, True)
LAYERS = list(product(KINDS, FLAGS, FLAGS, FLAGS))
BIDIRECTIONALS = list(product(KINDS, FLAGS, FLAGS, MERGES))

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


@pytest.mark.parametrize("given", FLAGS, ids=("zeros", "given"))
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("kind", "sequences", "state", "backwards"), LAYERS)
def test_layer(kind: str, sequences: bool, state: bool, backwards: bool, mask: str, given: bool) -> None:
    flags = f"return_sequences={sequences}, return_state={state}, go_backwards={backwards}"
    holds(f"{kind}(3, {flags})", mask, given)


@pytest.mark.parametrize("given", FLAGS, ids=("zeros", "given"))
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("kind", "sequences", "state", "merge"), BIDIRECTIONALS)
def test_bidirectional(
    kind: str, sequences: bool, state: bool, merge: str | None, mask: str, given: bool
) -> None:
    inner = f"{kind}(3, return_sequences={sequences}, return_state={state})"
    holds(f"Bidirectional({inner}, merge_mode={merge!r})", mask, given)


@pytest.mark.parametrize("mask", ["none", "each"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", FLAGS)
def test_the_tensorflow_engine_is_keras_itself(kind: str, bidirectional: bool, mask: str) -> None:
    for sequences, given in product(FLAGS, FLAGS):
        inner = f"{kind}(3, return_sequences={sequences}, return_state=True)"
        expression = f"Bidirectional({inner})" if bidirectional else inner
        holds(expression, mask, given, engine="tensorflow")
