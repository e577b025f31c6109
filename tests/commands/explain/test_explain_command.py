"""`rnncli explain`, as it is typed, and how it reads: golden files, in Korean, in ASCII, as a document."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from looks import PAGES, check_looks, drawn
from own_cells import MGU

from rnncli import specs
from rnncli.commands.explain import ExplainAnswer
from rnncli.compute import derivation as explaining
from rnncli.compute.derivation.explanation import Explanation
from rnncli.layers.case import Case
from rnncli.show.page import View
from rnncli.values import InputNames

SEED = ("--seed", "42", "--quiet")


def test_remarks_come_with_an_answer_and_not_without(rnncli: Any) -> None:
    assert "note: no input given" in rnncli("explain", "hidden_state[0,0]", "--seed", "1").stderr
    failed = rnncli("explain", "nope[0]", "--seed", "1").refusal()
    assert failed.startswith("rnncli: there is no tensor 'nope'.")


def test_a_file_in_the_place_of_the_tensor_is_named(rnncli: Any, tmp_path: Any) -> None:
    (tmp_path / "x.json").write_text("[[[1, 2]]]")
    assert rnncli("explain", "x.json", cwd=tmp_path).refusal() == (
        "rnncli: x.json: it is a file; the tensor to explain comes before it.\n"
        "For example: rnncli explain 'last_cell_state[0,0]' x.json\n"
    )
    assert rnncli("explain", "last_cell_state[0,0]", "x.json", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("layers", [
    ("-l", "bilstm", "--return-sequences"), ("-l", "lstm"), ("-l", "RNN([LSTMCell(2), GRUCell(1)])"),
    ("-l", "gru", "--bidirectional"), ("-l", "Dense(2)"), ("-l", "lstm", "-l", "Dense(2)"),
    ("-l", "ConvLSTM1D(2, 3)"), ("-l", "@layer.json"),
])  # fmt: skip
def test_the_example_is_one_of_the_layers_that_were_named(layers: Any, rnncli: Any, tmp_path: Any) -> None:
    (tmp_path / "plain.json").write_text("[[[1, 2], [3, 4]]]")
    (tmp_path / "layer.json").write_text('{"class_name": "GRU", "config": {"units": 2}}')
    check_example(rnncli("explain", "plain.json", *layers, cwd=tmp_path), rnncli, tmp_path)


@pytest.mark.parametrize("layer", ["GRU(2)", "LSTM(2, return_sequences=True)", "Bidirectional(GRU(2))"])
def test_the_example_is_one_of_the_layer_of_a_document(layer: str, rnncli: Any, tmp_path: Any) -> None:
    (tmp_path / "case.json").write_text(json.dumps({"layer": layer, "inputs": [[[1, 2], [3, 4]]]}))
    check_example(rnncli("explain", "case.json", cwd=tmp_path), rnncli, tmp_path)


def check_example(failed: Any, rnncli: Any, folder: Any) -> None:
    """Run the example in the message of a failed command."""
    assert failed.returncode == 2
    program, *example = shlex.split(failed.stderr.splitlines()[-1].removeprefix("For example: "))
    assert program == "rnncli"
    assert rnncli(*example, cwd=folder).returncode == 0


def test_how_many_terms(rnncli: Any) -> None:
    def listed(*flags: Any) -> Any:
        done = rnncli(
            "explain", "hidden_state[0,0]", "-l", "simple_rnn", "--units", "16", *SEED, "-f", "json", *flags
        )
        (equation,) = json.loads(done.stdout)["explanation"]["equations"]
        return len(equation["terms"]), (equation["others"] or {"count": 0})["count"]

    assert listed() == (10, 12)
    assert listed("--terms", "3") == (3, 19)
    assert listed("--full") == (22, 0)


@pytest.mark.slow
def test_any_depth_ends_where_nothing_is_left_to_explain(rnncli: Any) -> None:
    words = ("explain", "last_cell_state[0,1]", "--return-state", "--input-shape", "1,4,3", *SEED)
    assert rnncli(*words, "--depth", "2147483647").stdout == rnncli(*words, "--depth", "9").stdout


# gates and sequences

MORE = ["--seed", "1", "--quiet"]
MASKED = ["[[1, 2], [3, 4]]", "--mask", "[[false, false]]"]


def print_answer(rnncli: Run, *args: str) -> str:
    return rnncli(*args, *MORE).success().stdout


def traced(rnncli: Run, *flags: str) -> list[Any]:
    return list(json.loads(print_answer(rnncli, "trace", "-f", "json", *flags))["trace"])


GATES = [
    ("forget[0,1]", (), "forget", 3, 1),
    ("forget[0,1,2]", (), "forget", 1, 2),
    ("forget[0,-1,2]", (), "forget", 3, 2),
    ("reset[0,2,0]", ("-l", "gru", "--go-backwards"), "reset", 1, 0),
    ("cell_1/update[0,1]", ("-l", "RNN([LSTMCell(3), GRUCell(2)])"), "cell_1/update", 3, 1),
    ("1/candidate[0,0]", ("-l", "LSTM(3, return_sequences=True)", "-l", "simple_rnn"), "candidate", 7, 0),
]


@pytest.mark.parametrize(("number", "flags", "gate", "step", "unit"), GATES, ids=[one[0] for one in GATES])
def test_a_gate_is_explained(
    number: str, flags: tuple[str, ...], gate: str, step: int, unit: int, rnncli: Run
) -> None:
    theirs = traced(rnncli, *flags)[step]["gates"][gate]["activation"][0][unit]
    found = json.loads(print_answer(rnncli, "explain", number, "-f", "json", *flags))["explanation"]
    assert found["value"] == theirs == found["equations"][0]["value"]


def test_a_sequence_needs_no_flag(rnncli: Run) -> None:
    with_flag = print_answer(rnncli, "explain", "hidden_states[0,1,0]", "--return-sequences")
    without = print_answer(rnncli, "explain", "hidden_states[0,1,0]")
    assert without.splitlines()[:2] == with_flag.splitlines()[:2]
    assert without.splitlines()[3:] == with_flag.splitlines()[3:]


def test_a_masked_step_shows_what_it_keeps_and_where_that_came_from(rnncli: Any) -> None:
    """LSTM has a gate called output, so no returned number may be called so."""
    asked = (
        "-l", "lstm", "--return-sequences", "--seed", "7", "--mask", "[[true,true,false,true]]", "--quiet",
    )  # fmt: skip
    traced = json.loads(rnncli("trace", *asked, "-f", "json").stdout)["trace"]
    for text in ("forget[0,2,0]", "output[0,2,0]"):
        gate = text.partition("[")[0]
        shown = rnncli("explain", text, *asked).stdout
        first, masked, *earlier = shown.split("t=2\n", 1)[1].split("unit 0 · t=1")[0].split("\n\n")[1:4]
        assert shown.startswith(f"{gate}[0, 2, 0]\n")
        assert first == f"{gate}  not used: t=2 is masked"
        kept = [f"{traced[2]['state'][name][0][0]:.4f}" for name in ("cell", "hidden")]
        assert masked == f"cell  = cell at t=1  = {kept[0]}  masked at t=2: carried over from t=1"
        assert earlier[0].startswith(f"hidden  = hidden at t=1  = {kept[1]}  masked at t=2")
        document = json.loads(rnncli("explain", text, *asked, "-f", "json").stdout)["explanation"]
        assert document["value"] == traced[2]["gates"][gate]["activation"][0][0]
        assert document["equations"][0]["masked"] == {"kind": "unused", "timestep": None}
    held = rnncli("explain", "input[0,2,0]", *asked, "--hold", "forget=1@2:").stdout
    assert "not used: t=2 is masked" in held
    assert "without --hold" not in held
    shown = rnncli("explain", "hidden_states[0,2,0]", *asked).stdout
    assert f"hidden_states  = hidden at t=1  = {kept[1]}  masked at t=2: carried over from t=1" in shown
    assert re.findall(r"^output\b.{11}", shown, re.M) == ["output = sigmoid("]
    zeroed = rnncli("explain", "hidden_states[0,2,0]", *asked, "--zero-output-for-mask").stdout
    assert zeroed.endswith("\n\nhidden_states  = 0.0000  masked at t=2: output is zero\n")


def test_a_masked_output_is_called_as_where_it_is_read(rnncli: Any) -> None:
    asked = ("--return-sequences", "--seed", "7", "--mask", "[[true,true,false,true]]", "--quiet")
    summed = rnncli("explain", "hidden_states[0,2,0]", "-l", "bilstm", "--merge-mode", "sum", *asked).stdout
    for direction in ("forward", "backward"):
        assert f"\n{direction} output  = 0.0000  masked at t=2: output is zero\n" in summed
    last = ("--mask", "[[true,true,true,false]]", "--seed", "7", "--quiet", "--depth", "2")
    read = rnncli("explain", "output[0,0]", "-l", "gru", "-l", "Dense(1)", *last).stdout
    assert "\nlayer 0 hidden_state[0, 0]  = hidden at t=2  = " in read


def test_equations_in_symbols_come_first(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "mgu.toml").write_text(MGU)
    asked = ("explain", "hidden_state[0,1]", "--seed", "1", "--quiet", "--symbols")
    shown = rnncli(*asked, "-l", f"@{tmp_path / 'mgu.toml'}").stdout.splitlines()
    begin = next(number for number, text in enumerate(shown) if text.startswith("forget"))
    assert [text.split() for text in shown[begin : begin + 3]] == [
        ["forget", "=", "σ(x", "W", "+", "h", "U", "+", "b", "+", "peephole", "⊙", "h)"],
        ["candidate", "=", "tanh(x", "W", "+", "(forget", "⊙", "h)", "U", "+", "b)"],
        ["hidden", "=", "(1", "-", "forget)", "⊙", "h", "+", "forget", "⊙", "candidate"],
    ]
    assert shown[begin + 6].startswith("hidden  = (1 - forget) · previous hidden")
    document = json.loads(rnncli(*asked, "-l", "LSTM(2, recurrent_activation='relu')", "-f", "json").stdout)
    assert document["explanation"]["symbols"]["LSTM"]["cell"] == "forget ⊙ cell[t-1] + input ⊙ candidate"
    assert document["explanation"]["symbols"]["LSTM"]["output"] == "relu(x W + h U + b)"


def test_an_old_state_left_of_a_weight_has_the_symbol_of_the_head(rnncli: Any, tmp_path: Path) -> None:
    cell = (
        'name = "Pair"\nstates = ["hidden", "velocity"]\n[weights]\nturn = { shape = ["units", "units"] }\n'
        '[step]\nforce = "tanh(x @ kernel + hidden @ recurrent_kernel + velocity @ turn'
        ' + tanh(velocity) @ turn + (velocity + hidden) @ turn)"\n'
        'velocity = "velocity + force"\nhidden = "velocity @ turn"\n'
    )
    (tmp_path / "pair.toml").write_text(cell)
    asked = ("explain", "hidden_state[0,0]", "--quiet", "--symbols", "-l", f"@{tmp_path / 'pair.toml'}")
    force = ["x W", "h U", "velocity[t-1] turn", "tanh(velocity[t-1]) turn", "(velocity[t-1] + h) turn"]
    head, *units = (line for line in rnncli(*asked).stdout.splitlines() if line.startswith("force "))
    assert " ".join(head.split()) == f"force = tanh({' + '.join(force)})"
    assert len(units) == 3
    assert all(line.startswith(f"force = tanh({' + '.join(force)}) = tanh(") for line in units)
    document = json.loads(rnncli(*asked, "-f", "json").stdout)["explanation"]
    symbols = {equation["name"]: equation["symbols"] for equation in document["equations"]}
    assert (symbols["force"], symbols["hidden"]) == (force, ["velocity turn"])  # the new velocity


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
