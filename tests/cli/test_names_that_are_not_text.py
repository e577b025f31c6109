"""Names with half of a surrogate pair, as of a file name that is not UTF-8: escaped, or refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import Run

INLINE = "[[[1.0, 2.0]]]"
LONE = "a\ud800"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PyTorch file with such a layer, and an ONNX file with such a name."""
    import onnx_graphs

    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("names")
    tensors = {"weight_ih_l0": torch.ones(12, 2), "weight_hh_l0": torch.ones(12, 3)}
    tensors |= {name: torch.ones(12) for name in ("bias_ih_l0", "bias_hh_l0")}
    torch.save({f"{LONE}.{name}": tensor for name, tensor in tensors.items()}, folder / "lone.pt")
    arrays = onnx_graphs.weights(np.random.default_rng(0), "LSTM", 2, 3)
    made, _ = onnx_graphs.single("LSTM", arrays | {"X": np.ones((1, 1, 2), np.float32)}, name="lstm")
    Path(os.fsdecode(os.fsencode(folder) + b"/model\xff.onnx")).write_bytes(made.SerializeToString())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("file", ["lone.pt", "model\udcff.onnx"])
@pytest.mark.parametrize(
    "words",
    [
        *(f"run {INLINE} --model FILE -f {name}" for name in ("table", "json", "csv", "svg")),
        *(f"run {INLINE} --model FILE -o out.{name}" for name in ("npz", "safetensors")),
        *(f"weights FILE --to keras -o out.{name}" for name in ("h5", "npz", "json")),
        "weights FILE --to torch -o out.pt",
        f"trace {INLINE} --model FILE -f json",
        f"export {INLINE} --model FILE --to c",
    ],
)
def test_a_name_is_escaped_or_refused(
    rnncli: Run, folder: Path, tmp_path: Path, words: str, file: str
) -> None:
    shutil.copy(folder / file, tmp_path / file)
    given = [file if word == "FILE" else word for word in words.replace(", ", ",").split()]
    done = rnncli(*given, cwd=tmp_path)
    assert done.returncode in (0, 2), done.stderr
    if done.returncode:
        assert done.stdout == ""
        assert len(list(tmp_path.iterdir())) == 1
        assert "cannot hold" in done.stderr or "cannot be" in done.stderr
    if given[-1] == "json" and given[0] != "trace":  # which names no file
        assert "\\ud" in json.dumps(json.loads(done.stdout), ensure_ascii=False)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "x\udcff.json"),
        ("run", "-l", "LSTM\udcff"),
        ("run", "--select", "\udcff"),
        ("explain", "\udcff[0]"),
        ("run", INLINE, "--weights", "\udcff.npz#\udcfe"),
        ("\udcff",),
        *(
            ("run", text)
            for text in (
                '{"inputs": [[[1, 2]]], "\\ud800": 3}',
                '{"inputs": [[[1, 2]]], "layer": "LSTM(3, name=\'\\ud800\')"}',
                '{"inputs": [[[1, 2]]], "weights": {"\\ud800": [[1]]}}',
                '{"inputs": [[[1, 2]]], "\udcff": 3}',
            )
        ),
    ],
)
def test_words_that_are_not_text_are_bad_input(rnncli: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = rnncli(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "internal error" not in done.stderr


@pytest.mark.parametrize("name", ["out\udcff.json", "out\udcff.npz"])
def test_an_output_of_such_a_name_is_written(rnncli: Run, tmp_path: Path, name: str) -> None:
    done = rnncli("run", INLINE, "--seed", "1", "-o", name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [place.name for place in tmp_path.iterdir()] == [name]
