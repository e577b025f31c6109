"""Checkpoints of TensorFlow, and the variables of a SavedModel, read by TensorFlow in a limited process."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from rnncli.errors import EngineError, InputError, inside
from rnncli.inputs import foreign
from rnncli.models.weight_files import recognize
from rnncli.process import child_process, transfer
from rnncli.process.isolation import isolated
from rnncli.process.memory import PER_BYTE, ROOM, limit_growth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rnncli.inputs.source import Source
    from rnncli.models.graph import Modules
    from rnncli.values import Array

SECONDS, SPEED = 60.0, 2**24
"""Time limit of loading TensorFlow and reading, plus one second per SPEED bytes of the files."""
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
END = "/.ATTRIBUTES/VARIABLE_VALUE"


def read(source: Source, layers: Mapping[str, str] = {}) -> Modules:
    """Read the recurrent layers among the variables, and the shapes of the others.

    Raises InputError for a broken file, EngineError without TensorFlow.
    """
    read = _receive(source, layers)
    others = {name: SimpleNamespace(shape=tuple(shape)) for name, shape in read["shapes"].items()}
    return recognize.find_modules(source.name, {**others, **read["arrays"]}, "TensorFlow", layers)


def read_numbers(source: Source) -> dict[str, Array]:
    """Return every variable of floats, by name."""
    arrays: dict[str, Array] = _receive(source, {"": "*"})["arrays"]
    return arrays


def _receive(source: Source, layers: Mapping[str, str]) -> Any:
    prefix = foreign.checkpoint_of(cast("Path", source.path))
    assert prefix is not None  # as `detect_kind` found
    with inside(source.name, EngineError):
        size = sum(file.stat().st_size for file in prefix.parent.glob(f"{prefix.name}.*"))
        seconds = SECONDS + size / SPEED
        work, request = f"{__name__}:answer", json.dumps([str(prefix.absolute()), size, layers]).encode()
        try:
            with child_process.run_in_new_process(
                work, request, seconds, "TensorFlow", TF_CPP_MIN_LOG_LEVEL="3"
            ) as answer_of:
                return transfer.receive(answer_of, ROOM + PER_BYTE * size)
        except child_process.IncompleteOutputError as error:
            raise InputError("{error}.", "Write it again.", error=error.args[0]) from None


def answer(request: bytes, file: BinaryIO) -> None:
    """Write, in the new process, the arrays that may belong to recurrent layers, and the shapes of all."""
    transfer.send(file, lambda: _read_variables(*json.loads(request)))


def _read_variables(prefix: str, size: int, layers: Mapping[str, str]) -> Any:
    with isolated():
        try:
            tensorflow = importlib.import_module("tensorflow")
        except ImportError:
            raise EngineError(
                "TensorFlow is not installed; it is needed to read its checkpoints.", "pip install tensorflow"
            ) from None
        with limit_growth(size):
            try:
                reader = tensorflow.train.load_checkpoint(prefix)
                shapes = {key: list(shape) for key, shape in reader.get_variable_to_shape_map().items()}
                names = _names_of(reader, shapes)
                keys = {name: key for name, key in names.items() if recognize.is_recurrent(name, layers)}
                arrays = {name: reader.get_tensor(key) for name, key in keys.items()}
            except InputError:
                raise
            except Exception as error:  # TensorFlow raises many types
                what = "it is not a checkpoint that TensorFlow can read: {line}."
                advice = "Write it again."
                raise InputError(what, advice, line=str(error).split("\n")[0][:200].rstrip(".")) from None
    return {"shapes": {name: shapes[key] for name, key in names.items()}, "arrays": arrays}


def _names_of(reader: Any, keys: Any) -> dict[str, str]:
    """Return the keys of the variables by their full names, `bi/forward_lstm/lstm_cell/kernel`.

    A checkpoint of objects stores these names beside the keys.  If several weights have the same full name,
    as in a subclassed model of Keras 3, their paths in the model are the names.  What an optimizer keeps is
    left out.
    """
    plain = {key.removesuffix(END): key for key in keys if key.rpartition("/")[0] not in keys}
    if GRAPH not in keys:
        return plain
    package = importlib.import_module("tensorflow.core.protobuf.trackable_object_graph_pb2")
    graph = package.TrackableObjectGraph.FromString(reader.get_tensor(GRAPH))
    paths, full = dict[str, str](), dict[str, list[str]]()
    for path, node in _walk(graph.nodes):
        for attribute in node.attributes:
            if attribute.checkpoint_key in keys:
                paths[path] = attribute.checkpoint_key
                full.setdefault(attribute.full_name, []).append(attribute.checkpoint_key)
    shared = [name for name, both in full.items() if recognize.is_recurrent(name) and _differ(reader, both)]
    if not shared:
        return {name: both[0] for name, both in full.items()} or plain
    if not any(map(recognize.is_recurrent, paths)):
        raise InputError(
            "several weights have the name {shared}, and nothing tells which layer each belongs to.",
            "Save the model with model.save('model.keras'), or its weights with "
            "tf.train.Checkpoint(model=model).",
            shared=shared[0],
        )
    return paths


def _walk(nodes: Any) -> Iterator[tuple[str, Any]]:
    """Yield every object below the first, except optimizers, with its shortest path."""
    paths = {0: ""}
    for index, path in (queue := [(0, "")]):
        yield path, nodes[index]
        children = {child.local_name: child.node_id for child in nodes[index].children}
        if {"_iterations", "iter"}.isdisjoint(children):
            new = {number: f"{path}/{name}".lstrip("/") for name, number in children.items()}
            queue += [(number, below) for number, below in new.items() if number not in paths]
            paths = new | paths


def _differ(reader: Any, keys: Sequence[str]) -> bool:
    """Return whether the arrays of these keys differ: a SavedModel has some variables twice."""
    first, *others = map(reader.get_tensor, keys)
    return any(other.shape != first.shape or (other != first).any() for other in others)
