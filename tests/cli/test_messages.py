"""What is said on stderr: never at the cost of the data, never before the answer, never inside a word."""

import io
import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from command import Run, environment
from limits import PATIENCE
from terminals import in_a_terminal

from rnncli.cli import output, terminal

INLINE = "[[[0.5, -1.0], [2.0, 0.25]]]"
NOTE = "rnncli: note: "


def run_without_reader(*args: str) -> CompletedProcess[bytes]:
    """`rnncli ARGS`, with a stderr whose reader is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "rnncli", *args], env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=writing, timeout=PATIENCE,
        )  # fmt: skip
    finally:
        os.close(writing)


@pytest.mark.slow
def test_a_remark_that_nobody_reads_costs_nothing(rnncli: Run) -> None:
    done = run_without_reader("run", "--seed", "1")
    assert (done.returncode, done.stdout.decode()) == (0, rnncli("run", "--seed", "1").stdout)


@pytest.mark.slow
def test_an_error_that_nobody_reads_keeps_its_code() -> None:
    assert run_without_reader("run", "-l", "foo").returncode == 2


@pytest.mark.parametrize("words", ["--select foo", "--units 1000000000", "--initial-state [[[0]]]"])
def test_no_remark_before_an_error(rnncli: Run, words: str) -> None:
    assert NOTE not in rnncli("run", *words.split()).refusal()


@pytest.mark.parametrize("args", ["--help", "--version", "run --help", "run --quiet", "samples"])
def test_a_closed_standard_output_is_always_an_error(shell: Run, args: str) -> None:
    assert shell(f"rnncli {args} >&-").refusal().startswith("rnncli: standard output is closed.\n")


def test_a_file_needs_no_standard_output(shell: Run, tmp_path: Path) -> None:
    assert shell("rnncli run --quiet -o out.json >&-", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out.json").stat().st_size > 0


@pytest.mark.slow
def test_lines_break_between_words() -> None:
    lines = in_a_terminal(40, "run", "-l", "Dense(3)", "--return-sequences", NO_COLOR="1").splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 40
    words = " ".join(lines).split()
    assert words == in_a_terminal(400, "run", "-l", "Dense(3)", "--return-sequences", NO_COLOR="1").split()


def test_wrapping_leaves_quoted_lines_and_their_carets_alone() -> None:
    quoted = f"  {'LSTM(3), ' * 9}\n  {' ' * 60}^^^^"
    text = f"one two three four\n{quoted}\nfive six seven eight"
    assert terminal.wrap(text, 11) == f"one two\nthree four\n{quoted}\nfive six\nseven eight"


def test_nor_is_a_shape_broken() -> None:
    assert terminal.wrap("in front, (4, 5) -> (n, None, 5)", 15) == "in front,\n(4, 5) ->\n(n, None, 5)"
    assert terminal.wrap("names are 1, 2, 3 and (so on) more", 15) == "names are 1, 2,\n3 and (so on)\nmore"


@pytest.mark.slow
def test_what_tensorflow_computed_is_held_against_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    from rnncli.cli.app import main

    assert main(["run", INLINE, "--seed", "7", "--check", "--engine", "tensorflow"]) == 0
    assert f"{NOTE}--check has no effect: tensorflow already computed" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "said"), [("csv", 1), ("npz", 1), ("npy", 1), ("safetensors", 1), ("json", 0), ("txt", 0)]
)
def test_check_everywhere(suffix: str, said: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from rnncli.cli.app import main

    path = tmp_path / f"out.{suffix}"
    assert main(["run", INLINE, "--seed", "7", "--check", "-o", str(path)]) == 0
    notes = [line for line in capfd.readouterr().err.splitlines() if line.startswith(NOTE)]
    assert len(notes) == said
    assert all("hidden_state: largest difference from TensorFlow " in note for note in notes)


def test_every_sign_of_a_table_is_asked_for(rnncli: Run) -> None:
    args = ("-l", "lstm", "-l", "gru", "--units", "50", "--return-sequences", "--stats", "--width", "60")
    signs = {char for char in rnncli("run", "--input-shape", "9,9,9", *args).stdout if not char.isascii()}
    assert "→" in signs
    assert "█" in signs
    assert signs <= set(output.BEYOND_ASCII)


@pytest.mark.slow
def test_an_encoding_without_one_of_the_signs_gets_ascii(rnncli: Run) -> None:
    done = rnncli("run", "-l", "lstm", "-l", "gru", "--quiet", env={"PYTHONIOENCODING": "latin-1"})
    assert " -> " in done.stdout


class Stream(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8", tty: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize(("tty", "environment", "color"), [
    (True, {}, True),
    (False, {}, False),
    (True, {"NO_COLOR": "1"}, False),
    (True, {"NO_COLOR": ""}, True),
    (False, {"FORCE_COLOR": "1"}, True),
    (False, {"FORCE_COLOR": ""}, False),
    (False, {"FORCE_COLOR": "0"}, False),
    (True, {"FORCE_COLOR": "0"}, False),
    (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    (True, {"TERM": "dumb"}, False),
])  # fmt: skip
def test_color(tty: bool, environment: dict[str, str], color: bool) -> None:
    assert terminal.has_color(Stream(tty=tty), environment) is color


@pytest.mark.parametrize(
    ("environment", "width"),
    [({}, None), ({"COLUMNS": "0"}, None), ({"COLUMNS": "-3"}, None), ({"COLUMNS": "40"}, 40)],
)  # fmt: skip
def test_a_pipe_is_as_wide_as_columns_says(environment: dict[str, str], width: int | None) -> None:
    assert terminal.columns(Stream(), environment) == width


@pytest.mark.parametrize(("environment", "lang"), [
    ({}, "en"),
    ({"LANG": "ko_KR.UTF-8"}, "ko"),
    ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
    ({"LC_MESSAGES": "ko_KR.UTF-8", "LANG": "de_DE.UTF-8"}, "ko"),
    ({"LC_ALL": "", "LANG": "ko_KR"}, "ko"),
])  # fmt: skip
def test_language(environment: dict[str, str], lang: str) -> None:
    assert terminal.language(environment) == lang
