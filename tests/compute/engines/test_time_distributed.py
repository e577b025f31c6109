"""TimeDistributed in NumPy, held to Keras: every inner layer, with a mask of its own steps and without."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import oracle
import pytest
from engine_products import BIDIRECTIONALS, LAYERS, MASKS, mask_of

from rnncli.compute import engines
from rnncli.errors import InputError, LayerError, UsageError

RNG = np.random.default_rng(35)
STEPS = 2, 2, 5, 3
"""Sequences, time steps, and the sequence in each: as many entries as a mask of MASKS has rows."""
INNER = [text for text in (*LAYERS, *BIDIRECTIONALS) if "return_state=False" in text and "None" not in text]
MORE = [
    "RNN([LSTMCell(3), GRUCell(2)], return_sequences=True)",
    "LSTM(2, zero_output_for_mask=True, return_sequences=True)", "Dense(4, activation='softmax')",
    "Dense(2, use_bias=False)", "Dropout(0.5)", "Masking(0.5)", "TimeDistributed(Dense(3))",
]  # fmt: skip


def check_keras_numbers(
    expressions: Sequence[str], inputs: np.ndarray, masks: Sequence[Any] = (None,)
) -> None:
    """Compare the numbers of the engine numpy with Keras's, for random weights, with each of these masks.

    Keras is called once for all masks, each with the same sequences; numpy once for each.
    """
    layers = oracle.build_layers(oracle.make_layers(*expressions), inputs)
    weights = oracle.fill_weights(layers, RNG)
    given = [mask for mask in masks if mask is not None]
    theirs = [oracle.call_layers(layers, inputs)[-1]] if len(given) < len(masks) else []
    if given:
        joined = oracle.call_layers(layers, np.concatenate([inputs] * len(given)), np.concatenate(given))[-1]
        theirs += zip(*(np.split(tensor, len(given)) for tensor in joined), strict=True)
    for mask, tensors in zip([None] * (len(masks) - len(given)) + given, theirs, strict=True):
        ours = oracle.run_case(expressions, inputs, "numpy", weights=weights, mask=mask)
        oracle.check_outputs(ours, tensors)


@pytest.mark.parametrize("inner", [*INNER, *MORE])
@pytest.mark.slow
def test_every_layer_inside_with_every_mask(inner: str) -> None:
    inputs = RNG.standard_normal(STEPS).astype("float32")
    inputs[0, 1, 2:] = 0.5
    masks = [None if mask is None else mask.reshape(STEPS[:3]) for mask in map(mask_of, MASKS)]
    check_keras_numbers([f"TimeDistributed({inner})"], inputs, masks)


@pytest.mark.parametrize("layers", [
    ["LSTM(3, return_sequences=True)", "TimeDistributed(Dense(2))"],
    ["TimeDistributed(Dense(2))", "GRU(3, return_sequences=True)"],
    ["TimeDistributed(Masking(0.5))", "LSTM(2)"],
    ["Masking(0.5)", "TimeDistributed(Dropout(0.5))", "SimpleRNN(2)"],
])  # fmt: skip
def test_in_a_stack_the_mask_is_passed_on(layers: list[str]) -> None:
    inputs = RNG.standard_normal((2, 4, 3)).astype("float32")
    inputs[1, 2:] = 0.5
    mask = None if layers[0].startswith("Masking") else np.array([[1, 1, 0, 0], [0, 1, 1, 0]], bool)
    check_keras_numbers(layers, inputs, [mask])


@pytest.mark.slow
def test_in_float64_and_after_another() -> None:
    inner = "Bidirectional(LSTM(2, dtype='float64'), dtype='float64')"
    check_keras_numbers([f"TimeDistributed({inner}, dtype='float64')"], RNG.standard_normal(STEPS))
    inputs = RNG.standard_normal(STEPS).astype("float32")
    check_keras_numbers(
        ["TimeDistributed(GRU(2, return_sequences=True))", "TimeDistributed(LSTM(3))"], inputs
    )


@pytest.mark.parametrize(("layer", "shape", "training", "reason"), [
    ("TimeDistributed(ConvLSTM1D(2, 2))", (1, 2, 3, 4, 2), False, "only Keras computes ConvLSTM1D"),
    ("TimeDistributed(LSTM(2, stateful=True))", STEPS, False, "from step to step"),
    ("TimeDistributed(Bidirectional(GRU(2, stateful=True)))", STEPS, False, "from step to step"),
    ("TimeDistributed(LSTM(2, dropout=0.5))", STEPS, True, "numbers of TimeDistributed in training"),
    ("TimeDistributed(Dropout(0.5))", (2, 3, 4), True, "numbers of Dropout in training"),
])  # fmt: skip
def test_what_needs_keras_says_why_and_is_computed_by_keras(
    layer: str, shape: tuple[int, ...], training: bool, reason: str
) -> None:
    case = oracle.case([layer], RNG.standard_normal(shape).astype("float32"), training=training)
    assert engines.choose(case) == "tensorflow"
    with pytest.raises(UsageError, match=reason):
        engines.choose(case, "numpy")


def test_an_input_without_time_and_a_mask_that_does_not_fit_are_refused() -> None:
    for layers in (["LSTM(2)", "TimeDistributed(Dense(2))"], ["TimeDistributed(TimeDistributed(Dense(2)))"]):
        with pytest.raises(LayerError, match="at least 3 axes"):
            oracle.run_case(layers, np.zeros((2, 3, 4), "float32"))
    mask = np.ones(STEPS[:3], bool)
    with pytest.raises(InputError, match=r"\(GRU\) takes a mask of \(2, 2\), but gets one of \(2, 2, 5\)"):
        oracle.run_case(["TimeDistributed(LSTM(2))", "GRU(2)"], np.zeros(STEPS, "float32"), mask=mask)


def test_no_trace_looks_into_it() -> None:
    case = oracle.case(["TimeDistributed(Dense(2))", "LSTM(2)"], np.zeros((2, 3, 4), "float32"))
    assert str(engines.reason_not_traced(case)) == "it does not look into TimeDistributed"
    assert engines.choose(case) == "numpy"
