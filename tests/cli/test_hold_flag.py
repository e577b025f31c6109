"""`--hold` as it is typed: marked in every table, in JSON, and refused where it cannot be computed."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import print_here

from rnncli.cli.app import main

HOLD = ["--hold", "forget[:, 1]=1@2:", "--seed", "1", "--quiet"]


def document(capfd: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    return dict(json.loads(print_here(capfd, *args, "-f", "json")))


def test_run_shows_what_is_held_and_the_difference(capfd: pytest.CaptureFixture[str]) -> None:
    shown = print_here(capfd, "run", *HOLD)
    assert "held: forget[:, 1]=1@2:" in shown
    assert "largest difference from the run without --hold" in shown
    assert "--hold 없이 실행한 값과의 최대 차이" in print_here(capfd, "run", *HOLD, "--lang", "ko")
    held, plain = document(capfd, "run", *HOLD), document(capfd, "run", "--seed", "1", "--quiet")
    assert held["hold"] == ["forget[:, 1]=1@2:"]
    assert "hold" not in plain
    both = zip(held["outputs"][0]["values"][0], plain["outputs"][0]["values"][0], strict=True)
    assert held["differences"]["hidden_state"] == pytest.approx(max(abs(a - b) for a, b in both))


@pytest.mark.parametrize("format", ["table", "markdown", "html", "svg"])
def test_trace_marks_held_entries(format: str, capfd: pytest.CaptureFixture[str]) -> None:
    shown = print_here(capfd, "trace", *HOLD, "--full", "-f", format).replace("&#160;", " ").replace("\\", "")
    assert shown.count("1.0000*") == 2
    assert "forget[:, 1]=1@2:" in shown
    assert "*" not in print_here(capfd, "trace", "--seed", "1", "--quiet", "-f", "table")


def test_trace_marks_bars_and_what_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    assert "1.0000*" in print_here(capfd, "trace", *HOLD, "--unit", "1", "--step", "3")
    assert "1.0000*" not in print_here(capfd, "trace", *HOLD, "--unit", "1", "--step", "0")
    lines = print_here(capfd, "trace", *HOLD, "--width", "60").splitlines()
    assert any("*" in line and line.startswith("2") for line in lines)


def test_trace_says_in_json_what_is_held(capfd: pytest.CaptureFixture[str]) -> None:
    found = document(capfd, "trace", *HOLD)
    assert found["hold"] == ["forget[:, 1]=1@2:"]
    gates = [step["gates"] for step in found["trace"]]
    assert [gate["forget"]["held"] for gate in gates] == [[False] * 3] * 2 + [[False, True, False]] * 2
    assert all("held" not in gate["input"] for gate in gates)


def test_trace_marks_held_entries_in_a_csv_column_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(StringIO(print_here(capfd, "trace", *HOLD, "-f", "csv"))))
    held = [(row["timestep"], row["unit"], row["quantity"]) for row in rows if row["held"] == "1"]
    assert held == [("2", "1", "forget.activation"), ("3", "1", "forget.activation")]
    assert {row["held"] for row in rows} == {"0", "1"}
    output = print_here(capfd, "trace", "--seed", "1", "--hold", "output=1", "-f", "csv")
    rows = list(csv.DictReader(StringIO(output)))
    assert {row["quantity"] for row in rows if row["held"] == "1"} == {"output.activation"}
    assert "held" not in print_here(capfd, "trace", "--seed", "1", "--quiet", "-f", "csv").splitlines()[0]
    only = print_here(capfd, "trace", *HOLD, "--gate", "input", "-f", "csv")
    assert {row["held"] for row in csv.DictReader(StringIO(only))} == {"0"}


@pytest.mark.parametrize("format", ["json", "npz"])
def test_a_stored_trace_with_held_gates_is_compared(
    format: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / f"trace.{format}")
    print_here(capfd, "trace", "sentence", *HOLD, "-o", file)
    print_here(capfd, "trace", "sentence", *HOLD, "--expect", file)
    if format == "npz":
        assert np.load(file)["forget/held"].tolist() == [[0, 0, 0]] * 2 + [[0, 1, 0]] * 2
    other = ["--hold", "forget[:, 1]=1@1:", "--seed", "1", "--quiet"]
    assert main(["trace", "sentence", *other, "--expect", file]) == 1
    assert "differs" in capfd.readouterr().err


def test_explain_shows_a_held_gate_instead_of_its_equation(capfd: pytest.CaptureFixture[str]) -> None:
    shown = print_here(capfd, "explain", "last_cell_state[0,1]", *HOLD)
    assert "forget  held at 1.0000" in shown
    assert "forget = sigmoid" not in shown
    free = document(capfd, "explain", "last_cell_state[0,1]", "--seed", "1", "--quiet")["explanation"]
    found = document(capfd, "explain", "last_cell_state[0,1]", *HOLD)["explanation"]
    assert found["without_hold"] == free["value"] != found["value"]
    assert [equation["name"] for equation in found["equations"] if equation.get("held")] == ["forget"]
    cell = found["equations"][0]
    assert sum(term["value"] for term in cell["terms"]) == pytest.approx(found["value"], abs=1e-6)
    assert "forget = sigmoid" in print_here(capfd, "explain", "last_cell_state[0,0]", *HOLD)
    simple = print_here(capfd, "explain", "hidden_state[0,0]", "-l", "simple_rnn", "--hold", "candidate=0.5")
    assert "held at 0.5000" in simple
