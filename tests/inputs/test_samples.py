"""The built-in samples load, are what their titles say, and travel in the wheel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

from rnncli.errors import InputError
from rnncli.inputs import sample_files
from rnncli.inputs.arrange import ArrangeOptions, arrange
from rnncli.inputs.formats import ReadOptions, Source, read

ROOT = Path(__file__).parents[2]


def loaded(name: str) -> Any:
    sample = sample_files.get(name)
    path = sample_files.path(name)
    words = sample.hint.split()
    flags: dict[str, Any] = dict(zip(words[::2], words[1::2], strict=True))
    document = read(
        Source(path.name, path=path), None, ReadOptions(batch_column=flags.pop("--batch-column", None))
    )
    found = arrange(document, ArrangeOptions(pad=flags.pop("--pad", None)))
    assert not flags
    return document, found


@pytest.mark.parametrize("name", sample_files.names())
def test_it_is_what_its_title_says(name: str) -> None:
    """And its hint is needed."""
    sample, (_, found) = sample_files.get(name), loaded(name)
    shape = re.search(r"\(([\d, ]+)\)$", str(sample.title))
    assert shape is not None
    assert found.inputs.shape == tuple(map(int, shape[1].split(",")))
    assert np.isfinite(found.inputs).all()
    if sample.hint:
        with pytest.raises(InputError):
            arrange(read(Source(name, path=sample_files.path(sample.name))))


def test_what_is_in_them() -> None:
    assert sample_files.names()[0] == "sentence"
    sentence = [
        [0.1, 4.2, 1.5, 1.1, 2.8],
        [1.0, 3.1, 2.5, 0.7, 1.1],
        [0.3, 2.1, 1.5, 2.1, 0.1],
        [2.2, 1.4, 0.5, 0.9, 1.1],
    ]
    np.testing.assert_array_equal(loaded("sentence")[1].inputs, np.array([sentence], np.float32))
    assert loaded("sensors")[1].names.features == ("temperature", "humidity", "pressure")
    assert loaded("ragged")[1].mask.sum(axis=1).tolist() == [4, 3, 2]
    document, found = loaded("case")
    assert document.layer == "LSTM(3, return_sequences=True, return_state=True)"
    assert document.seed == 42
    assert found.mask.tolist() == [[True, True, True], [True, True, False]]


def test_names_and_files() -> None:
    folder = ROOT / "samples"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert sorted(sample.file for sample in (*sample_files.SAMPLES, *sample_files.CELLS)) == files
    with pytest.raises(InputError, match=r"(?s)no sample 'sentense'.*Did you mean sentence"):
        sample_files.get("sentense")


@pytest.mark.slow
def test_a_wheel_carries_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    tree, installed = tmp_path / "tree", tmp_path / "installed"
    for name in ("rnncli", "samples"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tree / name)
    words = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([sys.executable, *words, str(tmp_path), str(tree)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for sample in (*sample_files.SAMPLES, *sample_files.CELLS):
        carried = installed / "rnncli" / "samples" / sample.file
        assert carried.read_bytes() == (ROOT / "samples" / sample.file).read_bytes()
    program = "from rnncli.inputs import sample_files as files; print(files.path('case'))"
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=installed, check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == installed / "rnncli" / "samples" / "case.json"


@pytest.mark.slow
def test_cells_are_listed_and_printed(rnncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of the list runs each of them."""
    listed = json.loads(rnncli("samples", "-f", "json").stdout)["samples"]
    assert len(listed) == len(sample_files.SAMPLES) + len(sample_files.CELLS)
    monkeypatch.chdir(tmp_path)
    for sample in sample_files.CELLS:
        (command,) = (one["command"] for one in listed if one["name"] == sample.name)
        first, second = command.split("; ")
        words, file = first.split(" > ")
        Path(file).write_text(rnncli(*words.split()[1:]).stdout)
        assert rnncli(*second.split()[1:], "--quiet").returncode == 0
