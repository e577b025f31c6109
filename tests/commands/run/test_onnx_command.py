"""`--model model.onnx`: run, trace, explain, plot, gradients, weights and Python, as a user sees them."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import onnxruntime
import pytest
import torch
from command import Run, loaded_by
from onnx import helper

from rnncli.models.onnx import runtime


@pytest.fixture
def reverse(tmp_path: Path) -> tuple[str, str]:
    """A reverse GRU with clip and lengths: the paths of the model and of its inputs."""
    random = np.random.default_rng(0)
    arrays = onnx_graphs.weights(random, "GRU", 4, 3)
    arrays |= {"X": random.normal(size=(5, 2, 4)).astype(np.float32), "lens": np.array([5, 2], np.int32)}
    made, feeds = onnx_graphs.single("GRU", arrays, name="gru", direction="reverse", clip=0.5)
    return onnx_graphs.save(tmp_path, made, feeds)


class Network(torch.nn.Module):
    """Two LSTM layers of two directions, a GRU, an RNN and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)
        self.lstm = torch.nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = torch.nn.GRU(6, 5, batch_first=True)
        self.rnn = torch.nn.RNN(5, 2, batch_first=True, nonlinearity="relu")

    def forward(self, ids: Any) -> Any:
        sequence, _ = self.lstm(self.embed(ids))
        sequence, last = self.gru(sequence)
        return self.rnn(sequence)[0], last


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean:torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:Exporting a model to ONNX with a batch_size other than 1:UserWarning")
@pytest.mark.slow
def test_model_exported_by_pytorch(rnncli: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, ids = Network().eval(), torch.randint(0, 10, (3, 7))
    path = str(tmp_path / "model.onnx")
    axes = {"ids": {0: "batch", 1: "time"}}
    torch.onnx.export(network, (ids,), path, dynamo=False, input_names=["ids"], dynamic_axes=axes)
    done = rnncli(
        "run", json.dumps({"inputs": {"ids": ids.tolist()}}), "--model", path, "-f", "json", "--check"
    )
    found = done.answer()
    outputs = {tensor["name"]: np.array(tensor["values"]) for tensor in found["outputs"]}
    sequence, last = (tensor.detach().numpy() for tensor in network(ids))
    np.testing.assert_allclose(outputs["/rnn/RNN/hidden_states"], sequence, atol=1e-5)
    np.testing.assert_allclose(outputs["/gru/GRU/last_hidden_state"], last[0], atol=1e-5)
    assert list(found["layers"]) == ["/lstm/LSTM", "/lstm/LSTM_1", "/gru/GRU", "/rnn/RNN"]
    assert set(found["differences"]) == set(outputs)
    assert max(found["differences"].values()) < 1e-5


@pytest.mark.slow
def test_reverse_sequence_stays_in_the_order_of_the_input(rnncli: Run, reverse: tuple[str, str]) -> None:
    model, inputs = reverse
    feeds = dict(np.load(inputs))
    found = rnncli("run", inputs, "--model", model, "-f", "json", "--check").answer()
    sequence, last = onnxruntime.InferenceSession(model).run(None, feeds)
    outputs = {tensor["name"]: tensor for tensor in found["outputs"]}
    np.testing.assert_allclose(
        outputs["gru/hidden_states"]["values"], sequence[:, 0].swapaxes(0, 1), atol=1e-6
    )
    np.testing.assert_allclose(outputs["gru/last_hidden_state"]["values"], last[0], atol=1e-6)
    assert outputs["gru/last_hidden_state"]["equals"] == ["gru/hidden_states[:, 0, :]"]
    assert "time" not in outputs["gru/hidden_states"]
    assert found["masks"] == ["lens"]


def test_trace_has_preactivations_before_clip_and_gates_after(rnncli: Run, reverse: tuple[str, str]) -> None:
    model, inputs = reverse
    steps = json.loads(rnncli("trace", inputs, "--model", model, "-f", "json").stdout)["trace"]
    assert [step["timestep"] for step in steps] == [4, 3, 2, 1, 0]
    candidate = steps[-1]["gates"]["candidate"]
    clipped = np.clip(candidate["preactivation"], -0.5, 0.5)
    np.testing.assert_allclose(candidate["activation"], np.tanh(clipped), atol=1e-6)
    assert np.abs(candidate["preactivation"]).max() > 0.5


def test_explain_shows_the_clip(rnncli: Run, reverse: tuple[str, str]) -> None:
    model, inputs = reverse
    shown = rnncli("explain", "gru/hidden_states[0,1,1]", inputs, "--model", model).success()
    assert "candidate = tanh[clip=0.5](" in shown.stdout
    run = json.loads(rnncli("run", inputs, "--model", model, "-f", "json").stdout)
    value = run["outputs"][0]["values"][0][1][1]
    assert shown.stdout.startswith(f"hidden_states[0, 1, 1] = {value:.4f}")


@pytest.mark.slow
def test_cell_state_with_an_activation_of_its_own(rnncli: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    arrays = {**onnx_graphs.weights(random, "LSTM", 2, 2), "X": np.ones((2, 1, 2), np.float32)}
    made, feeds = onnx_graphs.single("LSTM", arrays, activations=["Sigmoid", "Tanh", "Softsign"])
    model, inputs = onnx_graphs.save(tmp_path, made, feeds)
    shown = rnncli("explain", "hidden_states[0,1,1]", inputs, "--model", model)
    assert "softsign(cell)" in shown.stdout, shown.stderr
    assert rnncli("gradients", inputs, "--model", model).returncode == 0
    said = rnncli("gradients", inputs, "--model", model, "--engine", "tensorflow").refusal()
    assert "Keras's LSTM has no activation of its own for the cell state" in said


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
@pytest.mark.slow
def test_lstm_that_keras_lacks(rnncli: Run, tmp_path: Path, direction: str) -> None:
    """Peepholes and coupled gates: a cell of equations, in every command."""
    random = np.random.default_rng(1)
    ways = 1 + (direction == "bidirectional")
    arrays = {**onnx_graphs.weights(random, "LSTM", 3, 2, ways), "lens": np.array([5, 2], np.int32)}
    arrays["X"] = random.normal(size=(5, 2, 3)).astype(np.float32)
    arrays["P"] = random.normal(size=(ways, 6)).astype(np.float32)
    made, feeds = onnx_graphs.single("LSTM", arrays, direction=direction, input_forget=1)
    model, inputs = onnx_graphs.save(tmp_path, made, feeds)

    def read(*words: str) -> Any:
        return rnncli(*words, "-f", "json").answer()

    for option in ("--check", "--all-layers"):
        found = read("run", inputs, "--model", model, option)
        values = {tensor["name"]: tensor["values"] for tensor in found["outputs"]}
        (sequence, *_) = onnxruntime.InferenceSession(model).run(None, feeds)
        np.testing.assert_allclose(
            values["rnn/hidden_states"], np.concatenate(sequence.transpose(1, 2, 0, 3), -1), atol=1e-6
        )
    gates = read("trace", inputs, "--model", model)["trace"][-1]["gates"]
    forget, given = (np.float32(gates[name]["activation"]) for name in ("forget", "input"))
    np.testing.assert_array_equal(forget, 1 - given)
    number = read("explain", "hidden_states[0,1,1]", inputs, "--model", model)["explanation"]["value"]
    assert number == values["rnn/hidden_states"][0][1][1]
    slopes = [
        [
            curve["norms"]
            for curve in read("gradients", inputs, "--model", model, *engine)["layers"][0]["curves"]
        ]
        for engine in ([], ["--engine", "tensorflow"])
    ]
    np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-6)
    (layer,) = read("weights", model)["layers"]
    assert [gate["gate"] for gate in layer["cells"][0]["gates"]] == ["input", "candidate", "output"]
    assert layer["parameters"] == ways * (2 * 3 * (3 + 2 + 1) + 2 * 2)
    done = rnncli("export", inputs, "--model", model, "--to", "onnx", "-o", str(tmp_path / "again.onnx"))
    assert done.returncode == 2
    assert not done.stdout


@pytest.mark.slow
def test_plot_and_gradients(rnncli: Run, tmp_path: Path) -> None:
    arrays = onnx_graphs.weights(np.random.default_rng(0), "LSTM", 4, 3, 2)
    arrays["X"] = np.random.default_rng(1).normal(size=(5, 2, 4)).astype(np.float32)
    made, feeds = onnx_graphs.single("LSTM", arrays, direction="bidirectional")
    model, inputs = onnx_graphs.save(tmp_path, made, feeds)
    drawn = rnncli("plot", inputs, "--model", model, "--terminal")
    assert "backward: forget gate" in drawn.stdout, drawn.stderr
    shown = rnncli("gradients", inputs, "--model", model).success()
    assert "norm of the gradient of hidden_states" in shown.stdout


def test_weights_lists_nodes(rnncli: Run, reverse: tuple[str, str]) -> None:
    found = json.loads(rnncli("weights", reverse[0], "-f", "json").stdout)
    assert found["origin"] == "ONNX opset 14"
    (layer,) = found["layers"]
    assert (layer["name"], layer["class_name"], layer["units"]) == ("gru", "GRU", [3])
    assert layer["cells"][0]["direction"] == "backward"


@pytest.mark.slow
def test_numbers_without_axes_and_of_other_types(rnncli: Run, tmp_path: Path) -> None:
    """A scalar, and sequence lengths that the graph makes of it."""
    arrays = onnx_graphs.weights(np.random.default_rng(0), "RNN", 2, 2)
    feeds = {"X": np.ones((3, 1, 2), np.float32), "steps": np.array(2, np.int32)}
    nodes = [
        helper.make_node("Unsqueeze", ["steps", "zero"], ["lens"], name="widen"),
        onnx_graphs.node("RNN", {**arrays, "X": 1, "lens": 1}),
    ]
    made = onnx_graphs.model(nodes, feeds, {**arrays, "zero": np.array([0])}, ["Y"])
    model, _ = onnx_graphs.save(tmp_path, made)
    text = json.dumps({"inputs": {"X": feeds["X"].tolist(), "steps": 2}})
    done = rnncli("run", text, "--model", model, "-f", "csv", "--all-layers").success()
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert [row[-1] for row in rows if row[0] == "widen/output"] == ["2"]
    assert [row[-1] for row in rows if row[:3] == ["rnn/hidden_states", "0", "2"]] == ["0.0", "0.0"]
    text = json.dumps({"inputs": {"X": feeds["X"].tolist(), "steps": 2.5}})
    assert "steps: the model expects whole numbers (int32)" in rnncli("run", text, "--model", model).refusal()


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_missing_package_is_exit_3_with_the_line_to_install(
    rnncli: Run, reverse: tuple[str, str], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    runtime._session.cache_clear()  # which has this model loaded after another test of it
    done = rnncli("run", reverse[1], "--model", reverse[0])
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{missing} is not installed" in done.stderr
    assert "pip install onnx onnxruntime" in done.stderr


@pytest.mark.slow
def test_heavy_libraries_are_left_alone(reverse: tuple[str, str]) -> None:
    assert not loaded_by("weights", reverse[0]) & {"tensorflow", "keras", "torch", "onnxruntime"}
    assert not loaded_by("run", reverse[1], "--model", reverse[0]) & {"tensorflow", "keras", "torch"}


@pytest.mark.parametrize(("change", "said"), [
    (lambda made: made.opset_import[0].__setattr__("version", 0), "No Op registered for GRU"),
    (lambda made: made.graph.node[0].input.__setitem__(1, "no"), "Node input 'no' is not a graph input"),
])  # fmt: skip
def test_a_model_that_is_invalid_is_bad_input(change: Any, said: str, rnncli: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = onnx_graphs.weights(random, "GRU", 4, 3) | {"X": np.ones((5, 2, 4), np.float32)}
    made, feeds = onnx_graphs.single("GRU", arrays, name="gru")
    change(made)
    path, given = onnx_graphs.save(tmp_path, made, feeds)
    done = rnncli("run", given, "--model", path).refusal()
    assert "ONNX Runtime cannot run the model" in done
    assert said in done


@pytest.mark.parametrize(("layout", "noted"), [(0, True), (1, False)])
@pytest.mark.parametrize("words", [("run",), ("compare", "--engines", "numpy,onnx")], ids=" ".join)
def test_another_order_of_axes_is_noted_once(
    rnncli: Run, tmp_path: Path, layout: int, noted: bool, words: tuple[str, ...]
) -> None:
    arrays = onnx_graphs.weights(np.random.default_rng(0), "GRU", 4, 3) | {
        "X": np.ones((5, 2, 4), np.float32)
    }
    made, feeds = onnx_graphs.single("GRU", arrays, name="gru", layout=layout)
    path, given = onnx_graphs.save(tmp_path, made, feeds)
    done = rnncli(words[0], given, "--model", path, *words[1:]).success()
    note = f"rnncli: note: {path}: gru: shown batch first; in the file, X and Y have time first.\n"
    assert done.stderr.count(note) == noted


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(("lengths", "said"), [([5, 0], True), ([5, 2], False)])
@pytest.mark.slow
def test_the_footnote_says_what_a_sequence_of_length_0_returns(
    tmp_path: Path, rnncli: Run, operator: str, lengths: list[int], said: bool
) -> None:
    """ONNX Runtime returns 0 for it, not its initial state."""
    random = np.random.default_rng(4)
    arrays = onnx_graphs.weights(random, operator, 4, 3)
    arrays |= {"X": random.normal(size=(5, 2, 4)).astype(np.float32), "lens": np.array(lengths, np.int32)}
    for name in ("h", "c")[: 2 if operator == "LSTM" else 1]:
        arrays[name] = random.normal(size=(1, 2, 3)).astype(np.float32)
    made, feeds = onnx_graphs.single(operator, arrays)
    model, inputs = onnx_graphs.save(tmp_path, made, feeds)
    last = onnxruntime.InferenceSession(made.SerializeToString()).run(None, feeds)[1][0, 1]
    assert (last == 0).all() == said
    shown = " ".join(rnncli("run", inputs, "--model", model).stdout.split())
    footnote = "In a sequence of length 0 the state is 0, too, whatever the initial state: so ONNX Runtime"
    assert (footnote in shown) == said
    assert "Its state stays; its output is 0." in shown
    assert ("길이가 0인 시퀀스" in rnncli("run", inputs, "--model", model, "--lang", "ko").stdout) == said
    note = "in a sequence of length 0 the state is 0, whatever the initial state: so ONNX Runtime computes it"
    for words in (["trace", inputs], ["explain", "last_hidden_state[1,0]", inputs]):
        assert (note in rnncli(*words, "--model", model).success().stderr) == said


@pytest.mark.slow
def test_without_an_input_one_that_fits_is_generated(rnncli: Run, reverse: tuple[str, str]) -> None:
    done = rnncli("run", "--model", reverse[0], "--seed", "1", "--check").success()
    generated = "the input is generated: X (5, 1, 4) float32; lens (1,) int32; --seed 1 repeats it"
    assert generated in done.stderr


@pytest.mark.slow
def test_y_with_its_four_axes_is_what_is_expected(rnncli: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    arrays = onnx_graphs.weights(random, "GRU", 3, 2, directions=2)
    arrays["X"] = random.normal(size=(4, 3, 3)).astype(np.float32)
    made, feeds = onnx_graphs.single("GRU", arrays, direction="bidirectional")
    model, inputs = onnx_graphs.save(tmp_path, made, feeds)
    sequence, last = onnxruntime.InferenceSession(model).run(None, feeds)
    assert sequence.shape == (4, 2, 3, 2)
    np.savez(tmp_path / "both.npz", Y=sequence, Y_h=last)
    np.save(tmp_path / "y.npy", sequence)
    np.save(tmp_path / "layout_1.npy", sequence.transpose(2, 0, 1, 3))
    words = ("run", inputs, "--model", model, "--select", "rnn/hidden_states", "--expect")
    for file in ("y.npy", "layout_1.npy"):
        done = rnncli(*words, str(tmp_path / file)).success()
    done = rnncli("run", inputs, "--model", model, "--expect", str(tmp_path / "both.npz")).success()
    assert "both.npz: Y is compared with rnn/hidden_states" in done.stderr
    sequence[1, 1, 0, 0] += 1
    np.save(tmp_path / "y.npy", sequence)
    done = rnncli(*words, str(tmp_path / "y.npy"))
    assert done.returncode == 1
    assert "first mismatch at index [0, 1, 2]" in done.stderr
