"""Read the weights and the config from a Keras HDF5 file, in a child process.

On some broken files the HDF5 library crashes, loops forever or allocates without limit, and a file can
refer to other files, which the library then reads.  So the library runs in a child process that cannot
open files, and links and datasets that point outside the file are rejected.
"""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from itertools import count, takewhile
from math import prod
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.errors import InputError
from rnncli.readers import child_process, room
from rnncli.readers.packages import import_package
from rnncli.readers.refusal import RefusedError
from rnncli.specs.memory import format_size

SECONDS = 8.0
"""Time limit of reading, plus one second per SPEED bytes; the whole command must end within 10 seconds."""
SPEED = 2**24
SPACE = 2**28
"""Bytes that the library may allocate, besides the largest dataset and its copies."""

DEPTH = 64
"""Maximum nesting of groups; Keras writes one or two levels per nested model."""
TEXT = 2**28
PARTS = frozenset({"vars", "cell", "cells", "layer", "forward_layer", "backward_layer"})
"""Names of the groups inside one layer's group."""

SEEDS = frozenset({"seed_generator", "generator"})


class Weight(NamedTuple):
    """One weight array.

    place: index of its group; always 0 in older files.
    layer: name of its group; in older files this may be a nested model.
    path: path below that group; empty except in older files.
    """

    place: int
    layer: str
    path: str
    array: Array

    def owner(self, known: Collection[str]) -> str:
        """Return the layer it belongs to: its group, or the known layer inside it if that is a model."""
        if self.layer in known:
            return self.layer
        return next((part for part in self.path.split("/") if part in known), self.layer)


class FileContents(NamedTuple):
    """What is in the file.

    config: None where there is none.
    notes: of `read_all` and `read_config`: `version` and `backend` of Keras, "" where the file does not say
        them; `legacy`, whether it is of the older form; `names`, what groups say that their layers are
        called.
    """

    config: str | None
    weights: tuple[Weight, ...]
    notes: dict[str, Any] = {}  # noqa: RUF012 - nobody writes into it

    def layers(self, known: Collection[str] = ()) -> list[tuple[str, tuple[Array, ...]]]:
        """Return each layer's name and arrays.  known: names of layers, to find those in nested models."""
        found: dict[tuple[int, str], list[Array]] = {}
        for weight in self.weights:
            found.setdefault((weight.place, weight.owner(known)), []).append(weight.array)
        return [(name, tuple(arrays)) for (_, name), arrays in found.items()]


class Found(NamedTuple):
    """A dataset to read; for the other fields see Weight."""

    place: int
    layer: str
    path: str
    dataset: Any


def read(data: bytes, name: str, advice: str) -> FileContents:
    """Return what is in the file.  Raises InputError; name: of the file in messages."""
    return _read(data, name, advice, _WeightWalk.found)


def read_all(data: bytes, name: str, advice: str) -> FileContents:
    """Return the same with `notes`, and each array with the path of its group and its number there.

    The older form has the same layers and paths as in `read`.  Arrays of anything but numbers are left out.
    """
    return _read(data, name, advice, _WeightWalk.read_arrays)


def read_config(data: bytes, name: str, advice: str) -> FileContents:
    """Return the config and the notes alone, without reading the arrays."""
    return _read(data, name, advice, _WeightWalk.read_nothing)


def _read(data: bytes, name: str, advice: str, walk: Callable[[_WeightWalk], list[Found]]) -> FileContents:
    import_package("h5py", "Keras's files")
    import_package("orjson", "JSON")
    codecs.lookup("ascii")  # load the codec now: the child cannot import modules

    def work(file: BinaryIO) -> None:
        _answer(data, file, walk)

    try:
        if not hasattr(os, "fork"):  # without fork, read in this process, without limits
            whole = io.BytesIO()
            work(whole)
            whole.seek(0)
            return _read_child(lambda buffer: _copy(whole, buffer), len(data))
        seconds = SECONDS + len(data) / SPEED
        with child_process.run_in_child(work, seconds, SPACE) as answer:
            return _read_child(answer.fill, len(data))
    except RefusedError as error:
        raise InputError(f"{name}: {error}.", advice) from None
    except child_process.BrokenOffError as error:
        raise InputError(f"{name}: it is not a Keras file, or it is damaged: {error}.", advice) from None


def _copy(file: BinaryIO, buffer: memoryview) -> None:
    if file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
        raise child_process.BrokenOffError("the HDF5 library could not read it")


def _read_child(fill: Callable[[memoryview], None], packed: int) -> FileContents:
    """Parse the child's output: the length of the header (8 bytes), the header as JSON, then the numbers."""
    orjson = import_package("orjson", "JSON")
    size = bytearray(8)
    fill(memoryview(size))
    text = bytearray(min(int.from_bytes(size, "little"), TEXT))
    fill(memoryview(text))
    head = orjson.loads(text)
    if head["refused"] is not None:
        raise RefusedError(head["refused"])
    _demand_room((np.dtype(dtype).itemsize * prod(shape) for *_, dtype, shape in head["arrays"]), packed)
    weights = []
    for place, layer, path, dtype, shape in head["arrays"]:
        array: Array = np.empty(shape, dtype)
        if array.size:
            fill(array.reshape(-1).view(np.uint8).data)
        weights.append(Weight(place, layer, path, array))
    return FileContents(head["config"], tuple(weights), head["notes"])


def _demand_room(sizes: Iterable[int], packed: int) -> None:
    """Raises RefusedError if the file declares more bytes than it may expand to."""
    size = sum(sizes)
    if size > room.max_size(packed):
        raise RefusedError(f"its datasets declare {format_size(size)}, but the file is {format_size(packed)}")


def _answer(data: bytes, out: BinaryIO, walk: Callable[[_WeightWalk], list[Found]]) -> None:
    """What the child does."""
    h5py = import_package("h5py", "Keras's files")
    with ExitStack() as stack:
        found: list[Any] = []
        head: dict[str, Any] = {"refused": None, "config": None, "arrays": [], "notes": {}}
        try:
            file = stack.enter_context(h5py.File(io.BytesIO(data), "r"))
            head["config"] = _config(file)
            walked = _WeightWalk(h5py, file)
            found = walk(walked)
            head["notes"] = walked.notes
            head["arrays"] = [(*one[:-1], *_describe(h5py, one)) for one in found]
            _demand_room((one.dataset.nbytes for one in found), len(data))
        except RefusedError as error:
            found, head["refused"] = [], str(error)
        except Exception:  # h5py raises many types of exception for broken files
            found, head["refused"] = [], "it is not a Keras file, or it is damaged"
        _write_head(out, head)
        child_process.limit_memory(SPACE + 2 * max((one.dataset.nbytes for one in found), default=0))
        for one in found:
            _write(out, one.dataset)


def _write_head(out: BinaryIO, head: dict[str, Any]) -> None:
    orjson = import_package("orjson", "JSON")
    text = orjson.dumps(head)
    out.write(len(text).to_bytes(8, "little") + text)


def _write(out: BinaryIO, dataset: Any) -> None:
    array = np.ascontiguousarray(dataset[()])
    if array.size:
        out.write(array.reshape(-1).view(np.uint8).data)


def _config(file: Any) -> str | None:
    text = file.attrs.get("model_config")
    if text is None:
        return None
    if not isinstance(text, (str, bytes)):
        raise RefusedError("its model_config is not text")
    return _text(text)


def _describe(h5py: Any, found: Found) -> tuple[str, list[int]]:
    """Return the dtype and shape of a dataset.

    Raises RefusedError if it does not hold real numbers, or stores them in another file.
    """
    dataset, where = found.dataset, "/".join(filter(None, found[1:3]))
    if not isinstance(dataset, h5py.Dataset):
        raise RefusedError(f"{where} is not a dataset")
    properties = dataset.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        raise RefusedError(f"the numbers of {dataset.name} are in another file")
    dtype = dataset.dtype
    if dtype.kind not in "fiu" or h5py.check_dtype(enum=dtype):
        raise RefusedError(f"{dataset.name} is of dtype {str(dtype)[:40]}, not real numbers")
    if dataset.shape is None:
        raise RefusedError(f"{dataset.name} is empty")
    return dtype.str, list(dataset.shape)


class _WeightWalk:
    """Finds the weights of every layer, in the model's order."""

    def __init__(self, h5py: Any, file: Any) -> None:
        self.h5py, self.file = h5py, file
        self.parents: dict[int, int] = {self.address(file): -1}
        self.notes: dict[str, Any] = {}

    def found(self) -> list[Found]:
        legacy = self.legacy_root()
        return list(self.current() if legacy is None else self.legacy(legacy))

    def legacy_root(self) -> Any:
        """The group of the older form; None where the file is of another."""
        root = self.at(self.file, "model_weights" if self.has(self.file, "model_weights") else "")
        return root if {"layer_names", "layer_names0"} & set(root.attrs) else None

    def read_nothing(self) -> list[Found]:
        """No arrays; fills `notes`."""
        self.fill_notes()
        return []

    def read_arrays(self) -> list[Found]:
        """All arrays of numbers but the optimizer's; fills `notes`."""
        legacy = self.fill_notes()
        found = self.groups(self.file, "", 0) if legacy is None else self.legacy(legacy)
        return [one for one in found if not self.is_beside(one.dataset)]

    def fill_notes(self) -> Any:
        """Fill `notes`; return the same as `legacy_root`."""
        legacy = self.legacy_root()
        for note, attribute in (("version", "keras_version"), ("backend", "backend")):
            values = [group.attrs.get(attribute) for group in (self.file, legacy) if group is not None]
            self.notes[note] = next((_text(value) for value in values if isinstance(value, (str, bytes))), "")
        self.notes.update(legacy=legacy is not None, names={})
        return legacy

    def is_beside(self, dataset: Any) -> bool:
        """Whether it holds something other than numbers, which no known layer has for weights."""
        return isinstance(dataset, self.h5py.Dataset) and dataset.dtype.kind not in "fiu"

    def groups(self, group: Any, path: str, depth: int) -> Iterator[Found]:
        """Every group's arrays, `layers/lstm/cell` and their numbers."""
        for name, child in self.children(group, depth).items():
            below = f"{path}/{name}".replace("\\", "/").strip("/")  # Keras 2.12 on Windows
            if name == "optimizer":
                continue
            if below.rpartition("/")[2] != "vars":
                yield from self.groups(child, below, depth + 1)
                continue
            owner = below.rpartition("/")[0]
            said = child.attrs.get("name")
            self.notes["names"][owner] = _text(said) if isinstance(said, (str, bytes)) else None
            for number in sorted(filter(str.isdigit, child), key=int):
                yield Found(0, owner, number, self.at(child, number))

    def address(self, group: Any) -> int:
        return int(self.h5py.h5o.get_info(group.id).addr)

    def has(self, group: Any, name: str) -> bool:
        """Whether the group has a link with this name; the target of the link is not checked."""
        return isinstance(group, self.h5py.Group) and group.get(name, getlink=True) is not None

    def at(self, group: Any, path: str) -> Any:
        """Return the object at `path` below `group`.

        Raises RefusedError if it does not exist, or if a link on the path points elsewhere.
        """
        for name in filter(None, path.split("/")):
            if not self.has(group, name):
                raise RefusedError(f"there is no {path} in it, which it lists")
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                raise RefusedError(f"{group.name.rstrip('/')}/{name} is a link to another place or file")
            group = group[name]
        return group

    def legacy(self, root: Any) -> Iterator[Found]:
        """Older HDF5 layout: `lstm/lstm/lstm_cell/kernel:0`; an attribute lists the layers in order."""
        for layer in _names(root, "layer_names"):
            group = self.at(root, layer)
            for path in _names(group, "weight_names"):
                if not SEEDS & set(path.split("/")):
                    yield Found(0, layer, path, self.at(group, path))

    def current(self) -> Iterator[Found]:
        """Keras 3 layout: `layers/lstm/cell/vars/0`; names are sorted, addresses are in the model's order."""
        for place, group in enumerate(self.layer_groups(self.file, 0)):
            name = self.shown_name(group)
            for dataset in self.arrays(group, 0):
                yield Found(place, name, "", dataset)

    def layer_groups(self, group: Any, depth: int) -> Iterator[Any]:
        """Yield the group of each layer; a group that contains anything but PARTS and SEEDS is a model."""
        children = self.children(group, depth)
        if "layers" in children:
            children = {"layers": children["layers"]}
        inside = [name for name in children if name not in PARTS | SEEDS | {"optimizer"}]
        if not inside:
            yield group
        for name in inside:
            yield from self.layer_groups(children[name], depth + 1)

    def arrays(self, group: Any, depth: int) -> Iterator[Any]:
        """Yield the weights in Keras's order: the layer's own, then those of its parts, backward last."""
        children = self.children(group, depth)
        own = children.pop("vars", None)
        yield from (self.at(own, number) for number in sorted(own or (), key=int))
        for name in sorted(children, key="backward_layer".__eq__):
            if name not in SEEDS:
                yield from self.arrays(children[name], depth + 1)

    def children(self, group: Any, depth: int) -> dict[str, Any]:
        """Return the groups in a group by name, in the order in which they were written."""
        if depth > DEPTH:
            raise RefusedError(f"its groups are nested more than {DEPTH} deep")
        found = {name: self.at(group, name) for name in group}
        places = {
            name: self.address(child) for name, child in found.items() if isinstance(child, self.h5py.Group)
        }
        self._demand_tree(self.address(group), list(places.values()))
        return {name: found[name] for name in sorted(places, key=places.__getitem__)}

    def _demand_tree(self, parent: int, children: list[int]) -> None:
        """Raises RefusedError if a group is linked from several places, since the walk might never end."""
        known = [self.parents.setdefault(child, parent) for child in children]
        if len(set(children)) < len(children) or any(one != parent for one in known):
            raise RefusedError("a group in it is in several places")

    def shown_name(self, group: Any) -> str:
        """Return the layer name from the user's script; older files store only the class, as in `lstm_1`."""
        own = self.at(group, "vars") if self.has(group, "vars") else None
        name = None if own is None else own.attrs.get("name")
        return _text(name) if isinstance(name, (str, bytes)) else str(group.name).rpartition("/")[2]


def _names(group: Any, attribute: str) -> list[str]:
    """A list of texts; Keras cuts a long one into `layer_names0`, `layer_names1`, ..."""
    pieces = takewhile(group.attrs.__contains__, (f"{attribute}{number}" for number in count()))
    keys = [attribute] if attribute in group.attrs else list(pieces)
    names = [name for key in keys or [attribute] for name in _texts(group, key)]
    return [_text(name) for name in names]


def _texts(group: Any, attribute: str) -> list[str | bytes]:
    names = group.attrs.get(attribute)
    empty = isinstance(names, np.ndarray) and not names.size
    if empty or (
        isinstance(names, np.ndarray) and all(isinstance(name, (str, bytes)) for name in names.flat)
    ):
        return list(names.flat)
    raise RefusedError(f"its {attribute} is not a list of names")


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
