"""Nodes of ONNX that ONNX Runtime does not compute: in float64, with small letters, or without sequences.

The reference of the package onnx is the oracle, which computes all of these.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphs
import pytest
from command import Run
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rnncli import compute
from rnncli.errors import InputError
from rnncli.inputs.source import Source
from rnncli.models import ModelRequest, ModelRun
from rnncli.models.onnx import reader
from rnncli.models.onnx.model import Model

pytestmark = pytest.mark.usefixtures("files_are_read_here")

NEAR = {"float16": 3e-3, "float32": 1e-5, "float64": 1e-13}
"""How far rnncli may be off, by the type of the file."""


def stack_of(dtype: str) -> tuple[Any, dict[str, Any]]:
    """A bidirectional GRU, whose sequences, halves side by side, go through a Relu to an LSTM."""
    random = np.random.default_rng(3)
    gru = onnx_graphs.weights(random, "GRU", 4, 3, 2)
    lstm = onnx_graphs.weights(random, "LSTM", 6, 2)
    constants = {f"gru_{name}": array.astype(dtype) for name, array in gru.items()}
    constants |= {f"lstm_{name}": array.astype(dtype) for name, array in lstm.items()}
    nodes = [
        helper.make_node("GRU", ["X", "gru_W", "gru_R", "gru_B"], ["Y", "gru_h"], name="gru", hidden_size=3,
                         direction="bidirectional"),
        helper.make_node("Transpose", ["Y"], ["halves"], name="transpose", perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["halves", "sizes"], ["wide"], name="reshape"),
        helper.make_node("Relu", ["wide"], ["positive"], name="relu"),
        helper.make_node("LSTM", ["positive", "lstm_W", "lstm_R", "lstm_B"], ["", "Y_h", "Y_c"], name="lstm",
                         hidden_size=2),
    ]  # fmt: skip
    x = random.normal(size=(5, 3, 4)).astype(dtype)
    made = onnx_graphs.model(nodes, {"X": x}, {**constants, "sizes": np.array([5, -1, 6])}, ["Y_h", "Y_c"])
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return made, {"X": x}


def run(made: Any, feeds: Any, **options: Any) -> ModelRun:
    model = Model(reader.read(Source("m.onnx", data=made.SerializeToString())), Path("m.onnx"))
    request = ModelRequest(model.fit_inputs(feeds), lambda case: compute.run(case, "numpy"), **options)
    return model.run(request)


def reference(made: Any, feeds: Any, names: list[str]) -> list[Any]:
    wide = onnx.ModelProto.FromString(made.SerializeToString())
    del wide.graph.output[:]
    wide.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return list(ReferenceEvaluator(wide).run(names, feeds))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", NEAR)
def test_a_stack_is_computed_in_the_type_of_the_file(dtype: str) -> None:
    """Also what lies between the nodes, and the second node, whose input the first one returns."""
    made, feeds = stack_of(dtype)
    found = run(made, feeds, everything=True)
    sequence, positive, hidden, cell = reference(made, feeds, ["Y", "positive", "Y_h", "Y_c"])
    results = {part.layer: compute.run(part.case, "numpy") for part in found.parts}
    tensors = {
        f"{layer}/{tensor.name}": tensor.values
        for layer, result in results.items()
        for tensor in result.outputs
    }
    wanted = {
        "gru/hidden_states": np.concatenate(list(sequence.transpose(1, 2, 0, 3)), axis=-1),
        "relu/output": positive,
        "lstm/last_hidden_state": hidden[0],
        "lstm/last_cell_state": cell[0],
    }
    for name, array in wanted.items():
        given = {**tensors, **found.other_outputs}[name]
        assert given.dtype == ("float32" if dtype == "float16" and "relu" not in name else dtype)
        assert given == pytest.approx(array, abs=NEAR[dtype])
    assert ("float32" not in dtype) == any(f" {dtype}" in str(note) for note in found.notes)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.slow
def test_check_compares_in_float32(dtype: str, rnncli: Run, tmp_path: Path) -> None:
    """What is shown is in the file's type."""
    made, feeds = stack_of(dtype)
    onnx.save(made, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", feeds["X"])
    done = rnncli("run", "x.npy", "--model", "m.onnx", "--check", "-f", "json", cwd=tmp_path)
    shown = done.answer()
    assert {tensor["dtype"] for tensor in shown["outputs"]} == {dtype}
    differences = shown["differences"].values()
    assert 0 < max(differences) < NEAR["float16" if dtype == "float16" else "float32"]
    assert (
        f"gru, lstm: {'computed in float64' if dtype == 'float64' else 'float16 in the file'}" in done.stderr
    )


@pytest.mark.parametrize("names", [["relu"], ["SOFTSIGN"], ["hardsigmoid"]])
def test_small_letters_name_the_same_activation(names: list[str]) -> None:
    random = np.random.default_rng(4)
    arrays = onnx_graphs.weights(random, "RNN", 3, 2)
    feeds = {"X": random.normal(size=(4, 2, 3)).astype(np.float32)}
    proper = {"relu": "Relu", "SOFTSIGN": "Softsign", "hardsigmoid": "HardSigmoid"}[names[0]]
    results = []
    for spelled in (names, [proper]):
        node = onnx_graphs.node("RNN", {**arrays, **feeds}, activations=spelled)
        (part,) = run(onnx_graphs.model([node], feeds, arrays, ["Y"]), feeds).parts
        results.append(compute.run(part.case, "numpy").outputs[0].values)
    assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_of_none_is_an_answer(dtype: str, rnncli: Run, tmp_path: Path) -> None:
    made, feeds = stack_of(dtype)
    onnx.save(made, tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", X=feeds["X"][:, :0])
    rnncli(
        "run", "x.npz", "--model", "m.onnx", "--all-layers", "-f", "npz", "-o", "y.npz", cwd=tmp_path
    ).success()
    shapes = {
        name: array.shape for name, array in np.load(io.BytesIO((tmp_path / "y.npz").read_bytes())).items()
    }
    assert shapes["gru/hidden_states"] == (0, 5, 6)
    assert shapes["relu/output"] == (5, 0, 6)
    assert shapes["lstm/last_cell_state"] == (0, 2)


@pytest.mark.parametrize("command", ["trace", "explain last_hidden_state[0,1]", "gradients"])
def test_commands_that_show_a_sequence_need_one(command: str, rnncli: Run, tmp_path: Path) -> None:
    made, feeds = stack_of("float32")
    onnx.save(made, tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", X=feeds["X"][:, :0])
    done = rnncli(*command.split(), "x.npz", "--model", "m.onnx#lstm", cwd=tmp_path)
    assert done.returncode == 2
    assert not done.stdout
    assert "empty" in done.stderr


def test_a_node_without_steps_is_refused() -> None:
    made, feeds = stack_of("float32")
    with pytest.raises(InputError, match="gru gets an empty input"):
        run(made, {"X": feeds["X"][:0]})


def test_numbers_of_constants_are_not_changed() -> None:
    """A model in float32 that has a constant in float64 is computed as one without."""
    made, feeds = stack_of("float32")
    plain = run(made, feeds)
    made.graph.initializer.append(numpy_helper.from_array(np.zeros(3), "unused"))
    for part, other in zip(run(made, feeds).parts, plain.parts, strict=True):
        assert np.array_equal(part.case.inputs, other.case.inputs)
