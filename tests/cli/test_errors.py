"""Bad command lines: one message, nothing on stdout, exit code 2, and advice that works when it is followed.

A line of `refused.txt` is a command, a part of what is said, and a part of the advice.  A case of
`followed_advice.txt` is three lines: a command that is refused, the last line of its message, and the
command that follows that line.  The message has no English left in Korean.  There is a case of each
place in the sources that raises an error whose message no other test has.
"""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from hangul import PROSE, is_english

from rnncli import compute
from rnncli.cli.app import main
from rnncli.layers.case import Case
from rnncli.result import NamedTensor, Result


def read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


REFUSED = [
    tuple(part.strip() for part in line.split(" |"))
    for line in read("refused.txt").splitlines()
    if line and not line.startswith("#")
]
CASES = [tuple(case.split("\n")) for case in read("followed_advice.txt").split("\n\n")]


def marked(cases: list[tuple[str, ...]]) -> list[Any]:
    """Mark the commands that draw, which load matplotlib, and the one that starts TensorFlow."""
    slow = ("plot ", "compare -l 'ConvLSTM1D(")
    return [pytest.param(*case, marks=pytest.mark.slow if case[0].startswith(slow) else ()) for case in cases]


KERAS: dict[str, Any] = {"kernel": [[0.1] * 12] * 5, "recurrent_kernel": [[0.1] * 12] * 3, "bias": [0] * 12}
SEQUENCE = "[[1, 2], [3, 4]]"
TEXTS = {
    "in.json": SEQUENCE, "in3.json": f"[{SEQUENCE}]", "in.foo": SEQUENCE, "empty.json": "",
    "ragged.json": "[[[1, 2], [3, 4]], [[5, 6]]]", "zero.json": "[[0, 0, 0]]",
    "layer.json": '{"class_name": "LSTM", "config": {"units": 3}}',
    "misspelt.json": '{"class_name": "LSTN", "config": {"units": 3}}',
    "document.json": '{"inputs": [[[1, 2]]], "layer": "LSTM(unit=3)"}',
    "w.json": json.dumps(KERAS),
    "bad.json": json.dumps(KERAS | {"kernal": [[1]]}),
    "missing.json": json.dumps({"kernel": KERAS["kernel"], "bias": KERAS["bias"]}),
    "shape.json": json.dumps(KERAS | {"bias": [0]}),
    "in.ndjson": "[[1, 2], [3, 4]]\n[[5, 6], [7, 8]]\n", "empty.ndjson": "",
    "own.ndjson": '{"inputs": [[[1, 2]]], "layer": "GRU(3)"}\n', "wider.ndjson": "[[1, 2]]\n[[1, 2, 3]]\n",
    "deep.ndjson": "[[[[1]]]]\n", "in.csv": "a,b\n1,2\n3,4\n", "plain.csv": "1,2\n3,4\n",
    "one.csv": "a\n1\n2\n", "h.csv": "1\n",
    "printed.csv": "name,batch,timestep,unit,value\nhidden_state,0,,0,0.069\n",
    "printed.json": '{"schema": "rnncli/1", "outputs": [{"name": "hidden_states", "values": [[[1]]]}]}',
    "broken.npy": "x", "broken.npz": "x", "broken.safetensors": "x", "my model.pt": "x", "m.onnx": "x",
}  # fmt: skip


def torch_weights(layer: str, features: int) -> dict[str, Any]:
    return {
        f"lstm.weight_ih{layer}": np.ones((12, features), "float32"),
        f"lstm.weight_hh{layer}": np.ones((12, 3), "float32"),
        f"lstm.bias_ih{layer}": np.ones(12, "float32"),
        f"lstm.bias_hh{layer}": np.ones(12, "float32"),
    }


@pytest.fixture
def folder(here: Path) -> Path:
    """A folder with the files that the commands name."""
    (here / "folder").mkdir()
    for name, text in TEXTS.items():
        (here / name).write_text(text)
    np.save("in.npy", np.ones((1, 2, 2), "float32"))
    np.savez("lone.npz", np.ones((1, 2, 2), "float32"))
    np.savez("two_arrays.npz", a=np.ones((1, 2)), b=np.ones((1, 2)))
    np.savez("lstm.npz", **torch_weights("_l0", 5))
    np.savez("two.npz", **torch_weights("_l0", 2))
    np.savez("stack.npz", **torch_weights("_l0", 5), **torch_weights("_l1", 3))
    return here


@pytest.mark.parametrize(("command", "what", "advice"), marked(REFUSED))
def test_a_mistake_is_said_in_one_message(
    command: str, what: str, advice: str, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = sorted(folder.iterdir())
    assert main(shlex.split(command)) == 2
    streams = capfdbinary.readouterr()
    assert streams.out == b""
    said = [line for line in streams.err.decode().splitlines() if not line.startswith("rnncli: note: ")]
    assert said[0].startswith("rnncli: ")
    assert what in "\n".join(said)
    assert advice in "\n".join(said)
    assert not [line for line in said if "internal error" in line or "Traceback" in line]
    assert sorted(folder.iterdir()) == before


def lines_of_prose(message: str) -> list[bool]:
    """Return which lines of a message are prose; a quoted line of the input is not."""
    lines = message.removeprefix("rnncli: ").splitlines()
    return [not line.startswith("  ") and bool(PROSE.search(line)) for line in lines]


@pytest.mark.sampled
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("wrong", "advice", "right"), marked(CASES))
def test_advice_works(wrong: str, advice: str, right: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(shlex.split(wrong)) == 2
    refused = capfdbinary.readouterr()
    assert refused.out == b""
    assert refused.err.decode().splitlines()[-1].strip() == advice.strip()
    assert main(["--lang", "ko", *shlex.split(wrong.replace("--lang en", ""))]) == 2
    said = capfdbinary.readouterr().err.decode().splitlines()
    prose = lines_of_prose(refused.err.decode())
    assert [line for line, was in zip(said, prose, strict=True) if was and is_english(line)] == []
    assert main(shlex.split(right)) == 0, capfdbinary.readouterr().err.decode()


def test_color_of_an_error_only_where_it_is_wanted(rnncli: Run) -> None:
    assert "\x1b[" not in rnncli("rnu").stderr
    assert rnncli("rnu", env={"FORCE_COLOR": "1"}).stderr.startswith("\x1b[1;31mrnncli:\x1b[0m there is no")
    assert "\x1b[" not in rnncli("rnu", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stderr


def test_a_failed_check_prints(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    honest = compute.run

    def apart(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
        result = honest(case, "numpy")
        if engine != "tensorflow":
            return result
        moved = tuple(NamedTensor(part.label, part.axes, part.values + 2e-4) for part in result.outputs)
        return replace(result, outputs=moved)

    monkeypatch.setattr(compute, "run", apart)
    assert main(["run", "--quiet", "--seed", "7", "--check"]) == 1
    streams = capfd.readouterr()
    assert "hidden_state" in streams.out
    assert streams.err.startswith("rnncli: hidden_state differs from TensorFlow.\n")
    assert main(["run", "--quiet", "--seed", "7", "--check", "--atol", "1e-3"]) == 0


@pytest.mark.parametrize("flag", ["--mask", "--weights", "--initial-state", "--layer", "--expect", "--model"])
def test_a_file_beside_the_input_is_not_told_of_its_format(flag: str, rnncli: Run, tmp_path: Path) -> None:
    """--input-format is for the input alone."""
    texts = {"a.foo": b"[]", "a.json": b"", "b.json": b"[1] 2", "c.json": b"[.1]", "d.csv": b"1,2\n\xff,2"}
    texts |= {"e.csv": b"1,2\n3", "f.csv": b"a,b\n1,x"} if flag in ("--mask", "--initial-state") else {}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
        said = rnncli("run", "sentence", flag, f"{'@' * (flag == '--layer')}{tmp_path / name}").refusal()
        assert not any(other in said for other in ("--input-format", "--delimiter", "--batch-column", "CSV"))
        assert name in said


def test_an_error_of_a_document_begins_with_its_name(rnncli: Run, tmp_path: Path) -> None:
    for part, said in (
        ({"mask": [[True]]}, "the mask is (1, 1)"),
        ({"weights": {"kernel": [[1]]}}, "weights: kernel has shape (1, 1)"),
        ({"initial_state": {"foo": [1]}}, "initial_state: there is no state 'foo'"),
    ):
        (tmp_path / "x.json").write_text(json.dumps({"inputs": [[[0.5, -1.0], [2.0, 0.25]]], **part}))
        assert f"x.json: {said}" in rnncli("run", str(tmp_path / "x.json")).stderr


def test_a_variable_of_a_pasted_layer_is_named(rnncli: Run) -> None:
    said = rnncli("run", "-l", "LSTM(3, kernel_initializer=k_init)").stderr
    assert said.endswith("If k_init is a variable of your script, write its value, such as Constant(0.1).\n")
    assert "Did you mean ones?" in rnncli("run", "-l", "LSTM(3, kernel_initializer=onse)").stderr
