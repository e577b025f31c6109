"""What a newcomer types first: both spellings of a flag, help that offers what works, advice that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnncli import engines
from rnncli.cli.app import main


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    def asked(*args: str, code: int = 0) -> tuple[str, str]:
        assert main(list(args)) == code
        done = capsys.readouterr()
        return done.out, done.err

    return asked


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        (["--step", "1"], [1]),
        (["--steps", "1"], [1]),
        (["--step", "1:3"], [1, 2]),
        (["--steps", "-2:"], [2, 3]),
        (["--steps", ":1", "--step", "-1"], [0, 3]),
    ],
)
def test_trace_takes_steps_as_plot_does(steps: list[str], kept: list[int], ask: Any) -> None:
    document = json.loads(ask("trace", "sentence", "--seed", "1", "-f", "json", *steps)[0])
    assert [step["timestep"] for step in document["trace"]] == kept


@pytest.mark.parametrize("flag", ["--step", "--steps"])
@pytest.mark.parametrize("steps", ["-2:", "0:2", "3"])
def test_plot_takes_steps_as_trace_does(flag: str, steps: str, ask: Any) -> None:
    assert ask("plot", "sentence", "--terminal", "--seed", "1", flag, steps)[0]


@pytest.mark.parametrize("command", [("trace",), ("plot", "--terminal")])
@pytest.mark.parametrize("steps", ["x", "1:2:3", "-", "", "9" * 30])
def test_what_is_not_a_step_is_said(command: tuple[str, ...], steps: str, ask: Any) -> None:
    out, said = ask(*command, "sentence", f"--steps={steps}", code=2)
    assert "not a time step" in said
    assert out == ""


def test_a_range_without_steps_says_which_there_are(ask: Any) -> None:
    assert "there are 4, 0 to 3" in ask("trace", "sentence", "--steps", "7:", code=2)[1]


def test_matrix_does_not_offer_what_it_refuses(ask: Any) -> None:
    text = ask("matrix", "--help")[0]
    assert "--[no-]return-sequences" not in text
    assert "--[no-]return-state" not in text
    assert "--[no-]return-state" in ask("run", "--help")[0]
    said = ask("matrix", "--no-return-state", code=2)[1]
    assert "matrix does not take --no-return-state" in said


def test_what_engines_says_to_install_is_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_version", lambda package: "")
    notes = {engine.name: engine.note for engine in engines.available()}
    assert notes["onnx"].endswith("pip install 'rnncli[onnx]'")
    assert notes["tensorflow"].endswith("pip install tensorflow keras")


@pytest.mark.parametrize(
    "command", [("shape",), ("engines",), ("samples",), ("explain", "hidden_state[0,0]")]
)
def test_npz_without_tensors_leaves_stdout_empty(command: tuple[str, ...], capfdbinary: Any) -> None:
    assert main([*command, "-f", "npz"]) == 2
    done = capfdbinary.readouterr()
    assert done.out == b""
    assert b"has no tensors to store" in done.err


@pytest.mark.parametrize(
    ("args", "said", "advice"),
    [
        (
            ("run", "sentence", "-l", "gru", "-l", "ConvLSTM1D(4, 3)"),
            "layer 1 (ConvLSTM1D) needs an input of 4 axes, and layer 0 (GRU) has 3: (1, 4, 3).",
            "Leave layer 1 out, or give it an input of 4 axes.",
        ),
        (
            ("run", "sentence", "--select", "foo"),
            "--select: there is no tensor 'foo'.",
            "There is only hidden_state.",
        ),
        (
            ("run", "sentence", "--kernel-initializer", "constant"),
            "--kernel-initializer: constant needs a value.",
            "Give it after a colon: constant:0.1",
        ),
    ],
)
def test_the_advice_is_one_that_works(args: tuple[str, ...], said: str, advice: str, ask: Any) -> None:
    lines = ask(*args, code=2)[1].splitlines()
    assert lines[-2:] == [f"rnncli: {said}", advice]


def test_help_is_a_word_too(ask: Any) -> None:
    assert ask("help") == ask("--help")
    assert ask("help", "run") == ask("run", "--help")


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        (("lstm",), "A command comes first: rnncli run --layer lstm"),
        (("GRU(4)",), "A command comes first: rnncli run --layer 'GRU(4)'"),
        (("[[1, 2]]",), "A command comes first: rnncli run '[[1, 2]]'"),
        (("README.md",), "A command comes first: rnncli run README.md"),
        (("version",), "Did you mean --version?"),
        (("nosuch",), "It is one of run, shape"),
        (("x" * 5000,), "It is one of run, shape"),
        (("run", "--return-sequences=True"), "Write --return-sequences alone, or leave it out."),
    ],
)
def test_what_stands_in_place_of_a_command_is_told_where_it_goes(
    args: tuple[str, ...], advice: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    said = ask(*args, code=2)[1]
    assert advice in said
    assert len(said) < 1000
