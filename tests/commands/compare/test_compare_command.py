"""`rnncli compare` and `--expect` as a user sees them: rows, notes, messages, exit codes, golden files."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from looks import SUFFIXES, check_looks
from results_by_hand import CELL, HIDDEN, sentence

import rnncli as package
from rnncli.commands.compare.answer import CompareAnswer, RefusedEngine
from rnncli.commands.compare.comparison import REAL
from rnncli.compute.compare import measure
from rnncli.errors import Message, Text

LAYERS = ["SimpleRNN(3, return_sequences=True, return_state=True)", "LSTM(2, return_state=True)"]


@pytest.fixture
def stored(rnncli: Run, tmp_path: Path) -> Path:
    """The tensors of LSTM(3) with seed 1, as an .npz file."""
    path = tmp_path / "expected.npz"
    assert rnncli("run", "-l", "lstm", "--return-state", "--seed", "1", "-o", str(path)).returncode == 0
    return path


def table(rnncli: Run, *args: str, code: int = 0) -> Any:
    done = rnncli("compare", *args, "--seed", "1", "-f", "json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_four_engines_agree_in_every_pair(rnncli: Run) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    engines = "numpy,tensorflow,torch,onnx"
    found = table(rnncli, "-l", "bilstm", "--return-sequences", "--return-state", "--engines", engines)
    assert found["engine"] == "numpy, tensorflow, torch, onnx"
    assert len(found["comparisons"]) == 5 * 6
    pairs = {(one["first"], one["second"]) for one in found["comparisons"]}
    assert len(pairs) == 6
    assert all(one["verdict"] == "same" and one["absolute"] < 1e-6 for one in found["comparisons"])


def test_a_difference_is_found(stored: Path, rnncli: Run) -> None:
    arrays = dict(np.load(stored))
    arrays["last_cell_state"][0, 2] += 0.5
    np.savez(stored, **arrays)
    words = ("-l", "lstm", "--return-state", "--seed", "1", "--expect", str(stored))
    done = rnncli("compare", *words, "-f", "csv", "--quiet")
    assert done.returncode == 1
    assert [line.rpartition(",")[2] for line in done.stdout.splitlines()[1:]] == ["same", "same", "differs"]
    assert "last_cell_state differs: mismatched elements: 1 / 3 (33.3%)" in done.stderr
    assert "first mismatch at index [0, 2]: " in done.stderr
    assert "Not equal to tolerance rtol=1e-05, atol=1e-06; max absolute difference: 0.5;" in done.stderr
    assert rnncli("run", *words).returncode == 1
    for command in ("run", "compare"):
        assert rnncli(command, *words, "--atol", "last_cell_state=0.6").returncode == 0


@pytest.mark.parametrize("suffix", ["npz", "json", "npy"])
def test_run_expects_what_run_wrote(suffix: str, rnncli: Run, tmp_path: Path) -> None:
    path = str(tmp_path / f"expected.{suffix}")
    assert rnncli("run", "-l", "gru", "--return-sequences", "--seed", "1", "-o", path).returncode == 0
    for command in ("run", "compare"):
        words = ("-l", "gru", "--return-sequences", "--seed", "1", "--expect", path)
        rnncli(command, *words, "--atol", "0", "--rtol", "0").success()
        other = rnncli(command, "-l", "gru", "--return-sequences", "--seed", "2", "--expect", path)
        assert other.returncode == 1
        assert "hidden_states differs" in other.stderr


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_trace_expects_what_trace_wrote(suffix: str, rnncli: Run, tmp_path: Path) -> None:
    path = str(tmp_path / f"trace.{suffix}")
    layers = ("-l", "bilstm", "-l", "gru", "--seed", "1", "--units", "2")
    assert rnncli("trace", *layers, "-o", path).returncode == 0
    same = rnncli("trace", *layers, "--expect", path, "--quiet", "--atol", "0", "--rtol", "0")
    assert (same.returncode, same.stderr) == (0, "")
    changed = rnncli("trace", *layers[:-1], "2", "--expect", path, "--quiet", "--kernel-initializer", "ones")
    assert changed.returncode == 1
    assert "0/forward/input/preactivation differs" in changed.stderr


@pytest.mark.slow
def test_what_is_not_compared_is_said(rnncli: Run) -> None:
    done = rnncli(
        "compare", "-l", "lstm", "--return-state", "--expect", '{"last_cell_state": [0, 0, 0], "x": [1]}'
    )
    assert done.returncode == 1
    assert "not compared: hidden_state, last_hidden_state (the command line lacks them)" in done.stderr
    assert "Also different: x." in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if "not compared" in line] == ["x"]
    assert "added a batch axis: (3,) -> (1, 3)" in done.stderr
    done = rnncli("compare", "-l", "lstm", "--expect", "[[0, 0]]", "--quiet")
    assert "hidden_state: shape mismatch: (1, 3) (numpy), (1, 2) (the command line)." in done.stderr
    refused = table(rnncli, "-l", "GRU(2, reset_after=False)")["refused"]
    assert any(one["engine"] == "torch" and "reset_after=False" in one["reason"] for one in refused)


def test_a_missing_engine_is_exit_3(rnncli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = rnncli("compare", "sentence", "--engines", "numpy,torch", "--seed", "1")
    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install torch" in done.stderr


@pytest.mark.parametrize("seed", range(6))
def test_pieces_that_carry_the_state_are_rounding(seed: int) -> None:
    random = np.random.default_rng(seed)
    layers: Any = [*LAYERS, "GRU(3, return_sequences=True)", LAYERS, "RNN([LSTMCell(2), GRUCell(3)])"]
    inputs = random.normal(size=(2, 7, 3)).astype("float32")
    report = package.compare(inputs, layers[seed % 5], split=int(random.integers(1, 7)), seed=seed)
    assert all(one.agrees for one in report.found)
    exact = all(one.absolute == 0 for one in report.found)
    conclusion = "return exactly the same numbers" if exact else "is rounding"
    assert conclusion in str(report)


@pytest.mark.parametrize(
    "layer", ["Bidirectional(GRU(3, return_sequences=True))", "LSTM(3, go_backwards=True)"]
)
def test_pieces_of_a_backward_layer_differ(layer: str, rnncli: Run) -> None:
    done = rnncli("compare", "-l", layer, "--split", "2", "--seed", "1")
    assert done.returncode == 1
    assert "is not rounding" in done.stdout
    assert "without the later time steps" in done.stderr


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.slow
def test_a_masked_step_at_the_start_of_a_piece_returns_zeros(engine: str) -> None:
    """So does Keras: the state carries over, the output does not."""
    inputs = np.random.default_rng(0).normal(size=(1, 4, 3)).astype("float32")
    inputs[0, 2] = 0
    flags: dict[str, Any] = {"return_sequences": True, "return_state": True, "mask_value": 0.0, "seed": 1}
    report = package.compare(inputs, "gru", split=2, engine=engine, **flags)
    sequence, state = report.found
    assert (sequence.agrees, sequence.step, state.agrees) == (False, 2, True)
    assert sequence.mismatch is not None
    assert sequence.mismatch.second == 0
    assert any("a masked step at the start of a piece" in text for text in map(str, report.remarks))
    inside = package.compare(inputs, "gru", split=3, engine=engine, initial_state=[[[1, 2, 3]]], **flags)
    assert all(one.agrees for one in inside.found)


def test_agreement_that_proves_little_is_noted(rnncli: Run) -> None:
    layer = "LSTM(1, kernel_initializer='ones', recurrent_initializer='zeros')"
    shape = ("--input-shape", "1,1,2", "--fill", "zeros")
    done = rnncli("compare", "-l", layer, *shape, "--expect", "[[0]]", "--atol", "1").success()
    for words in (
        "every number in kernel, recurrent_kernel is the same", "every input is 0", "with one unit",
        "one time step",
    ):  # fmt: skip
        assert words in done.stderr
    assert "proves little" not in rnncli("compare", "-l", "lstm", "--expect", "[[0, 0, 0]]").stderr
    nothing = ("compare", "-l", "gru", "--seed", "1", "--expect", '[["NaN", "NaN", "NaN"]]')
    assert "no number in hidden_state is finite" in rnncli(*nothing, '[[["NaN", 1], [2, 3]]]').stderr
    assert "is finite" not in rnncli(*nothing, "[[[0, 1], [2, 3]]]").stderr
    dense = rnncli("compare", "[[1, 2]]", "-l", "Dense(2)", "--engines", "numpy,torch", "--seed", "1")
    assert (dense.returncode, dense.stderr) == (0, "rnncli: note: added a batch axis: (1, 2) -> (1, 1, 2)\n")


@pytest.mark.parametrize(("layer", "input", "proves"), [
    ("SimpleRNN(3, recurrent_initializer='zeros')", "[[[1], [2], [3], [4]]]", False),
    ("LSTM(3, return_sequences=True)", "[[[0], [0], [0], [0]]]", False),
    ("GRU(3)", '[[["NaN"], [0], [0], [0]]]', True),
    ("LSTM(3, return_sequences=True)", "[[[1], [2], [3], [4]]]", True),
])  # fmt: skip
def test_pieces_prove_little_of_an_unused_state(layer: str, input: str, proves: bool, rnncli: Run) -> None:
    done = rnncli("compare", input, "-l", layer, "--split", "2", "--seed", "1").success()
    assert ("a lost state would not show" in done.stderr) is not proves


@pytest.mark.slow
def test_one_engine_that_can_is_named_with_the_stored_result(rnncli: Run, tmp_path: Path) -> None:
    args = ["-l", "ConvLSTM1D(2, 2)", "--input-shape", "1,3,5,4", "--seed", "1"]
    done = rnncli("compare", *args, "--engines", "numpy,torch")
    assert "cannot compute this: only Keras computes ConvLSTM1D." in done.stderr
    assert "Compare with a stored result: --engines tensorflow --expect FILE." in done.stderr
    stored = str(tmp_path / "e.npz")
    assert rnncli("run", *args, "-o", stored).returncode == 0
    assert rnncli("compare", *args, "--engines", "tensorflow", "--expect", stored).returncode == 0


def test_an_engine_that_meets_numbers_beyond_it_is_to_be_left_out(rnncli: Run) -> None:
    args = ("compare", "[[[1e19, 1], [2, 3]]]", "-l", "lstm", "--seed", "1", "--engines")
    done = rnncli(*args, "numpy,torch,onnx")
    assert done.returncode == 3
    assert done.stderr.endswith("Leave onnx out of --engines.\n")
    assert rnncli(*args, "numpy,torch").returncode == 0
    assert rnncli(*args, "numpy,onnx").stderr.endswith("These can: --engines numpy,tensorflow,torch.\n")


NEAR = np.nextafter(HIDDEN, np.float32(1))
FAR = HIDDEN.copy()
FAR[0, 2, 1] += 0.25
FAR[0, 3, 0] = np.nan

RESULT = sentence()
SEQUENCE, LAST, CELLS = RESULT.outputs


def pairs(first: Text, second: Text, sequence: np.ndarray, cells: np.ndarray) -> CompareAnswer:
    sides = (first, second)
    differences = (
        measure(SEQUENCE, sequence, sides, 1e-6, 1e-5),
        measure(LAST, HIDDEN[:, -1], sides, 1e-6, 1e-5),
        measure(CELLS, cells, sides, 1e-6, 1e-5),
    )
    header = dataclasses.replace(RESULT, engines=("numpy", "torch"))
    return CompareAnswer(header, differences, (1e-6, 1e-5))


ANSWERS = {
    "engines": dataclasses.replace(
        pairs("numpy", "torch", NEAR, CELL),
        refused=(RefusedEngine("onnx", "it has no node for RNN of cells"),),
    ),
    "stored": pairs("numpy", "expected.npz", FAR, CELL[:, :2]),
    "pieces": dataclasses.replace(
        pairs(Message("one call"), Message("pieces of {steps}", steps=2), FAR, CELL), conclusion=REAL
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_look_as_they_did(name: str) -> None:
    check_looks("compare", name, ANSWERS[name], SUFFIXES if name == "stored" else ("json",))
