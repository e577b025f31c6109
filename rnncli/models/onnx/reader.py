"""ONNX models: their LSTM, GRU and RNN nodes as layers; ONNX Runtime is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rnncli.case import Dimension
from rnncli.errors import InputError, LayerError, Message, Text, format_names, inside, join, shorten
from rnncli.models.graph import ModelInput, Node, Program
from rnncli.models.onnx import _onnx_file, _onnx_nodes, _recurrence
from rnncli.models.onnx._onnx_constants import Constants
from rnncli.process.memory import limit_growth
from rnncli.specs import to_config

if TYPE_CHECKING:
    from rnncli.inputs.source import Source

LOOPS = ("Loop", "Scan", "SequenceMap")
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, MemoryError)
OTHERS = ("DynamicQuantizeLSTM", "AttnLSTM", "QLinearLSTM")
"""Recurrent operators of ONNX Runtime that are not ONNX's own."""


def read(source: Source) -> Program:
    """Read the nodes of the model and its inputs.

    Raises EngineError if the package onnx is missing; InputError if the file is not an ONNX model.
    """
    with inside(source.name):
        model, files = _onnx_file.load(source)
        content = model.SerializeToString()
        try:
            with limit_growth(len(content)):
                nodes, refused = _read_nodes(model)
            model_inputs = tuple(_read_inputs(model.graph))
        except BROKEN as error:
            reason = shorten(f"{type(error).__name__} {error}".strip(), 80)
            raise InputError(
                "it does not describe an ONNX model ({reason}).", _onnx_file.ADVICE, reason=reason
            ) from None
    return Program(
        file=str(source.name),
        origin=_format_origin(model),
        nodes=nodes,
        inputs=model_inputs,
        outputs=(),
        notes=(*_note_files(files), *_note_others(model)),
        refusals=refused,
        content=content,
    )


def _format_origin(model: Any) -> str:
    """Return `pytorch 2.4.0, ONNX opset 17`."""
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 1)
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return ", ".join(filter(None, [producer, f"ONNX opset {opset}"]))


def _note_files(files: Sequence[str]) -> Iterator[Text]:
    if files:
        yield Message("weights were also read from {files}.", files=format_names(files))


def _note_others(model: Any) -> Iterator[Text]:
    for node in _onnx_nodes.nodes_in(model.graph):
        if node.op_type in OTHERS:
            yield Message(
                "{name} ({domain} {op_type}) is recurrent and not shown.",
                name=node.name,
                domain=node.domain,
                op_type=node.op_type,
            )


def _read_nodes(model: Any) -> tuple[tuple[Node, ...], dict[str, Text]]:
    """Return all nodes, and why some of the recurrent ones cannot be computed."""
    constants = Constants(model)
    nodes: list[Node] = []
    refused: dict[str, Text] = {}
    for node, loop in _iterate_nodes(model.graph, ""):
        if not _onnx_nodes.is_recurrent(node):
            nodes.append(_read_plain(node, constants))
            continue
        recurrent, reason = _read_recurrent(node, constants)
        nodes.append(recurrent)
        if loop or reason:
            refused[node.name] = (
                Message("it is inside {loop}, which runs it repeatedly", loop=loop) if loop else reason
            )
    return tuple(nodes), refused


def _iterate_nodes(graph: Any, loop: str) -> Iterator[tuple[Any, str]]:
    """Yield every node with the loop that contains it, `the Loop NAME`; "" if none does."""
    for node in graph.node:
        yield node, loop
        inside = loop or (f"the {node.op_type} {node.name}" if node.op_type in LOOPS else "")
        for inner in _onnx_nodes.inner_graphs(node):
            yield from _iterate_nodes(inner, inside)


def _read_plain(node: Any, constants: Constants) -> Node:
    """Return a node that is not recurrent, with the shapes of its own tensors."""
    shapes = {name: SimpleNamespace(shape=shape) for name, shape in constants.shapes(node)}
    return _make_node(node, node.op_type, "onnx", {}, shapes)


def _make_node(node: Any, class_name: str, module: str, config: Any, weights: Mapping[str, Any]) -> Node:
    return Node(node.name, node.name, class_name, module, config, weights, (), {})


def _read_recurrent(node: Any, constants: Constants) -> tuple[Node, Text]:
    """Return the node as Keras's layer, and why it cannot be computed; "" if it can."""
    kernel, recurrent, bias = (constants.array(name) for name in _onnx_nodes.inputs_of(node)[1:4])
    loop = _onnx_nodes.recurrence_of(node, recurrent.shape[-1] if recurrent is not None else 0)
    weights: Mapping[str, Any] = {}
    try:
        spec = _recurrence.layer_of(loop)
        if kernel is not None and recurrent is not None and (bias is not None or not loop.has_bias):
            weights = _recurrence.weights_of(loop, kernel, recurrent, bias)
    except LayerError as error:
        return _make_node(
            node, _recurrence.CLASSES[node.op_type], "keras.layers", {}, weights
        ), error.sentence
    written = to_config(spec)
    reason: Text = ""
    if loop.unsupported:
        reason = Message("it uses {unsupported}", unsupported=join(loop.unsupported, " and "))
    return _make_node(node, spec.class_name, "keras.layers", written["config"], weights), reason


def _read_inputs(graph: Any) -> Iterator[ModelInput]:
    """Yield the inputs."""
    from onnx import helper

    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        tensor = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
        name = str(dtype) if dtype is not None and dtype.kind in "iufb" else ""
        shape = tuple(map(_read_dimension, tensor.shape.dim)) if tensor.HasField("shape") else None
        yield ModelInput(value.name, shape, name, optional=value.name in constants)


def _read_dimension(axis: Any) -> Dimension:
    return axis.dim_value if axis.HasField("dim_value") else (axis.dim_param or None)
