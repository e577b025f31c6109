"""Text that nobody means: too deep, too long, or half a number."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import pytest
from command import Completed, Run

INPUT = "[[[0.5, -1.0], [2.0, 0.25]]]"


def check_refusal(done: Completed) -> str:
    """What was said of it, after one plain message."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2000
    assert done.stderr.count("\n") < 20
    return done.stderr


def objects(depth: int) -> str:
    return '{"a": ' * depth + "1" + "}" * depth


class TestDepth:
    @pytest.mark.parametrize("depth", [300, 3000])
    @pytest.mark.parametrize("flag", ["INPUT", "--mask", "--initial-state", "--weights", "--layer"])
    def test_is_limited_wherever_json_is_read(
        self, rnncli: Run, tmp_path: Path, flag: str, depth: int
    ) -> None:
        file = tmp_path / "deep.json"
        file.write_text(objects(depth))
        words = [str(file)] if flag == "INPUT" else [INPUT, flag, f"{'@' * (flag == '--layer')}{file}"]
        said = check_refusal(rnncli("run", *words))
        assert "deep.json: line 1, column 385: it is nested more than 64 levels deep." in said

    @pytest.mark.slow
    def test_is_limited_in_a_saved_model(self, rnncli: Run, tmp_path: Path) -> None:
        weights = io.BytesIO()
        h5py.File(weights, "w").close()
        with zipfile.ZipFile(tmp_path / "deep.keras", "w") as held:
            held.writestr("config.json", objects(900))
            held.writestr("metadata.json", "{}")
            held.writestr("model.weights.h5", weights.getvalue())
        for words in (["run", INPUT, "--model"], ["weights"]):
            assert "nested too deeply" in check_refusal(rnncli(*words, str(tmp_path / "deep.keras")))

    def test_is_limited_in_an_initializer(self, rnncli: Run) -> None:
        config = json.loads('{"class_name": "Constant", "config": {"value": 1}}')
        text = json.dumps(config).replace("1}", "[" * 300 + "1" + "]" * 300 + "}")
        assert "nested too deeply" in check_refusal(rnncli("run", INPUT, "--kernel-initializer", text))

    def test_ends_no_stream(self, rnncli: Run) -> None:
        lines = f"{INPUT}\n{objects(900)}\n{'[' * 980}{']' * 980}\n{INPUT}\n"
        done = rnncli("run", "--stream", "--keep-going", "-f", "ndjson", input=lines)
        assert done.returncode == 1
        assert len(done.stdout.splitlines()) == 2
        assert "line 2, column 385: it is nested more" in done.stderr
        assert "line 3, column 65: it is nested more" in done.stderr


class TestPaths:
    @pytest.mark.parametrize("word", ["INPUT", "--mask", "--weights", "--layer", "--output"])
    @pytest.mark.parametrize("name", ["loop.json", "~nosuch/x.json", "a" * 5000 + ".json", "x.json/"])
    def test_that_lead_nowhere(self, rnncli: Run, tmp_path: Path, word: str, name: str) -> None:
        (tmp_path / "loop.json").symlink_to("loop.json")
        at = "@" * (word == "--layer") + name
        words = [name] if word == "INPUT" else [INPUT, word, at]
        check_refusal(rnncli("run", *words, cwd=tmp_path))
        assert [file.name for file in tmp_path.iterdir()] == ["loop.json"]

    @pytest.mark.parametrize(
        "words",
        [
            ["run", "?.npy"], ["run", "?.keras"], ["run", "--model", "?.keras"], ["run", "--mask", "?.json"],
            ["run", "--weights", "?.h5"], ["run", "--initial-state", "?.json"], ["run", "--expect", "?.json"],
            ["run", "-l", "@?.json"], ["run", "-l", "@?.toml"], ["run", "-o", "?/a.json"],
            ["weights", "?.keras"], ["weights", "?.pt"], ["plot", "-o", "?.xyz"],
            ["compare", "--expect", "?.npz"], ["run", "--kernel-initializer", "?"],
            ["port", "x.npy", "--weights", "?.npz", "--expect", "y.npy"], ["run", "x", "y", "?"],
            ["run", "--?"], ["run", "--hold", "?"], ["run", "--activation", "?"],
            ["explain", "?"], ["export", "--to", "?"], ["weights", "?.npz#?"],
        ],
    )  # fmt: skip
    def test_that_break_lines_are_shown_in_one_line(
        self, rnncli: Run, tmp_path: Path, words: list[str]
    ) -> None:
        done = rnncli(*(word.replace("?", "a\n\x1b[31mb\u202e") for word in words), cwd=tmp_path)
        assert "a\\n\\x1b[31mb\\u202e" in check_refusal(done)
        assert len(done.stderr.splitlines()) <= 2

    @pytest.mark.parametrize("format", ["npz", "json"])
    def test_the_null_device_takes_everything(self, rnncli: Run, format: str) -> None:
        done = rnncli("run", INPUT, "--seed", "1", "-f", format, "-o", "/dev/null")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_what_cannot_be_read_is_not_called_incomplete(self, rnncli: Run, tmp_path: Path) -> None:
        for word in (str(tmp_path), str(tmp_path / "none.json"), "/proc/self/mem"):
            assert "not complete" not in check_refusal(rnncli("run", word))

    def test_a_format_that_the_suffix_does_not_mean(self, rnncli: Run, tmp_path: Path) -> None:
        done = rnncli("run", INPUT, "-f", "json", "-o", str(tmp_path / "o.csv"))
        assert (done.returncode, "o.csv: --format json overrides the suffix" in done.stderr) == (0, True)
        done = rnncli("run", INPUT, "-f", "json", "-o", str(tmp_path / "o.log"))
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("sign", [" ", "x", "\n", "[", "\x1b", "가"])
def test_a_message_stays_short_whatever_it_quotes(rnncli: Run, tmp_path: Path, sign: str) -> None:
    long = sign * (100_000 // len(sign.encode()))
    for words in (
        [f"x{long}"],
        [INPUT, "--layer", f"LSTM({long}"],
        [INPUT, f"--{long}"],
        [INPUT, "--select", long],
    ):
        check_refusal(rnncli("run", *words))
    file = tmp_path / "long.json"
    file.write_text(json.dumps({"inputs": [[1]], f"k{long}": 1}))
    check_refusal(rnncli("run", str(file)))
    file.write_text(json.dumps({"inputs": [[1]], "layer": f"LSTM(3, {long})"}))
    check_refusal(rnncli("run", str(file)))


class TestMadeShapes:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("shape", "said"),
        [
            ("900000000", "1,900000000,1 is a series of one feature"),
            ("60", "1,60,1 is a series of one feature, 1,1,60 one time step."),
            ("900,1000,100,10", "has 4 axes, but this layer needs 3"),
            ("1,900000000,2", "of memory"),
            ("40000,40000", ""),
        ],
    )
    def test_are_refused_before_a_number_is_drawn(self, shell: Run, shape: str, said: str) -> None:
        done = shell(
            f"ulimit -v 2500000; rnncli run --input-shape {shape} --layer 'LSTM(300)' --engine numpy"
        )
        assert said in check_refusal(done)

    def test_two_sizes_may_mean_two_things(self, rnncli: Run) -> None:
        said = rnncli("run", "--input-shape", "1,60").stderr
        assert "(1, 60) -> (1, 1, 60); for one feature in (1, 60, 1), write --input-shape 1,60,1" in said
        assert "note" not in rnncli("run", "--input-shape", "1,60,1").stderr
