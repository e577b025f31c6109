"""The product layers on the NumPy engine against Keras.

The full product: layer x return_sequences x return_state x (go_backwards, or the five merge modes) x mask x
initial state.  Weights, inputs and states are random numbers, so that no two gates, directions or time
steps can be mixed up unseen.  Options are in test_engines_options.
"""

from __future__ import annotations

from itertools import product

import pytest
from engine_products import FLAGS, KINDS, MASKS, MERGES, holds

LAYERS = list(product(KINDS, FLAGS, FLAGS, FLAGS))
BIDIRECTIONALS = list(product(KINDS, FLAGS, FLAGS, MERGES))


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
