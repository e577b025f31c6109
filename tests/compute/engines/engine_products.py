"""The products of layers, flags and masks that engines are compared on, and what Keras answers to them."""

from collections.abc import Mapping
from functools import cache
from itertools import cycle, product
from typing import Any

import numpy as np
import oracle
import pytest

BATCH, TIMESTEPS, FEATURES = 4, 5, 3
SEED = 7
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
LAYERS = [
    f"{kind}(3, return_sequences={sequences}, return_state={state}, go_backwards={backwards})"
    for kind, sequences, state, backwards in product(KINDS, FLAGS, FLAGS, FLAGS)
]
BIDIRECTIONALS = [
    f"Bidirectional({kind}(3, return_sequences={sequences}, return_state={state}), merge_mode={merge!r})"
    for kind, sequences, state, merge in map(
        dict.values, oracle.cover_pairs({"kind": KINDS, "sequences": FLAGS, "state": FLAGS, "merge": MERGES})
    )
]


def mask_of(name: str) -> Any:
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


@cache
def build_layers(expression: str, dtype: str = "float32") -> tuple[Any, Any, Any, Any]:
    """Built layers with random weights, those weights, inputs, and an initial state."""
    rng = np.random.default_rng(SEED)
    inputs = rng.standard_normal((BATCH, TIMESTEPS, FEATURES)).astype(dtype)
    layers = oracle.build_layers(oracle.make_layers(expression), inputs)
    weights = oracle.fill_weights(layers, rng)
    return layers, weights, inputs, oracle.random_states(layers, BATCH, rng, dtype)


@cache
def keras_answers(expression: str, given: bool) -> dict[str, list[np.ndarray]]:
    """What Keras returns with each mask; all masks in one call, since sequences do not touch each other."""
    layers, _, inputs, states = build_layers(expression)
    names = [name for name in MASKS if name != "none"]
    many = len(names)
    masks = np.concatenate([mask_of(name) for name in names])
    every = [np.concatenate([state] * many) for state in states] if given else None
    found = {"none": oracle.call_layers(layers, inputs, None, states if given else None)[-1]}
    tensors = oracle.call_layers(layers, np.concatenate([inputs] * many), masks, every)[-1]
    for place, name in enumerate(names):
        found[name] = [tensor[place * BATCH : (place + 1) * BATCH] for tensor in tensors]
    return found


def check_engine(
    expression: str,
    mask: str,
    given: bool,
    dtype: str = "float32",
    engine: str = "numpy",
    theirs: list[np.ndarray] | None = None,
) -> None:
    """Compare an engine with Keras.  theirs: the tensors that Keras returns, if they are known."""
    layers, weights, inputs, states = build_layers(expression, dtype)
    states = states if given else None
    if theirs is None:
        theirs = oracle.call_layers(layers, inputs, mask_of(mask), states)[-1]
    try:
        ours = oracle.run_case(
            [expression], inputs, engine, mask=mask_of(mask), weights=weights, initial_state=states
        )
        oracle.check_outputs(ours, theirs)
    except AssertionError as error:
        error.add_note(f"{engine}: {expression}, mask {mask}, {'given' if given else 'zero'} states")
        raise


OPTIONS: dict[str, Any] = {
    "units": (1, 2, 5),
    "activation": ("tanh", ("relu", "sigmoid", "hard_sigmoid", "linear", "gelu", "softsign", "elu", "silu")),
    "recurrent_activation": ("sigmoid", ("hard_sigmoid", "softmax", "tanh", "relu6", "linear")),
    "use_bias": FLAGS,
    "unit_forget_bias": FLAGS,
    "reset_after": FLAGS,
    "zero_output_for_mask": FLAGS,
    "unroll": FLAGS,
    "dtype": ("float32", "float64"),
    "return_sequences": FLAGS,
    "return_state": FLAGS,
    "mask": ("none", "right", "left", "each"),
    "given": FLAGS,
    "go_backwards": FLAGS,
    "merge_mode": MERGES,
}
"""By option, the values that are paired.  Values in a tuple of their own take turns as one of them."""
OUTER = ("go_backwards", "merge_mode")
ONLY = {"recurrent_activation": ("LSTM", "GRU"), "unit_forget_bias": ("LSTM",), "reset_after": ("GRU",)}


def pairs_of_options(changed: Mapping[str, Any] | None = None) -> list[Any]:
    """Arguments of `check_engine` for every pair of options: each value of one with each of another.

    Of each kind of layer: alone with go_backwards, and in Bidirectional with every merge mode.
    changed: options that have other values than here.
    """
    found = []
    turns = cache(cycle)
    options = {**OPTIONS, **(changed or {})}
    for outer, kind in product(OUTER, KINDS):
        own = {name: tested for name, tested in options.items() if kind in ONLY.get(name, KINDS)}
        own = {name: tested for name, tested in own.items() if name == outer or name not in OUTER}
        for number, pairs in enumerate(oracle.cover_pairs(own)):
            row = {name: next(turns(v)) if isinstance(v, tuple) else v for name, v in pairs.items()}
            mask, given, dtype = row.pop("mask"), row.pop("given"), row["dtype"]
            merge, bidirectional = row.pop("merge_mode", None), outer == "merge_mode"
            zeroing = row["return_sequences"] if bidirectional else row["zero_output_for_mask"]
            if mask != "none" and row["return_sequences"] and zeroing and row.get("go_backwards", True):
                row["unroll"] = False  # see test_semantics: there Keras disagrees with itself
            (_, units), *rest = row.items()
            expression = f"{kind}({units}, {', '.join(f'{name}={value!r}' for name, value in rest)})"
            if bidirectional:
                expression = f"Bidirectional({expression}, merge_mode={merge!r}, dtype={dtype!r})"
            found.append(pytest.param(expression, mask, given, dtype, id=f"{kind}-{outer}-{number}"))
    return found
