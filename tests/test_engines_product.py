"""The product layers on the NumPy engine against Keras.

Full product: layer x return_sequences x return_state x (go_backwards, or the five merge modes) x mask x
initial state.  Every pair: the options (bias forms, activations, zero_output_for_mask, unroll, dtype,
units) among themselves and with all of the above.  Weights, inputs and states are random numbers, so that
no two gates, directions or time steps can be mixed up unseen.
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


ACTIVATIONS = ("tanh", "relu", "sigmoid", "hard_sigmoid", "linear", "gelu", "softsign", "elu", "silu")
OPTIONS: dict[str, Any] = {
    "units": (1, 2, 5),
    "activation": ACTIVATIONS,
    "recurrent_activation": ("sigmoid", "hard_sigmoid", "tanh", "relu6", "linear", "softmax"),
    "use_bias": FLAGS,
    "unit_forget_bias": FLAGS,
    "reset_after": FLAGS,
    "zero_output_for_mask": FLAGS,
    "unroll": FLAGS,
    "dtype": ("float32", "float64"),
    "return_sequences": FLAGS,
    "return_state": FLAGS,
    "mask": tuple(MASKS),
    "given": FLAGS,
}
ONLY = {"recurrent_activation": ("LSTM", "GRU"), "unit_forget_bias": ("LSTM",), "reset_after": ("GRU",)}


def rows(outer: str, values: tuple[Any, ...]) -> list[Any]:
    found = []
    for kind in KINDS:
        own = {name: tested for name, tested in OPTIONS.items() if kind in ONLY.get(name, KINDS)}
        for number, row in enumerate(oracle.pairwise({**own, outer: values})):
            found.append(pytest.param(kind, row, id=f"{kind}-{number}"))
    return found


def keras_applies_the_mask_backwards(row: dict[str, Any], backwards: bool, zeroing: bool) -> bool:
    """See test_semantics: there Keras disagrees with itself, and rnncli refuses."""
    return row["unroll"] and backwards and zeroing and row["return_sequences"] and row["mask"] != "none"


def written(kind: str, row: dict[str, Any], *left_out: str) -> str:
    units, *rest = [(name, value) for name, value in row.items() if name not in ("mask", "given", *left_out)]
    return f"{kind}({units[1]}, {', '.join(f'{name}={value!r}' for name, value in rest)})"


@pytest.mark.parametrize(("kind", "row"), rows("go_backwards", FLAGS))
def test_every_pair_of_options(kind: str, row: dict[str, Any]) -> None:
    if keras_applies_the_mask_backwards(row, row["go_backwards"], row["zero_output_for_mask"]):
        row = {**row, "unroll": False}
    holds(written(kind, row), row["mask"], row["given"], row["dtype"])


@pytest.mark.parametrize(("kind", "row"), rows("merge_mode", MERGES))
def test_every_pair_of_options_inside_bidirectional(kind: str, row: dict[str, Any]) -> None:
    if keras_applies_the_mask_backwards(row, backwards=True, zeroing=row["return_sequences"]):
        row = {**row, "unroll": False}
    inner = written(kind, row, "merge_mode")
    outer = f"merge_mode={row['merge_mode']!r}, dtype={row['dtype']!r}"
    holds(f"Bidirectional({inner}, {outer})", row["mask"], row["given"], row["dtype"])


@pytest.mark.parametrize("mask", ["none", "each"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", FLAGS)
def test_the_tensorflow_engine_is_keras_itself(kind: str, bidirectional: bool, mask: str) -> None:
    for sequences, given in product(FLAGS, FLAGS):
        inner = f"{kind}(3, return_sequences={sequences}, return_state=True)"
        expression = f"Bidirectional({inner})" if bidirectional else inner
        holds(expression, mask, given, engine="tensorflow")
