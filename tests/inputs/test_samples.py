"""The built-in samples load, are what their titles say, and travel in the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnncli.errors import InputError
from rnncli.inputs import sample_files
from rnncli.inputs.arrange import ArrangeOptions, arrange
from rnncli.inputs.formats import ReadOptions, Source, read

ROOT = Path(__file__).parents[2]


def loaded(name: str) -> Any:
    sample = sample_files.get(name)
    path = sample_files.path(sample)
    words = sample.hint.split()
    flags: dict[str, Any] = dict(zip(words[::2], words[1::2], strict=True))
    document = read(
        Source(path.name, path=path), None, ReadOptions(batch_column=flags.pop("--batch-column", None))
    )
    found = arrange(document, ArrangeOptions(pad=flags.pop("--pad", None)))
    assert not flags
    return document, found


@pytest.mark.parametrize("name", sample_files.names())
def test_it_is_what_its_title_says(name: Any) -> None:
    _, found = loaded(name)
    shape = re.search(r"\(([\d, ]+)\)$", str(sample_files.get(name).title))
    assert shape is not None
    assert found.inputs.shape == tuple(map(int, shape[1].split(",")))
    assert np.isfinite(found.inputs).all()


def test_the_first_is_the_sentence() -> None:
    assert sample_files.names()[0] == "sentence"
    expected = [
        [0.1, 4.2, 1.5, 1.1, 2.8],
        [1.0, 3.1, 2.5, 0.7, 1.1],
        [0.3, 2.1, 1.5, 2.1, 0.1],
        [2.2, 1.4, 0.5, 0.9, 1.1],
    ]
    np.testing.assert_array_equal(loaded("sentence")[1].inputs, np.array([expected], np.float32))


def test_parts_beside_the_numbers() -> None:
    assert loaded("sensors")[1].feature_names == ("temperature", "humidity", "pressure")
    assert loaded("ragged")[1].mask.sum(axis=1).tolist() == [4, 3, 2]
    document, found = loaded("case")
    assert document.layer == "LSTM(3, return_sequences=True, return_state=True)"
    assert document.seed == 42
    assert found.mask.tolist() == [[True, True, True], [True, True, False]]


def test_the_hints_are_needed() -> None:
    for name in ("sensors", "ragged"):
        with pytest.raises(InputError):
            arrange(read(Source(name, path=sample_files.path(sample_files.get(name)))))


def test_every_file_is_a_sample() -> None:
    assert sorted(path.name for path in (ROOT / "samples").iterdir()) == sorted(
        sample.file for sample in sample_files.SAMPLES
    )


def test_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"(?s)no sample 'sentense'.*Did you mean sentence"):
        sample_files.get("sentense")


def test_a_wheel_carries_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("rnncli", "samples"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tree / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(tree),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    for sample in sample_files.SAMPLES:
        carried = tmp_path / "installed" / "rnncli" / "samples" / sample.file
        assert carried.read_bytes() == (ROOT / "samples" / sample.file).read_bytes()
    program = "from rnncli.inputs import sample_files as files; print(files.path(files.get('case')))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "installed",
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(done.stdout.strip()) == tmp_path / "installed" / "rnncli" / "samples" / "case.json"
