"""`rnncli plot` as it is typed."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from command import loaded_by

from rnncli.cli.app import main
from rnncli.compute import engines


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_a_file_by_its_suffix(rnncli: Any, tmp_path: Any, suffix: Any) -> None:
    path = tmp_path / f"gates.{suffix}"
    done = rnncli("plot", "--layer", "lstm", "--seed", "1", "--quiet", "-o", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert path.stat().st_size > 5000
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_size_in_pixels(rnncli: Any, tmp_path: Any) -> None:
    path = tmp_path / "a.png"
    rnncli("plot", "--seed", "1", "--size", "1600x900px", "-o", str(path))
    assert struct.unpack(">II", path.read_bytes()[16:24]) == (1600, 900)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "plot needs an output file"),
        (["-o", "a.jpg"], "plot cannot write .jpg"),
        (["-o", "a"], "no suffix"),
        (["-o", "-"], "plot needs a file"),
        (["-o", "a.png", "--terminal"], "--terminal and --output"),
        (["--terminal", "--size", "3x4"], "--terminal and --size"),
        (["-o", "no/such/a.png"], "cannot be written"),
        (["-o", "a.png", "--size", "big"], "not a width and height"),
        (["-o", "a.png", "--size", "0x4"], "each side must be above 0"),
        (["-o", "a.png", "--size", "1x1"], "too small"),
        (["--terminal", "--steps", "one"], "--steps one: this is not a time step"),
        (["--terminal", "--steps", "9:"], "no time step is selected"),
        (["--terminal", "--batch", "4"], "--batch 4"),
        (["--terminal", "--gate", "forgit"], "--gate"),
        (["--terminal", "--style", "loud"], "--style"),
        (["--terminal", "--what", "all"], "--what"),
        (["--terminal", "--what", "trace", "--engine", "tensorflow"], "does not record steps"),
        (["--terminal", "--engine", "tensorflow"], "does not record steps"),
    ],
)
def test_what_cannot_be_meant(rnncli: Any, tmp_path: Any, args: Any, said: Any) -> None:
    done = rnncli("plot", "--seed", "1", "--quiet", *args, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_remarks_are_beside_a_picture_only(rnncli: Any, tmp_path: Any) -> None:
    args = ("plot", "--seed", "1", "-o", str(tmp_path / "a.png"))
    assert "built-in sample" in rnncli(*args).stderr
    refused = rnncli(*args, "--size", "1x1")
    assert refused.returncode == 2
    assert "too small" in refused.stderr
    assert "built-in sample" not in refused.stderr


def test_the_last_sequence(rnncli: Any) -> None:
    done = rnncli("plot", "[[[1]], [[2]], [[3]]]", "--seed", "1", "--terminal", "--batch", "-1")
    assert done.returncode == 0
    assert "batch 2 of 0..2" in done.stdout


def test_the_only_sequence(rnncli: Any) -> None:
    done = rnncli("plot", "--seed", "1", "--terminal", "--batch", "1")
    assert done.stderr.splitlines()[-1] == "The only sequence is 0."


def test_without_matplotlib(rnncli: Any, tmp_path: Any) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('none here')")
    path = f"{tmp_path}:{__file__.rpartition('/tests/')[0]}"
    done = rnncli("plot", "--seed", "1", "-o", str(tmp_path / "a.png"), env={"PYTHONPATH": path})
    assert done.returncode == 3
    assert "pip install matplotlib" in done.stderr
    assert rnncli("plot", "--seed", "1", "--terminal", env={"PYTHONPATH": path}).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lang", "ko"], "plot에 필요한 matplotlib이 설치되어 있지 않습니다."),
        (["volts.csv"], "plot needs matplotlib, which is not installed."),
    ],
)
def test_without_matplotlib_no_font_is_looked_for(
    words: list[str], said: str, rnncli: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "volts.csv").write_text("전압\n1\n2\n")
    (tmp_path / "matplotlib.py").write_text("raise ImportError('none here')")
    path = f"{tmp_path}:{__file__.rpartition('/tests/')[0]}"
    picture = tmp_path / "a.png"
    done = rnncli("plot", *words, "--seed", "1", "-o", str(picture), env={"PYTHONPATH": path})
    assert (done.returncode, done.stdout) == (3, "")
    assert said in done.stderr
    assert done.stderr.endswith("pip install matplotlib\n")
    assert not picture.exists()


def test_the_terminal_names_everything(rnncli: Any) -> None:
    done = rnncli("plot", "--layer", "bigru", "--seed", "1", "--terminal", "--width", "80")
    for title in ("input", "forward: update gate", "backward: hidden state", "candidate and states"):
        assert title in done.stdout


def test_color_only_where_it_is_wanted(rnncli_process: Any) -> None:
    def bytes_of(**env: str) -> str:
        return str(rnncli_process("plot", "--seed", "1", "--terminal", env=env).stdout)

    assert "\x1b" not in bytes_of()
    assert "48;2;" in bytes_of(FORCE_COLOR="1", COLORTERM="truecolor")
    assert "48;5;" in bytes_of(FORCE_COLOR="1", COLORTERM="", TERM="xterm-256color")
    assert "48;" not in bytes_of(FORCE_COLOR="1", COLORTERM="", TERM="linux")


def test_a_result_where_there_is_no_trace(rnncli: Any) -> None:
    case = json.dumps([[[1.0], [2.0]]])
    done = rnncli("plot", case, "--layer", "gru", "--seed", "1", "--what", "result", "--terminal")
    assert "hidden_state" in done.stdout
    assert "update gate" not in done.stdout


def test_a_trace_also_where_another_engine_is_faster(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "choose", lambda case: "onnx")
    assert main(["plot", "--layer", "gru", "--seed", "1", "--terminal"]) == 0
    assert "update gate" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["plot", "gradients"])
def test_help_loads_nothing_heavy(command: Any) -> None:
    loaded = loaded_by(command, "--help")
    assert (
        not {"numpy", "rich", "matplotlib", "tensorflow", "rnncli.commands.plot.figure", "rnncli.compute"}
        & loaded
    )


def test_the_terminal_needs_no_matplotlib() -> None:
    assert "matplotlib" not in loaded_by("plot", "--seed", "1", "--terminal")


def test_one_sequence_and_one_step_are_not_counted_to_zero(rnncli: Any, tmp_path: Any) -> None:
    file, shape = str(tmp_path / "p.png"), ("--input-shape", "1,1,4")
    for flag, value, only in (("--batch", "5", "sequence"), ("--steps", "7:9", "time step")):
        done = rnncli("plot", *shape, flag, value, "-o", file)
        assert done.stderr.endswith(f"The only {only} is 0.\n")


def test_the_advice_for_a_small_size_fits_a_result_too(rnncli: Any, tmp_path: Any) -> None:
    args = ("plot", "--input-shape", "1,9,4", "--return-sequences", "--what", "result")
    done = rnncli(*args, "--size", "1x1", "-o", str(tmp_path / "p.png"))
    assert "or show less with --steps, or of a trace with --gate." in done.stderr
