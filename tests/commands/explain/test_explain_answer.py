"""How an explanation reads: golden files at 80 and 120 columns, in Korean, in ASCII, as a document."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from looks import PAGES, check_looks, drawn

from rnncli import specs
from rnncli.commands.explain.answer import ExplainAnswer
from rnncli.compute import derivation as explaining
from rnncli.compute.derivation.explanation import Explanation
from rnncli.layers.case import Case
from rnncli.show.page import View
from rnncli.values import InputNames

INPUTS = np.array([[[1, -1, 0.5], [0.25, 2, -0.75], [-1.5, 0.5, 1], [0.5, 0, -1]]], np.float32)
MASK = np.array([[True, True, False, False]])


def explain_layer(
    layer: str, text: str, depth: int = 1, terms: int | None = 10, **more: Any
) -> ExplainAnswer:
    filled = {"units": 2, "kernel_initializer": "constant:0.25", "recurrent_initializer": "probe"}
    layers = specs.from_flags([layer], {**filled, **more.pop("options", {})})
    return explain_number(layers, text, depth, terms, **more)


def explain_stack(texts: list[str], text: str, terms: int) -> ExplainAnswer:
    return explain_number(specs.from_flags(texts, {}), text, 2, terms)


def explain_number(layers: Any, text: str, depth: int, terms: int | None, **more: Any) -> ExplainAnswer:
    explanation, result = explaining.explain(Case(layers, INPUTS, seed=3, **more), text, depth, terms)
    return ExplainAnswer(_settled(explanation), result)


def _settled(explanation: Explanation) -> Explanation:
    """The same with one remainder everywhere: what float32 rounds in the last place differs by processor."""
    equations = tuple(
        equation._replace(remainder=1.5e-08 if equation.terms else 0.0, rounding=0.0)
        for equation in explanation.equations
    )
    return replace(explanation, equations=equations)


SEQUENCES = {"return_sequences": True, "return_state": True}
ANSWERS: dict[str, Any] = {
    "explain": explain_layer("lstm", "last_cell_state[0,1]"),
    "explain_hidden": explain_layer("lstm", "last_hidden_state[0,0]", terms=3, options=SEQUENCES),
    "explain_gru": explain_layer("gru", "hidden_state[0,1]", depth=2, terms=4),
    "explain_gru_before": explain_layer("gru", "hidden_state[0,1]", options={"reset_after": False}),
    "explain_simple_rnn": explain_layer("simple_rnn", "hidden_state[0,0]"),
    "explain_both_ways": explain_layer("bilstm", "hidden_states[0,1,3]", options=SEQUENCES),
    "explain_ave": explain_layer("birnn", "hidden_states[0,1,1]", options={**SEQUENCES, "merge_mode": "ave"}),
    "explain_masked": explain_layer("lstm", "hidden_states[0,3,1]", mask=MASK, options=SEQUENCES),
    "explain_stack": explain_stack(["LSTM(2, return_sequences=True)", "Dense(1)"], "output[0,3,0]", 2),
    "explain_cells": explain_stack(["RNN([LSTMCell(1), GRUCell(1)])"], "hidden_state[0,0]", 3),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_explanations_look_as_they_did(name: Any) -> None:
    check_looks("explain", name, ANSWERS[name], PAGES if name == "explain" else ())


def test_the_document_is_the_whole_explanation() -> None:
    filled = {"units": 2, "kernel_initializer": "constant:0.25", "recurrent_initializer": "probe"}
    case = Case(specs.from_flags(["lstm"], filled), INPUTS, seed=3)
    exact = ExplainAnswer(*explaining.explain(case, "last_cell_state[0,1]", 1, 10))
    document = json.loads(drawn(exact, "json"))
    assert document["schema"] == "rnncli/1"
    found = document["explanation"]
    assert list(found) == ["tensor", "index", "value", "meaning", "equals", "equations"]
    assert [one["name"] for one in found["equations"]] == ["cell", "forget", "input", "candidate"]
    header, rows = exact.records(View())
    assert header[:4] == ("equation", "value", "total", "term")
    assert [row[5] for row in rows][:4] == ["forget", "cell before", "input", "candidate"]
    known = {one["key"]: one for one in found["equations"]}
    for one in found["equations"]:
        added = sum(term["value"] for term in one["terms"]) + one["remainder"]
        assert added == pytest.approx(float(np.float32(one["total"])), abs=1e-15)
        for factor in (factor for term in one["terms"] for factor in term["factors"] if factor["explained"]):
            assert known[factor["explained"]]["value"] == factor["value"]


def test_a_name_of_a_column_is_not_translated() -> None:
    names = ("feature 1", "cell before", "light")
    shown = drawn(explain_layer("LSTM", "last_cell_state[0,1]", names=InputNames(names)), lang="ko")
    assert "feature 1 · kernel[0, " in shown
    assert "cell before · kernel[1, " in shown
