"""An explanation is right when its terms add up to the number, at every level, down to its leaves."""

from __future__ import annotations

from math import isclose, prod
from typing import Any

import numpy as np
import pytest

from rnncli import pipeline, specs
from rnncli.case import Case
from rnncli.explanation import Equation, Explanation
from rnncli.layers.stack import Stack
from rnncli.located import infos

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
MASK = np.array([[0, 1, 0, 1], [1, 1, 0, 0]], bool)
NEVER = np.zeros((2, 4), bool)


def case(*texts: str, mask: Any = None, dtype: str = "float64", **more: Any) -> Case:
    drawn = np.random.default_rng(1).normal(size=(2, 4, 3))
    inputs = np.asarray(more.pop("inputs", drawn), dtype)
    flags = more.pop("flags", {})
    if texts[0].isidentifier():
        flags = {"units": 2, "dtype": dtype, **flags}
    layers = specs.from_flags([text.replace("=D", f"='{dtype}'") for text in texts], flags)
    return Case(layers, inputs, mask=mask, seed=5, **more)


def numbers(asked: Case) -> list[str]:
    """Every entry of every tensor that may be named."""
    wide = pipeline.witnessed(asked)
    shapes = infos(Stack(wide.layers), asked.inputs.shape)
    return [f"{info.name}{list(index)}" for info in shapes for index in np.ndindex(info.shape)]


def holds(explanation: Explanation, tolerance: float) -> None:
    """Every equation adds up, and what a factor refers to has the factor's value."""
    known = {equation.key: equation for equation in explanation.equations}
    assert len(known) == len(explanation.equations)
    assert explanation.equations[0].value == explanation.value
    for equation in explanation.equations:
        adds_up(equation, tolerance)
        for factor in (factor for term in equation.terms for factor in term.factors if factor.explained):
            meant = known[factor.explained].value
            if "(" not in factor.name:
                assert factor.value == meant
            elif factor.name.startswith("(1 - "):
                assert factor.value == 1 - meant
            elif not factor.name.startswith("softmax("):
                assert factor.name.startswith("tanh(")
                assert isclose(factor.value, np.tanh(meant), abs_tol=1e-15)


def adds_up(equation: Equation, tolerance: float) -> None:
    summed = sum(term.value for term in equation.terms) + (equation.others.value if equation.others else 0)
    if equation.terms:
        assert summed + equation.remainder == pytest.approx(equation.total, abs=1e-15)
    else:
        assert equation.note
        assert equation.value == 0
    assert abs(equation.remainder) < tolerance, equation
    assert abs(equation.rounding) < tolerance, equation
    for term in equation.terms:
        assert term.value == prod(factor.value for factor in term.factors)
    if not equation.function:
        assert equation.total == equation.value


CASES = {
    "simple_rnn": case("simple_rnn"),
    "lstm": case("lstm"),
    "lstm32": case("lstm", dtype="float32"),
    "lstm_sequences": case("lstm", flags={"return_sequences": True, "return_state": True}),
    "lstm_without_bias": case("LSTM(2, use_bias=False, activation='softmax', dtype=D)"),
    "gru_after": case("gru"),
    "gru_before": case("gru", flags={"reset_after": False}),
    "gru_without_bias": case("gru", flags={"use_bias": False}),
    "backwards": case("gru", flags={"go_backwards": True, "return_sequences": True}),
    "masked": case("lstm", mask=MASK, flags={"return_sequences": True}),
    "masked_gru": case("gru", mask=MASK),
    "zeroed": case("lstm", mask=MASK, flags={"return_sequences": True, "zero_output_for_mask": True}),
    "never": case("lstm", mask=NEVER, flags={"return_sequences": True}),
    "started": case("lstm", mask=MASK, initial_state=(np.full((2, 2), 0.3), np.full((2, 2), -0.8))),
    "stateful": case("lstm", calls=3, flags={"stateful": True}),
    "training": case("gru", training=True, calls=2, flags={"dropout": 0.4, "recurrent_dropout": 0.3}),
    "training_before": case(
        "gru", training=True, flags={"dropout": 0.4, "recurrent_dropout": 0.3, "reset_after": False}
    ),
    "training_lstm": case("lstm", training=True, flags={"dropout": 0.4}),
    "stack": case("LSTM(2, return_sequences=True, dtype=D)", "GRU(3, dtype=D)"),
    "dense": case("bilstm", "Dense(3, activation='softmax', dtype=D)", flags={"return_sequences": True}),
    "dense_alone": case("Dense(2, activation='tanh', dtype=D)"),
    "masking": case(
        "Masking(0.5)", "Bidirectional(LSTM(2, return_sequences=True))", "GRU(2)",
        dtype="float32", inputs=np.where(MASK[..., None], 1.5, 0.5) * np.array([1, 1, 1]),
    ),
    "cells": case("RNN([LSTMCell(2), GRUCell(3)], return_sequences=True)", dtype="float32"),
    "cells_masked": case("RNN([LSTMCell(2), GRUCell(3)])", dtype="float32", mask=MASK),
    "cells_both_ways": case("Bidirectional(RNN([LSTMCell(2), LSTMCell(2)]))", dtype="float32", mask=MASK),
    **{
        f"both_ways_{mode}_{sequences}": case(
            "bilstm", mask=mask, flags={"merge_mode": mode, "return_sequences": sequences}
        )
        for mode in ("concat", "sum", "mul", "ave", None)
        for sequences, mask in ((True, MASK), (False, None))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("terms", [None, 2])
def test_the_terms_of_every_number_add_up(name, terms):
    asked = CASES[name]
    result = pipeline.run(pipeline.witnessed(asked), "numpy")
    values = {tensor.name: tensor.values for tensor in result.outputs}
    for text in numbers(asked):
        explanation, _ = pipeline.explain(asked, text, depth=6, terms=terms)
        holds(explanation, TOLERANCE[str(asked.inputs.dtype)])
        if len(asked.layers) == 1:
            assert explanation.value == values[explanation.target.name][explanation.target.indices]
