"""The product layers on the engines against Keras.

The full product: layer x return_sequences x return_state x go_backwards x mask, with an initial state where
the states are returned; of Bidirectional every pair of layer, flags and merge modes, with every mask; then
every pair of all options; then random layers.
Weights, inputs and states are random numbers, so that no two gates, directions or time steps can be mixed up
unseen.
"""

import random
from typing import Any

import numpy as np
import oracle
import pytest
import random_scripts
from engine_products import (
    BATCH,
    BIDIRECTIONALS,
    FEATURES,
    FLAGS,
    KINDS,
    LAYERS,
    MASKS,
    TIMESTEPS,
    check_engine,
    keras_answers,
    mask_of,
    pairs_of_options,
)
from hypothesis import given
from hypothesis import strategies as st

from rnncli import compute
from rnncli.compute import engines
from rnncli.errors import UsageError

HERE = [info.name for info in engines.available() if info.available and info.name != "tensorflow"]
"""The engines that can compute here, but for Keras itself, which has its own test."""


@pytest.mark.parametrize("expression", [*LAYERS, *BIDIRECTIONALS])
@pytest.mark.slow
def test_every_layer(expression: str) -> None:
    given_states = "return_state=True" in expression
    for mask, theirs in keras_answers(expression, given_states).items():
        able = HERE if mask in ("none", "right") else ["numpy"]
        for engine in able:
            check_engine(expression, mask, given_states, engine=engine, theirs=theirs)


def test_every_mask_is_held() -> None:
    assert list(keras_answers(LAYERS[0], False)) == list(MASKS)
    assert "numpy" in HERE


@pytest.mark.parametrize("mask", ["none", "each"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outer", ["{}", "Bidirectional({})"])
@pytest.mark.slow
def test_the_tensorflow_engine_is_keras_itself(kind: str, outer: str, mask: str) -> None:
    for sequences in FLAGS:
        inner = f"{kind}(3, return_sequences={sequences}, return_state=True)"
        check_engine(outer.format(inner), mask, given=sequences, engine="tensorflow")


@pytest.mark.sampled
@pytest.mark.parametrize(("expression", "mask", "given_states", "dtype"), pairs_of_options())
def test_every_pair_of_options(expression: str, mask: str, given_states: bool, dtype: str) -> None:
    check_engine(expression, mask, given_states, dtype)


COMPOSED: list[tuple[list[str], dict[str, Any]]] = [
    (["LSTM(4, return_sequences=True)", "GRU(3, return_state=True)"], {}),
    (["Bidirectional(GRU(3, return_sequences=True))", "LSTM(2)", "Dense(2, activation='softmax')"], {}),
    *(([f"{kind}(3, stateful=True, return_sequences=True)"], {"calls": 3}) for kind in KINDS),
    *(
        ([f"{kind}(3, zero_output_for_mask=True, return_sequences=True)"], {"mask": mask_of("right")})
        for kind in KINDS
    ),
    *(([f"{kind}(3, use_bias=False, dropout=0.5)"], {}) for kind in KINDS),
]


@pytest.mark.sampled
@pytest.mark.parametrize(("layers", "rest"), COMPOSED, ids=str)
def test_stacks_and_calls_on_every_engine(layers: list[str], rest: dict[str, Any]) -> None:
    inputs = np.random.default_rng(0).standard_normal((BATCH, TIMESTEPS, FEATURES)).astype("float32")
    made = oracle.build_layers(oracle.make_layers(*layers), inputs)
    weights = oracle.fill_weights(made, np.random.default_rng(1))
    theirs = [tensor for one in oracle.call_layers(made, inputs, **rest) for tensor in one]
    for engine in HERE:
        oracle.check_outputs(
            oracle.run_case(layers, inputs, engine, weights=weights, all_layers=True, **rest), theirs
        )


@given(st.randoms(use_true_random=False), st.booleans(), st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_random_layers(source: random.Random, started: bool, number: int) -> None:
    """Every engine gives the numbers of Keras, or refuses.

    Scripts are written as for test_seeded_runs, but with weights given, and initial states too.

    Every choice of them is made by hypothesis, which makes a failing one smaller.
    """
    script = random_scripts.Writer(source).script()
    rest = {**script.rest, "training": False}
    rng = np.random.default_rng(number)
    layers = oracle.build_layers(oracle.make_layers(*script.layers), script.inputs)
    weights = oracle.fill_weights(layers, rng)
    batch, dtype = len(script.inputs), str(script.inputs.dtype)
    given_one = started and oracle.accepts_states(layers)
    states = oracle.random_states(layers, batch, rng, dtype) if given_one else None
    theirs = [
        tensor for one in oracle.call_layers(layers, script.inputs, states=states, **rest) for tensor in one
    ]
    case = oracle.case(
        script.layers, script.inputs, weights=weights, initial_state=states, all_layers=True, **rest
    )
    for engine in HERE:
        if engine != "numpy" and engines.get(engine).refusal(case):
            with pytest.raises(UsageError, match=f"the engine {engine} cannot compute this"):
                compute.run(case, engine)
        else:
            oracle.check_outputs(compute.run(case, engine), theirs)
