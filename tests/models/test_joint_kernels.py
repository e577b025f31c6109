"""The cells of TensorFlow 1, in checkpoints that TensorFlow writes, held to their formulas as loops."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from command import Run

X = np.random.default_rng(5).normal(size=(2, 4, 3))
GIVEN = json.dumps(X.tolist())
LSTM, GRU = "enc/multi_rnn_cell/cell_{}/basic_lstm_cell", "dec/gru_cell"
BACK = "bidirectional_rnn/{}/lstm_cell"
SHAPES = {
    **{f"{LSTM.format(0)}/{role}": shape for role, shape in (("kernel", (5, 8)), ("bias", (8,)))},
    **{f"{LSTM.format(1)}/{role}": shape for role, shape in (("kernel", (4, 8)), ("bias", (8,)))},
    f"{LSTM.format(0)}/kernel/Adam": (5, 8),
    **{f"{GRU}/gates/{role}": shape for role, shape in (("kernel", (7, 8)), ("bias", (8,)))},
    **{f"{GRU}/candidate/{role}": shape for role, shape in (("kernel", (7, 4)), ("bias", (4,)))},
    **{
        f"{BACK.format(half)}/{role}": shape
        for half in ("fw", "bw")
        for role, shape in (("weights", (5, 8)), ("biases", (8,)))
    },
    "plain/basic_rnn_cell/kernel": (5, 2),
    "plain/basic_rnn_cell/bias": (2,),
}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lstm(x: Any, kernel: Any, bias: Any, forget_bias: float = 1.0) -> Any:
    """BasicLSTMCell, as its documentation has it: i, j, f, o."""
    units = kernel.shape[1] // 4
    c = h = np.zeros((len(x), units))
    rows = []
    for t in range(x.shape[1]):
        i, j, f, o = np.split(np.concatenate([x[:, t], h], 1) @ kernel + bias, 4, 1)
        c = c * sigmoid(f + forget_bias) + sigmoid(i) * np.tanh(j)
        h = np.tanh(c) * sigmoid(o)
        rows.append(h)
    return np.stack(rows, 1)


def gru(x: Any, gates: tuple[Any, Any], candidate: tuple[Any, Any]) -> Any:
    h = np.zeros((len(x), candidate[1].size))
    rows = []
    for t in range(x.shape[1]):
        r, u = np.split(sigmoid(np.concatenate([x[:, t], h], 1) @ gates[0] + gates[1]), 2, 1)
        c = np.tanh(np.concatenate([x[:, t], r * h], 1) @ candidate[0] + candidate[1])
        h = u * h + (1 - u) * c
        rows.append(h)
    return np.stack(rows, 1)


def simple(x: Any, kernel: Any, bias: Any) -> Any:
    h = np.zeros((len(x), bias.size))
    rows = []
    for t in range(x.shape[1]):
        h = np.tanh(np.concatenate([x[:, t], h], 1) @ kernel + bias)
        rows.append(h)
    return np.stack(rows, 1)


@pytest.fixture(scope="module")
def weights() -> Mapping[str, Any]:
    draws = np.random.default_rng(7)
    return {name: draws.normal(scale=0.5, size=shape).astype("float32") for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, weights: Mapping[str, Any]) -> Path:
    path = tmp_path_factory.mktemp("tf1")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, array in weights.items():
            tf.compat.v1.get_variable(name, initializer=array, use_resource=False)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(path / "model.ckpt"))
    return path


def run(rnncli: Run, folder: Path, layer: str, *more: str, given: str = GIVEN) -> dict[str, Any]:
    done = rnncli("run", given, "--model", f"model.ckpt#{layer}", "-f", "json", *more, cwd=folder)
    return {tensor["name"]: np.array(tensor["values"]) for tensor in done.answer()["outputs"]}


def cell(weights: Mapping[str, Any], path: str) -> Any:
    """Return the kernel and the bias of a cell."""
    return [array for name, array in weights.items() if name.rpartition("/")[0] == path]


def test_a_multi_rnn_cell_is_a_stack(rnncli: Run, folder: Path, weights: Mapping[str, Any]) -> None:
    tensors = run(rnncli, folder, "enc")
    lower = lstm(X, *cell(weights, LSTM.format(0)))
    np.testing.assert_allclose(tensors["enc_l0/hidden_states"], lower, atol=2e-6)
    upper = lstm(lower, *cell(weights, LSTM.format(1)))
    np.testing.assert_allclose(tensors["enc_l1/hidden_states"], upper, atol=2e-6)
    kernel, bias = cell(weights, LSTM.format(0))
    other = run(rnncli, folder, "enc_l0", "--assume", "forget_bias=0.5")
    expected = lstm(X, kernel, bias, forget_bias=0.5)
    np.testing.assert_allclose(other["enc_l0/hidden_states"], expected, atol=2e-6)


def test_two_directions_of_old_names(rnncli: Run, folder: Path, weights: Mapping[str, Any]) -> None:
    (both,) = run(rnncli, folder, "bidirectional_rnn").values()
    forward = lstm(X, *cell(weights, BACK.format("fw")))
    backward = lstm(X[:, ::-1], *cell(weights, BACK.format("bw")))[:, ::-1]
    np.testing.assert_allclose(both, np.concatenate([forward, backward], 2), atol=2e-6)


def test_a_gru_and_a_simple_cell(rnncli: Run, folder: Path, weights: Mapping[str, Any]) -> None:
    (hidden,) = run(rnncli, folder, "dec").values()
    expected = gru(X, cell(weights, f"{GRU}/gates"), cell(weights, f"{GRU}/candidate"))
    np.testing.assert_allclose(hidden, expected, atol=2e-6)
    (hidden,) = run(rnncli, folder, "plain").values()
    expected = simple(X, *cell(weights, "plain/basic_rnn_cell"))
    np.testing.assert_allclose(hidden, expected, atol=2e-6)


def test_what_is_assumed_is_said(rnncli: Run, folder: Path) -> None:
    done = rnncli("run", GIVEN, "--model", "model.ckpt#enc", "-f", "json", cwd=folder)
    assert json.loads(done.stdout)["assumed"] == {
        "batch_first": True,
        "gates": "igfo",
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "forget_bias": 1.0,
    }
    rnncli("run", GIVEN, "--model", "model.ckpt#enc", "--assume", "gates=ifgo", cwd=folder).refusal()


def test_weights_of_no_cell_are_refused(rnncli: Run, tmp_path: Path, weights: Mapping[str, Any]) -> None:
    kernel, bias = cell(weights, LSTM.format(0))
    names = {"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": bias, "rnn/lstm_cell/w_f_diag": bias[:2]}
    np.savez(tmp_path / "w.npz", **names)
    refused = rnncli("run", GIVEN, "--model", "w.npz", cwd=tmp_path)
    assert "it has more weights than such a layer of TensorFlow 1: rnn/lstm_cell/w_f_diag" in refused.stderr


@pytest.mark.parametrize(
    "command",
    [pytest.param(("run", GIVEN, "--model", "m"), marks=pytest.mark.own_process), ("weights", "m.index")],
)
@pytest.mark.slow
def test_a_broken_checkpoint_is_an_error(rnncli: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "m.index").write_bytes(b"no table" * 9)
    (tmp_path / "m.data-00000-of-00001").write_bytes(b"x")
    assert "not a checkpoint that TensorFlow can read" in rnncli(*command, cwd=tmp_path).refusal()


@pytest.mark.parametrize("file", ["m.index", "m.data-00000-of-00001", "m"])
def test_a_file_not_named_as_a_model_gets_the_command_that_runs_it(
    rnncli: Run, tmp_path: Path, file: str
) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        (tmp_path / f"m{suffix}").write_bytes(b"no table" * 9)
    advice = f"To run its recurrent layers: rnncli run INPUT --model {file}\n"
    assert rnncli("run", file, cwd=tmp_path).refusal().endswith(advice)
