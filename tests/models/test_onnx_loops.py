"""Recurrent layers that exporters write as a Loop or Scan: counted and named, never skipped in silence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import onnxruntime
import pytest
from command import Run
from onnx import TensorProto, helper

from rnncli.models.graph import StateLoop
from rnncli.models.onnx.nodes import find_loops

INFO, FLOAT, INT, BOOL = helper.make_tensor_value_info, TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
UNITS, FEATURES = 5, 3
SAID = (
    "1 Loop at encoder/while that carries a state of 5 (rnncli cannot follow it; export without the mask, "
    "or name the file of the model itself, such as model.keras)"
)


def masked_layer(name: str = "encoder/while", *, state: Any = ("batch", UNITS)) -> Any:
    """A SimpleRNN as tf2onnx writes it: a counter, the state and a weight go through the Loop."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["t", "step"], ["t1"]),
         helper.make_node("Gather", ["X", "t"], ["x"]),
         helper.make_node("MatMul", ["x", "kernel"], ["xk"]),
         helper.make_node("MatMul", ["h", "r"], ["hr"]), helper.make_node("Add", ["xk", "hr"], ["sum"]),
         helper.make_node("Tanh", ["sum"], ["h1"]), helper.make_node("Identity", ["r"], ["r1"]),
         helper.make_node("Identity", ["r1"], ["r2"])],
        "body",
        [INFO("i", INT, []), INFO("go", BOOL, []), INFO("t", INT, []), INFO("h", FLOAT, state),
         INFO("r", FLOAT, [UNITS, UNITS])],
        [INFO("on", BOOL, []), INFO("t1", INT, []), INFO("h1", FLOAT, state),
         INFO("r2", FLOAT, [UNITS, UNITS])],
    )  # fmt: skip
    return helper.make_node(
        "Loop", ["count", "", "zero", "start", "recurrent"], ["t_end", "H", "r_end"], name=name, body=body
    )


def model_of(nodes: list[Any], outputs: list[str]) -> tuple[Any, dict[str, Any]]:
    random = np.random.default_rng(3)
    arrays = onnx_graphs.weights(random, "LSTM", FEATURES, 4)
    constants = {
        **arrays,
        "count": np.array(2),
        "zero": np.array(0),
        "step": np.array(1),
        "start": np.zeros((1, UNITS), np.float32),
        "kernel": random.normal(size=(FEATURES, UNITS)).astype(np.float32),
        "recurrent": random.normal(size=(UNITS, UNITS)).astype(np.float32),
    }
    feeds = {"X": random.normal(size=(2, 1, FEATURES)).astype(np.float32)}
    return onnx_graphs.model(nodes, feeds, constants, outputs), feeds


def decoder() -> Any:
    wanted = dict.fromkeys("XWRB", np.zeros((1, 1, 4)))
    return onnx_graphs.node("LSTM", wanted, name="decoder", outputs=["Y", "", ""])


@pytest.fixture
def loop_and_lstm(tmp_path: Path) -> str:
    """A model with a masked layer, written as a Loop, and an LSTM."""
    made, feeds = model_of([masked_layer(), decoder()], ["H", "Y"])
    onnxruntime.InferenceSession(made.SerializeToString()).run(None, feeds)  # it is a model that runs
    return onnx_graphs.save(tmp_path, made)[0]


def test_weights_counts_and_names_the_loop(loop_and_lstm: str, rnncli: Run) -> None:
    done = rnncli("weights", loop_and_lstm, "--width", "400").success()
    assert f"11 layers · 1 recurrent layer; {SAID}" in done.stdout
    found = json.loads(rnncli("weights", loop_and_lstm, "-f", "json").stdout)
    assert found["loops"] == [{"name": "encoder/while", "operator": "Loop", "state": [5]}]
    assert [layer["name"] for layer in found["layers"]] == ["decoder"]
    rows = rnncli("weights", loop_and_lstm, "-f", "csv").stdout.splitlines()
    assert rows[-1] == 'encoder/while,,,state of a Loop,"(5,)",,,,,,'
    chosen = rnncli("weights", f"{loop_and_lstm}#decoder", "--width", "400")
    assert "Loop" not in chosen.stdout.replace("LSTM", "")


@pytest.mark.slow
def test_a_run_says_what_it_does_not_show(loop_and_lstm: str, rnncli: Run) -> None:
    done = rnncli("run", "[[[1, 2, 3]], [[4, 5, 6]]]", "--model", loop_and_lstm).success()
    assert f"not shown: {SAID}." in done.stderr
    for command in ("trace", "gradients"):
        said = rnncli(
            command, "[[[1, 2, 3]], [[4, 5, 6]]]", "--model", f"{loop_and_lstm}#encoder/while"
        ).refusal()
        assert f"it has {SAID}." in said


@pytest.mark.slow
def test_what_a_loop_puts_out_is_shown_as_of_any_node(loop_and_lstm: str, rnncli: Run) -> None:
    model = f"{loop_and_lstm}#encoder/while"
    done = rnncli("run", "[[[1, 2, 3]], [[4, 5, 6]]]", "--model", model, "--check", "-f", "json")
    assert {tensor["name"].split("/output")[0] for tensor in done.answer()["outputs"]} == {"encoder/while"}


def test_a_model_of_loops_alone_names_them(tmp_path: Path, rnncli: Run) -> None:
    made, _ = model_of([masked_layer()], ["H"])
    path, _ = onnx_graphs.save(tmp_path, made)
    for line in (["run", "[[[1, 2, 3]]]", "--model", path], ["weights", path, "--to", "torch"]):
        assert f"It has {SAID}." in rnncli(*line).refusal()


def test_a_conversion_says_what_it_leaves_out(loop_and_lstm: str, rnncli: Run) -> None:
    assert f"not converted: {SAID}" in rnncli("weights", loop_and_lstm, "--to", "torch").stderr


def test_a_loop_in_a_branch_counts(tmp_path: Path, rnncli: Run) -> None:
    branches = {
        f"{side}_branch": helper.make_graph(nodes, side, [], [INFO(end, FLOAT, None)])
        for side, nodes, end in (
            ("then", [masked_layer("inside")], "H"),
            ("else", [helper.make_node("Identity", ["start"], ["same"])], "same"),
        )
    }
    choice = helper.make_node("If", ["condition"], ["H"], name="choice", **branches)
    made, _ = model_of([choice, decoder()], ["H", "Y"])
    made.graph.input.append(INFO("condition", BOOL, []))
    path, _ = onnx_graphs.save(tmp_path, made)
    found = json.loads(rnncli("weights", path, "-f", "json").stdout)
    assert found["loops"] == [{"name": "inside", "operator": "Loop", "state": [5]}]


def test_several_loops_are_counted(tmp_path: Path, rnncli: Run) -> None:
    loops = [masked_layer(f"loop{number}") for number in range(7)]
    for number, loop in enumerate(loops):
        loop.output[:] = [f"{name}{number}" for name in loop.output]
    made, _ = model_of(loops, ["H0"])
    said = rnncli("weights", onnx_graphs.save(tmp_path, made)[0], "--width", "900").stdout
    assert "1 Loop at loop3 that carries a state of 5; 3 more loops that carry a state (rnncli cannot" in said


def test_a_scan_carries_its_first_inputs() -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["h", "x"], ["h1"]), helper.make_node("Identity", ["h1"], ["y"])], "body",
        [INFO("h", FLOAT, [7]), INFO("x", FLOAT, [7])], [INFO("h1", FLOAT, [7]), INFO("y", FLOAT, [7])],
    )  # fmt: skip
    scan = helper.make_node("Scan", ["h0", "X"], ["h", "Y"], name="scan", body=body, num_scan_inputs=1)
    graph = helper.make_graph([scan], "graph", [], [])
    assert list(find_loops(graph)) == [StateLoop("scan", "Scan", (7,))]
    del scan.attribute[:]
    scan.attribute.append(helper.make_attribute("body", body))
    scan.attribute.append(helper.make_attribute("num_scan_inputs", 2))
    assert not list(find_loops(helper.make_graph([scan], "graph", [], [])))


@pytest.mark.parametrize(
    ("state", "sizes", "without_start"), [(None, (5,), ()), (("batch", None), (5,), ()), ((), (1,), (1,))]
)
def test_the_body_or_the_start_has_the_size(
    state: Any, sizes: tuple[int, ...], without_start: tuple[int, ...]
) -> None:
    made, _ = model_of([masked_layer(state=state)], ["H"])
    assert [loop.sizes for loop in find_loops(made.graph)] == [sizes]
    start = next(tensor for tensor in made.graph.initializer if tensor.name == "start")
    made.graph.initializer.remove(start)
    assert [loop.sizes for loop in find_loops(made.graph)] == [without_start]


def test_a_loop_that_only_counts_is_none() -> None:
    loop = masked_layer()
    next(one.g for one in loop.attribute if one.name == "body").output[2].name = "h"
    assert not list(find_loops(helper.make_graph([loop], "graph", [], [])))
    loop.attribute.remove(next(one for one in loop.attribute if one.name == "body"))
    assert not list(find_loops(helper.make_graph([loop], "graph", [], [])))
