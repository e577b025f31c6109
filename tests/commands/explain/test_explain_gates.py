"""explain takes a gate, a sequence that was not asked for, and suggests a number that there is."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from rnncli.cli.app import main

MORE = ["--seed", "1", "--quiet"]
MASKED = ["[[1, 2], [3, 4]]", "--mask", "[[false, false]]"]


def said(capfd: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main([*args, *MORE]) == code
    streams = capfd.readouterr()
    return streams.err if code else streams.out


def traced(capfd: pytest.CaptureFixture[str], *flags: str) -> list[Any]:
    return list(json.loads(said(capfd, "trace", "-f", "json", *flags))["trace"])


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
    found = json.loads(said(capfd, "explain", number, "-f", "json", *flags))["explanation"]
    assert found["value"] == theirs == found["equations"][0]["value"]


def test_a_sequence_needs_no_flag(capfd: pytest.CaptureFixture[str]) -> None:
    with_flag = said(capfd, "explain", "hidden_states[0,1,0]", "--return-sequences")
    without = said(capfd, "explain", "hidden_states[0,1,0]")
    assert without.splitlines()[:2] == with_flag.splitlines()[:2]
    assert without.splitlines()[3:] == with_flag.splitlines()[3:]


@pytest.mark.parametrize("layer", ["lstm", "gru", "simple_rnn", "bilstm", "RNN([LSTMCell(2), GRUCell(1)])"])
def test_what_is_suggested_works(layer: str, capfd: pytest.CaptureFixture[str]) -> None:
    example = re.search("'(.*)'", said(capfd, "explain", "-l", layer, code=2))
    assert example is not None
    assert said(capfd, "explain", example[1], "-l", layer).startswith(example[1].partition("[")[0])


def test_a_gate_of_a_masked_step_has_its_equation(capfd: pytest.CaptureFixture[str]) -> None:
    assert "sigmoid(" in said(capfd, "explain", "forget[0,0,1]", *MASKED)


def test_a_gate_that_is_not_there_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert "there is no tensor 'forget'" in said(capfd, "explain", "forget[0,1]", "-l", "gru", code=2)
    assert "index 9 is out of range for units" in said(capfd, "explain", "forget[0,9]", code=2)
