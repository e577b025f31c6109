"""`rnncli explain`, as it is typed."""

from __future__ import annotations

import json

import pytest
from test_laziness import HEAVY, loaded_by

SEED = ("--seed", "42", "--quiet")


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_an_explanation_loads_no_framework(format):
    assert not HEAVY & loaded_by("explain", "last_cell_state[0,0]", *SEED, "-f", format)


def test_the_number_of_the_sketch(rnncli):
    done = rnncli("explain", "last_cell_state[0,0]", *SEED)
    assert done.stdout.startswith("last_cell_state[0, 0] = 0.3901\n")
    assert "= forget  · cell before" in done.stdout
    assert "input = sigmoid(x W + h U + b) = sigmoid(1.6972) = 0.8452" in done.stdout
    assert "0.9363  =  2.2000 ·  0.4256  feature 0 · kernel[0, 0]" in done.stdout


def test_it_is_the_number_of_run(rnncli):
    flags = ("[[[1, 2], [3, 4], [0, 1]]]", "--layer", "bigru", "--return-sequences", *SEED, "-f", "json")
    ran = json.loads(rnncli("run", *flags).stdout)["outputs"][0]["values"]
    explained = json.loads(rnncli("explain", "hidden_states[0,1,4]", *flags).stdout)["explanation"]
    assert explained["value"] == ran[0][1][4]


def test_remarks_come_with_an_answer_and_not_without(rnncli):
    assert "note: no input was given" in rnncli("explain", "hidden_state[0,0]", "--seed", "1").stderr
    failed = rnncli("explain", "nope[0]", "--seed", "1")
    assert failed.returncode == 2
    assert failed.stderr.startswith("rnncli: there is no tensor 'nope'.")


def test_how_many_terms(rnncli):
    def listed(*flags):
        done = rnncli(
            "explain", "hidden_state[0,0]", "-l", "simple_rnn", "--units", "16", *SEED, "-f", "json", *flags
        )
        (equation,) = json.loads(done.stdout)["explanation"]["equations"]
        return len(equation["terms"]), (equation["others"] or {"count": 0})["count"]

    assert listed() == (10, 12)
    assert listed("--terms", "3") == (3, 19)
    assert listed("--full") == (22, 0)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("hidden_state[0,3]",), 2, "there is no 3 on the axis units: hidden_state is (1, 3)"),
        (("hidden_states[0,3]",), 2, "2 indices, but hidden_states is (1, 4, 3)"),
        (("hidden_state[0,0]", "--depth", "0"), 2, "--depth"),
        (("hidden_state[0,0]", "--engine", "tensorflow"), 2, "Leave --engine out; rnncli trace --check"),
        (("hidden_state[0,0,0]", "-l", "ConvLSTM1D(2, 2)", "--input-shape", "1,3,4,2"), 2, "ConvLSTM1D"),
        ((), 2, "no number was named."),
        (("",), 2, "no number was named."),
    ],
)
def test_what_cannot_be_explained_is_said(rnncli, words, code, said):
    done = rnncli("explain", *words, *SEED)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
