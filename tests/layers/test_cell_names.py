"""The cells of RNN have names of their own, which no layer of a stack has."""

from __future__ import annotations

import json

import pytest
from command import print_here

from rnncli.cli.app import main

STACK = [
    "-l", "RNN([LSTMCell(3), GRUCell(2)], return_sequences=True)",
    "-l", "RNN([GRUCell(2), LSTMCell(4)], return_state=True)", "--seed", "1", "--quiet",
]  # fmt: skip


def print_answer(capfd: pytest.CaptureFixture[str], *args: str) -> str:
    return print_here(capfd, *args, *STACK)


def test_names_of_cells_and_of_layers_do_not_collide(capfd: pytest.CaptureFixture[str]) -> None:
    outputs = json.loads(print_answer(capfd, "run", "--all-layers", "-f", "json"))["outputs"]
    assert [tensor["name"] for tensor in outputs] == [
        "0/hidden_states",
        "1/hidden_state",
        "1/cell_0/last_hidden_state",
        "1/cell_1/last_hidden_state",
        "1/cell_1/last_cell_state",
    ]
    assert outputs[2]["meaning"] == "layer 1, cell 0: hidden state of the last time step"


def test_a_cell_below_is_explained(capfd: pytest.CaptureFixture[str]) -> None:
    text = print_answer(capfd, "explain", "0/cell_0/last_hidden_state[0,2]")
    assert text.startswith("0/cell_0/last_hidden_state[0, 2] = -0.1149\n")
    assert "layer 0, cell 0" in text.splitlines()[1]
    assert main(["explain", "0/last_hidden_state[0,2]", *STACK]) == 2
    assert "Did you mean 0/cell_1/last_hidden_state?" in capfd.readouterr().err


def test_a_trace_names_the_cells(capfd: pytest.CaptureFixture[str]) -> None:
    step = json.loads(print_answer(capfd, "trace", "-f", "json"))["trace"][0]
    assert [name for name in step["gates"] if "candidate" in name] == ["cell_0/candidate", "cell_1/candidate"]
    assert list(step["state"]) == ["cell_0/hidden", "cell_0/cell", "cell_1/hidden"]
