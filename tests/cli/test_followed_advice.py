"""Advice works when it is followed; that every flag and command in the sources exists, test_advice holds.

A case of `followed_advice.txt` is three lines: a command that is refused, the last line of its message, and
the command that follows that line.  The message has no English left in Korean.  There is a case of each
place in the sources that raises an error whose message no other test has.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hangul import PROSE, is_english

from rnncli.cli.app import main

TABLE = Path(__file__).with_name("followed_advice.txt").read_text(encoding="utf-8")
CASES = [tuple(case.split("\n")) for case in TABLE.strip().split("\n\n")]

KERAS: dict[str, Any] = {"kernel": [[0.1] * 12] * 5, "recurrent_kernel": [[0.1] * 12] * 3, "bias": [0] * 12}
SEQUENCE = "[[1, 2], [3, 4]]"
TEXTS = {
    "in.json": SEQUENCE,
    "in.foo": SEQUENCE,
    "empty.json": "",
    "ragged.json": "[[[1, 2], [3, 4]], [[5, 6]]]",
    "zero.json": "[[0, 0, 0]]",
    "layer.json": '{"class_name": "LSTM", "config": {"units": 3}}',
    "w.json": json.dumps(KERAS),
    "bad.json": json.dumps(KERAS | {"kernal": [[1]]}),
    "missing.json": json.dumps({"kernel": KERAS["kernel"], "bias": KERAS["bias"]}),
    "shape.json": json.dumps(KERAS | {"bias": [0]}),
    "in.ndjson": "[[1, 2], [3, 4]]\n[[5, 6], [7, 8]]\n",
    "empty.ndjson": "",
    "wider.ndjson": "[[1, 2]]\n[[1, 2, 3]]\n",
    "deep.ndjson": "[[[[1]]]]\n",
    "in.csv": "a,b\n1,2\n3,4\n",
    "plain.csv": "1,2\n3,4\n",
    "one.csv": "a\n1\n2\n",
    "printed.csv": "name,batch,timestep,unit,value\nhidden_state,0,,0,0.069\n",
    "printed.json": '{"schema": "rnncli/1", "outputs": [{"name": "hidden_states", "values": [[[1]]]}]}',
    "broken.npy": "x",
    "broken.npz": "x",
    "broken.safetensors": "x",
}


def torch_weights(layer: str, features: int) -> dict[str, Any]:
    return {
        f"lstm.weight_ih{layer}": np.ones((12, features), "float32"),
        f"lstm.weight_hh{layer}": np.ones((12, 3), "float32"),
        f"lstm.bias_ih{layer}": np.ones(12, "float32"),
        f"lstm.bias_hh{layer}": np.ones(12, "float32"),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the files that the commands name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    np.save("in.npy", np.ones((1, 2, 2), "float32"))
    np.savez("lone.npz", np.ones((1, 2, 2), "float32"))
    np.savez("two_arrays.npz", a=np.ones((1, 2)), b=np.ones((1, 2)))
    np.savez("lstm.npz", **torch_weights("_l0", 5))
    np.savez("two.npz", **torch_weights("_l0", 2))
    np.savez("stack.npz", **torch_weights("_l0", 5), **torch_weights("_l1", 3))


def lines_of_prose(message: str) -> list[bool]:
    """Return which lines of a message are prose; a quoted line of the input is not."""
    lines = message.removeprefix("rnncli: ").splitlines()
    return [not line.startswith("  ") and bool(PROSE.search(line)) for line in lines]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("wrong", "advice", "right"), CASES)
def test_the_advice_works(
    wrong: str, advice: str, right: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(shlex.split(wrong)) == 2
    refused = capfdbinary.readouterr()
    assert refused.out == b""
    assert refused.err.decode().splitlines()[-1].strip() == advice.strip()
    korean = shlex.split(wrong.replace("--lang en", ""))
    assert main(["--lang", "ko", *korean]) == 2
    said = capfdbinary.readouterr().err.decode().splitlines()
    prose = lines_of_prose(refused.err.decode())
    assert [line for line, was in zip(said, prose, strict=True) if was and is_english(line)] == []
    assert main(shlex.split(right)) == 0, capfdbinary.readouterr().err.decode()


def test_a_broken_archive_of_weights_is_named(folder: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sentence", "--model", "broken.npz"]) == 2
    assert "broken.npz: it is not a .npz file." in capfd.readouterr().err
