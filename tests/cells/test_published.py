"""The published cells of samples/cells against loops written by hand, Keras and ONNX Runtime."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import own_cells
import pytest
from command import ROOT, Run

import rnncli

CELLS = ROOT / "samples" / "cells"
UNITS, FEATURES = 3, 4
NEAR = {"float32": 2e-6, "float64": 1e-13}
MASK = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool)

Weights = Mapping[str, np.ndarray]
States = tuple[np.ndarray, ...]


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def parts(weights: Weights, x: np.ndarray, row: np.ndarray) -> list[np.ndarray]:
    """Return the sum of each gate: of the input, the state before the step and the bias."""
    whole = x @ weights["kernel"] + row @ weights["recurrent_kernel"] + weights["bias"]
    return [whole[:, k : k + UNITS] for k in range(0, whole.shape[1], UNITS)]


def mgu(w: Weights, x: np.ndarray, h: np.ndarray) -> States:
    (to_forget, to_candidate), (_, recurrent) = (
        [a[..., :UNITS], a[..., UNITS:]] for a in (x @ w["kernel"] + w["bias"], w["recurrent_kernel"])
    )
    f = sigmoid(to_forget + h @ w["recurrent_kernel"][:, :UNITS])
    candidate = np.tanh(to_candidate + (f * h) @ recurrent)
    return ((1 - f) * h + f * candidate,)


def ugrnn(w: Weights, x: np.ndarray, h: np.ndarray) -> States:
    g, c = parts(w, x, h)
    return (sigmoid(g) * h + (1 - sigmoid(g)) * np.tanh(c),)


def cifg(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> States:
    i, z, o = parts(w, x, h)
    c = (1 - sigmoid(i)) * c + sigmoid(i) * np.tanh(z)
    return sigmoid(o) * np.tanh(c), c


def peephole_lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> States:
    i, f, z, o = parts(w, x, h)
    written = sigmoid(i + w["input_peephole"] * c) * np.tanh(z)
    c = sigmoid(f + w["forget_peephole"] * c) * c + written
    return sigmoid(o + w["output_peephole"] * c) * np.tanh(c), c


def normalized(z: np.ndarray) -> np.ndarray:
    centred = z - z.mean(1, keepdims=True)
    spread = np.sqrt((centred**2).mean(1, keepdims=True) + np.array(1e-3, z.dtype))
    return np.asarray(centred / spread)


def layer_norm_lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> States:
    gates = []
    for k, gate in enumerate(("input", "forget", "candidate", "output")):
        columns = slice(k * UNITS, (k + 1) * UNITS)
        from_input = w[f"{gate}_gain"] * normalized(x @ w["kernel"][:, columns])
        from_hidden = w[f"{gate}_recurrent_gain"] * normalized(h @ w["recurrent_kernel"][:, columns])
        gates.append(from_input + from_hidden + w["bias"][columns])
    i, f, z, o = gates
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
    return sigmoid(o) * np.tanh(w["cell_gain"] * normalized(c) + w["cell_shift"]), c


def min_gru(w: Weights, x: np.ndarray, h: np.ndarray) -> States:
    z, candidate = np.split(x @ w["kernel"] + w["bias"], 2, axis=1)
    return (h + sigmoid(z) * (candidate - h),)


def min_lstm(w: Weights, x: np.ndarray, h: np.ndarray) -> States:
    f, i, candidate = np.split(x @ w["kernel"] + w["bias"], 3, axis=1)
    f, i = sigmoid(f), sigmoid(i)
    return ((f * h + i * candidate) / (f + i),)


def indrnn(w: Weights, x: np.ndarray, h: np.ndarray) -> States:
    return (np.maximum(x @ w["kernel"] + w["bias"] + w["recurrent_weight"] * h, 0),)


def fastgrnn(w: Weights, x: np.ndarray, h: np.ndarray) -> States:
    both = x @ w["kernel"] + h @ w["recurrent_kernel"]
    z, candidate = sigmoid(both + w["bias"][:UNITS]), np.tanh(both + w["bias"][UNITS:])
    return ((sigmoid(w["zeta"]) * (1 - z) + sigmoid(w["nu"])) * candidate + z * h,)


def janet(w: Weights, x: np.ndarray, c: np.ndarray) -> States:
    s, z = parts(w, x, c)
    return (sigmoid(s) * c + (1 - sigmoid(s - 1)) * np.tanh(z),)


def cornn(w: Weights, y: np.ndarray, position: np.ndarray, velocity: np.ndarray) -> States:
    into = y @ w["kernel"] + position @ w["recurrent_kernel"] + velocity @ w["velocity_kernel"] + w["bias"]
    velocity = velocity + 0.042 * (np.tanh(into) - 2.7 * position - 4.7 * velocity)
    return position + 0.042 * velocity, velocity


def slstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray, n: np.ndarray, m: np.ndarray) -> States:
    """Without the stabilizer: exp(m) times what the cell and the normalizer hold."""
    i, f, z, o = parts(w, x, h)
    c = sigmoid(f) * c * np.exp(m) + np.exp(i) * np.tanh(z)
    n = sigmoid(f) * n * np.exp(m) + np.exp(i)
    m = np.maximum(np.log(sigmoid(f)) + m, i)
    return sigmoid(o) * c / n, c * np.exp(-m), n * np.exp(-m), m


STEPS: Mapping[str, Callable[..., States]] = {
    "cifg": cifg,
    "cornn": cornn,
    "fastgrnn": fastgrnn,
    "indrnn": indrnn,
    "janet": janet,
    "layer_norm_lstm": layer_norm_lstm,
    "mgu": mgu,
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "peephole_lstm": peephole_lstm,
    "slstm": slstm,
    "ugrnn": ugrnn,
}


def test_every_published_cell_is_tested() -> None:
    assert sorted(file.stem for file in own_cells.samples()) == sorted(STEPS)


def setting(name: str, dtype: str) -> tuple[np.ndarray, dict[str, np.ndarray], list[np.ndarray]]:
    """Return inputs, random weights by name, and initial states.  A normalizer is above 0."""
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(*MASK.shape, FEATURES)).astype(dtype)
    made = rnncli.run(inputs, CELLS / f"{name}.toml", units=UNITS, seed=0, return_state=True, dtype=dtype)
    weights = {path: rng.normal(0, 0.6, value.shape).astype(dtype) for path, value in made.weights.items()}
    states = [rng.uniform(0.1, 0.9, (len(MASK), UNITS)).astype(dtype) for _ in list(made)[1:]]
    return inputs, weights, states


def by_hand(
    name: str, inputs: np.ndarray, weights: Weights, states: Sequence[np.ndarray], mask: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return the sequence and the last states; a masked step keeps the states and repeats the output."""
    now, output, sequence = tuple(states), np.zeros_like(states[0]), []
    for t in range(inputs.shape[1]):
        after, on = STEPS[name](weights, inputs[:, t], *now), mask[:, t, None]
        output = np.where(on, after[0], output)
        now = tuple(np.where(on, new, old) for new, old in zip(after, now, strict=True))
        sequence.append(output)
    return (np.stack(sequence, 1), *now)


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("name", STEPS)
def test_a_cell_against_a_loop_by_hand(name: str, dtype: str) -> None:
    inputs, weights, states = setting(name, dtype)
    zeros = [np.zeros_like(state) for state in states]
    for mask in (None, MASK):
        for start in (None, states):
            result = rnncli.run(
                inputs, CELLS / f"{name}.toml", units=UNITS, weights=weights, mask=mask, initial_state=start,
                return_sequences=True, return_state=True, dtype=dtype,
            )  # fmt: skip
            given = np.ones_like(MASK) if mask is None else mask
            with np.errstate(invalid="ignore"):  # a masked first step of sLSTM divides 0 by 0, and is dropped
                expected = by_hand(name, inputs, weights, start or zeros, given)
            for ours, theirs in zip(list(result), expected, strict=True):
                assert ours.dtype == dtype
                np.testing.assert_allclose(ours, theirs, rtol=NEAR[dtype], atol=NEAR[dtype])


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_a_cell_against_keras(name: str, rnncli: Run) -> None:
    layer = f"Bidirectional(@'{CELLS / name}.toml'(3, return_sequences=True, return_state=True))"
    given = ["run", "-l", layer, "--input-shape", "2,5,4", "--mask", "[[1,0,1,1,0],[0,1,1,1,1]]"]
    done = rnncli(*given, "--seed", "3", "--check", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("coupled", [False, True])
def test_lstm_against_onnx_runtime(coupled: bool, tmp_path: Path) -> None:
    """ONNX packs input, output, forget, candidate, each of shape (units, features), and has peepholes."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    name = "cifg" if coupled else "peephole_lstm"
    inputs, weights, states = setting(name, "float32")
    order = (
        {"input": 0, "candidate": 1, "output": 2}
        if coupled
        else {"input": 0, "forget": 1, "candidate": 2, "output": 3}
    )

    def packed(weight: str) -> np.ndarray:
        blocks = [
            weights[weight][..., k * UNITS : (k + 1) * UNITS].T if (k := order.get(gate, -1)) >= 0
            else np.zeros_like(weights[weight][..., :UNITS].T)
            for gate in ("input", "output", "forget", "candidate")
        ]  # fmt: skip
        return np.concatenate(blocks)[None]

    bias = packed("bias")
    peepholes = [
        weights.get(f"{gate}_peephole", np.zeros(UNITS, "f4")) for gate in ("input", "output", "forget")
    ]
    values = {
        "X": inputs.swapaxes(0, 1), "W": packed("kernel"), "R": packed("recurrent_kernel"),
        "B": np.concatenate([bias, np.zeros_like(bias)], 1), "H": states[0][None], "C": states[1][None],
        "P": np.concatenate(peepholes)[None],
    }  # fmt: skip
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(
        "LSTM", ["X", "W", "R", "B", "", "H", "C", "P"], ["Y", "YH", "YC"], hidden_size=UNITS,
        input_forget=int(coupled),
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(key, number, value.shape) for key, value in values.items()],
        [helper.make_tensor_value_info(key, number, None) for key in ("Y", "YH", "YC")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    sequence, *last = session.run(None, values)
    result = rnncli.run(
        inputs, CELLS / f"{name}.toml", units=UNITS, weights=weights, initial_state=states,
        return_sequences=True, return_state=True,
    )  # fmt: skip
    expected = [sequence[:, 0].swapaxes(0, 1), *(state[0] for state in last)]
    for ours, theirs in zip(list(result), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


PACKAGED: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Sequence[str]]]] = {
    "cornn": ("coRNNCell", {"dt": 0.042, "gamma": 2.7, "epsilon": 4.7}, {"weight_ch": ["velocity_kernel"]}),
    "fastgrnn": ("FastGRNNCell", {"nonlinearity": "sigmoid"}, {"zeta": ["zeta"], "nu": ["nu"]}),
    "indrnn": ("IndRNNCell", {"nonlinearity": "relu"}, {"vector_u": ["recurrent_weight"]}),
    "janet": ("JANETCell", {"beta": 1.0}, {}),
    "mgu": ("MGUCell", {}, {}),
    "peephole_lstm": (
        "PeepholeLSTMCell",
        {},
        {"weight_ph": ["input_peephole", "forget_peephole", "output_peephole"]},
    ),
    "ugrnn": ("UGRNNCell", {}, {}),
}
"""By our name: the class of torchrecurrent, its options, and its weights beyond the packed ones as ours."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGED)
def test_a_cell_against_torchrecurrent(name: str) -> None:
    torch, package = pytest.importorskip("torch"), pytest.importorskip("torchrecurrent")
    class_name, options, others = PACKAGED[name]
    inputs, weights, states = setting(name, "float64")
    cell = getattr(package, class_name)(FEATURES, UNITS, dtype=torch.float64, **options)
    theirs = {"weight_ih": weights["kernel"], "bias_ih": weights["bias"]}
    if "recurrent_kernel" in weights:
        theirs["weight_hh"] = weights["recurrent_kernel"]
    if name == "ugrnn":  # the package has the candidate first
        theirs = {key: np.roll(value, UNITS, axis=-1) for key, value in theirs.items()}
    theirs |= {key: np.concatenate([weights[name] for name in names]) for key, names in others.items()}
    made = cell.state_dict()
    zeros = {key: torch.zeros_like(made[key]) for key in made if key.startswith("bias")}
    cell.load_state_dict(made | zeros | {key: torch.tensor(value.T) for key, value in theirs.items()})
    now: Any = [torch.tensor(state) for state in states]
    now = now[0] if len(now) == 1 and name != "janet" else (now * 2)[:2]
    sequence = []
    with torch.no_grad():
        for x in torch.tensor(inputs).swapaxes(0, 1):
            now = cell(x, now)
            sequence.append((now if torch.is_tensor(now) else now[0]).numpy())
    result = rnncli.run(
        inputs, CELLS / f"{name}.toml", units=UNITS, weights=weights, initial_state=states,
        return_sequences=True, dtype="float64",
    )  # fmt: skip
    np.testing.assert_allclose(result["hidden_states"], np.stack(sequence, 1), rtol=1e-12, atol=1e-13)


def test_slstm_does_not_overflow() -> None:
    """Without the stabilizer exp(800) would be infinite."""
    weights = {"kernel": np.ones((1, 4)) * 800, "recurrent_kernel": np.zeros((1, 4)), "bias": np.zeros(4)}
    result = rnncli.run(np.ones((1, 3, 1)), CELLS / "slstm.toml", units=1, weights=weights, dtype="float64")
    assert result["hidden_state"] == pytest.approx(1)
