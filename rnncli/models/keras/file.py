"""The contents of a .keras or an HDF5 file: the model's config, its version, and its arrays.

On some broken files the HDF5 library crashes, loops forever or allocates without limit, and a file can
refer to other files, which the library then reads.  So the library runs in a child process that cannot
open files, and links and datasets that point outside the file are rejected.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import chain, count, takewhile
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np

from rnncli.errors import InputError, Message, Text, format_names, inside
from rnncli.inputs import nested
from rnncli.inputs.source import KERAS_SUFFIXES, Source, open_archive, require_room
from rnncli.process import child_process
from rnncli.process.child_process import LazyArray
from rnncli.process.memory import expansion_limit
from rnncli.process.packages import import_package
from rnncli.values import Array

ADVICE = Message("Save the whole model with model.save('model.keras').")
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
"""The files in a .keras file."""
OTHERS = {
    "data.pkl": Message("it is a PyTorch file"),
    ".npy": Message("it is an .npz file, which holds weights and no graph"),
    "saved_model.pb": Message("it is a zip file with a TensorFlow SavedModel in it"),
}
"""Other kinds of zip files, by a suffix of the files in them."""
TOO_DEEP = Message("its config is nested too deeply")
MOST_NESTED = 400
"""Models in models nest deeper than layers do; still far below Python's recursion limit."""


def read_stored(source: Source) -> FileContents:
    """Return everything in the file, the config parsed.  Raises InputError."""
    return _read(source, ADVICE, "numbers")


def read_config(source: Source) -> tuple[Any, str]:
    """Return the config and the version of Keras; the arrays are not read.  Raises InputError."""
    stored = _read(source, ADVICE, "none")
    return stored.config, stored.version


def read_arrays_by_layer(source: Source, advice: Text) -> list[tuple[str, tuple[Array, ...]]]:
    """Return each layer's name and arrays in the model's order; the graph is not followed.

    advice: what to do if the file cannot be read.  Raises InputError, also for weights that are not numbers.
    """
    stored = _read(source, advice, "all")
    if stored.layers is None:
        cells_by_layer = ((name, cells) for _, name, cells in stored.root.layers() if cells)
        return [(name, tuple(chain.from_iterable(cells.values()))) for name, cells in cells_by_layer]
    names = set(_iterate_names(stored.config))
    by_layer: dict[str, list[Array]] = {}
    for group, arrays in stored.layers.items():
        for path, array in arrays:
            parts = (part for part in path.split("/") if part in names)
            by_layer.setdefault(group if group in names else next(parts, group), []).append(array)
    return [(name, tuple(arrays)) for name, arrays in by_layer.items()]


def _read(source: Source, advice: Text, datasets: Datasets) -> FileContents:
    data, text, version = _read_content(source, advice), None, ""
    with inside(source.name):
        if data.startswith(b"PK"):
            text, version, data = _unpack(source.name, data)
            advice = ADVICE
            if datasets == "none":
                return FileContents(_parse_config(text), version, "", Group(), None)
        stored = read_hdf5(data, advice, datasets=datasets)
        config = _parse_config(stored.config if text is None else text)
    return stored._replace(config=config, version=stored.version or version)


def _iterate_names(config: Any) -> Iterator[str]:
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    if isinstance(layers, list):
        for layer in layers:
            yield from _iterate_names(layer)
    elif isinstance(inner, dict):
        yield str(inner.get("name"))


def _parse_config(text: str | bytes | None) -> Any:
    """Parse the config; Keras writes NaN and Infinity, which JSON does not have, for such arguments."""
    if text is None:
        return None
    import json

    orjson = import_package("orjson", "JSON")
    try:
        try:
            config = orjson.loads(text)
        except orjson.JSONDecodeError:
            config = json.loads(text)
        fault = TOO_DEEP if nested.is_too_deep(config, MOST_NESTED) else None
    except ValueError:
        fault = Message("its config is not JSON")
    except RecursionError:
        fault = TOO_DEEP
    if fault:
        raise InputError("{fault}.", "Save the model again.", fault=fault)
    return config


def _unpack(file: Text, data: bytes) -> tuple[bytes, str, bytes]:
    broken = Message("it is not a Keras file, or it is damaged")
    with open_archive(data, broken, ADVICE) as archive:
        names = archive.namelist()
        if not {CONFIG, WEIGHTS} <= set(names):
            raise InputError("{other}.", _advise_inner(file, names) or ADVICE, other=_describe_other(names))
        require_room(archive, len(data), ADVICE, (CONFIG, WEIGHTS))
        config, version = archive.read(CONFIG), ""
        with suppress(Exception):  # zipfile and zlib raise many types of exception for broken files
            require_room(archive, 0, ADVICE, ["metadata.json"])
            metadata = import_package("orjson", "JSON").loads(archive.read("metadata.json"))
            version = str(metadata.get("keras_version") or "")
        return config, version, archive.read(WEIGHTS)


def _read_content(source: Source, advice: Text) -> bytes:
    """Return the bytes of the file, or of a file inside a zip: `outer.zip!inner.keras`."""
    path = source.path
    if source.data is not None or path is None or path.exists() or "!" not in str(path):
        return source.content(advice)
    outer, _, inner = str(path).partition("!")
    data = Source(outer, path=type(path)(outer)).content(ADVICE)
    with (
        inside(outer),
        open_archive(data, Message("it is not a zip file, or damaged"), ADVICE) as archive,
    ):
        names = archive.namelist()
        if inner not in names:
            raise InputError("there is no file {inner} in it.", _advise_inner(outer, names), inner=inner)
        require_room(archive, len(data), ADVICE, [inner])
        return archive.read(inner)


def _describe_other(names: list[str]) -> Text:
    for suffix, description in OTHERS.items():
        if any(name.endswith(suffix) for name in names):
            return description
    if missing := [name for name in (CONFIG, WEIGHTS) if {CONFIG, WEIGHTS} & {*names} and name not in names]:
        return Message("there is no {missing} in it", missing=missing[0])
    return Message("it is a zip file, but not a Keras model")


def _advise_inner(file: Text, names: list[str]) -> Text:
    weights = [name for name in names if name.endswith(WEIGHTS)]
    models = [name for name in names if name.endswith(KERAS_SUFFIXES) and not name.endswith(".weights.h5")]
    if models:
        text = "It holds {models}; give {--model} '{file}!{first}', or unpack it."
        return Message(text, models=format_names(models), file=file, first=models[0])
    if folders := [folder for name in weights if (folder := name.rpartition("/")[0])]:
        folder = min(folders)
        return Message(
            "{folder} in it is an unpacked .keras file; zip what is in that folder.", folder=folder
        )
    return ""


LIBRARY = Message("the HDF5 library")
SECONDS = 8.0
"""Time limit of reading, plus one second per SPEED bytes; the whole command must end within 10 seconds."""
SPEED = 2**24
SPACE = 2**28
"""Bytes that the library may allocate, besides the largest dataset and its copies."""
DEPTH = 64
"""Maximum nesting of groups; Keras writes one or two levels per nested model."""
PARTS = frozenset({"vars", "cell", "cells", "layer", "forward_layer", "backward_layer"})
"""Names of the groups inside one layer's group."""
SEEDS = frozenset({"seed_generator", "generator"})
"""Names of the groups of random number generators, which are not weights."""

Datasets: TypeAlias = Literal["all", "numbers", "none"]
Stored: TypeAlias = tuple[str, str, Any]
"""(group, name, dataset): `layers/lstm/cell` and `0`; in older files the layer and the path in its group."""


@dataclass
class Group:
    """One group of a file of Keras 3: what one layer, or a part of it, stores.

    name: the layer's own name, if the file has it (Keras 3.6 and later).
    arrays: each with its number in the group.
    groups: by name, in the order in which they were written.
    """

    name: str | None = None
    arrays: list[tuple[str, Array]] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)

    def at(self, path: str) -> Group:
        """Return the group at `path`, which is created if it is missing."""
        group = self
        for name in filter(None, path.split("/")):
            group = group.groups.setdefault(name, Group())
        return group

    def layers(self, path: str = "") -> Iterator[tuple[str, str, dict[str, list[Array]]]]:
        """Yield the path and the name of each layer, and its arrays by the path of their group: ``, `cell`.

        path: of this group, "" for the root.  Its weights and PARTS are one layer; any other group in it is a
        layer in it, an attribute of a user's class, or a list of layers.
        """
        inside = {key: group for key, group in self.groups.items() if not (path and group.is_part(key))}
        layer = Group(self.name, self.arrays, {k: v for k, v in self.groups.items() if k not in inside})
        yield path, self.name or path.rpartition("/")[2] or "model", dict(layer.cells())
        for key, group in inside.items():
            if key not in SEEDS:
                yield from group.layers(f"{path}/{key}".lstrip("/"))

    def is_part(self, key: str) -> bool:
        """Return whether this group, `key` in the group of a layer, is a part of the layer.

        An attribute `cell` or a list `cells` may hold layers instead; the group of such a layer has a `cell`.
        """
        layers = {"cell": [self], "cells": self.groups.values()}.get(key, ())
        return key in PARTS | SEEDS and not any("cell" in layer.groups for layer in layers)

    def cells(self, path: str = "") -> Iterator[tuple[str, list[Array]]]:
        """Yield the path and the arrays of this group, then of its parts, the backward layer last."""
        if self.arrays:
            yield path, [array for _, array in self.arrays]
        for name in sorted(self.groups, key="backward_layer".__eq__):
            if name not in SEEDS:
                yield from self.groups[name].cells(f"{path}/{name}".lstrip("/"))


class FileContents(NamedTuple):
    """What is in the file.

    config: the config of the model, as JSON text (parsed by `rnncli.models.reading`); None if there is none.
    version, backend: of Keras; "" if the file does not say.
    root: the groups; without any in an older file.
    optimizer: the shapes of the optimizer's variables.
    layers: in an older file, the arrays of each layer by path, such as `lstm/lstm_cell/kernel:0`, in the
        order of Keras; a layer may be a nested model.  None in a file of Keras 3.
    """

    config: Any
    version: str
    backend: str
    root: Group
    layers: Mapping[str, list[tuple[str, Array]]] | None
    optimizer: Sequence[tuple[int, ...]] = ()


def read_hdf5(data: bytes, advice: Text, *, datasets: Datasets = "all") -> FileContents:
    """Return what is in the file.  Raises InputError.

    datasets: "none" reads no arrays.  A dataset without numbers, such as a vocabulary, is refused by "all"
        and skipped by "numbers".
    """
    import_package("h5py", "Keras's files")
    codecs.lookup("ascii")  # load the codec now: the child cannot import modules

    def work(file: BinaryIO) -> None:
        child_process.limit_memory(SPACE)
        with ExitStack() as stack:
            child_process.send(file, lambda: _find_in_child(data, datasets, stack))

    seconds, most = SECONDS + len(data) / SPEED, expansion_limit(len(data))
    try:
        with child_process.run_in_child(work, seconds, SPACE + 2 * most, LIBRARY) as answer:
            contents = child_process.receive(answer, most)
    except InputError as error:
        raise InputError(error.detail, advice) from None
    except child_process.IncompleteOutputError as error:
        raise InputError(
            "it is not a Keras file, or it is damaged: {error}.", advice, error=error.args[0]
        ) from None
    root = Group()
    layers: dict[str, list[tuple[str, Array]]] | None = {} if contents["names"] is None else None
    for path, name in contents["names"] or ():
        root.at(path).name = name
    for group, name, array in contents["arrays"]:
        arrays = root.at(group).arrays if layers is None else layers.setdefault(group, [])
        arrays.append((name, array))
    return FileContents(
        contents["config"], contents["version"], contents["backend"], root, layers, contents["optimizer"]
    )


def _find_in_child(data: bytes, datasets: Datasets, stack: ExitStack) -> dict[str, Any]:
    h5py = import_package("h5py", "Keras's files")
    try:
        walk = _FileWalk(h5py, stack.enter_context(h5py.File(io.BytesIO(data), "r")))
        config = walk.file.attrs.get("model_config")
        if config is not None and not isinstance(config, (str, bytes)):
            raise InputError("its model_config is not text.")
        weights = [] if datasets == "none" else walk.weights(skip_others=datasets == "numbers")
        arrays = [(group, name, walk.numbers(group, name, dataset)) for group, name, dataset in weights]
        largest = max((dataset.nbytes for *_, dataset in weights), default=0)
        child_process.limit_memory(SPACE + 2 * largest)
        return {
            "config": None if config is None else _decode(config),
            "version": walk.attribute("keras_version"),
            "backend": walk.attribute("backend"),
            "names": list(walk.names.items()) if walk.older_root is None else None,
            "arrays": arrays,
            "optimizer": walk.optimizer(),
        }
    except InputError:
        raise
    except Exception:  # h5py raises many types of exception for broken files
        raise InputError("it is not a Keras file, or it is damaged.") from None


class _FileWalk:
    """A walk through the groups of a file.

    older_root: the group that lists the layers in files of Keras 1 and 2; None in a file of Keras 3.
    names: the layer's name by group, None where the file does not say; filled by `weights`.
    """

    def __init__(self, h5py: Any, file: Any) -> None:
        self.h5py, self.file = h5py, file
        root = self._at(file, "model_weights" if self._has(file, "model_weights") else "")
        self.older_root = root if {"layer_names", "layer_names0"} & set(root.attrs) else None
        self.names: dict[str, str | None] = {}
        self._parents: dict[int, int] = {self._address(file): -1}

    def weights(self, *, skip_others: bool) -> list[Stored]:
        """Return the weights in the model's order, without the optimizer's.

        skip_others: leave out datasets that do not hold numbers.
        """
        weights = self._walk(self.file, "", 0) if self.older_root is None else self._walk_older()
        return [
            (group, name, dataset)
            for group, name, dataset in weights
            if not skip_others or not isinstance(dataset, self.h5py.Dataset) or dataset.dtype.kind in "fiu"
        ]

    def optimizer(self) -> list[tuple[int, ...]]:
        """Return the shapes of the optimizer's variables; none if its groups are broken: nothing needs them.

        An optimizer around another has all variables in its own group, and the inner one's again below.
        """
        with suppress(Exception):  # h5py raises many types of exception for broken files
            if self._has(self.file, "optimizer"):
                return list(self._shapes(self._at(self.file, "optimizer/vars"), 0))
            if self._has(self.file, "optimizer_weights"):
                return list(self._shapes(self._at(self.file, "optimizer_weights"), 0))
        return []

    def _shapes(self, group: Any, depth: int) -> Iterator[tuple[int, ...]]:
        if not isinstance(group, self.h5py.Group):
            return
        for name in group:
            item = self._at(group, name)
            if isinstance(item, self.h5py.Dataset) and item.dtype.kind in "fiu" and item.shape is not None:
                yield item.shape
        for child in self._children(group, depth).values():
            yield from self._shapes(child, depth + 1)

    def attribute(self, name: str) -> str:
        """Return a text that the file, or the group of an older file, has under this name; else ""."""
        values = [group.attrs.get(name) for group in (self.file, self.older_root) if group is not None]
        return next((_decode(value) for value in values if isinstance(value, (str, bytes))), "")

    def numbers(self, group: str, name: str, dataset: Any) -> LazyArray:
        """Return the numbers of a dataset.

        Raises InputError if it does not hold real numbers, or stores them in another file.
        """
        if not isinstance(dataset, self.h5py.Dataset):
            raise InputError("{group}/{name} is not a dataset.", group=group, name=name)
        properties = dataset.id.get_create_plist()
        if properties.get_layout() == self.h5py.h5d.VIRTUAL or properties.get_external_count():
            raise InputError("the numbers of {name} are in another file.", name=dataset.name)
        dtype = dataset.dtype
        if dtype.kind not in "fiu" or self.h5py.check_dtype(enum=dtype):
            raise InputError(
                "{name} has dtype {dtype}, not real numbers.", name=dataset.name, dtype=str(dtype)[:40]
            )
        if dataset.shape is None:
            raise InputError("{name} is empty.", name=dataset.name)
        return LazyArray(dtype.str, dataset.shape, lambda: dataset[()])

    def _walk(self, group: Any, path: str, depth: int) -> Iterator[Stored]:
        """Yield the weights of Keras 3: `layers/lstm/cell/vars/0`."""
        for name, child in self._children(group, depth).items():
            if name == "optimizer":
                continue
            below = f"{path}/{name}".replace("\\", "/").strip("/")  # Keras 2.12 on Windows
            owner, _, last = below.rpartition("/")
            if last != "vars":
                yield from self._walk(child, below, depth + 1)
                continue
            layer = child.attrs.get("name")
            self.names[owner] = _decode(layer) if isinstance(layer, (str, bytes)) else None
            for number in sorted(filter(str.isdigit, child), key=int):
                yield owner, number, self._at(child, number)

    def _walk_older(self) -> Iterator[Stored]:
        """Yield the weights of Keras 1 and 2: `lstm/lstm/lstm_cell/kernel:0`; attributes give the order."""
        for layer in _list_names(self.older_root, "layer_names"):
            group = self._at(self.older_root, layer)
            for path in _list_names(group, "weight_names"):
                if not SEEDS & set(path.split("/")):
                    yield layer, path, self._at(group, path)

    def _children(self, group: Any, depth: int) -> dict[str, Any]:
        """Return the groups by name, in the order of the model, which wrote them at rising addresses."""
        if depth > DEPTH:
            raise InputError("its groups are nested more than {depth} levels deep.", depth=DEPTH)
        items = {name: self._at(group, name) for name in group}
        groups = {name: item for name, item in items.items() if isinstance(item, self.h5py.Group)}
        addresses = {name: self._address(item) for name, item in groups.items()}
        parent = self._address(group)
        parents = {self._parents.setdefault(child, parent) for child in addresses.values()}
        if len(set(addresses.values())) < len(addresses) or parents - {parent}:
            raise InputError("a group in it appears in several places.")
        return {name: groups[name] for name in sorted(groups, key=addresses.__getitem__)}

    def _address(self, group: Any) -> int:
        return int(self.h5py.h5o.get_info(group.id).addr)

    def _has(self, group: Any, name: str) -> bool:
        """Return whether the group has a link with this name; the target of the link is not checked."""
        return isinstance(group, self.h5py.Group) and group.get(name, getlink=True) is not None

    def _at(self, group: Any, path: str) -> Any:
        """Raise InputError if `path` does not exist below `group`, or if a link on it points elsewhere."""
        for name in filter(None, path.split("/")):
            if not self._has(group, name):
                raise InputError("it lists {place}, but does not contain it.", place=path)
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                what = "{name}/{child} is a link to another place or file."
                raise InputError(what, name=group.name.rstrip("/"), child=name)
            group = group[name]
        return group


def _list_names(group: Any, attribute: str) -> list[str]:
    """Return a list of names; Keras splits a long one into `layer_names0`, `layer_names1`, ..."""
    pieces = takewhile(group.attrs.__contains__, (f"{attribute}{number}" for number in count()))
    keys = [attribute] if attribute in group.attrs else list(pieces)
    names: list[str] = []
    for key in keys or [attribute]:
        texts = group.attrs.get(key)
        if not isinstance(texts, np.ndarray) or not all(isinstance(text, str | bytes) for text in texts.flat):
            raise InputError("its {attribute} is not a list of names.", attribute=key)
        names += map(_decode, texts.flat)
    return names


def _decode(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
