"""An error begins with the source that the bad thing came from, not with the one beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import Run


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--mask", "[[true]]"], "the command line: the mask is (1, 1)"),
        (["--mask", "[[true], [true, false]]"], "the command line: mask[0] has 1 "),
        (["--mask", '[["a", true]]'], 'the command line: mask[0][0] is the text "a"'),
        (["--mask", "h.csv"], "h.csv: the mask is (1, 1)"),
        (["--mask-value", "nan", "--mask", "h.csv"], "h.csv: the mask is (1, 1)"),
        (["--weights", "w.npz"], "w.npz: kernel has shape (1, 1)"),
        (["--initial-state", "[[1, 2]]"], "the command line: it has 1 state, but the layer needs"),
        (["--initial-state", "[[1, 2], [3, 4]]"], "the command line: last_hidden_state has shape (2,)"),
        (["--initial-state", '{"foo": [1]}'], "the command line: there is no state 'foo'"),
        (["--input-axes", "time"], "x.json: the input is 3-D"),
    ],
)
def test_of_a_flag(rnncli: Run, tmp_path: Path, args: list[str], said: str) -> None:
    (tmp_path / "x.json").write_text("[[[0.5, -1.0], [2.0, 0.25]]]")
    (tmp_path / "h.csv").write_text("1\n")
    np.savez(tmp_path / "w.npz", kernel=np.ones((1, 1)), recurrent_kernel=np.ones(1), bias=np.ones(1))
    paths = [str(tmp_path / arg) if "." in arg else arg for arg in args]
    done = rnncli("run", str(tmp_path / "x.json"), *paths)
    assert done.returncode == 2
    assert f"{said}" in done.stderr.replace(f"{tmp_path}/", "")
    assert "x.json" in said or "x.json" not in done.stderr


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"mask": [[True]]}, "x.json: the mask is (1, 1)"),
        ({"weights": {"kernel": [[1]]}}, "x.json: weights: kernel has shape (1, 1)"),
        ({"initial_state": {"foo": [1]}}, "x.json: initial_state: there is no state 'foo'"),
    ],
)
def test_of_a_document(rnncli: Run, tmp_path: Path, part: dict[str, object], said: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"inputs": [[[0.5, -1.0], [2.0, 0.25]]], **part}))
    done = rnncli("run", str(tmp_path / "x.json"))
    assert done.returncode == 2
    assert said in done.stderr
