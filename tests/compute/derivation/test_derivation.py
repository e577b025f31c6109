"""An explanation is right when its terms add up to the number, at every level, down to its leaves."""

from functools import cache
from math import isclose, prod
from typing import Any

import numpy as np
import pytest
from claims import claim
from hypothesis import given
from hypothesis import strategies as st

from rnncli import compute, specs
from rnncli.cells import activations
from rnncli.compute import derivation as explaining
from rnncli.compute import trace as tracing
from rnncli.compute.derivation import list_tensors
from rnncli.compute.derivation.explanation import Equation, Explanation, parse_target
from rnncli.layers.case import Case
from rnncli.values import InputNames

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
MASK = np.array([[0, 1, 0, 1], [1, 1, 0, 0]], bool)
NEVER = np.zeros((2, 4), bool)


def case(*texts: str, mask: Any = None, dtype: str = "float64", **more: Any) -> Case:
    inputs = np.asarray(more.pop("inputs", np.random.default_rng(1).normal(size=(2, 4, 3))), dtype)
    flags = more.pop("flags", {})
    if texts[0].isidentifier():
        flags = {"units": 2, "dtype": dtype, **flags}
    layers = specs.from_flags([text.replace("=D", f"='{dtype}'") for text in texts], flags)
    return Case(layers, inputs, mask=mask, seed=5, **more)


def list_addresses(asked: Case) -> list[str]:
    """Every entry of every tensor that may be named."""
    shapes: Any = list_tensors(tracing.with_all_outputs(asked).stack, asked.inputs.shape)
    return [f"{info.name}{list(index)}" for info in shapes for index in np.ndindex(info.shape)]


def check_explanation(explanation: Explanation, tolerance: float) -> None:
    """Every equation adds up, and what a factor refers to has the factor's value."""
    known = {equation.key: equation for equation in explanation.equations}
    assert len(known) == len(explanation.equations)
    assert explanation.equations[0].value == explanation.value
    for equation in explanation.equations:
        check_sum(equation, tolerance)
        for factor in (factor for term in equation.terms for factor in term.factors if factor.explained):
            meant = known[factor.explained].value
            if "(" not in factor.name:
                assert factor.value == meant
            elif factor.name.startswith("(1 - "):
                assert factor.value == 1 - meant
            elif not factor.name.startswith("softmax("):
                function = activations.get(factor.name.partition("(")[0])
                assert isclose(factor.value, function(np.array([meant]))[0], abs_tol=1e-15)


def check_sum(equation: Equation, tolerance: float) -> None:
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
    "both_states": case("bilstm", flags={"return_sequences": True, "return_state": True}),
    "lstm_without_bias": case("LSTM(2, use_bias=False, activation='softmax', dtype=D)"),
    "gru_after": case("gru"),
    "gru_before": case("gru", flags={"reset_after": False}),
    "backwards": case("gru", flags={"go_backwards": True, "return_sequences": True}),
    "masked": case("lstm", mask=MASK, flags={"return_sequences": True}),
    "zeroed": case("lstm", mask=MASK, flags={"return_sequences": True, "zero_output_for_mask": True}),
    "never": case("lstm", mask=NEVER, flags={"return_sequences": True}),
    "started": case("lstm", mask=MASK, initial_state=(np.full((2, 2), 0.3), np.full((2, 2), -0.8))),
    "stateful": case("lstm", calls=3, flags={"stateful": True}),
    "training": case("gru", training=True, calls=2, flags={"dropout": 0.4, "recurrent_dropout": 0.3}),
    "training_before": case(
        "gru", training=True, flags={"dropout": 0.4, "recurrent_dropout": 0.3, "reset_after": False}
    ),
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
        for mode, sequences, mask in (("concat", True, MASK), ("concat", False, None), (None, True, MASK))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_the_terms_of_every_number_add_up(name: Any) -> None:
    """With all terms; of every third number, with the largest two and the sum of the others."""
    asked = CASES[name]
    result = compute.run(tracing.with_all_outputs(asked), "numpy")
    values = {tensor.name: tensor.values for tensor in result.outputs}
    for place, text in enumerate(list_addresses(asked)):
        explanation, _ = explaining.explain(asked, text, depth=6, terms=None if place % 3 else 2)
        check_explanation(explanation, TOLERANCE[str(asked.inputs.dtype)])
        if len(asked.stack) == 1:
            assert explanation.value == values[explanation.target.name][explanation.target.indices]


KINDS = ("SimpleRNN", "LSTM", "GRU")


@given(st.data())
@pytest.mark.slow
def test_random_stacks_add_up(data: Any) -> None:
    """Any layers one on the other, any flags, any mask; one number of each."""
    texts = []
    for _ in range(data.draw(st.integers(1, 3))):
        options = {
            "use_bias": data.draw(st.booleans()),
            "go_backwards": data.draw(st.booleans()),
            "zero_output_for_mask": data.draw(st.booleans()),
            "activation": data.draw(st.sampled_from(["tanh", "relu", "linear"])),
            "recurrent_initializer": "glorot_normal",
            "bias_initializer": "random_normal",
            "dtype": "float64",
        }
        kind = data.draw(st.sampled_from(KINDS))
        if kind == "GRU":
            options["reset_after"] = data.draw(st.booleans())
        both = data.draw(st.booleans())
        options["go_backwards"] &= not both
        said = ", ".join(f"{name}={value!r}" for name, value in options.items())
        inner = f"{kind}({data.draw(st.integers(1, 3))}, return_sequences=True, {said})"
        mode = data.draw(st.sampled_from(["concat", "sum", "ave", "mul"]))
        texts.append(f"Bidirectional({inner}, merge_mode={mode!r}, dtype='float64')" if both else inner)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=8, max_size=8))).reshape(2, 4)
    asked = case(*texts, mask=data.draw(st.sampled_from([None, mask])))
    text = data.draw(st.sampled_from(list_addresses(asked)))
    explanation, result = explaining.explain(asked, text, depth=data.draw(st.integers(1, 5)), terms=None)
    largest = max(1.0, *(np.abs(tensor.values).max() for tensor in result.outputs))
    check_explanation(explanation, 1e-12 * largest)


@pytest.mark.parametrize("name", ["lstm", "gru_after", "simple_rnn", "stack", "both_ways_concat_True"])
def test_a_fold_of_the_leaves_alone_gives_the_number(name: Any) -> None:
    """With nothing but what no equation explains, computed anew in float64, the number comes out."""
    asked = CASES[name]
    for text in list_addresses(asked)[-6:]:
        explanation, _ = explaining.explain(asked, text, depth=12)
        assert fold_leaves(explanation) == pytest.approx(explanation.value, abs=1e-12)


def fold_leaves(explanation: Explanation) -> float:
    equations = {equation.key: equation for equation in explanation.equations}
    functions: dict[str, Any] = {"": lambda x: x, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}

    @cache
    def value_of(key: str) -> float:
        total = 0.0
        for term in equations[key].terms:
            values = []
            for factor in term.factors:
                value = value_of(factor.explained) if factor.explained else factor.value
                value = 1 - value if factor.name.startswith("(1 - ") else value
                values.append(np.tanh(value) if factor.name.startswith("tanh(") else value)
            total += prod(values)
        return float(functions[equations[key].function](total))

    return value_of(explanation.equations[0].key)


def test_depth_goes_a_step_back_and_a_layer_down() -> None:
    asked = CASES["stack"]
    places = [
        {
            (equation.location.layer, equation.location.timestep)
            for equation in explaining.explain(asked, "hidden_state[1,2]", depth)[0].equations
        }
        for depth in (1, 2, 3)
    ]
    assert places[0] == {(1, 3)}
    assert places[1] == {(1, 3), (1, 2), (0, 3)}
    assert places[2] == {(1, 3), (1, 2), (0, 3), (1, 1), (0, 2)}


def test_the_largest_terms_are_listed_and_the_rest_summed() -> None:
    whole, _ = explaining.explain(CASES["lstm"], "last_cell_state[0,0]")
    short, _ = explaining.explain(CASES["lstm"], "last_cell_state[0,0]", terms=3)
    pairs = [pair for pair in zip(whole.equations, short.equations, strict=True) if pair[0].function]
    assert len(pairs) == 3
    for every, few in pairs:
        sizes = [abs(term.value) for term in every.terms]
        assert len(sizes) == 6
        assert sizes == sorted(sizes, reverse=True)
        assert few.terms == every.terms[:3]
        assert few.others is not None
        assert few.others.count == 3
        assert few.others.value == pytest.approx(sum(term.value for term in every.terms[3:]), abs=1e-15)


def test_nan_comes_first() -> None:
    asked = case("lstm", dtype="float32", inputs=np.full((2, 4, 3), [1, np.nan, 2]))
    gate = explaining.explain(asked, "last_cell_state[0,0]")[0].equations[1]
    assert gate.terms[0].factors[0].name == "feature 1"
    assert np.isnan(gate.terms[0].value)


@pytest.mark.parametrize(("name", "text", "equal"), [
    ("lstm_sequences", "last_hidden_state[1,0]", ("hidden_states[1, 3, 0]",)),
    ("lstm_sequences", "hidden_states[1,3,0]", ("last_hidden_state[1, 0]",)),
    ("lstm_sequences", "hidden_states[1,2,0]", ()),
    ("lstm_sequences", "last_cell_state[1,0]", ()),
    ("lstm", "hidden_state[0,1]", ()),
    ("both_states", "backward_last_hidden_state[0,1]", ("hidden_states[0, 0, 3]",)),
    ("both_states", "hidden_states[0,-1,0]", ("forward_last_hidden_state[0, 0]",)),
])  # fmt: skip
def test_what_equals_it_is_named(name: Any, text: Any, equal: Any) -> None:
    explanation, _ = explaining.explain(CASES[name], text)
    assert explanation.equals == tuple(map(claim, equal))


def test_the_location_of_a_backward_state() -> None:
    explanation, _ = explaining.explain(CASES["both_states"], "backward_last_hidden_state[0,1]")
    assert explanation.equations[0].location[1:4] == ("backward", 0, 3)


@pytest.mark.parametrize(("name", "text", "kind", "timestep"), [
    ("masked", "hidden_states[0,2,0]", "held", 1),
    ("masked", "hidden_states[0,0,0]", "silent", None),
    ("masked", "last_cell_state[1,0]", "held", 1),
    ("zeroed", "hidden_states[0,2,0]", "zeroed", None),
    ("zeroed", "last_cell_state[1,0]", "held", 1),
    ("never", "last_cell_state[1,0]", "start", None),
    ("masking", "0/output[1,2,0]", "masked", None),
])  # fmt: skip
def test_masked_steps_say_so(name: Any, text: Any, kind: str, timestep: Any) -> None:
    assert explaining.explain(CASES[name], text)[0].equations[0].note == (kind, timestep)


def test_dropout_is_a_factor_of_its_own() -> None:
    explanation, _ = explaining.explain(CASES["training"], "hidden_state[0,0]")
    update = next(one for one in explanation.equations if one.name == "update")
    assert update.symbols == ("(x · dropout) W", "b[0]", "(h · dropout) U", "b[1]")
    for term in update.terms:
        names = [factor.name for factor in term.factors]
        assert names[0].startswith("bias") or names[1] == "dropout"


def test_a_given_start_and_feature_names() -> None:
    states = np.full((2, 2), 0.3), np.full((2, 2), -0.8)
    inputs = np.ones((2, 1, 3))
    asked = case("lstm", initial_state=states, names=InputNames(("a", "b", "c")), inputs=inputs)
    cell, *gates = explaining.explain(asked, "last_cell_state[0,1]")[0].equations
    assert cell.terms[0].factors[1].name == "cell at start"
    assert cell.terms[0].factors[1].value == -0.8
    named = {term.factors[0].name for term in gates[0].terms}
    assert named == {"a", "b", "c", "hidden 0 at start", "hidden 1 at start", "bias[3]"}


def test_negative_indices_count_from_the_end() -> None:
    shapes = list_tensors(CASES["lstm_sequences"].stack, (2, 4, 3))
    assert parse_target(" hidden_states [ -1, 2,-2 ] ", shapes).text == "hidden_states[1, 2, 0]"
