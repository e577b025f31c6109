"""Read the tensors of a PyTorch file in a child process, since a small file can take all time and memory.

The pickle in the file may build huge objects, and its tensors may declare more numbers than the file has.
"""

from __future__ import annotations

import codecs
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from rnncli.errors import InputError, Message, shorten
from rnncli.models.modules import _modules, _stand_ins
from rnncli.process import child_process
from rnncli.process.isolation import isolated
from rnncli.process.memory import expansion_limit, format_size

ADVICE = Message(
    "If the model can be built, save only its weights: torch.save(model.state_dict(), 'model.pt')"
)
OBJECTS = Message("it contains Python objects, such as a whole model, and only tensors are loaded.")
DEPTH, AXES = 16, 3
"""Dicts in dicts that are searched for tensors, and axes of the weights of recurrent layers."""
LONGEST = 1000
"""Maximum length of a tensor's name."""
SECONDS = 6.0
"""Time limit of reading, plus one second per SPEED bytes; the command imports PyTorch first."""
SPEED = 2**24
SPACE = 2**28
"""Bytes that PyTorch may allocate, besides the numbers and their copies."""
TEXT = 2**26
"""Maximum length of the names together, in bytes."""


class ShapeOnly(NamedTuple):
    """A tensor that belongs to no recurrent layer, or has an unknown dtype."""

    shape: tuple[int, ...]


def read(data: bytes, unpacked: int) -> dict[str, Any]:
    """Return every tensor by name, an array or a ShapeOnly; dicts become a prefix if several hold layers.

    unpacked: bytes of the file without compression.
    Raises ImportError without PyTorch; InputError if the file is not a state dict.
    """
    _prepare()

    def work(file: BinaryIO) -> None:
        _answer(data, file)

    try:
        seconds, memory = SECONDS + len(data) / SPEED, SPACE + unpacked + 2 * len(data)
        with child_process.run_in_child(work, seconds, memory, "PyTorch") as answer:
            return _receive(answer)
    except child_process.IncompleteOutputError as error:
        raise InputError("it was not read: {error}.", ADVICE, error=error.args[0]) from None


def _prepare() -> None:
    """Import everything that loading needs, as the child cannot."""
    with isolated():
        import torch

    empty = io.BytesIO()
    torch.save({"": torch.zeros(1)}, empty)
    _stand_ins.load(io.BytesIO(empty.getvalue()))
    codecs.lookup("latin-1")  # in which NumPy's numbers are pickled


def _receive(answer: child_process.WorkOutput) -> dict[str, Any]:
    """Parse the child's output: the header as JSON, then the numbers."""
    head = json.loads(answer.take_text(TEXT))
    if head["refused"]:
        what, advice = map(child_process.unpack_message, head["refused"])
        raise InputError(what, advice)
    return {
        key: ShapeOnly(tuple(shape)) if dtype is None else answer.take_array(shape, dtype)
        for key, shape, dtype in head["tensors"]
    }


def _answer(data: bytes, out: BinaryIO) -> None:
    """Write, in the child, the header and then the numbers of each array in it."""
    arrays: dict[str, Any] = {}
    head: dict[str, Any] = {"refused": None}
    try:
        tensors = _name_tensors(_load(data))
        arrays = {
            key: tensor
            for key, tensor in tensors.items()
            if _modules.is_recurrent(key) and _find_dtype(tensor)
        }
        _require_room(arrays.values(), len(data))
        head["tensors"] = [
            (key, list(tensor.shape), _find_dtype(tensor) if key in arrays else None)
            for key, tensor in tensors.items()
        ]
    except InputError as error:
        arrays, head = {}, _pack_refusal(error.detail, error.advice)
    text = json.dumps(head).encode()
    if len(text) > TEXT:
        text = json.dumps(_pack_refusal(Message("its tensors have too many names."), ADVICE)).encode()
        arrays = {}
    child_process.write_text(out, text)
    for tensor in arrays.values():
        child_process.write_array(out, _to_array(tensor))


def _pack_refusal(*messages: Message) -> dict[str, Any]:
    return {"refused": list(map(child_process.pack_message, messages))}


def _load(data: bytes) -> Any:
    """Return what torch.load reads with weights_only; see `_stand_ins`.  Raises InputError."""
    import pickle

    import torch

    if hasattr(os, "fork"):
        torch.set_num_threads(1)  # the threads of the parent process do not exist in a child
    file = io.BytesIO(data)
    try:
        found = _stand_ins.load(file)
    except pickle.UnpicklingError as error:
        text = str(error)
        if "Unsupported global" in text or "Unsupported class" in text or "not allowed" in text:
            raise InputError(OBJECTS, ADVICE) from None
        raise InputError("it is not a state dict of PyTorch.", ADVICE) from None
    except KeyError:  # a byte that is no instruction of a pickle, or a number in it that is not there
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
    return found


def _name_tensors(value: Any) -> dict[str, Any]:
    """Return every tensor by its name.  Raises InputError for a weight that has no numbers."""
    if isinstance(value, _stand_ins.StandIn):
        raise InputError(OBJECTS, ADVICE)
    by_path: dict[str, dict[str, Any]] = {}
    for path, key, tensor in _walk(value, "", ()):
        _require_numbers(key, tensor)
        by_path.setdefault(path, {})[key] = tensor
    if not by_path:
        raise InputError(
            "it holds no tensors by name, only a value of type {name}.", ADVICE, name=type(value).__name__
        )
    recurrent = [path for path, tensors in by_path.items() if any(map(_modules.is_recurrent, tensors))]
    named: dict[str, Any] = {}
    for path, tensors in by_path.items():
        prefix = f"{path}." if path and [path] != recurrent else ""
        named |= {prefix + key: tensor for key, tensor in tensors.items()}
    return named


def _walk(value: Any, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, str, Any]]:
    """Yield the path of the dict, the key and the tensor, for every tensor in nested dicts.

    Also of what has the name of a weight and is an object.
    above: identities of the dicts around this one; a dict inside itself is left out.
    """
    if not isinstance(value, Mapping) or len(above) > DEPTH or id(value) in above:
        return
    for key, item in value.items():
        if not isinstance(key, (str, int)):
            continue
        if len(str(key)) > LONGEST:
            raise InputError(
                "the name {key} in it has {length} characters.",
                ADVICE,
                key=shorten(str(key), 40),
                length=len(str(key)),
            )
        if isinstance(item, Mapping):
            yield from _walk(item, f"{path}.{key}" if path else str(key), (*above, id(value)))
        elif _is_tensor(item) or (isinstance(item, _stand_ins.StandIn) and _modules.is_recurrent(str(key))):
            yield path, str(key), item


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _require_numbers(key: str, tensor: Any) -> None:
    if isinstance(tensor, _stand_ins.StandIn):
        raise InputError("{key} is a Python object, and only tensors are loaded.", ADVICE, key=key)
    if tensor.is_meta:
        raise InputError(
            "{key} has no data: it is on the meta device.", "Load the weights, then save.", key=key
        )


def _require_room(tensors: Iterable[Any], packed: int) -> None:
    """Raise InputError if these tensors declare more numbers than the file may expand to.

    They may: with a stride of 0, one stored number is repeated.  An axis of 0 counts as 1, because NumPy
    limits the other axes too.
    """
    size = sum(prod(max(1, axis) for axis in tensor.shape) * _itemsize(tensor) for tensor in tensors)
    if size > expansion_limit(packed):
        raise InputError(
            "its tensors declare {declared}, but the file is {size}.",
            ADVICE,
            declared=format_size(size),
            size=format_size(packed),
        )


def _itemsize(tensor: Any) -> int:
    return np.dtype(_find_dtype(tensor)).itemsize


def _find_dtype(tensor: Any) -> str | None:
    """Return the dtype of NumPy; bfloat16, which NumPy lacks, is read as float32.  None for other tensors."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.dim() > AXES:
        return None
    known = {torch.float16: "<f2", torch.bfloat16: "<f4", torch.float32: "<f4", torch.float64: "<f8"}
    return known.get(tensor.dtype)


def _to_array(tensor: Any) -> Any:
    """Return the numbers."""
    import torch

    floats = tensor.detach().resolve_neg()
    return (floats.float() if floats.dtype == torch.bfloat16 else floats).contiguous().numpy()
