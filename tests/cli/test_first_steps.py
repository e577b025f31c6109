"""What a newcomer types first: both spellings of a flag, help that offers what works, advice that helps."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rnncli.cli.app import main
from rnncli.compute import engines


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
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    notes = {engine.name: str(engine.note) for engine in engines.available()}
    assert notes["onnx"].endswith("pip install onnx onnxruntime")
    assert notes["tensorflow"].endswith("pip install tensorflow keras")


@pytest.mark.parametrize(
    "command", [("shape",), ("engines",), ("samples",), ("explain", "hidden_state[0,0]")]
)
def test_npz_without_tensors_leaves_stdout_empty(command: tuple[str, ...], capfdbinary: Any) -> None:
    assert main([*command, "-f", "npz"]) == 2
    done = capfdbinary.readouterr()
    assert done.out == b""
    assert b"returns no tensors to store" in done.err


@pytest.mark.parametrize(
    ("args", "said", "advice"),
    [
        (
            ("run", "sentence", "-l", "gru", "-l", "ConvLSTM1D(4, 3)"),
            "layer 1 (ConvLSTM1D) needs an input of 4 axes, but layer 0 (GRU) returns 3: (1, 4, 3).",
            "Leave layer 1 out, or give it an input of 4 axes.",
        ),
        (
            ("run", "sentence", "--select", "foo"),
            "--select: there is no tensor 'foo'.",
            "The only choice is hidden_state.",
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


FOLLOWED = (
    (("-l", "LSTM(-3)"), "For example units=3.", ("-l", "LSTM(units=3)")),
    (("-l", "RNN(5)"), "Write the cell with its arguments: LSTMCell(3)", ("-l", "RNN(LSTMCell(3))")),
    (("-l", "Bidirectional(LSTM)"), "arguments: LSTM(3)", ("-l", "Bidirectional(LSTM(3))")),
    (
        ("-l", "Bidirectional(LSTM(3), backward_layer=GRU(3))"),
        "Write go_backwards=True in backward_layer.",
        ("-l", "Bidirectional(LSTM(3), backward_layer=GRU(3, go_backwards=True))"),
    ),
    (
        ("-l", "Bidirectional(GRU(3, go_backwards=True))"),
        "Leave go_backwards out.",
        ("-l", "Bidirectional(GRU(3))"),
    ),
    (
        ("-l", "LSTM(3)", "-l", "Dense(2)", "-l", "LSTM(3)"),
        "Give layer 0 return_sequences=True.",
        ("-l", "LSTM(3, return_sequences=True)", "-l", "Dense(2)", "-l", "LSTM(3)"),
    ),
    (("-l", "-l"), "Write a value that starts with a dash as -lVALUE.", ("-llstm",)),
    (("--weights", "w.foo"), "save it in one of these formats.", ("--weights", "w.json")),
    (("--initial-state", "[[[1, 1, 1]]]"), "Give one of each", ("--initial-state", "[[1, 1, 1], [1, 1, 1]]")),
    (
        ("-l", "dense", "--initial-state", "[[[1]]]"),
        "Leave the initial state out.",
        ("-l", "dense"),
    ),
    (("--mask", "[[true,"), "Is the input truncated?", ("--mask", "[[true, true, true, false]]")),
)
"""What is wrong, what the message says to do, and what it comes to."""


@pytest.mark.parametrize(("wrong", "advice", "right"), FOLLOWED, ids=str)
def test_advice_that_is_followed(
    wrong: tuple[str, ...],
    advice: str,
    right: tuple[str, ...],
    ask: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = {"kernel": [[1] * 12] * 5, "recurrent_kernel": [[1] * 12] * 3, "bias": [0] * 12}
    for name in ("w.json", "w.foo"):
        (tmp_path / name).write_text(json.dumps(weights))
    assert advice in ask("run", "sentence", *wrong, code=2)[1].splitlines()[-1]
    ask("run", "sentence", *right)


@pytest.mark.parametrize("flag", ["--mask", "--weights", "--initial-state", "--layer", "--expect", "--model"])
def test_a_file_beside_the_input_is_not_told_of_its_format(flag: str, ask: Any, tmp_path: Path) -> None:
    """--input-format is for the input alone."""
    texts = {"a.foo": b"[]", "a.json": b"", "b.json": b"[1] 2", "c.json": b"[.1]", "d.csv": b"1,2\n\xff,2"}
    texts |= {"e.csv": b"1,2\n3", "f.csv": b"a,b\n1,x"} if flag in ("--mask", "--initial-state") else {}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
        word = f"{'@' * (flag == '--layer')}{tmp_path / name}"
        said = ask("run", "sentence", flag, word, code=2)[1]
        assert not any(other in said for other in ("--input-format", "--delimiter", "--batch-column"))
        assert "CSV" not in said
        assert name in said


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
        (("nosuch",), "Choose one of run, compare"),
        (("x" * 5000,), "Choose one of run, compare"),
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
