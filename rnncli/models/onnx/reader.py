"""ONNX models: their LSTM, GRU and RNN nodes as layers; ONNX Runtime is not needed.

A model is read whole, with data that it keeps in other files, and every node gets a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO

from rnncli.errors import InputError, LayerError, Message, Text, format_names, inside, shorten
from rnncli.inputs.source import Source, open_file
from rnncli.models.graph import ModelInput, Node, Program
from rnncli.models.onnx import nodes as onnx_nodes
from rnncli.models.onnx.nodes import find_loops, inner_graphs, is_recurrent, nodes_in
from rnncli.process import child_process
from rnncli.process.child_process import IncompleteOutputError, advise_more, allow
from rnncli.process.memory import limit_growth
from rnncli.process.packages import import_package
from rnncli.specs import to_config
from rnncli.values import Array

if TYPE_CHECKING:
    from rnncli.inputs.source import Source


ADVICE = Message("Write it again with onnx.save(model, 'model.onnx').")
BESIDE = Message("Keep external data beside the model, and save it again.")
SMALLER = Message("Export only the part of the model that you want to see.")
MAX_BYTES = 2**31 - 2**20
"""Bytes that one message may hold; protobuf cannot write more."""
NODES = 100_000
DEPTH = 16
SECONDS, SPEED = 10.0, 2**20
"""Limit on parsing a model, and on evaluating its weights, plus one second per SPEED bytes of the model."""
MEMORY, LARGE = 2**30, 2**20
"""Files of more than LARGE bytes are first parsed in a child process with this much memory."""
WRITTEN_OUT = (2000, 16)
"""Functions may grow to this many nodes, or to this multiple of the nodes in the file."""
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


def read(source: Source) -> Program:
    """Read the nodes of the model and its inputs.

    Raises EngineError if the package onnx is missing; InputError if the file is not an ONNX model.
    """
    with inside(source.name):
        model, files = _load(source)
        content = model.SerializeToString()
        try:
            with limit_growth(len(content)):
                nodes, refused = _read_nodes(model)
                loops = tuple(find_loops(model.graph))
            model_inputs = tuple(_read_inputs(model.graph))
        except BROKEN as error:
            reason = shorten(f"{type(error).__name__} {error}".strip(), 80)
            raise InputError(
                "it does not describe an ONNX model ({reason}).", ADVICE, reason=reason
            ) from None
    others = [
        Message(
            "{name} ({domain} {op_type}) is recurrent and not shown.",
            name=node.name,
            domain=node.domain,
            op_type=node.op_type,
        )
        for node in nodes_in(model.graph)
        if node.op_type in OTHERS
    ]
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
    producer = f"{model.producer_name} {model.producer_version}".strip()
    more = [Message("weights were also read from {files}.", files=format_names(files))] if files else []
    return Program(
        file=str(source.name),
        origin=", ".join(filter(None, [producer, f"ONNX opset {opset}"])),  # pytorch 2.4.0, ONNX opset 17
        nodes=nodes,
        inputs=model_inputs,
        outputs=(),
        notes=(*more, *others),
        refusals=refused,
        loops=loops,
        content=content,
    )


def _read_nodes(model: Any) -> tuple[tuple[Node, ...], dict[str, Text]]:
    constants = _Constants(model)
    nodes: list[Node] = []
    refused: dict[str, Text] = {}
    for node, loop in _iterate_nodes(model.graph, ""):
        if not is_recurrent(node):
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
        for inner in inner_graphs(node):
            yield from _iterate_nodes(inner, inside)


def _make_node(node: Any, class_name: str, module: str, config: Any, weights: Mapping[str, Any]) -> Node:
    return Node(node.name, node.name, class_name, module, config, weights, (), {})


def _read_recurrent(node: Any, constants: _Constants) -> tuple[Node, Text]:
    _, *arrays, _, _, _, last = onnx_nodes.inputs_of(node)
    kernel, recurrent, bias, peepholes = map(constants.array, (*arrays, last))
    loop = onnx_nodes.recurrence_of(node, recurrent.shape[-1] if recurrent is not None else 0)
    weights: Mapping[str, Any] = {}
    try:
        spec = onnx_nodes.layer_of(loop)
        has_all = loop.has_bias == (bias is not None) and loop.has_peepholes == (peepholes is not None)
        if kernel is not None and recurrent is not None and has_all:
            weights = onnx_nodes.weights_of(loop, kernel, recurrent, bias, peepholes)
    except LayerError as error:
        return _make_node(node, onnx_nodes.CLASSES[node.op_type], "keras.layers", {}, weights), error.sentence
    return _make_node(node, spec.class_name, "keras.layers", to_config(spec)["config"], weights), ""


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
        self._opsets = {entry.domain: entry.version for entry in model.opset_import}
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
            for inner in inner_graphs(node):
                self._collect(inner)

    def array(self, name: str, steps: int = 0) -> Array | None:
        """Return the tensor; None if it depends on inputs or on operators that are not evaluated here."""
        if name in self._tensors:
            from onnx import numpy_helper

            array: Array = numpy_helper.to_array(self._tensors[name])
            return array
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
        inputs = {input_name: self.array(input_name, steps + 1) for input_name in maker.input if input_name}
        if any(array is None or array.size > SIZE for array in inputs.values()):
            return None
        from onnx.reference import ReferenceEvaluator

        outputs = ReferenceEvaluator(maker, opsets=self._opsets).run(None, inputs)
        return dict(zip(maker.output, outputs, strict=True))[name]  # type: ignore[no-any-return]

    def shapes(self, node: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the names and shapes of a node's own tensors, each at the first node that uses it."""
        for name in node.input:
            tensor = self._tensors.get(name)
            if tensor is not None and name not in self._makers and name not in self._listed_names:
                self._listed_names.add(name)
                yield name, tuple(tensor.dims)


def _load(source: Source) -> tuple[Any, tuple[str, ...]]:
    onnx = import_package("onnx", "ONNX models", "onnx onnxruntime")
    data = source.content(ADVICE)
    _require_parsable(onnx, data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # the kind depends on the version of protobuf
        raise _explain_invalid() from error
    if not model.graph.node or not model.opset_import:
        raise _explain_invalid()
    nodes = _require_bounded(model)
    if not all(isinstance(text, str) for text in _iterate_texts(model)):
        raise _explain_invalid()
    del model.training_info[:]
    files = _include_data(onnx, model, source)
    model = _inline_functions(model, max(WRITTEN_OUT[0], WRITTEN_OUT[1] * nodes))
    _name_nodes(model)
    return model, files


def _explain_invalid() -> InputError:
    return InputError("it is not an ONNX model, or it is broken.", ADVICE)


def _require_parsable(onnx: Any, data: bytes) -> None:
    """Raise InputError for a small file that takes too much memory or time to parse."""
    if len(data) <= LARGE:
        return

    def parse(file: Any) -> None:
        onnx.ModelProto().ParseFromString(data)
        file.write(b"+")

    try:
        seconds, memory = SECONDS + len(data) / SPEED, MEMORY + 2 * len(data)
        with child_process.run_in_child(parse, seconds, memory, "onnx") as answer:
            answer.take(1)
    except IncompleteOutputError as error:
        raise InputError("it is not an ONNX model, or it is broken: {error}.", ADVICE, error=error) from None


def _iterate_graphs(graph: Any) -> Iterator[tuple[Any, int]]:
    graphs = [(graph, 0)]
    while graphs:
        graph, depth = graphs.pop()
        yield graph, depth
        graphs += [(inner, depth + 1) for node in graph.node for inner in inner_graphs(node)]


def _require_bounded(model: Any, most: int = NODES) -> int:
    count = 0
    for root in (model.graph, *model.functions):
        for graph, depth in _iterate_graphs(root):
            count += len(graph.node)
            if count > most or depth > DEPTH:
                raise InputError(
                    "its graph is too large ({count} nodes, {depth} deep).", SMALLER, count=count, depth=depth
                )
    return count


def _iterate_texts(model: Any) -> Iterator[Any]:
    yield from (model.producer_name, model.producer_version)
    for graph, _ in _iterate_graphs(model.graph):
        yield from (value.name for value in (*graph.initializer, *graph.input, *graph.output))
        yield from (axis.dim_param for value in graph.input for axis in value.type.tensor_type.shape.dim)
        for node in graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)


def _inline_functions(model: Any, most: int) -> Any:
    """In a child process: functions that call each other twice double the nodes with each level."""
    if not any(is_recurrent(node) for function in model.functions for node in function.node):
        return model
    import numpy as np
    from onnx import inliner

    def inline() -> Array:
        try:
            inlined = inliner.inline_local_functions(model)
            _require_bounded(inlined, most)
            return np.frombuffer(inlined.SerializeToString(), np.uint8)
        except Exception as error:  # compiled code raises many kinds
            raise refusal(error) from None

    def refusal(error: Exception) -> InputError:
        reason = shorten(str(error).partition("\n")[0].rstrip("."), 120)
        return InputError("its functions cannot be written out ({reason}).", SMALLER, reason=reason)

    def work(file: BinaryIO) -> None:
        child_process.send(file, inline)

    size = model.ByteSize()
    try:
        with child_process.run_in_child(work, SECONDS + size / SPEED, MEMORY + 8 * size, "onnx") as answer:
            return type(model).FromString(child_process.receive(answer, MAX_BYTES).tobytes())
    except IncompleteOutputError as error:
        raise refusal(error) from None


def _include_data(onnx: Any, model: Any, source: Source) -> tuple[str, ...]:
    external = [
        tensor for tensor in _iterate_tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    total, names = model.ByteSize(), []
    for tensor in external:
        file, path, start, size = _locate_data(onnx, tensor, source)
        total += size
        if total > MAX_BYTES:
            raise InputError("with its external data it has more than 2 GiB.", SMALLER)
        fields: dict[str, Any] = {"name": tensor.name or Message("a tensor"), "file": file}
        try:
            with open_file(path) as opened:
                opened.seek(start)
                tensor.raw_data = opened.read(size)
        except OSError as error:
            what = "{name} is in {file}, which cannot be read: {strerror}."
            advice = Message("Check its permissions.") if isinstance(error, PermissionError) else BESIDE
            raise InputError(what, advice, strerror=error.strerror, **fields) from None
        if len(tensor.raw_data) < size:
            raise InputError("{name} is not in {file}, which is missing or too short.", BESIDE, **fields)
        names.append(file)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return tuple(dict.fromkeys(names))


def _iterate_tensors(model: Any) -> Iterator[Any]:
    roots = [model.graph, *model.functions]
    for graph, _ in (nested for root in roots for nested in _iterate_graphs(root)):
        sparse = list(getattr(graph, "sparse_initializer", ()))  # functions have none
        yield from getattr(graph, "initializer", ())
        defaults = getattr(graph, "attribute_proto", ())
        for attribute in (*defaults, *(attribute for node in graph.node for attribute in node.attribute)):
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
        yield from (tensor for pair in sparse for tensor in (pair.values, pair.indices))


def _locate_data(onnx: Any, tensor: Any, source: Source) -> tuple[str, Path, int, int]:
    """Return the file of a tensor as the model names it, its path, and the offset and number of the bytes."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not all(isinstance(text, str) for text in (tensor.name, *entries, *entries.values())):
        raise _explain_invalid()
    file = entries.get("location", "")
    fields: dict[str, Any] = {"name": tensor.name or Message("a tensor"), "file": file}
    if source.path is None:
        what = "{name} is in another file, and the model has no folder."
        raise InputError(what, "Give the model as a file.", **fields)
    path = source.path.resolve().parent / file
    if not file or Path(file).is_absolute() or ".." in Path(file).parts:
        raise InputError("{name} is in a file outside of the model's folder.", BESIDE, **fields)
    if any(part.startswith(".") for part in Path(file).parts):
        raise InputError(
            "{name} is in {file}, which is a hidden file or in a hidden folder.", BESIDE, **fields
        )
    try:
        is_link, whole = path.resolve() != path, path.stat().st_size if path.is_file() else -1
    except (OSError, ValueError, RuntimeError):  # no file has such a name, or its links form a loop
        is_link, whole = False, -1
    if is_link:
        raise InputError("{name} is in {file}, which is a link or in a linked folder.", BESIDE, **fields)
    size = _count_bytes(onnx, tensor)
    start, length = _parse_number(entries.get("offset", "0")), entries.get("length")
    if length is not None and _parse_number(length) != size:
        raise InputError(
            "{name} has {length} bytes in {file}, but its shape and type need {size}.",
            ADVICE,
            length=length,
            size=size,
            **fields,
        )
    if start < 0 or start + size > whole:
        raise InputError("{name} is not in {file}, which is missing or too short.", BESIDE, **fields)
    return file, path, start, size


def _count_bytes(onnx: Any, tensor: Any) -> int:
    """Return the bytes of a tensor's numbers; numbers of 4 bits are stored in pairs."""
    from onnx import helper

    kinds = onnx.TensorProto.DataType
    numbers: int = prod(tensor.dims)
    try:
        if kinds.Name(tensor.data_type) in ("UINT4", "INT4", "FLOAT4E2M1"):
            return (numbers + 1) // 2
        size = int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, ValueError, TypeError):
        size = -1
    if tensor.data_type == kinds.STRING or size < 0 or any(axis < 0 for axis in tensor.dims):
        raise _explain_invalid()
    return numbers * size


def _parse_number(text: str) -> int:
    """Return the number; -1 for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1


def _name_nodes(model: Any) -> None:
    taken: set[str] = set()
    for node in nodes_in(model.graph):
        name = stem = node.name or next(filter(None, node.output), node.op_type)
        number = 0
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        node.name = name
