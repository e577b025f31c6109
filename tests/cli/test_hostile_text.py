"""Text that nobody means: too deep, too long, or half a number."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]

INPUT = "[[[0.5, -1.0], [2.0, 0.25]]]"


def refused(done: CompletedProcess[str]) -> str:
    """What was said of it, after one plain message."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2000
    assert done.stderr.count("\n") < 20
    return done.stderr


def objects(depth: int) -> str:
    return '{"a": ' * depth + "1" + "}" * depth


class TestDepth:
    @pytest.mark.parametrize("depth", [300, 490, 980, 3000])
    @pytest.mark.parametrize("flag", ["INPUT", "--mask", "--initial-state", "--weights", "--layer"])
    def test_is_limited_wherever_json_is_read(
        self, rnncli: Run, tmp_path: Path, flag: str, depth: int
    ) -> None:
        file = tmp_path / "deep.json"
        file.write_text(objects(depth))
        words = [str(file)] if flag == "INPUT" else [INPUT, flag, f"{'@' * (flag == '--layer')}{file}"]
        said = refused(rnncli("run", *words))
        assert "deep.json: line 1, column 385: it is nested deeper than 64 lists and objects." in said

    def test_is_limited_in_a_saved_model(self, rnncli: Run, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "deep.keras", "w") as held:
            held.writestr("config.json", objects(900))
            held.writestr("metadata.json", "{}")
        refused(rnncli("run", INPUT, "--layer", f"@{tmp_path / 'deep.keras'}"))

    def test_is_limited_in_an_initializer(self, rnncli: Run) -> None:
        config = json.loads('{"class_name": "Constant", "config": {"value": 1}}')
        text = json.dumps(config).replace("1}", "[" * 300 + "1" + "]" * 300 + "}")
        assert "nested too deeply" in refused(rnncli("run", INPUT, "--kernel-initializer", text))

    def test_ends_no_stream(self, rnncli: Run) -> None:
        lines = f"{INPUT}\n{objects(900)}\n{'[' * 980}{']' * 980}\n{INPUT}\n"
        done = rnncli("run", "--stream", "--keep-going", "-f", "ndjson", input=lines)
        assert done.returncode == 1
        assert len(done.stdout.splitlines()) == 2
        assert "line 2, column 385: it is nested deeper" in done.stderr
        assert "line 3, column 65: it is nested deeper" in done.stderr
