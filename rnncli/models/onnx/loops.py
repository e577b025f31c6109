"""Loops and Scans of an ONNX graph that carry a state: recurrent layers without an LSTM, GRU or RNN node.

Exporters write a Keras layer with a mask, or a cell that a script calls step by step, as such a loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnncli.models.graph import StateLoop
from rnncli.models.onnx.nodes import nodes_in

BODY_STARTS = {"Loop": 2, "Scan": 0}
"""The operators, and how many inputs of the body come before the carried tensors: iteration and condition."""
FLOATS = (1, 10, 11, 16)
"""float32, float16, float64 and bfloat16 by ONNX's numbers; counters and conditions have other dtypes."""


def find_loops(graph: Any) -> Iterator[StateLoop]:
    """Yield every loop that carries a state, also in the branches of an If and in other loops."""
    known = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for node in nodes_in(graph):
        if node.op_type not in BODY_STARTS or node.domain not in ("", "ai.onnx"):
            continue
        body = next((entry.g for entry in node.attribute if entry.name == "body"), None)
        states = [] if body is None else list(_states_of(node, body, known))
        if states:
            yield StateLoop(node.name, node.op_type, tuple(dict.fromkeys(filter(None, states))))


def _states_of(node: Any, body: Any, known: Mapping[str, list[int]]) -> Iterator[int | None]:
    """Yield the size of the last axis of each tensor of floats that one iteration passes on to the next.

    None where the file does not say the size; tensors that no iteration changes are left out.
    known: the shapes of the initializers of the model.
    """
    start = BODY_STARTS[node.op_type]
    if node.op_type == "Loop":
        first, count = start, len(node.input) - start
    else:
        scanned = next((entry.i for entry in node.attribute if entry.name == "num_scan_inputs"), 0)
        first, count = 0, len(node.input) - scanned
    before = body.input[start : start + count]
    after = body.output[min(start, 1) :][:count]
    sources = {copy.output[0]: copy.input[0] for copy in body.node if copy.op_type == "Identity"}
    for old, new, begun in zip(before, after, node.input[first:], strict=False):
        name = new.name
        while name in sources:
            name = sources.pop(name)
        kinds = {
            value.type.tensor_type.elem_type for value in (old, new) if value.type.HasField("tensor_type")
        }
        if name == old.name or not kinds.intersection(FLOATS):
            continue
        shapes = [_axes(old), _axes(new), known.get(begun)]
        yield next(
            (axes[-1] if axes else 1 for axes in shapes if axes is not None and (not axes or axes[-1])), None
        )


def _axes(value: Any) -> list[int] | None:
    """Return the sizes of the axes, 0 for an unknown one; None if the shape is unknown."""
    tensor = value.type.tensor_type
    return [axis.dim_value for axis in tensor.shape.dim] if tensor.HasField("shape") else None
