"""Random layers, stacks, inputs, masks, states and calls on the NumPy engine against Keras.

Scripts are written as for test_seeded_runs, every choice of them by hypothesis, which makes a failing one
smaller; here weights are given, so that nothing but the computation can differ, and initial states too.
"""

from __future__ import annotations

import random

import numpy as np
import oracle
import scripts
from hypothesis import given
from hypothesis import strategies as st


@given(st.randoms(use_true_random=False), st.booleans(), st.integers(0, 2**32 - 1))
def test_numpy_gives_keras_numbers(source: random.Random, started: bool, number: int) -> None:
    script = scripts.Writer(source).script()
    rest = {**script.rest, "training": False}
    rng = np.random.default_rng(number)
    layers = oracle.built(oracle.made(*script.layers), script.inputs)
    weights = oracle.filled(layers, rng)
    batch, dtype = len(script.inputs), str(script.inputs.dtype)
    given_one = started and oracle.takes_states(layers)
    states = oracle.some_states(layers, batch, rng, dtype) if given_one else None
    theirs = oracle.called(layers, script.inputs, states=states, **rest)
    ours = oracle.asked(
        script.layers, script.inputs, weights=weights, initial_state=states, all_layers=True, **rest
    )
    oracle.alike(ours, [tensor for tensors in theirs for tensor in tensors])
