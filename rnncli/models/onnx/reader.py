"""ONNX models: their LSTM, GRU and RNN nodes as layers; ONNX Runtime is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import process_time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rnncli.case import Array
from rnncli.errors import InputError, LayerError, Message, Text, format_names, inside, join, shorten
from rnncli.models.graph import ModelInput, Node, Program
from rnncli.models.onnx import file as onnx_file
from rnncli.models.onnx import nodes as onnx_nodes
from rnncli.process.child_process import advise_more, allow
from rnncli.process.memory import limit_growth
from rnncli.specs import to_config

if TYPE_CHECKING:
    from rnncli.inputs.source import Source

LOOPS = ("Loop", "Scan", "SequenceMap")
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, MemoryError)
OTHERS = ("DynamicQuantizeLSTM", "AttnLSTM", "QLinearLSTM")
"""Recurrent operators of ONNX Runtime that are not ONNX's own."""
EVALUATED = (*onnx_nodes.MOVING, "DequantizeLinear")
"""Operators with which exporters prepare weights; the package onnx evaluates them."""
SIZE = 2**26
"""Maximum size of a tensor that an evaluated node takes."""
STEPS = 64
"""Maximum number of nodes in a row that are evaluated."""
SECONDS = 10.0
"""Limit on the time of all evaluations, plus one second per SPEED bytes of the model."""
SPEED = 2**20


def read(source: Source) -> Program:
    """Read the nodes of the model and its inputs.

    Raises EngineError if the package onnx is missing; InputError if the file is not an ONNX model.
    """
    with inside(source.name):
        model, files = onnx_file.load(source)
        content = model.SerializeToString()
        try:
            with limit_growth(len(content)):
                nodes, refused = _read_nodes(model)
            model_inputs = tuple(_read_inputs(model.graph))
        except BROKEN as error:
            reason = shorten(f"{type(error).__name__} {error}".strip(), 80)
            raise InputError(
                "it does not describe an ONNX model ({reason}).", onnx_file.ADVICE, reason=reason
            ) from None
    others = [
        Message(
            "{name} ({domain} {op_type}) is recurrent and not shown.",
            name=node.name,
            domain=node.domain,
            op_type=node.op_type,
        )
        for node in onnx_nodes.nodes_in(model.graph)
        if node.op_type in OTHERS
    ]
    more = [Message("weights were also read from {files}.", files=format_names(files))] if files else []
    return Program(
        file=str(source.name),
        origin=_format_origin(model),
        nodes=nodes,
        inputs=model_inputs,
        outputs=(),
        notes=(*more, *others),
        refusals=refused,
        content=content,
    )


def _format_origin(model: Any) -> str:
    """Return `pytorch 2.4.0, ONNX opset 17`."""
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 1)
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return ", ".join(filter(None, [producer, f"ONNX opset {opset}"]))


def _read_nodes(model: Any) -> tuple[tuple[Node, ...], dict[str, Text]]:
    """Return all nodes, and why some of the recurrent ones cannot be computed."""
    constants = _Constants(model)
    nodes: list[Node] = []
    refused: dict[str, Text] = {}
    for node, loop in _iterate_nodes(model.graph, ""):
        if not onnx_nodes.is_recurrent(node):
            shapes = {name: SimpleNamespace(shape=shape) for name, shape in constants.shapes(node)}
            nodes.append(_make_node(node, node.op_type, "onnx", {}, shapes))
            continue
        recurrent, reason = _read_recurrent(node, constants)
        nodes.append(recurrent)
        if loop:
            reason = Message("it is inside {loop}, which runs it repeatedly", loop=loop)
        if reason:
            refused[node.name] = reason
    return tuple(nodes), refused


def _iterate_nodes(graph: Any, loop: str) -> Iterator[tuple[Any, str]]:
    """Yield every node with the loop that contains it, `the Loop NAME`; "" if none does."""
    for node in graph.node:
        yield node, loop
        inside = loop or (f"the {node.op_type} {node.name}" if node.op_type in LOOPS else "")
        for inner in onnx_nodes.inner_graphs(node):
            yield from _iterate_nodes(inner, inside)


def _make_node(node: Any, class_name: str, module: str, config: Any, weights: Mapping[str, Any]) -> Node:
    return Node(node.name, node.name, class_name, module, config, weights, (), {})


def _read_recurrent(node: Any, constants: _Constants) -> tuple[Node, Text]:
    """Return the node as Keras's layer, and why it cannot be computed; "" if it can."""
    kernel, recurrent, bias = (constants.array(name) for name in onnx_nodes.inputs_of(node)[1:4])
    loop = onnx_nodes.recurrence_of(node, recurrent.shape[-1] if recurrent is not None else 0)
    weights: Mapping[str, Any] = {}
    try:
        spec = onnx_nodes.layer_of(loop)
        if kernel is not None and recurrent is not None and (bias is not None or not loop.has_bias):
            weights = onnx_nodes.weights_of(loop, kernel, recurrent, bias)
    except LayerError as error:
        return _make_node(node, onnx_nodes.CLASSES[node.op_type], "keras.layers", {}, weights), error.sentence
    reason: Text = ""
    if loop.unsupported:
        reason = Message("it uses {unsupported}", unsupported=join(loop.unsupported, " and "))
    return _make_node(node, spec.class_name, "keras.layers", to_config(spec)["config"], weights), reason


def _read_inputs(graph: Any) -> Iterator[ModelInput]:
    from onnx import helper

    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        tensor = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
        name = str(dtype) if dtype is not None and dtype.kind in "iufb" else ""
        axes = (
            axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None
            for axis in tensor.shape.dim
        )
        shape = tuple(axes) if tensor.HasField("shape") else None
        yield ModelInput(value.name, shape, name, optional=value.name in constants)


class _Constants:
    """The tensors of all graphs of a model that do not depend on its inputs; names are unique in it."""

    def __init__(self, model: Any) -> None:
        self._tensors: dict[str, Any] = {}
        self._makers: dict[str, Any] = {}
        self._opsets = {one.domain: one.version for one in model.opset_import}
        self._listed_names: set[str] = set()
        self._values: dict[str, Array | None] = {}
        self._seconds = allow(SECONDS + model.ByteSize() / SPEED)
        self._end = process_time() + self._seconds
        self._collect(model.graph)

    def _collect(self, graph: Any) -> None:
        self._tensors.update((tensor.name, tensor) for tensor in graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value":
                    self._tensors[node.output[0]] = attribute.t
            self._makers.update((name, node) for name in node.output if name)
            for inner in onnx_nodes.inner_graphs(node):
                self._collect(inner)

    def array(self, name: str, steps: int = 0) -> Array | None:
        """Return the tensor; None if it depends on inputs or on operators that are not evaluated here."""
        if name in self._tensors:
            from onnx import numpy_helper

            found: Array = numpy_helper.to_array(self._tensors[name])
            return found
        if name not in self._values:
            self._values[name] = self._evaluate(name, steps)
        return self._values[name]

    def _evaluate(self, name: str, steps: int) -> Array | None:
        maker = self._makers.get(name)
        if maker is None or maker.op_type not in EVALUATED or maker.domain or steps > STEPS:
            return None
        if process_time() >= self._end:
            raise InputError(
                "computing its weights took too long ({more}).",
                "Write the model with constant folding, as torch.onnx.export does, so that it holds its "
                "weights.",
                more=advise_more(self._seconds),
            )
        inputs = {one: self.array(one, steps + 1) for one in maker.input if one}
        if any(array is None or array.size > SIZE for array in inputs.values()):
            return None
        from onnx.reference import ReferenceEvaluator

        found = ReferenceEvaluator(maker, opsets=self._opsets).run(None, inputs)
        return dict(zip(maker.output, found, strict=True))[name]  # type: ignore[no-any-return]

    def shapes(self, node: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the names and shapes of a node's own tensors, each at the first node that uses it."""
        for name in node.input:
            tensor = self._tensors.get(name)
            if tensor is not None and name not in self._makers and name not in self._listed_names:
                self._listed_names.add(name)
                yield name, tuple(tensor.dims)
