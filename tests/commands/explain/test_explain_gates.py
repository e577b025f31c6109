"""explain takes a gate, a sequence that was not asked for, and suggests a number that there is."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from command import print_here

MORE = ["--seed", "1", "--quiet"]
MASKED = ["[[1, 2], [3, 4]]", "--mask", "[[false, false]]"]


def print_answer(capfd: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    return print_here(capfd, *args, *MORE, code=code)


def traced(capfd: pytest.CaptureFixture[str], *flags: str) -> list[Any]:
    return list(json.loads(print_answer(capfd, "trace", "-f", "json", *flags))["trace"])


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
    number: str, flags: tuple[str, ...], gate: str, step: int, unit: int, capfd: pytest.CaptureFixture[str]
) -> None:
    theirs = traced(capfd, *flags)[step]["gates"][gate]["activation"][0][unit]
    found = json.loads(print_answer(capfd, "explain", number, "-f", "json", *flags))["explanation"]
    assert found["value"] == theirs == found["equations"][0]["value"]


def test_a_sequence_needs_no_flag(capfd: pytest.CaptureFixture[str]) -> None:
    with_flag = print_answer(capfd, "explain", "hidden_states[0,1,0]", "--return-sequences")
    without = print_answer(capfd, "explain", "hidden_states[0,1,0]")
    assert without.splitlines()[:2] == with_flag.splitlines()[:2]
    assert without.splitlines()[3:] == with_flag.splitlines()[3:]


@pytest.mark.parametrize("layer", ["lstm", "gru", "simple_rnn", "bilstm", "RNN([LSTMCell(2), GRUCell(1)])"])
def test_what_is_suggested_works(layer: str, capfd: pytest.CaptureFixture[str]) -> None:
    example = re.search("'([^']*)'", print_answer(capfd, "explain", "-l", layer, code=2))
    assert example is not None
    assert print_answer(capfd, "explain", example[1], "-l", layer).startswith(example[1].partition("[")[0])


def test_a_gate_of_a_masked_step_has_its_equation(capfd: pytest.CaptureFixture[str]) -> None:
    assert "sigmoid(" in print_answer(capfd, "explain", "forget[0,0,1]", *MASKED)


def test_a_gate_that_is_not_there_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert "there is no tensor 'forget'" in print_answer(capfd, "explain", "forget[0,1]", "-l", "gru", code=2)
    assert "index 9 is out of range for units" in print_answer(capfd, "explain", "forget[0,9]", code=2)
