"""ONNX models that would never end, or never stop growing: refused in time, with what allows more."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphs
import pytest
from command import Run
from limits import PATIENCE, processor_time
from onnx import TensorProto, helper, numpy_helper

import rnncli as api
from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.models.onnx import reader as onnx_file
from rnncli.models.onnx import reader as onnx_reader
from rnncli.models.onnx import runtime
from rnncli.models.reading import read

FEEDS = {"x": np.ones((5, 2, 4), np.float32)}
ARRAYS = onnx_graphs.weights(np.random.default_rng(0), "GRU", 4, 3)
OWN = helper.make_opsetid("local", 1)
OPSETS = [helper.make_opsetid("", 17), OWN]


def gru() -> Any:
    return onnx_graphs.node("GRU", {**ARRAYS, "X": 1}, name="gru")


def endless() -> Any:
    """A Loop that adds 1 to the input, 2**62 times."""
    values: list[Any] = [
        ("i", TensorProto.INT64, []),
        ("go", TensorProto.BOOL, []),
        ("sum", TensorProto.FLOAT, None),
    ]
    ends: list[Any] = [("going", TensorProto.BOOL, []), ("next", TensorProto.FLOAT, None)]
    nodes = [
        helper.make_node("Identity", ["go"], ["going"]),
        helper.make_node("Add", ["sum", "one"], ["next"]),
    ]
    inputs, outputs = ([helper.make_tensor_value_info(*one) for one in some] for some in (values, ends))
    body = helper.make_graph(
        nodes, "body", inputs, outputs, [numpy_helper.from_array(np.array(1, np.float32), "one")]
    )
    loop = helper.make_node("Loop", ["count", "true", "x"], ["X"], name="loop", body=body)
    constants = {**ARRAYS, "count": np.array(2**62), "true": np.array(True)}
    return onnx_graphs.model([loop, gru()], FEEDS, constants, ["Y"])


def doubling(levels: int, last: Any) -> Any:
    """Functions of which each calls the next one twice."""
    made = onnx_graphs.model(
        [helper.make_node("F0", ["x"], ["X"], domain="local"), gru()], FEEDS, ARRAYS, ["Y"], opset=17
    )
    made.opset_import.append(OWN)
    for level in range(levels):
        name = f"F{level + 1}"
        calls = [helper.make_node(name, [a], [b], domain="local") for a, b in ("ab", "bc")]
        made.functions.append(helper.make_function("local", f"F{level}", ["a"], ["c"], calls, OPSETS))
    made.functions.append(helper.make_function("local", f"F{levels}", ["a"], ["c"], last, OPSETS))
    return made


def plain(levels: int) -> Any:
    return doubling(levels, [helper.make_node("Neg", ["a"], ["c"])])


def recurrent(levels: int) -> Any:
    """Their last function has a recurrent node, so that they are written out while the file is read."""
    constants = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
        for name, array in onnx_graphs.weights(np.random.default_rng(0), "RNN", 4, 4).items()
    ]
    zero = helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array([1])))
    rnn = helper.make_node("RNN", ["a", "W", "R"], ["y"], hidden_size=4)
    squeeze = helper.make_node("Squeeze", ["y", "zero"], ["c"])
    return doubling(levels, [*constants, zero, rnn, squeeze])


def save_bytes(folder: Path, made: Any) -> str:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return str(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (endless, "the model has not finished after 1 s (RNNCLI_SECONDS="),
        (lambda: plain(40), "ONNX Runtime cannot load the model: "),
        (lambda: recurrent(40), "its functions cannot be written out ("),
        (lambda: recurrent(10), "its functions cannot be written out (its graph is too large ("),
    ],
)
@pytest.mark.slow
def test_a_model_without_an_end_is_refused(
    make: Callable[[], Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "SECONDS", 0.6)
    monkeypatch.setattr(onnx_file, "SECONDS", 0.6)
    path, threads = save_bytes(tmp_path, make()), threading.active_count()
    with processor_time(10), pytest.raises(InputError) as caught:
        api.run(FEEDS, model=path)
    assert said in caught.value.what
    assert caught.value.advice
    until = time.monotonic() + PATIENCE
    while threading.active_count() > threads:
        assert time.monotonic() < until, "a thread goes on"
        time.sleep(0.05)


@pytest.mark.parametrize("make", [plain, recurrent])
@pytest.mark.slow
def test_functions_that_call_each_other_are_computed(make: Callable[[int], Any], tmp_path: Path) -> None:
    result = api.run(FEEDS, model=save_bytes(tmp_path, make(3)))
    assert np.isfinite(result["gru/hidden_states"]).all()


@pytest.mark.parametrize(("allowed", "seconds"), [("2", 2), ("many", 1), ("nan", 1)])
@pytest.mark.slow
def test_more_time_is_allowed(
    allowed: str, seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "SECONDS", 0.6)
    monkeypatch.setenv("RNNCLI_SECONDS", allowed)
    with pytest.raises(InputError, match=f"the model has not finished after {seconds} s"):
        api.run(FEEDS, model=save_bytes(tmp_path, endless()))


def test_functions_that_call_themselves_are_refused(tmp_path: Path) -> None:
    made = plain(1)
    made.functions[1].node[0].op_type, made.functions[1].node[0].domain = "F0", "local"
    with processor_time(10), pytest.raises(InputError):
        api.run(FEEDS, model=save_bytes(tmp_path, made))


def test_weights_that_take_long_to_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_reader, "SECONDS", 0.0)
    monkeypatch.setattr(onnx_reader, "SPEED", float("inf"))
    turned = helper.make_node("Transpose", ["K"], ["W"], perm=[0, 2, 1])
    constants = {"K": ARRAYS["W"].swapaxes(1, 2), "R": ARRAYS["R"], "B": ARRAYS["B"]}
    made = onnx_graphs.model([turned, gru()], {"X": FEEDS["x"]}, constants, ["Y"])
    with pytest.raises(InputError, match=r"computing its weights took too long \(RNNCLI_SECONDS="):
        read(Source("model.onnx", made.SerializeToString()))


@pytest.mark.slow
def test_weights_that_fill_the_memory() -> None:
    """A tensor of 2**26 numbers, a hundred times in one."""
    doublings = [helper.make_node("Concat", [f"a{k}"] * 2, [f"a{k + 1}"], axis=2) for k in range(22)]
    doublings.append(helper.make_node("Concat", ["a22"] * 100, ["W"], axis=2))
    made = onnx_graphs.model([*doublings, gru()], {"X": FEEDS["x"]}, {"R": ARRAYS["R"]}, ["Y"])
    made.graph.initializer.append(numpy_helper.from_array(np.ones((1, 9, 1), np.float32), "a0"))
    with processor_time(10), pytest.raises(InputError):
        read(Source("model.onnx", made.SerializeToString()))


@pytest.mark.parametrize("place", ["data.bin", "hard.bin", "link.bin"])
def test_the_output_does_not_replace_external_data(rnncli: Run, tmp_path: Path, place: str) -> None:
    made = onnx_graphs.model([gru()], {"X": FEEDS["x"]}, ARRAYS, ["Y"])
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="data.bin", size_threshold=0)
    os.link(tmp_path / "data.bin", tmp_path / "hard.bin")
    (tmp_path / "link.bin").symlink_to("data.bin")
    before = (tmp_path / "data.bin").read_bytes()
    words = ("run", "[[[1, 2, 3, 4]]]", "--model", "m.onnx", "-f", "json")
    done = rnncli(*words, "-o", place, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{place}: it is an input of this command and would be overwritten." in done.stderr
    assert (tmp_path / "data.bin").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4
    done = rnncli(*words, "-o", "new.bin", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "m.onnx: weights were also read from data.bin." in done.stderr
