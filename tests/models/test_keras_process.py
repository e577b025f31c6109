"""Keras reads the model of a file in a process of its own, which is limited and knows no secrets."""

import io
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import child_work
import numpy as np
import pytest
from command import Run, run_program
from keras_calls import with_changed_config
from limits import PATIENCE
from oracle import keras

from rnncli.errors import EngineError
from rnncli.process import child_process, signals

L = keras.layers
INPUT = "[[[0.5, -1.0, 2.0, 0.25], [2.0, 0.25, 1.0, 1.0]]]"
pytestmark = [pytest.mark.own_process, pytest.mark.skipif(not hasattr(os, "fork"), reason="no limits")]


def seen_by_a_child(monkeypatch: pytest.MonkeyPatch, *, new: bool) -> dict[str, Any]:
    """Return what a child sees and may do; this process has a secret, and a descriptor that is inherited."""
    monkeypatch.setenv("SECRET_TOKEN", "x")
    ends = os.pipe()
    os.set_inheritable(ends[0], True)
    run: Any = (
        child_process.run_in_new_process("child_work:tell", b"", 30)
        if new
        else child_process.run_in_child(partial(child_work.tell, b""), 30, 2**28)
    )
    with run as answer:
        found: dict[str, Any] = json.loads(answer.take_text(2**20))
    for end in ends:
        os.close(end)
    return found


@pytest.mark.parametrize("new", [True, False])
def test_a_child_has_only_what_it_needs(monkeypatch: pytest.MonkeyPatch, new: bool) -> None:
    found = seen_by_a_child(monkeypatch, new=new)
    assert set(found["variables"]) <= {*child_process.VARIABLES, "HOME", "TMPDIR", "LC_CTYPE"}
    assert all(soft == hard for soft, hard in found["limits"].values())
    assert len(found["open"]) == 4  # 0 to 2, and the file to write to


@pytest.mark.parametrize(
    ("work", "seconds", "patience", "said"),
    [("sleep", 0.5, 1, "too long"), ("fill", 30, PATIENCE, "could not read it")],
)
def test_a_new_process_that_fails_is_noticed(
    work: str, seconds: float, patience: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "PATIENCE", patience)
    with (
        pytest.raises(child_process.IncompleteOutputError, match=said),
        child_process.run_in_new_process(f"child_work:{work}", b"", seconds) as answer,
    ):
        answer.take(1)


def test_a_crash_is_an_error_of_the_library() -> None:
    with (
        pytest.raises(EngineError, match=r"Keras crashed \(SIGSEGV\)") as crashed,
        child_process.run_in_new_process("child_work:crash", b"", 30, "Keras") as answer,
    ):
        answer.take(1)
    assert crashed.value.advice == "Give different inputs, or try another version of the engine."


@pytest.mark.parametrize("name", signals.ENDING)
def test_a_signal_ends_the_new_process_too(tmp_path: Path, name: str) -> None:
    program = (
        "import sys; from rnncli.process import child_process\n"
        "with child_process.run_in_new_process('child_work:greet', b'', 30) as answer:\n"
        "    print(answer.take_text(64).decode(), flush=True)\n"
        "    answer.take(1)"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    own = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": paths}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=own) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(getattr(signal, name))
        assert process.wait(PATIENCE) == 128 + getattr(signal, name)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_where_processes_have_no_limits_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with (
        pytest.raises(EngineError, match="cannot limit the process"),
        child_process.run_in_child(print, 1, 1),
    ):
        pass
    with (
        pytest.raises(EngineError, match="cannot limit the process"),
        child_process.run_in_new_process("a:b", b"", 1),
    ):
        pass


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5", ".pt", ".onnx"])
def test_where_processes_have_no_limits_no_file_is_read_without_them(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    import rnncli

    path, x = tmp_path / f"m{suffix}", np.ones((1, 4, 3), "float32")
    if suffix == ".pt":
        torch.save(torch.nn.LSTM(3, 2).state_dict(), path)
    elif suffix == ".onnx":
        rnncli.export(x, "gru", to="onnx", seed=1).save(path)
    else:
        model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2)])
        (model.save_weights if suffix == ".weights.h5" else model.save)(path)
    with monkeypatch.context() as patch:
        patch.delattr(os, "fork")
        with pytest.raises(EngineError, match=r"cannot limit the process in which(.|\n)*Use Linux, macOS"):
            rnncli.run(x, model=path)
        assert rnncli.run(x, "lstm")
    assert rnncli.run(x, model=path)


def save_model(path: Path) -> Any:
    x = keras.Input((2, 4), name="x")
    sequence, *states = L.LSTM(3, name="first", return_sequences=True, return_state=True)(
        L.SpectralNormalization(L.Dense(4))(x)
    )
    model = keras.Model(x, L.LSTM(3, name="second")(sequence, initial_state=states))
    model.save(path)
    return model


@pytest.mark.slow
def test_a_model_is_run_and_checked_in_processes_of_their_own(rnncli: Run, tmp_path: Path) -> None:
    model = save_model(tmp_path / "m.keras")
    words = ("--model", str(tmp_path / "m.keras#second"), "--check", "--return-state", "-f", "json")
    values = rnncli("run", INPUT, *words).answer()["outputs"][0]["values"]
    np.testing.assert_allclose(values, model(np.array(json.loads(INPUT), "float32")), atol=1e-5)


@pytest.mark.slow
def test_only_the_child_loads_keras(tmp_path: Path) -> None:
    save_model(tmp_path / "m.keras")
    program = (
        "import sys; from rnncli.cli.app import main; "
        f"code = main(['run', {INPUT!r}, '--model', {str(tmp_path / 'm.keras')!r}, '--quiet']); "
        "print(code, 'keras' in sys.modules)"
    )
    assert run_program(program).success().stdout.splitlines()[-1] == "0 False"


@pytest.mark.slow
def test_errors_of_the_child_come_back(rnncli: Run, tmp_path: Path) -> None:
    x = keras.Input((2, 4), name="x")
    deep = L.SpectralNormalization(L.Dense(4))(x)
    keras.Model(x, L.LSTM(3, name="lstm")(L.Lambda(lambda t: t)(deep))).save(tmp_path / "m.keras")
    file = with_changed_config(
        tmp_path / "m.keras", lambda text: text.replace(b'"Lambda"', b'"TFSMLayer"'), "n.keras"
    )
    said = rnncli("run", INPUT, "--model", str(file)).refusal()
    assert "Keras cannot run this model: " in said
    assert "Traceback" not in said


def test_what_comes_back_is_bounded() -> None:
    file = io.BytesIO()
    child_process.write_text(file, json.dumps([["<f4", [2**20, 2**20]]]).encode())
    child_process.write_text(file, json.dumps({"found": {"": 0}}).encode())
    file.seek(0)
    with pytest.raises(child_process.IncompleteOutputError, match="its numbers take 4"):
        child_process.receive(child_process.WorkOutput(file.readinto, "Keras"), 2**30)
