"""The files of the kit: the same each time, small, and of use to programs that know nothing of rnncli."""

import errno
import io
import json
import re
import subprocess
import sys
import tarfile
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import Run
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from rnncli import handbook
from rnncli.conformance.kit import folder_of, write_kit
from rnncli.conformance.oracle import TOLERANCES, compute, list_cases

CASES = list_cases()


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "kit"
    write_kit(folder, CASES)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_the_bytes_are_the_same_each_time_and_few(kit: Path, tmp_path: Path) -> None:
    write_kit(tmp_path / "again", list_cases.__wrapped__())
    assert files_in(kit) == files_in(tmp_path / "again")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(kit, "kit")
    assert len(packed.getvalue()) < 300_000


@pytest.mark.slow
def test_the_list_says_what_each_case_has(kit: Path) -> None:
    listed = json.loads((kit / "cases.json").read_text())["cases"]
    assert [entry["name"] for entry in listed] == [case.name for case in CASES]
    for entry, case in zip(listed, CASES, strict=True):
        folder = folder_of(kit, case)
        assert len(entry["readings"]) == (2 if folder.parent.name == "open" else 0)
        assert entry["tolerance"] == TOLERANCES[entry["type"]]
        assert entry["inputs"] == list(np.load(folder / "inputs.npz"))
        with np.load(folder / "outputs.npz") as outputs:
            assert entry["outputs"] == list(outputs)
            wanted = compute(case)
            assert all(np.array_equal(outputs[name], wanted[name]) for name in outputs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_model_is_valid_and_its_tensors_are_those_of_the_archives(kit: Path, case) -> None:  # type: ignore[no-untyped-def]
    folder = folder_of(kit, case)
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version) == (case.ir_version, case.opset)
    for number in range(2 if case.is_open else 1):
        for kind, values in (("input", model.graph.input), ("output", model.graph.output)):
            with np.load(
                folder / (f"{kind}s_1.npz" if number and kind == "output" else f"{kind}s.npz")
            ) as archive:
                paths = sorted((folder / f"test_data_set_{number}").glob(f"{kind}_*.pb"))
                tensors = [onnx.TensorProto.FromString(path.read_bytes()) for path in paths]
                assert (
                    [tensor.name for tensor in tensors] == [value.name for value in values] == list(archive)
                )
                for tensor in tensors:
                    assert np.array_equal(numpy_helper.to_array(tensor), archive[tensor.name])


def test_onnxs_own_loader_of_backend_tests_reads_the_kit(kit: Path) -> None:
    (kit / "open").rename(kit.parent / "open")
    try:
        loaded = load_model_tests(str(kit.parent), "kit")
    finally:
        (kit.parent / "open").rename(kit / "open")
    assert {test.name for test in loaded} == {case.name for case in CASES if not case.is_open}
    assert {test.name: (test.rtol, test.atol) for test in loaded}["gru_float64"] == (1e-12, 1e-12)


def test_an_old_onnx_leaves_cases_out(monkeypatch: pytest.MonkeyPatch, rnncli: Run, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx.defs, "onnx_opset_version", lambda: 21)
    written = rnncli("conformance", "--select", "basic", "-o", str(tmp_path / "kit"))
    assert "too old to write them: rnn_opset22, gru_opset22, lstm_opset22" in written.stderr
    assert len(json.loads((tmp_path / "kit" / "cases.json").read_text())["cases"]) == 12
    assert not (tmp_path / "kit" / "lstm_opset22").exists()
    nothing = rnncli("conformance", "--select", "lstm_opset22", "--implementation", "rnncli")
    assert nothing.returncode == 3
    assert "pip install -U onnx" in nothing.stderr


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full after a hundred files."""
    written = count()
    write = Path.write_bytes

    def fill(path: Path, data: bytes) -> int:
        if next(written) > 100:
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_names_the_file_and_nothing_is_left(rnncli: Run, tmp_path: Path) -> None:
    assert re.match(
        r"rnncli: new/kit/\w+/(\w+/)?\w+\.\w+: cannot be written: No space left on device\.\n"
        r"Name another folder\.\n$",
        rnncli("conformance", "-o", "new/kit", cwd=tmp_path).refusal(),
    )
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_kit(rnncli: Run, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rnncli("conformance", "-o", str(tmp_path), "--select", "clip")
    before = files_in(tmp_path)
    request.getfixturevalue("full_disk")
    assert rnncli("conformance", "-o", str(tmp_path)).returncode == 2
    assert files_in(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_nothing_is_written_through_a_link(rnncli: Run, tmp_path: Path) -> None:
    """Nor removed; only the folder itself may be a link."""
    outside, kit = tmp_path / "outside", tmp_path / "kit"
    (outside / "rnn_clip").mkdir(parents=True)
    (outside / "rnn_clip" / "model.onnx").write_text("mine")
    (outside / "lstm_clip_cell").mkdir()
    (outside / "lstm_clip_cell" / "data.json").write_text("mine")
    (outside / "cases.json").write_text("mine")
    kit.mkdir()
    (kit / "cases.json").symlink_to(outside / "cases.json")
    (kit / "rnn_clip").symlink_to(outside / "rnn_clip")
    (kit / "open").symlink_to(outside)
    (kit / "gru_clip").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("kit")
    before = files_in(outside)
    assert rnncli("conformance", "-o", str(tmp_path / "link"), "--select", "clip").returncode == 0
    assert files_in(outside) == before
    assert not [path for path in kit.rglob("*") if path.is_symlink()]
    written = {path.parent.name for path in kit.rglob("model.onnx")}
    assert written == {case.name for case in CASES if case.attribute == "clip"}


@pytest.mark.parametrize("name", ["rnn_clip", "open"])
def test_a_file_in_the_way_is_named_and_stays(rnncli: Run, tmp_path: Path, name: str) -> None:
    rnncli("conformance", "-o", str(tmp_path), "--select", "reverse")
    (tmp_path / name).write_text("mine")
    before = files_in(tmp_path)
    said = rnncli("conformance", "-o", str(tmp_path), "--select", "clip").refusal()
    assert f"{tmp_path / name}: cannot be written: File exists." in said
    assert files_in(tmp_path) == before


@pytest.mark.slow
def test_the_handbooks_harness_runs_without_rnncli(kit: Path) -> None:
    """ONNX Runtime refuses layout 1 and float64, and is right in all other cases."""
    page = (Path(handbook.__file__).parent / "conformance.md").read_text()
    code = re.search(r"```python\n(# test_kit.py\n.*?)```", page, re.DOTALL)[1]  # type: ignore[index]
    assert "rnncli" not in code
    (kit.parent / "test_kit.py").write_text(code)
    arguments = ["-q", "-p", "no:cacheprovider", "-k", "not no_sequences", "test_kit.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=kit.parent, capture_output=True, text=True
    )
    failed = set(re.findall(r"^FAILED test_kit.py::test_case\[(\w+)\]", done.stdout, re.MULTILINE))
    refused = {case.name for case in CASES if "layout" in case.attributes or case.dtype == "float64"}
    assert failed == refused | {"rnn_lower_case"}
