"""Files of named arrays: JSON, npz, safetensors; state dicts and checkpoints of PyTorch and of TensorFlow.

Nothing in a file is run.  TensorFlow's checkpoints, and the variables of a SavedModel, are read by TensorFlow
in a limited process.  PyTorch's files are read in a child process, since a small file can take all time
and memory: its pickle may build huge objects, and its tensors may declare more numbers than the file has.
"""

from __future__ import annotations

import codecs
import importlib
import io
import json
import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from rnncli.errors import EngineError, InputError, Message, inside, python_command, shorten
from rnncli.frameworks import name_by_shape
from rnncli.inputs import foreign, formats, named_arrays
from rnncli.inputs.source import open_archive, require_room
from rnncli.models.weight_files import recognize
from rnncli.process import child_process
from rnncli.process.child_process import LazyArray
from rnncli.process.memory import PER_BYTE, ROOM, expansion_limit, limit_growth
from rnncli.process.packages import isolated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rnncli.inputs.source import Source
    from rnncli.models.graph import Modules
    from rnncli.values import Array


ADVICE = Message(
    "If the model can be built, save only its weights: torch.save(model.state_dict(), 'model.pt')"
)
SCRIPT = """import torch
torch.save(torch.jit.load(%(file)s).state_dict(), %(to)s)"""
DEQUANTIZE = """import torch
weights = torch.load(%(file)s)
torch.save({name: tensor.dequantize() for name, tensor in weights.items()}, %(to)s)"""
PACKED = Message("it has weights in the form that PyTorch's quantized layers compute with.")
UNPACK = Message(
    "In Python, with the quantized model: torch.save({{f'{{path}}.{{name}}'.lstrip('.'): tensor.dequantize() "
    "for path, layer in model.named_modules() if hasattr(layer, 'get_bias') for name, tensor in "
    "{{**layer.get_weight(), **layer.get_bias()}}.items()}}, 'weights.pt')"
)
"""A line that works for the layers and the cells that PyTorch quantizes dynamically."""
OBJECTS = Message("it contains Python objects, such as a whole model, and only tensors are loaded.")
DEPTH, AXES, MOST_AXES = 16, 3, 8
"""Dicts in dicts that are searched for tensors, and axes of the weights of recurrent and of other layers."""
LONGEST = 1000
"""Maximum length of a tensor's name."""
SECONDS = 6.0
"""Time limit of reading, plus one second per SPEED bytes; the command imports PyTorch first."""
SPEED = 2**24
SPACE = 2**28
"""Bytes that PyTorch may allocate, besides the numbers and their copies."""
PACKAGES = ("torch", "collections", "builtins")
"""Packages of the objects that tensors consist of; PyTorch decides which of them it loads."""
CHECKPOINT_SECONDS, CHECKPOINT_SPEED = 60.0, 2**24
"""Time limit of loading TensorFlow and reading, plus one second per CHECKPOINT_SPEED bytes of the files."""
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
END = "/.ATTRIBUTES/VARIABLE_VALUE"


class StandIn:
    """Replaces an object, such as the arguments of a training run; accepts anything and stores nothing."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> StandIn:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def read_torch(source: Source, layers: Mapping[str, str] = {}) -> Modules:
    """Read the recurrent modules in the file, and the shapes of its other tensors.

    Raises EngineError without PyTorch; InputError if the file is not a state dict.
    """
    data = source.content(ADVICE)
    with inside(source.name, EngineError):
        try:
            file = str(source.path or "model.pt")
            tensors = _read_tensors(data, _unpacked_size(data, file), file, layers)
        except ImportError:
            raise EngineError(
                "PyTorch is not installed; it is needed to read .pt files.", "pip install torch"
            ) from None
    return recognize.find_modules(source.name, tensors, "PyTorch", layers)


def read_numbers(source: Source, names: Collection[str]) -> dict[str, Array]:
    """Return the floats among the tensors with these names, which belong to no recurrent layer.

    A tensor with a dtype that NumPy lacks is left out.
    """
    from rnncli.models import reading
    from rnncli.models.weight_files import keras_weights

    kind = reading.detect_kind(source)
    if kind == "torch":
        data = source.content(ADVICE)
        file = str(source.path or "model.pt")
        with inside(source.name, EngineError):
            tensors = _read_tensors(data, _unpacked_size(data, file), file, {}, others=frozenset(names))
    elif kind == "json":
        tensors = dict(named_arrays.to_weights(formats.load(source, "json")))
    elif kind == "npz":
        tensors = formats.load(source, "npz")
    elif kind == "safetensors":
        from rnncli.inputs.formats.safetensors import DTYPES, to_array

        entries = _safetensors_entries(source)
        tensors = {name: to_array(entry) for name, entry in entries if entry["dtype"] in DTYPES}
    elif kind == "keras":
        tensors = keras_weights.read_numbers(source)
    else:
        tensors = _receive(source, {"": "*"})["arrays"]
    values = ((name, tensors.get(name)) for name in names)
    return {
        name: array for name, array in values if isinstance(array, np.ndarray) and array.dtype.kind == "f"
    }


def _unpacked_size(data: bytes, path: str) -> int:
    """Raises InputError for a program of PyTorch, and for a zip file that unpacks to too much."""
    if not data.startswith(b"PK"):
        return len(data)
    with open_archive(data, Message("it is a broken or truncated zip file"), ADVICE) as archive:
        require_room(archive, len(data), ADVICE)
        files = {entry.filename: entry.file_size for entry in archive.infolist()}
    if any("/code/" in f"/{file}" or file.endswith("constants.pkl") for file in files):
        what = "it is a TorchScript program, which rnncli does not run."
        advice = "If you trust the file, write its weights to {to}: {command}"
        raise InputError(what, advice, to=_target(path), command=python_command(SCRIPT, path, _target(path)))
    if any(file.endswith("archive_format") for file in files):
        raise InputError("it is a torch.export program, which rnncli does not run.", ADVICE)
    if not any(file.endswith("data.pkl") for file in files):
        raise InputError("it is a zip file, but not PyTorch's.", ADVICE)
    return sum(files.values())


def _target(path: str) -> str:
    """Return the name of the file that the advised command writes: `model-weights.pt`."""
    return f"{Path(path).stem}-weights.pt"


def _read_tensors(
    data: bytes, unpacked: int, path: str, layers: Mapping[str, str], others: Collection[str] = ()
) -> dict[str, Any]:
    """Return every tensor by name; the names of dicts become a prefix if several dicts hold layers.

    A tensor that belongs to no recurrent layer, or has an unknown dtype, is only a shape.
    unpacked: bytes of the file without compression.  others: names of tensors whose numbers are wanted, too.
    Raises ImportError without PyTorch; InputError if the file is not a state dict.
    """
    with isolated():
        import torch

    empty = io.BytesIO()  # what reading imports is imported before the child starts
    torch.save({"": torch.zeros(1)}, empty)
    _unpickle(io.BytesIO(empty.getvalue()))
    codecs.lookup("latin-1")  # in which NumPy's numbers are pickled

    def work(file: BinaryIO) -> None:
        child_process.send(file, lambda: _find_tensors(data, path, layers, others))

    try:
        seconds, memory = SECONDS + len(data) / SPEED, SPACE + unpacked + 2 * len(data)
        with child_process.run_in_child(work, seconds, memory, "PyTorch") as answer:
            tensors = child_process.receive(answer, expansion_limit(len(data)))
    except child_process.IncompleteOutputError as error:
        raise InputError("it was not read: {error}.", ADVICE, error=error.args[0]) from None
    shapes = {key: SimpleNamespace(shape=tuple(shape)) for key, shape in tensors if isinstance(shape, list)}
    return {**dict(tensors), **shapes}


def _find_tensors(
    data: bytes, path: str, layers: Mapping[str, str], others: Collection[str]
) -> list[tuple[str, Any]]:
    """Return, in the child, the numbers of every tensor, or only its shape.  others: see `_read_tensors`."""
    whole = _load(data)
    tensors = _name_tensors(whole)
    for key, tensor in tensors.items():
        if tensor.is_quantized and recognize.is_recurrent(key, layers):
            raise InputError(
                "{key} is quantized ({dtype}); rnncli computes in floats.",
                "Write the numbers that it stands for to {to}: {command}" if key in whole else ADVICE,
                key=key,
                dtype=str(tensor.dtype).removeprefix("torch."),
                to=_target(path),
                command=python_command(DEQUANTIZE, path, _target(path)),
            )
    dtypes = {
        key: _find_dtype(tensor, MOST_AXES if key in others else AXES)
        for key, tensor in tensors.items()
        if key in others or recognize.is_recurrent(key, layers)
    }
    arrays = {
        key: LazyArray(dtype, tensors[key].shape, partial(_to_array, tensors[key]))
        for key, dtype in dtypes.items()
        if dtype
    }
    return [(key, arrays.get(key, list(tensor.shape))) for key, tensor in tensors.items()]


def _load(data: bytes) -> Any:
    import pickle

    import torch

    if hasattr(os, "fork"):
        torch.set_num_threads(1)  # the threads of the parent process do not exist in a child
    file = io.BytesIO(data)
    try:
        contents = _unpickle(file)
    except pickle.UnpicklingError as error:
        text = str(error)
        if "Unsupported global" in text or "Unsupported class" in text or "not allowed" in text:
            packed = b"ScriptObject" in data
            raise InputError(*((PACKED, UNPACK) if packed else (OBJECTS, ADVICE))) from None
        raise InputError("it is not a state dict of PyTorch.", ADVICE) from None
    except KeyError:  # an unknown instruction of the pickle, or a reference to an unknown number
        raise InputError("it is not a state dict of PyTorch.", ADVICE) from None
    except Exception as error:  # torch raises many kinds for broken files
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise InputError("reading it takes too much memory.", ADVICE) from None
        reason = f"{type(error).__name__}: {error}".splitlines()[0].partition("  (Could this")[0]
        raise InputError(
            "PyTorch cannot read it ({reason}).", ADVICE, reason=shorten(reason.rstrip(".: "), 120)
        ) from None
    if not data.startswith(b"PK") and file.tell() != len(data):
        raise InputError("it has extra data after its tensors.", ADVICE)
    return contents


def _unpickle(file: BinaryIO) -> Any:
    """Load what torch.load reads with weights_only, with a StandIn for every object of another package."""
    import torch

    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except (AttributeError, ValueError):  # an earlier PyTorch, or a file in its first format
        names = []
    file.seek(0)
    others = [name for name in names if name.partition(".")[0] not in PACKAGES]
    stand_ins: list[Any] = [(type("StandIn", (StandIn,), {}), name) for name in others]
    with torch.serialization.safe_globals(stand_ins) if stand_ins else torch.no_grad():
        return torch.load(file, weights_only=True, map_location="cpu")


def _name_tensors(value: Any) -> dict[str, Any]:
    if isinstance(value, StandIn):
        raise InputError(OBJECTS, ADVICE)
    by_path: dict[str, dict[str, Any]] = {}
    for path, key, tensor in _walk(value, "", ()):
        if isinstance(tensor, StandIn):
            raise InputError("{key} is a Python object, and only tensors are loaded.", ADVICE, key=key)
        if tensor.is_meta:
            raise InputError(
                "{key} has no data: it is on the meta device.", "Load the weights, then save.", key=key
            )
        by_path.setdefault(path, {})[key] = tensor
    if not by_path:
        raise InputError(
            "it holds no tensors by name, only a value of type {name}.", ADVICE, name=type(value).__name__
        )
    recurrent = [path for path, tensors in by_path.items() if any(map(recognize.is_recurrent, tensors))]
    named: dict[str, Any] = {}
    for path, tensors in by_path.items():
        prefix = f"{path}." if path and [path] != recurrent else ""
        named |= {prefix + key: tensor for key, tensor in tensors.items()}
    return named


def _walk(value: Any, path: str, above: tuple[Any, ...]) -> Iterator[tuple[str, str, Any]]:
    """Yield every tensor in nested dicts: the path of its dict, its key, the tensor.

    A StandIn under the name of a recurrent weight is yielded, too: its caller refuses it by name.
    above: the dicts around this dict; a dict inside itself is left out.
    """
    import torch

    if not isinstance(value, Mapping) or len(above) > DEPTH or any(outer is value for outer in above):
        return
    for key, item in value.items():
        if not isinstance(key, (str, int)):
            continue
        if len(str(key)) > LONGEST:
            what = "the name {key} in it has {length} characters."
            raise InputError(what, ADVICE, key=shorten(str(key), 40), length=len(str(key)))
        if isinstance(item, Mapping):
            yield from _walk(item, f"{path}.{key}" if path else str(key), (*above, value))
        elif isinstance(item, torch.Tensor) or (
            isinstance(item, StandIn) and recognize.is_recurrent(str(key))
        ):
            yield path, str(key), item


def _find_dtype(tensor: Any, most_axes: int) -> str | None:
    """Return the dtype of NumPy; bfloat16, which NumPy lacks, is read as float32.  None for other tensors."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.dim() > most_axes:
        return None
    known = {torch.float16: "<f2", torch.bfloat16: "<f4", torch.float32: "<f4", torch.float64: "<f8"}
    return known.get(tensor.dtype)


def _to_array(tensor: Any) -> Any:
    import torch

    floats = tensor.detach().resolve_neg()
    return (floats.float() if floats.dtype == torch.bfloat16 else floats).contiguous().numpy()


def read_json(source: Source, layers: Mapping[str, str] = {}) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.

    Raises InputError, also for a case document, which describes a layer.
    """
    value = formats.load(source, "json")
    with inside(source.name):
        if isinstance(value, dict) and "inputs" in value:
            what = "it is a case document, which describes a layer."
            advice = "To run it: rnncli run {file}; for its weights: rnncli weights {file} --seed 1"
            raise InputError(what, advice, file=shlex.quote(str(source.path or "-")))
        return recognize.find_modules(source.name, named_arrays.to_weights(value), layers=layers)


def read_npz(source: Source, layers: Mapping[str, str] = {}) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.  Raises InputError.

    Arrays with names of their own are one layer if their shapes say which weights they are.
    """
    arrays = formats.load(source, "npz")
    read = recognize.find_modules(source.name, arrays, layers=layers)
    names = {} if read.modules else name_by_shape(read.other_shapes)
    if not names:
        return read
    named = recognize.find_modules(source.name, {name: arrays[array] for name, array in names.items()})
    return replace(named, notes=(recognize.note_shapes(names), *named.notes))


def read_safetensors(source: Source, layers: Mapping[str, str] = {}) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.  Raises InputError.

    A tensor that belongs to no recurrent layer, or has a dtype or a shape that NumPy lacks, is only a shape.
    """
    from rnncli.inputs.formats.safetensors import DTYPES, to_array

    entries = _safetensors_entries(source)
    tensors: dict[str, Any] = {}
    for name, entry in entries:
        tensors[name] = SimpleNamespace(shape=tuple(entry["shape"]))
        if entry["dtype"] in DTYPES and recognize.is_recurrent(name, layers):
            with suppress(ValueError):  # a shape that NumPy does not have
                tensors[name] = to_array(entry)
    return recognize.find_modules(source.name, tensors, layers=layers)


def _safetensors_entries(source: Source) -> list[tuple[str, Mapping[str, Any]]]:
    from rnncli.inputs.formats.safetensors import read_tensors

    save = Message("Write it with safetensors.torch.save_file(model.state_dict(), 'model.safetensors').")
    with inside(source.name):
        return read_tensors(source, save)


def read_checkpoint(source: Source, layers: Mapping[str, str] = {}) -> Modules:
    """Read the recurrent layers among the variables, and the shapes of the others.

    Raises InputError for a broken file, EngineError without TensorFlow.
    """
    received = _receive(source, layers)
    others = {name: SimpleNamespace(shape=tuple(shape)) for name, shape in received["shapes"].items()}
    return recognize.find_modules(source.name, {**others, **received["arrays"]}, "TensorFlow", layers)


def _receive(source: Source, layers: Mapping[str, str]) -> Any:
    prefix = foreign.checkpoint_of(cast("Path", source.path))
    assert prefix is not None  # as `detect_kind` found
    with inside(source.name, EngineError):
        size = sum(file.stat().st_size for file in prefix.parent.glob(f"{prefix.name}.*"))
        seconds = CHECKPOINT_SECONDS + size / CHECKPOINT_SPEED
        work, request = f"{__name__}:answer", json.dumps([str(prefix.absolute()), size, layers]).encode()
        try:
            with child_process.run_in_new_process(
                work, request, seconds, "TensorFlow", TF_CPP_MIN_LOG_LEVEL="3"
            ) as answer_of:
                return child_process.receive(answer_of, ROOM + PER_BYTE * size)
        except child_process.IncompleteOutputError as error:
            raise InputError("{error}.", "Write it again.", error=error.args[0]) from None


def answer(request: bytes, file: BinaryIO) -> None:
    """Write, in the new process, the arrays that may belong to recurrent layers, and the shapes of all."""
    child_process.send(file, lambda: _read_in_child(*json.loads(request)))


def _read_in_child(prefix: str, size: int, layers: Mapping[str, str]) -> Any:
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
    for path, node in _walk_objects(graph.nodes):
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


def _walk_objects(nodes: Any) -> Iterator[tuple[str, Any]]:
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
