"""An ONNX file as its own message, with all of its data, and every node named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.errors import InputError, shorten
from rnncli.readers.packages import import_package
from rnncli.readers.source import Source
from rnncli.specs import child_process
from rnncli.specs.child_process import IncompleteOutputError
from rnncli.specs.onnx_nodes import inner_graphs, is_recurrent, nodes_in

ADVICE = "Write it again with onnx.save(model, 'model.onnx')."
BESIDE = "Keep external data beside the model, and save it again."
OTHER = "Give another model."
MAX_BYTES = 2**31 - 2**20
"""Bytes that one message may hold; protobuf cannot write more."""
NODES = 100_000
DEPTH = 16
SECONDS, MEMORY, LARGE = 10.0, 2**30, 2**20
"""Files of more than LARGE bytes are first parsed in a child process with this much time and memory."""


def load(source: Source) -> Any:
    """Return the model, a ModelProto, without references to other files.

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
    _require_bounded(model)
    if not all(isinstance(text, str) for text in _iterate_texts(model)):
        raise _explain_invalid()
    _include_data(onnx, model, source)
    model = _inline_functions(model)
    _name_nodes(model)
    return model


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
        with child_process.run_in_child(parse, SECONDS, MEMORY + 2 * len(data)) as answer:
            answer.take(1)
    except IncompleteOutputError:
        raise _explain_invalid() from None


def _iterate_graphs(graph: Any) -> Iterator[tuple[Any, int]]:
    """Yield the graph and those inside its nodes, each with how deep it is nested.  Does not recurse."""
    graphs = [(graph, 0)]
    while graphs:
        graph, depth = graphs.pop()
        yield graph, depth
        graphs += [(inner, depth + 1) for node in graph.node for inner in inner_graphs(node)]


def _require_bounded(model: Any) -> None:
    """Raise InputError for more nodes, or deeper nested graphs, than any model has."""
    count = 0
    for graph, depth in _iterate_graphs(model.graph):
        count += len(graph.node)
        if count > NODES or depth > DEPTH:
            raise InputError(f"its graph is too large ({count} nodes, {depth} deep).", OTHER)


def _iterate_texts(model: Any) -> Iterator[Any]:
    """Yield every name; bytes where it is not UTF-8."""
    yield from (model.producer_name, model.producer_version)
    for graph, _ in _iterate_graphs(model.graph):
        yield from (value.name for value in (*graph.initializer, *graph.input, *graph.output))
        yield from (axis.dim_param for value in graph.input for axis in value.type.tensor_type.shape.dim)
        for node in graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)


def _inline_functions(model: Any) -> Any:
    """Return the model with its functions inlined, where they contain recurrent nodes."""
    if not any(is_recurrent(node) for function in model.functions for node in function.node):
        return model
    try:
        from onnx import inliner

        return inliner.inline_local_functions(model)
    except Exception as error:  # compiled code raises many kinds
        reason = shorten(str(error).partition("\n")[0].rstrip("."), 120)
        raise InputError(f"its functions cannot be written out ({reason}).", OTHER) from None


def _include_data(onnx: Any, model: Any, source: Source) -> None:
    """Read the tensors stored in other files, which must be in the model's own folder."""
    external = [
        tensor for tensor in _iterate_tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    total = model.ByteSize()
    for tensor in external:
        part = _locate_data(tensor, source)
        total += part.size
        if total > MAX_BYTES:
            raise InputError("with its external data it has more than 2 GiB.", OTHER)
        tensor.raw_data = part.read()
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _iterate_tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor in the model and in its functions."""
    roots = [model.graph, *model.functions]
    for graph, _ in (found for root in roots for found in _iterate_graphs(root)):
        yield from getattr(graph, "initializer", ())  # functions have none
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


class _ExternalData(NamedTuple):
    """The bytes of one tensor in another file.  name: of the tensor."""

    name: str
    path: Path
    start: int
    size: int

    def read(self) -> bytes:
        """Return the bytes."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                return file.read(self.size)
        except OSError as error:
            raise InputError(
                f"{self.name} is in {self.path.name}, which cannot be read: {error.strerror}.",
                "Check its permissions." if isinstance(error, PermissionError) else BESIDE,
            ) from None


def _locate_data(tensor: Any, source: Source) -> _ExternalData:
    """Return where the bytes of a tensor in another file are."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    name = tensor.name
    if source.path is None:
        raise InputError(
            f"{name} is in another file, and the model has no folder.", "Give the model as a file."
        )
    folder = source.path.resolve().parent
    path = (folder / entries.get("location", "")).resolve()
    if not entries.get("location") or folder not in path.parents:
        raise InputError(f"{name} is in a file outside of the model's folder.", BESIDE)
    start, size = _parse_number(entries, "offset", 0), _parse_number(entries, "length", -1)
    whole = path.stat().st_size if path.is_file() else -1
    size = whole - start if size < 0 else size
    if start < 0 or size < 0 or start + size > whole:
        raise InputError(f"{name} is not in {path.name}, which is missing or too short.", BESIDE)
    return _ExternalData(name, path, start, size)


def _parse_number(entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key, "")
    return int(text) if text.isascii() and text.isdigit() else default


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
