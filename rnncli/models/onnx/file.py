"""An ONNX file as its own message, with all of its data, and every node named."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from rnncli.errors import InputError, Message, shorten
from rnncli.inputs.source import Source, import_package, open_file
from rnncli.models.onnx.nodes import inner_graphs, is_recurrent, nodes_in
from rnncli.process import child_process
from rnncli.process.child_process import IncompleteOutputError

ADVICE = Message("Write it again with onnx.save(model, 'model.onnx').")
BESIDE = Message("Keep external data beside the model, and save it again.")
SMALLER = Message("Export only the part of the model that you want to see.")
MAX_BYTES = 2**31 - 2**20
"""Bytes that one message may hold; protobuf cannot write more."""
NODES = 100_000
DEPTH = 16
SECONDS, MEMORY, LARGE = 10.0, 2**30, 2**20
"""Files of more than LARGE bytes are first parsed in a child process with this much time and memory."""
SPEED = 2**20
"""Bytes of a file for which a second more is allowed."""
WRITTEN_OUT = (2000, 16)
"""Functions may grow to this many nodes, or to this multiple of the nodes in the file."""


def load(source: Source) -> tuple[Any, tuple[str, ...]]:
    """Return the model, a ModelProto, without references to other files, and the names of these files.

    Raises InputError if it is none, is too large, or refers to files outside of its folder.
    """
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
    """Yield the graph and those inside its nodes, each with how deep it is nested.  Does not recurse."""
    graphs = [(graph, 0)]
    while graphs:
        graph, depth = graphs.pop()
        yield graph, depth
        graphs += [(inner, depth + 1) for node in graph.node for inner in inner_graphs(node)]


def _require_bounded(model: Any, most: int = NODES) -> int:
    """Return how many nodes there are.  Raises InputError for more, or deeper graphs, than any model has."""
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
    """Yield every name; bytes where it is not UTF-8."""
    yield from (model.producer_name, model.producer_version)
    for graph, _ in _iterate_graphs(model.graph):
        yield from (value.name for value in (*graph.initializer, *graph.input, *graph.output))
        yield from (axis.dim_param for value in graph.input for axis in value.type.tensor_type.shape.dim)
        for node in graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)


def _inline_functions(model: Any, most: int) -> Any:
    """Return the model with its functions inlined, where they contain recurrent nodes.

    In a child process: functions that call each other twice double the nodes with each level.
    most: nodes that there may be.
    """
    if not any(is_recurrent(node) for function in model.functions for node in function.node):
        return model
    from onnx import inliner

    def work(file: BinaryIO) -> None:
        content, reason = b"", ""
        try:
            inlined = inliner.inline_local_functions(model)
            _require_bounded(inlined, most)
            content = inlined.SerializeToString()
        except Exception as error:  # compiled code raises many kinds
            reason = str(error).partition("\n")[0].rstrip(".")
        child_process.write_text(file, content)
        child_process.write_text(file, reason.encode("utf-8", "replace"))

    size = model.ByteSize()
    try:
        with child_process.run_in_child(work, SECONDS + size / SPEED, MEMORY + 8 * size, "onnx") as answer:
            content, reason = answer.take_text(MAX_BYTES), answer.take_text(2**16).decode()
    except IncompleteOutputError as error:
        content, reason = bytearray(), str(error)
    if not content:
        reason = shorten(reason, 120)
        raise InputError("its functions cannot be written out ({reason}).", SMALLER, reason=reason)
    return type(model).FromString(bytes(content))


def _include_data(onnx: Any, model: Any, source: Source) -> tuple[str, ...]:
    """Read the tensors stored in other files, and return the names of these files."""
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
            raise InputError(
                "{name} is in {file}, which cannot be read: {strerror}.",
                Message("Check its permissions.") if isinstance(error, PermissionError) else BESIDE,
                strerror=error.strerror,
                **fields,
            ) from None
        if len(tensor.raw_data) < size:
            raise InputError("{name} is not in {file}, which is missing or too short.", BESIDE, **fields)
        names.append(file)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return tuple(dict.fromkeys(names))


def _iterate_tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor in the model and in its functions."""
    roots = [model.graph, *model.functions]
    for graph, _ in (found for root in roots for found in _iterate_graphs(root)):
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
    """Return the file of a tensor as the model names it, its path, and the place and number of the bytes.

    The file is beside the model or in a folder below; it is not hidden, and no link leads to it.
    """
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
    """Return the bytes of the numbers of a tensor; those of 4 bits are stored in pairs."""
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
    """Return the number; -1 if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1


def _name_nodes(model: Any) -> None:
    """Give each node its name, or that of its first output; repeated names get a number."""
    taken: set[str] = set()
    for node in nodes_in(model.graph):
        name = own = node.name or next(filter(None, node.output), node.op_type)
        number = 0
        while name in taken:
            number += 1
            name = f"{own}_{number}"
        taken.add(name)
        node.name = name
