"""What ONNX Runtime refuses: its reason without places in its source, and advice that fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from rnncli import compute
from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.models import ModelRequest
from rnncli.models.onnx import _runtime
from rnncli.models.onnx import reader as reader
from rnncli.models.onnx import runner as program

RANDOM = np.random.default_rng(1)
NUMBERS = RANDOM.normal(size=(4, 2, 5))
OTHER = "Give inputs of the sizes and values that the model was made for."


def refused(before: list[Any], given: Any, constants: dict[str, Any], kind: int = TensorProto.FLOAT) -> Any:
    """Return the error of an LSTM behind these nodes; its input is `x`, that of the model `given`."""
    dtype = np.float64 if kind == TensorProto.DOUBLE else np.float32
    held = {
        "W": RANDOM.normal(size=(1, 12, 5)).astype(dtype),
        "R": RANDOM.normal(size=(1, 12, 3)).astype(dtype),
    }
    named = [
        numpy_helper.from_array(np.asarray(array), name) for name, array in {**held, **constants}.items()
    ]
    node = helper.make_node("LSTM", ["x", "W", "R"], ["y"], name="lstm", hidden_size=3)
    name = before[0].input[-1] if before and before[0].op_type == "Gather" else "given" if before else "x"
    wanted = TensorProto.INT64 if name == "ids" else kind
    sizes: list[Any] = [4, "b", 5]
    values = [
        helper.make_tensor_value_info(name, wanted, sizes[: np.ndim(given)]),
        helper.make_tensor_value_info("y", kind, None),
    ]
    graph = helper.make_graph([*before, node], "g", values[:1], values[1:], named)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = reader.read(Source("m.onnx", data=made.SerializeToString()))
    inputs = program.Model(model).fit_inputs(given)
    with pytest.raises(InputError) as caught:
        program.Model(model, Path("m.onnx")).run(
            ModelRequest(inputs, lambda case: compute.run(case, "numpy"))
        )
    return caught.value


def test_an_id_that_is_no_row() -> None:
    table = RANDOM.normal(size=(9, 5)).astype(np.float32)
    gather = helper.make_node("Gather", ["table", "ids"], ["x"], name="embedding")
    error = refused([gather], np.array([[1], [2], [3], [44]]), {"table": table})
    assert "idx=44 must be within the inclusive range [-9,8]." in error.what
    assert error.advice == OTHER


def test_sizes_that_a_node_cannot_take() -> None:
    reshape = helper.make_node("Reshape", ["given", "sizes"], ["x"], name="reshape")
    error = refused([reshape], NUMBERS, {"sizes": np.array([3, 7, 5])})
    assert "onnxruntime/" not in error.what
    assert "cannot be reshaped to the requested shape" in error.what
    assert error.advice == OTHER


def test_a_recurrent_node_of_doubles() -> None:
    error = refused([], NUMBERS, {}, TensorProto.DOUBLE)
    assert error.what == (
        "m.onnx: ONNX Runtime cannot run the model: lstm: LSTM operator does not support double yet."
    )
    assert error.advice == "Export the model in float32."


def test_a_long_reason_is_cut_between_words() -> None:
    reason = _runtime._reason(RuntimeError("[ONNXRuntimeError] : 2 : FAIL : " + "some words " * 40))
    assert reason.endswith("words…")
    assert len(reason) <= 201
