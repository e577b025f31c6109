"""Command lines as text give what the command itself would compute."""

from __future__ import annotations

import io
import json
import shlex

import numpy as np
import pytest
from command import Run

from rnncli import compute
from rnncli.cli.flags import CommandLine


def test_it_is_what_the_command_computes(rnncli: Run) -> None:
    words = ["-l", "lstm", "-l", "GRU(2, return_sequences=True)", "--mask", "[[true, true, false, true]]"]
    printed = json.loads(rnncli("run", *words, "--seed", "3", "-f", "json").stdout)
    line = f"rnncli run {shlex.join(words)} \\\n  --seed 3"
    result = compute.run(CommandLine.parse(line).case(), "numpy")
    assert [tensor.name for tensor in result.outputs] == [one["name"] for one in printed["outputs"]]
    np.testing.assert_array_equal(result.outputs[0].values, np.float32(printed["outputs"][0]["values"]))


def test_stdin_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[[[1]]]")))
    assert CommandLine.parse("rnncli run --seed 1").case().inputs.shape == (1, 4, 5)


def test_flags_of_other_commands() -> None:
    parsed = CommandLine.parse("rnncli trace -l gru --unit 0 --seed 7")
    assert parsed.command == "trace"
    assert parsed.values["unit"] == [0]
    assert parsed.values["gate"] is None
    assert parsed.case().seed == 7


def test_a_state_in_place_of_a_file() -> None:
    state = np.ones((1, 3), np.float32)
    case = CommandLine.parse("rnncli run -l gru --initial-state nowhere.json --seed 1").case((state,))
    assert case.initial_state == (state,)
