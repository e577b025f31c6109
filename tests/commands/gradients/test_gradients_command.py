"""`rnncli gradients` as it is typed."""

import json
from typing import Any

import pytest
from command import Run


def layers_of_answer(rnncli: Run, *args: str) -> list[Any]:
    found: list[Any] = rnncli("gradients", *args, "--seed", "3", "-f", "json").answer()["layers"]
    return found


def classes_and_units(found: list[Any]) -> list[tuple[str, int]]:
    layers = [one["layer"][0] for one in found]
    return [(layer["class_name"], layer["config"]["units"]) for layer in layers]


def test_layers_side_by_side_have_the_same_input_units_and_seed(rnncli: Run) -> None:
    found = layers_of_answer(
        rnncli, "--against", "simple_rnn,lstm, GRU(4, reset_after=False)", "--units", "4"
    )
    assert classes_and_units(found) == [("SimpleRNN", 4), ("LSTM", 4), ("GRU", 4)]
    assert layers_of_answer(rnncli, "--layer", "lstm", "--units", "4")[0] == found[1]


def test_a_layer_stands_before_those_it_is_held_against(rnncli: Run) -> None:
    found = layers_of_answer(rnncli, "-l", "GRU(5)", "--against", "simple_rnn", "--against", "lstm")
    assert classes_and_units(found) == [("GRU", 5), ("SimpleRNN", 5), ("LSTM", 5)]


@pytest.mark.slow
def test_nothing_of_tensorflow_is_said(shell: Run) -> None:
    done = shell("rnncli gradients --seed 1 --quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("LSTM(3)\n")


def test_what_else_was_asked_for_is_said_as_run_says_it(rnncli: Run) -> None:
    flags = ("[[[1, 2], [0, 0]]]", "-l", "gru", "--mask-value", "0", "--initial-state", "[[[1, 0, 1]]]")
    heads = [json.loads(rnncli(name, *flags, "-f", "json").stdout) for name in ("run", "gradients")]
    ran, found = (head["conditions"] for head in heads)
    assert found == ran == {"mask": 1, "initial_state": 1}
    notes = [rnncli(name, *flags, "--seed", "1").stdout.splitlines()[1] for name in ("run", "gradients")]
    assert notes[1] == notes[0]
    assert "conditions" not in json.loads(rnncli("gradients", "-f", "json").stdout)


def test_a_weight_by_gate_in_every_form(rnncli: Run) -> None:
    (found,) = layers_of_answer(rnncli, "-l", "lstm", "--of", "kernel")
    assert list(found["lines"]) == ["input", "forget", "candidate", "output"]
    assert (found["weight"], found["curves"]) == ("kernel", [])
    rows = rnncli("gradients", "-l", "lstm", "--of", "kernel", "--seed", "3", "-f", "csv").stdout.splitlines()
    assert rows[0] == "layer,gate,value"
    assert [float(row.split(",")[2]) for row in rows[1:]] == list(found["lines"].values())
    page = rnncli("gradients", "--against", "lstm,gru", "--of", "kernel", "--seed", "3", "--quiet").stdout
    assert "with respect to kernel, by gate" in page
    assert [line.split()[:2] for line in page.splitlines()[-3:]] == [
        ["GRU", "update"],
        ["GRU", "reset"],
        ["GRU", "candidate"],
    ]
    both = rnncli("gradients", "--against", "gru,GRU(2)", "--of", "kernel", "--seed", "3", "-f", "csv").stdout
    assert [row.split(",")[0] for row in both.splitlines()[1:]] == ["GRU"] * 3 + ["GRU 2"] * 3
    said = rnncli("gradients", "-l", "lstm", "--of", "kernel", "--engine", "tensorflow").refusal()
    assert "only numpy computes" in said
