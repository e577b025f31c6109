"""The weights and the config in an HDF5 file of Keras, read in a child process.

The HDF5 library crashes, loops and allocates without end on some broken files, and a file can name other
files that it then reads.  So it runs in a child that can open nothing, and links and datasets that lead
out of the file are refused.
"""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from rnncli.errors import InputError
from rnncli.readers import _child, _room
from rnncli.readers._packages import needed

if TYPE_CHECKING:
    from rnncli.case import Array

SECONDS = 8.0
"""What reading may take, with a second more for every SPEED bytes; the command ends within 10."""
SPEED = 2**24
SPACE = 2**28
"""Bytes that the library may take beyond the largest dataset, and its copies of that."""

DEPTH = 64
"""Groups in groups; Keras writes one or two for each model in a model."""
TEXT = 2**28
PARTS = frozenset({"vars", "cell", "cells", "layer", "forward_layer", "backward_layer"})
"""The groups of which one layer consists."""

SEEDS = frozenset({"seed_generator", "generator"})


class RefusedError(Exception):
    """What is not read, in words that follow the name of the file."""


class Weight(NamedTuple):
    """One array.

    place: of its group, which in older files may be that of a model, and is 0 there.
    layer: the name of its group.  path: below that; only older files have one.
    """

    place: int
    layer: str
    path: str
    array: Array


class Held(NamedTuple):
    """What is in the file.  config: None where there is none."""

    config: str | None
    weights: tuple[Weight, ...]


class Found(NamedTuple):
    """A dataset that is to be read; see Weight."""

    place: int
    layer: str
    path: str
    dataset: Any


def read(data: bytes, name: str, advice: str, *, numbers: bool) -> Held:
    """What is in the file.  numbers: False for the config alone.  Raises InputError, named `name`."""
    needed("h5py", "Keras's files")
    needed("orjson", "JSON")
    codecs.lookup("ascii")  # the child can import nothing

    def work(file: BinaryIO) -> None:
        _answer(data, file, numbers)

    try:
        if not hasattr(os, "fork"):  # no child, and so no bounds
            whole = io.BytesIO()
            work(whole)
            whole.seek(0)
            return _held(lambda buffer: _copy(whole, buffer), len(data))
        seconds = SECONDS + len(data) / SPEED
        with _child.working(work, seconds, SPACE) as answer:
            return _held(answer.fill, len(data))
    except RefusedError as error:
        raise InputError(f"{name}: {error}.", advice) from None
    except _child.BrokenOffError as error:
        raise InputError(f"{name}: it is not a Keras file, or it is damaged: {error}.", advice) from None


def _copy(file: BinaryIO, buffer: memoryview) -> None:
    if file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
        raise _child.BrokenOffError("the HDF5 library could not read it")


def _held(fill: Callable[[memoryview], None], packed: int) -> Held:
    """The answer of the child: the length of its head, its head as JSON, the numbers."""
    orjson = needed("orjson", "JSON")
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
    return Held(head["config"], tuple(weights))


def _demand_room(sizes: Iterable[int], packed: int) -> None:
    """RefusedError where the file declares more bytes than can be in it."""
    size = sum(sizes)
    if size > _room.most(packed):
        raise RefusedError(f"its datasets declare {_room.shown(size)}, but the file is {_room.shown(packed)}")


def _answer(data: bytes, out: BinaryIO, numbers: bool) -> None:
    """What the child does."""
    h5py = needed("h5py", "Keras's files")
    with ExitStack() as stack:
        found: list[Any] = []
        head: dict[str, Any] = {"refused": None, "config": None, "arrays": []}
        try:
            file = stack.enter_context(h5py.File(io.BytesIO(data), "r"))
            head["config"] = _config(file)
            found = _Walk(h5py, file).found() if numbers else []
            head["arrays"] = [(*one[:-1], *_described(h5py, one)) for one in found]
            _demand_room((one.dataset.nbytes for one in found), len(data))
        except RefusedError as error:
            found, head["refused"] = [], str(error)
        except Exception:  # of whatever kind: h5py raises many for broken files
            found, head["refused"] = [], "it is not a Keras file, or it is damaged"
        _write_head(out, head)
        _child.allow(SPACE + 2 * max((one.dataset.nbytes for one in found), default=0))
        for one in found:
            _write(out, one.dataset)


def _write_head(out: BinaryIO, head: dict[str, Any]) -> None:
    orjson = needed("orjson", "JSON")
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


def _described(h5py: Any, found: Found) -> tuple[str, list[int]]:
    """Dtype and shape of what is known to be numbers in this file.  Raises RefusedError."""
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


class _Walk:
    """Every layer's weights, in the model's order."""

    def __init__(self, h5py: Any, file: Any) -> None:
        self.h5py, self.file = h5py, file
        self.parents: dict[int, int] = {self.address(file): -1}

    def found(self) -> list[Found]:
        legacy = self.at(self.file, "model_weights" if self.has(self.file, "model_weights") else "")
        return list(self.legacy(legacy) if "layer_names" in legacy.attrs else self.current())

    def address(self, group: Any) -> int:
        return int(self.h5py.h5o.get_info(group.id).addr)

    def has(self, group: Any, name: str) -> bool:
        """Whether there is a link of this name; what it leads to is not looked at."""
        return isinstance(group, self.h5py.Group) and group.get(name, getlink=True) is not None

    def at(self, group: Any, path: str) -> Any:
        """What is at `path` below `group`, without following a link that leads elsewhere."""
        for name in filter(None, path.split("/")):
            if not self.has(group, name):
                raise RefusedError(f"there is no {path} in it, which it lists")
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                raise RefusedError(f"{group.name.rstrip('/')}/{name} is a link to another place or file")
            group = group[name]
        return group

    def legacy(self, root: Any) -> Iterator[Found]:
        """The older HDF5 form: `lstm/lstm/lstm_cell/kernel:0`, with the order of layers in an attribute."""
        for layer in _names(root, "layer_names"):
            group = self.at(root, layer)
            for path in _names(group, "weight_names"):
                if not SEEDS & set(path.split("/")):
                    yield Found(0, layer, path, self.at(group, path))

    def current(self) -> Iterator[Found]:
        """Keras 3: `layers/lstm/cell/vars/0`.  Names are sorted there; addresses are in the model's order."""
        for place, group in enumerate(self.layer_groups(self.file, 0)):
            name = self.shown_name(group)
            for dataset in self.arrays(group, 0):
                yield Found(place, name, "", dataset)

    def layer_groups(self, group: Any, depth: int) -> Iterator[Any]:
        """The groups of one layer each; a group with other parts than a layer's is a model."""
        children = self.children(group, depth)
        if "layers" in children:
            children = {"layers": children["layers"]}
        inside = [name for name in children if name not in PARTS | SEEDS | {"optimizer"}]
        if not inside:
            yield group
        for name in inside:
            yield from self.layer_groups(children[name], depth + 1)

    def arrays(self, group: Any, depth: int) -> Iterator[Any]:
        """The weights in Keras's order: its own, then its parts', forward before backward."""
        children = self.children(group, depth)
        own = children.pop("vars", None)
        yield from (self.at(own, number) for number in sorted(own or (), key=int))
        for name in sorted(children, key="backward_layer".__eq__):
            if name not in SEEDS:
                yield from self.arrays(children[name], depth + 1)

    def children(self, group: Any, depth: int) -> dict[str, Any]:
        """The groups in a group, in the order in which they were written."""
        if depth > DEPTH:
            raise RefusedError(f"its groups are nested more than {DEPTH} deep")
        found = {name: self.at(group, name) for name in group}
        places = {
            name: self.address(child) for name, child in found.items() if isinstance(child, self.h5py.Group)
        }
        self._demand_tree(self.address(group), list(places.values()))
        return {name: found[name] for name in sorted(places, key=places.__getitem__)}

    def _demand_tree(self, parent: int, children: list[int]) -> None:
        """RefusedError where a group is in several places: a walk over such links need not end."""
        known = [self.parents.setdefault(child, parent) for child in children]
        if len(set(children)) < len(children) or any(one != parent for one in known):
            raise RefusedError("a group in it is in several places")

    def shown_name(self, group: Any) -> str:
        """As the script says it; older files have only the class, `lstm_1`."""
        own = self.at(group, "vars") if self.has(group, "vars") else None
        name = None if own is None else own.attrs.get("name")
        return _text(name) if isinstance(name, (str, bytes)) else str(group.name).rpartition("/")[2]


def _names(group: Any, attribute: str) -> list[str]:
    names = group.attrs[attribute]
    if not isinstance(names, np.ndarray) or not all(isinstance(name, (str, bytes)) for name in names.flat):
        raise RefusedError(f"its {attribute} is not a list of names")
    return [_text(name) for name in names.flat]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
