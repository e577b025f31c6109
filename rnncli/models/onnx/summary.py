"""Every node of an ONNX model with its attributes, and the shapes that ONNX infers; nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from math import prod
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np

from rnncli.errors import RnncliError
from rnncli.models.graph import Node, Program
from rnncli.models.onnx import runtime
from rnncli.models.onnx.nodes import MOVING, attribute_value, inner_graphs, inputs_of, is_recurrent, nodes_in
from rnncli.models.onnx.reader import BROKEN, MAX_BYTES, MEMORY, SECONDS, SPEED
from rnncli.models.summary import LayerRow, Summary, TensorRow, WeightCounter, features_of, known_spec
from rnncli.process import child_process
from rnncli.process.child_process import IncompleteOutputError
from rnncli.values import Array, Shape, format_shape

CONSTANT = "Constant"
SMALL = 1024
"""Numbers of a constant beyond which the inference of shapes gets only its shape."""
FEW = 8
"""Numbers of a tensor in an attribute beyond which only its shape is shown."""
WEIGHTS = (1, 2, 3, 7)
"""The inputs W, R, B and P of a recurrent node."""
TENSOR, GRAPH = 4, 5
"""The types of an attribute that hold more than numbers and texts."""
COUNTED = ("float", "bfloat", "int8", "uint8")
"""The types of weights, quantized ones among them; other types are of sizes and indices."""


def summarize(program: Program, sizes: Mapping[str, Shape]) -> Summary:
    """Return every node, with the nodes of inner graphs behind the node that holds them.

    sizes: the shapes of the inputs, if they are given.
    """
    model = runtime.parse(program.content)
    graph = model.graph
    stored = {name: SimpleNamespace(shape=tuple(tensor.dims)) for name, tensor in iterate_weights(graph)}
    constants = {tensor.name for inner in _graphs(graph) for tensor in inner.initializer}
    makers = {output: node for node in nodes_in(graph) for output in node.output if output}
    weights = assign_weights(graph, stored, makers)
    types = _infer_types(model, sizes)
    known = {node.name: node for node in program.nodes}
    counter = WeightCounter()

    def row(node: Any) -> LayerRow:
        names = [name for name in node.input if name]
        makes = [makers[name].name if name in makers else name for name in names if name not in constants]
        sources = [name for name in makes if name not in known or known[name].class_name != CONSTANT]
        recurrent = is_recurrent(node)
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}:"
        return LayerRow(
            name=node.name,
            class_name=f"{domain}{node.op_type}",
            inputs=tuple(dict.fromkeys(sources)),
            outputs=tuple(types.get(name, TensorRow(name, None)) for name in node.output if name),
            weights=counter.rows((name, stored[name]) for name in weights.get(node.name, ())),
            recurrent=recurrent,
            spec=known_spec(known[node.name]) if recurrent and known[node.name].config else None,
            input_shape=_batch_first(node, known[node.name], types) if recurrent else None,
            attributes={entry.name: _attribute(entry) for entry in node.attribute},
            taken=tuple(types.get(name, TensorRow(name, None)) for name in names),
            note=program.refusals.get(node.name, ""),
        )

    inputs = tuple(
        TensorRow(wanted.name, sizes.get(wanted.name, wanted.shape), wanted.dtype)
        for wanted in program.inputs
        if not wanted.optional
    )
    outputs = tuple(types.get(value.name, TensorRow(value.name, None)) for value in graph.output)
    rows = tuple(map(row, nodes_in(graph)))
    return Summary(program.file, program.origin, inputs, rows, outputs, program.notes, graph.name)


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from _graphs(inner)


def iterate_weights(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield the constants that are weights, of floats or quantized, as ONNX's tensors."""
    for inner in _graphs(graph):
        tensors = [(tensor.name, tensor) for tensor in inner.initializer]
        for node in inner.node:
            if node.op_type == CONSTANT:
                tensors += [(node.output[0], entry.t) for entry in node.attribute if entry.type == TENSOR]
        for name, tensor in tensors:
            if tensor.dims and _dtype(tensor.data_type).startswith(COUNTED):
                yield name, tensor


def assign_weights(graph: Any, stored: Mapping[str, Any], makers: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the weights of each node: each at one node, recurrent nodes first.

    A weight that other nodes only move on its way to a recurrent node belongs to the recurrent node.
    """
    weights: dict[str, list[str]] = {}
    seen: set[str] = set()

    def assign(node: Any, names: Iterable[str], *, through: bool) -> None:
        waiting = [*names][::-1]
        while waiting:
            name = waiting.pop()
            if not name or name in seen:
                continue
            if name in stored:
                seen.add(name)
                weights.setdefault(node.name, []).append(name)
            elif through and name in makers and makers[name].op_type in MOVING:
                seen.add(name)
                waiting += [*makers[name].input][::-1]

    nodes = list(nodes_in(graph))
    for node in filter(is_recurrent, nodes):
        assign(node, [inputs_of(node)[index] for index in WEIGHTS], through=True)
    for node in nodes:
        assign(node, node.input, through=False)
    return weights


def _batch_first(node: Any, known: Node, types: Mapping[str, TensorRow]) -> Shape:
    """Return the shape of the input of a recurrent node, (batch, timesteps, features)."""
    given = types.get(node.input[0]) if node.input else None
    if given is None or given.shape is None or len(given.shape) != 3:
        return ("batch", None, features_of(known))
    steps, batch, features = given.shape
    if runtime.is_batch_first(node):
        steps, batch = batch, steps
    return (batch, steps, features or features_of(known))


def _attribute(entry: Any) -> Any:
    if entry.type == GRAPH:
        return f"graph of {len(entry.g.node)} nodes"
    if entry.type != TENSOR:
        return attribute_value(entry)
    from onnx import numpy_helper

    if prod(entry.t.dims) <= FEW:
        with suppress(*BROKEN):
            return numpy_helper.to_array(entry.t).tolist()
    return f"{_dtype(entry.t.data_type)} {format_shape(tuple(entry.t.dims))}"


def _dtype(number: int) -> str:
    """Return the name of ONNX's type, `float32`; "" for none."""
    from onnx import helper

    try:
        dtype = str(helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, ValueError):
        return ""
    return "string" if dtype == "object" else dtype


def _infer_types(model: Any, sizes: Mapping[str, Shape]) -> dict[str, TensorRow]:
    types = {}
    for graph in (*_graphs(model.graph), *_graphs(_infer(model, sizes))):
        for tensor in graph.initializer:
            types[tensor.name] = TensorRow(tensor.name, tuple(tensor.dims), _dtype(tensor.data_type))
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.type.HasField("tensor_type"):
                tensor = value.type.tensor_type
                shape = tuple(map(_axis, tensor.shape.dim)) if tensor.HasField("shape") else None
                types[value.name] = TensorRow(value.name, shape, _dtype(tensor.elem_type))
    return types


def _axis(axis: Any) -> int | str | None:
    if axis.HasField("dim_value"):
        return int(axis.dim_value)
    return None if axis.dim_param.startswith("unk__") else axis.dim_param or None


def _infer(model: Any, sizes: Mapping[str, Shape]) -> Any:
    """In a child process, where large constants are inputs; the graph itself if that fails."""
    import onnx
    from onnx import helper

    graph = onnx.GraphProto()
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    names = {value.name for value in graph.input}
    for tensor in model.graph.initializer:
        if prod(tensor.dims) <= SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in names:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for value in graph.input:
        for axis, size in zip(value.type.tensor_type.shape.dim, sizes.get(value.name, ()), strict=False):
            if isinstance(size, int):
                axis.dim_value = size
            elif size is not None:
                axis.dim_param = size
    light = onnx.ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, graph=graph, functions=model.functions
    )

    def infer() -> Any:
        from onnx import shape_inference

        inferred = shape_inference.infer_shapes(light, data_prop=True)
        return np.frombuffer(inferred.SerializeToString(), np.uint8)

    def work(file: BinaryIO) -> None:
        child_process.send(file, infer)

    size = light.ByteSize()
    try:
        with child_process.run_in_child(work, SECONDS + size / SPEED, MEMORY + 8 * size, "onnx") as answer:
            return onnx.ModelProto.FromString(child_process.receive(answer, MAX_BYTES).tobytes()).graph
    except (IncompleteOutputError, RnncliError):
        return model.graph


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
    makers = {output: node for node in nodes_in(graph) for output in node.output if output}
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
