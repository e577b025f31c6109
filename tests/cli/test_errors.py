"""Bad command lines and bad input: one message, nothing on stdout, the contract's exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command import Run

INLINE = "[[[0.5, -1.0], [2.0, 0.25]]]"

BAD = [
    (["run", "nothing.json"], "nothing.json: there is no such file.", ""),
    (["run", "gru"], "gru: there is no such file.", "--layer gru"),
    (["run", "notes.txt"], "notes.txt: there is no such file.", ""),
    (["run", ""], "the file name is empty.", ""),
    (["run", "."], ".", ""),
    (["run", "[[[1, 2], [3]]]"], "[0][1]", ""),
    (["run", "[[[1, true]]]"], "[0][0][1] is true, not a number.", "Booleans are not numbers"),
    (["run", "[[1, 2"], "the command line", ""),
    (["run", "[1, 2, 3]"], "the command line: the input is 1-D, (3,).", "--input-axes"),
    (["run", "[[[1],[2]],[[3]]]"], "differ in length: [0] has 2 time steps, [1] has 1.", "--pad post"),
    (["run", '{"input": [[1]]}'], "no key 'input'", "Did you mean inputs?"),
    (["run", INLINE, "--input-shape", "1,2,2"], "--input-shape are given.", "Leave one of them out."),
    (["run", "--input-shape", "batch,2,2"], "batch is not a number", "rnncli shape"),
    (["run", "--input-shape", "1,0,2"], "the input shape '1,0,2' has '0'", ""),
    (["shape", "--input-shape", "5"], "has 1 axis", "1,5,1 is a series of one feature"),
    (["run", INLINE, "--fill", "ones"], "--fill ones applies only to a generated input.", "--input-shape"),
    (["run", INLINE, "--input-format", "jsn"], "jsn", "Did you mean json?"),
    (["run", INLINE, "--input-axes", "batch,tme,features"], "tme", "Did you mean time?"),
    (["run", "--input-shape", "2,3,4", "--input-axes", "time,batch,features"], "--input-axes applies", ""),
    (["run", INLINE, "--pad-value", "1"], "--pad-value needs --pad.", "--pad post"),
    (["run", INLINE, "--seed", "-1"], "--seed: -1 is not between 0 and 4294967295.", ""),
    (["run", '{"inputs": [[[1]]], "seed": 5000000000}'], "seed is 5000000000.", "4294967295"),
    (["run", INLINE, "--mask", "[[true]]"], "the mask is (1, 1), but the input is (1, 2, 2).", "(1, 2)"),
    (["run", INLINE, "--layer", "lstn"], "lstn", "Did you mean"),
    (["run", INLINE, "--layer", "LSTM(3"], "rnncli: ", ""),
    (["run", INLINE, "--layer", "@nothing.json"], "nothing.json: there is no such file.", ""),
    (["run", INLINE, "--reset-after"], "--reset-after does not apply to LSTM.", "GRU"),
    (["run", INLINE, "--layer", "LSTM(3)", "--units", "4"], "units", ""),
    (["run", INLINE, "--bias-initializer", "zeroes"], "zeroes", "Did you mean"),
    (["run", INLINE, "--activation", "tahn"], "tahn", "Did you mean"),
    (["run", INLINE, "--units", "0"], "units", ""),
    (["run", INLINE, "--initial-state", "[[[0, 0, 0]]]"], "has 1 state, but the layer needs 2", ""),
    (
        ["run", INLINE, "--initial-state", "[[[0, 0]], [[0, 0]]]"],
        "has shape (1, 2), but the layer needs (1, 3).",
        "batch, units",
    ),
    (
        ["run", INLINE, "--initial-state", '{"last_hidden_stat": [[0, 0, 0]]}'],
        "no state 'last_hidden_stat'.",
        "Did you mean last_hidden_state?",
    ),
    (
        ["run", INLINE, "--initial-state", '{"last_hidden_state": [[0, 0, 0]]}'],
        "last_cell_state is missing.",
        "",
    ),
    (["run", INLINE, "--weights", '{"kernel": [[1]]}'], "rnncli: ", ""),
    (["run", INLINE, "--select", "hiden_state"], "no tensor 'hiden_state'.", "Did you mean hidden_state?"),
    (["run", INLINE, "-o", "there/is/no/folder.json"], "there/is/no/folder.json", "There is no folder"),
    (["run", INLINE, "-o", "result.jsn"], "result.jsn", ""),
    (["run", INLINE, "--engine", "numpi"], "numpi", "Did you mean numpy?"),
    (["samples", "sentense"], "there is no sample 'sentense'.", "Did you mean sentence?"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "what", "advice"), BAD, ids=[" ".join(args)[:60] for args, _, _ in BAD])
def test_a_mistake_is_said_in_one_message(
    args: list[str], what: str, advice: str, capfd: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from rnncli.cli.app import main

    monkeypatch.chdir(tmp_path)
    assert main(args) == 2
    streams = capfd.readouterr()
    assert streams.out == ""
    said = [line for line in streams.err.splitlines() if not line.startswith("rnncli: note: ")]
    assert said[0].startswith("rnncli: ")
    assert what in streams.err
    assert advice in streams.err
    assert "internal error" not in streams.err
    assert not list(tmp_path.iterdir())


def test_a_real_process_says_the_same(rnncli: Run) -> None:
    done = rnncli("run", "nothing.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rnncli: nothing.json: there is no such file.\n")


def test_color_of_an_error_only_where_it_is_wanted(rnncli: Run) -> None:
    assert "\x1b[" not in rnncli("rnu").stderr
    assert rnncli("rnu", env={"FORCE_COLOR": "1"}).stderr.startswith("\x1b[1;31mrnncli:\x1b[0m there is no")
    assert "\x1b[" not in rnncli("rnu", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stderr


def test_no_control_character_of_a_name_reaches_the_terminal(rnncli: Run) -> None:
    done = rnncli("run", "\x1b[2Jnothing.json")
    assert done.returncode == 2
    assert done.stderr.startswith("rnncli: \\x1b[2Jnothing.json: there is no such file.")


def test_check_agrees(rnncli: Run) -> None:
    done = rnncli("run", INLINE, "--seed", "7", "--check", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["differences"]) == ["hidden_state"]


def test_check_that_fails_still_prints_the_result(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnncli import compute
    from rnncli.case import Case
    from rnncli.cli.app import main
    from rnncli.result import NamedTensor, Result

    honest = compute.run

    def apart(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
        result = honest(case, "numpy")
        if engine != "tensorflow":
            return result
        moved = tuple(NamedTensor(part.label, part.axes, part.values + 2e-4) for part in result.outputs)
        return replace(result, outputs=moved)

    monkeypatch.setattr(compute, "run", apart)
    assert main(["run", INLINE, "--seed", "7", "--check"]) == 1
    streams = capfd.readouterr()
    assert "hidden_state" in streams.out
    assert streams.err.startswith("rnncli: hidden_state differs from TensorFlow.\n")
    assert main(["run", INLINE, "--seed", "7", "--check", "--atol", "1e-3"]) == 0


def test_select_keeps_a_tensor(rnncli: Run) -> None:
    done = rnncli("run", INLINE, "--return-state", "--select", "last_cell_state", "-f", "json")
    assert [tensor["name"] for tensor in json.loads(done.stdout)["outputs"]] == ["last_cell_state"]
