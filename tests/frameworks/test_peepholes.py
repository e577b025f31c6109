"""The LSTM with peepholes of ONNX, written as arrays and read again; ONNX Runtime computes from both."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from command import Run

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


def peephole_lstm(direction: str, *, biased: bool = True, **attributes: Any) -> tuple[Any, dict[str, Any]]:
    random, ways = np.random.default_rng(8), DIRECTIONS[direction]
    arrays = onnx_graphs.weights(random, "LSTM", 3, 4, ways)
    arrays["P"] = random.normal(size=(ways, 12)).astype(np.float32)
    if not biased:
        del arrays["B"]
    arrays["X"] = random.normal(size=(5, 2, 3)).astype(np.float32)
    return onnx_graphs.single("LSTM", arrays, direction=direction, **attributes)


def run_onnx(model: Any, feeds: dict[str, Any]) -> list[Any]:
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_there_and_back_are_the_same_bits(tmp_path: Path, rnncli: Run, direction: str, biased: bool) -> None:
    made, feeds = peephole_lstm(direction, biased=biased)
    model, _ = onnx_graphs.save(tmp_path, made)
    there, back = str(tmp_path / "there.npz"), str(tmp_path / "back.npz")
    done = rnncli("weights", model, "--to", "onnx", "-o", there).success()
    assert ("set the attribute direction=reverse" in done.stderr) == (direction == "reverse")
    arrays = {name.removeprefix("rnn/"): array for name, array in np.load(there).items()}
    again, _ = onnx_graphs.single("LSTM", {**arrays, "X": feeds["X"]}, direction=direction)
    wanted = run_onnx(made, feeds)
    for ours, theirs in zip(run_onnx(again, feeds), wanted, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert rnncli("weights", there, "--to", "onnx", "-o", back).returncode == 0
    same = np.load(back)
    assert {name: array.tobytes() for name, array in np.load(there).items()} == {
        name: same[name].tobytes() for name in same
    }


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_the_arrays_are_read_with_their_peepholes(tmp_path: Path, rnncli: Run, direction: str) -> None:
    made, feeds = peephole_lstm(direction)
    model, _ = onnx_graphs.save(tmp_path, made)
    there, inputs, out = (str(tmp_path / name) for name in ("there.npz", "x.npy", "out.npz"))
    rnncli("weights", model, "--to", "onnx", "-o", there)
    np.save(inputs, feeds["X"].swapaxes(0, 1))
    assert rnncli("run", inputs, "--model", there, "-o", out).returncode == 0
    sequence = run_onnx(made, feeds)[0]
    wanted = np.concatenate(list(sequence.transpose(1, 2, 0, 3)), axis=-1)
    np.testing.assert_allclose(np.load(out)["rnn/hidden_states"], wanted, rtol=0, atol=1e-6)
    assert f"rnn is an LSTM with peepholes, which is not a layer of Keras.\nRun it with --model {there}." in (
        rnncli("run", inputs, "-l", "lstm", "--units", "4", "--weights", there).refusal()
    )


def test_bare_arrays_keep_their_peepholes(tmp_path: Path, rnncli: Run) -> None:
    made, _ = peephole_lstm("forward")
    model, _ = onnx_graphs.save(tmp_path, made)
    rnncli("weights", model, "--to", "onnx", "-o", str(tmp_path / "there.npz"))
    named = np.load(tmp_path / "there.npz")
    np.savez(tmp_path / "bare.npz", **{name.removeprefix("rnn/"): named[name] for name in named})
    assert "RNN(PeepholeLSTM)" in rnncli("weights", str(tmp_path / "bare.npz")).stdout
    np.savez(tmp_path / "odd.npz", **{name.removeprefix("rnn/"): named[name][..., :8] for name in named})
    assert "PeepholeLSTM" not in rnncli("weights", str(tmp_path / "odd.npz")).stdout


def test_other_activations_are_said_or_refused(tmp_path: Path, rnncli: Run) -> None:
    made, _ = peephole_lstm("forward", activations=["Sigmoid", "Relu", "Tanh"])
    model, _ = onnx_graphs.save(tmp_path, made)
    done = rnncli("weights", model, "--to", "onnx")
    assert "rnn: set the attribute activations of the node for activation=relu" in done.stderr
    made, _ = peephole_lstm("forward", clip=0.5)
    model, _ = onnx_graphs.save(tmp_path, made)
    assert "it has no activation" in rnncli("weights", model, "--to", "onnx").refusal()
