"""The weights of an ONNX model that belong to no recurrent node."""

from __future__ import annotations

from rnncli.case import Array
from rnncli.models.graph import Program
from rnncli.models.onnx import runtime
from rnncli.models.onnx.nodes import is_recurrent, nodes_in
from rnncli.models.onnx.summary import assign_weights, iterate_weights

ROLES = ("kernel", "bias")
WEIGHTED = (
    *("Add", "BatchNormalization", "Conv", "ConvTranspose", "Gather", "Gemm", "GroupNormalization"),
    *("InstanceNormalization", "LayerNormalization", "MatMul", "Mul", "PRelu"),
)
"""The operators whose constants are weights, not numbers of the graph such as zeros for a state."""


def other_weights(program: Program) -> dict[str, dict[str, Array]]:
    """Return the constants of floats by the node that uses them; `kernel` and `bias` of Gemm and MatMul."""
    from onnx import numpy_helper

    graph = runtime.parse(program.content).graph
    stored = dict(iterate_weights(graph))
    makers = {made: node for node in nodes_in(graph) for made in node.output if made}
    names = assign_weights(graph, stored, makers)
    layers: dict[str, dict[str, Array]] = {}
    for node in nodes_in(graph):
        arrays = {name: numpy_helper.to_array(stored[name]) for name in names.get(node.name, ())}
        arrays = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
        if is_recurrent(node) or node.op_type not in WEIGHTED or not arrays:
            continue
        if node.op_type in ("Gemm", "MatMul") and len(node.input) > 1 and node.input[1] in arrays:
            turned = any(entry.name == "transB" and entry.i for entry in node.attribute)
            roles = dict(zip(node.input[1:], ROLES, strict=False))
            arrays = {
                roles.get(name, name): array.T if turned and name == node.input[1] else array
                for name, array in arrays.items()
            }
        layers[node.name] = arrays
    return layers
