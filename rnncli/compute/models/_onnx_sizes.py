"""Sizes of the tensors that an ONNX graph makes from constants: a small file must not fill the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from rnncli.errors import InputError
from rnncli.specs.memory import format_size
from rnncli.specs.onnx_nodes import inner_graphs

GROWING = frozenset(
    {"ConstantOfShape", "Expand", "Pad", "RandomNormal", "RandomUniform", "Range", "Resize", "Tile"}
)
"""Operators whose output may be much larger than their inputs."""
ALWAYS, RATIO = 2**29, 16
"""A constant may have ALWAYS bytes, or RATIO times the size of the model if that is more."""


def demand_room(file: str, model: Any) -> None:
    """Raise InputError for a constant tensor that is much larger than the file.

    Sizes that depend on the inputs of the model are not checked.
    """
    nodes = _constant_nodes(model.graph)
    if not any(node.op_type in GROWING for node in nodes):
        return
    most = max(ALWAYS, RATIO * model.ByteSize())
    for name, size in _sizes(model, nodes):
        if size > most:
            raise InputError(
                f"{file}: the constant {name} would need {format_size(size)}.",
                "Export the model without it, or make its shape smaller.",
            )


def _constant_nodes(graph: Any) -> list[Any]:
    """Return the nodes that depend on no input of the graph, in order."""
    known = {"", *(tensor.name for tensor in graph.initializer)} - {value.name for value in graph.input}
    found = []
    for node in graph.node:
        if known.issuperset(node.input) and not inner_graphs(node):
            known.update(node.output)
            found.append(node)
    return found


def _sizes(model: Any, nodes: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Yield the name and the bytes of each output of the nodes whose shape ONNX can tell."""
    import onnx

    taken = {name for node in nodes for name in node.input}
    small = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    small.graph.node.extend(nodes)
    small.graph.initializer.extend(one for one in model.graph.initializer if one.name in taken)
    try:
        inferred = onnx.shape_inference.infer_shapes(small)
    except Exception:  # ONNX Runtime explains what is wrong with the model
        return
    for value in inferred.graph.value_info:
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(axis.HasField("dim_value") for axis in kind.shape.dim):
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
            yield value.name, prod(axis.dim_value for axis in kind.shape.dim) * dtype.itemsize
