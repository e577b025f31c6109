"""Read the weights and the config from a Keras HDF5 file, in a child process.

On some broken files the HDF5 library crashes, loops forever or allocates without limit, and a file can
refer to other files, which the library then reads.  So the library runs in a child process that cannot
open files, and links and datasets that point outside the file are rejected.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import prod
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np

from rnncli.case import Array
from rnncli.errors import InputError, Message, Text
from rnncli.inputs.hdf5_walk import PARTS, SEEDS, WeightWalk, read_model_config
from rnncli.inputs.packages import import_package
from rnncli.process import child_process
from rnncli.process.child_process import WorkOutput
from rnncli.process.memory import expansion_limit, format_size

LIBRARY = Message("the HDF5 library")
SECONDS = 8.0
"""Time limit of reading, plus one second per SPEED bytes; the whole command must end within 10 seconds."""
SPEED = 2**24
SPACE = 2**28
"""Bytes that the library may allocate, besides the largest dataset and its copies."""
Datasets: TypeAlias = Literal["all", "numbers", "none"]

TEXT = 2**28
"""Maximum length of the config and the names together, in bytes."""


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
        layer inside it, an attribute of a class of its own, or a list of layers.
        """
        inside = {key: group for key, group in self.groups.items() if not (path and group.is_part(key))}
        own = Group(self.name, self.arrays, {k: v for k, v in self.groups.items() if k not in inside})
        yield path, self.name or path.rpartition("/")[2] or "model", dict(own.cells())
        for key, group in inside.items():
            if key not in SEEDS:
                yield from group.layers(f"{path}/{key}".lstrip("/"))

    def is_part(self, key: str) -> bool:
        """Return whether this group, `key` in another one, is a part of that layer.

        Layers may be in an attribute `cell` or in a list `cells`; they have cells of their own.
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

    config: of the model, as JSON text (parsed by `rnncli.models.reading`); None if there is none.
    version, backend: of Keras; "" if the file does not say.
    root: the groups; without any in an older file.
    layers: in an older file, the arrays of each layer by path, such as `lstm/lstm_cell/kernel:0`, in the
        order of Keras; a layer may be a nested model.  None in a file of Keras 3.
    """

    config: Any
    version: str
    backend: str
    root: Group
    layers: Mapping[str, list[tuple[str, Array]]] | None


def read(data: bytes, advice: Text, *, datasets: Datasets = "all") -> FileContents:
    """Return what is in the file.  Raises InputError.

    datasets: those to read.  "all" refuses a dataset that does not hold numbers, such as a vocabulary;
        "numbers" skips it.
    """
    import_package("h5py", "Keras's files")
    import_package("orjson", "JSON")
    codecs.lookup("ascii")  # load the codec now: the child cannot import modules

    def work(file: BinaryIO) -> None:
        _answer(data, file, datasets)

    seconds, memory = SECONDS + len(data) / SPEED, SPACE + 2 * expansion_limit(len(data))
    try:
        with child_process.run_in_child(work, seconds, memory, LIBRARY) as answer:
            return _read_child(answer, len(data), advice)
    except child_process.IncompleteOutputError as error:
        raise InputError(
            "it is not a Keras file, or it is damaged: {error}.", advice, error=error.args[0]
        ) from None


def _read_child(answer: WorkOutput, packed: int, advice: Text) -> FileContents:
    """Parse the child's output: the header as JSON, then the numbers."""
    head = import_package("orjson", "JSON").loads(answer.take_text(TEXT))
    if head["refused"] is not None:
        raise InputError(child_process.unpack_message(head["refused"]), advice)
    sizes = (np.dtype(dtype).itemsize * prod(shape) for *_, dtype, shape in head["arrays"])
    _require_room(sizes, packed, advice)
    root = Group()
    layers: dict[str, list[tuple[str, Array]]] | None = {} if head["names"] is None else None
    for path, name in (head["names"] or {}).items():
        root.at(path).name = name
    for group, name, dtype, shape in head["arrays"]:
        arrays = root.at(group).arrays if layers is None else layers.setdefault(group, [])
        arrays.append((name, answer.take_array(shape, dtype)))
    return FileContents(head["config"], head["version"], head["backend"], root, layers)


def _require_room(sizes: Iterable[int], packed: int, advice: Text = "") -> None:
    """Raise InputError if the file declares more bytes than it may expand to."""
    size = sum(sizes)
    if size > expansion_limit(packed):
        what = Message(
            "its datasets declare {declared}, but the file is {size}.",
            declared=format_size(size),
            size=format_size(packed),
        )
        raise InputError(what, advice)


def _answer(data: bytes, out: BinaryIO, wanted: Datasets) -> None:
    """Write, in the child, the header or why the file is refused, then the numbers of each array."""
    h5py = import_package("h5py", "Keras's files")
    child_process.limit_memory(SPACE)
    with ExitStack() as stack:
        datasets: list[Any] = []
        try:
            file = stack.enter_context(h5py.File(io.BytesIO(data), "r"))
            head, datasets = _describe_contents(h5py, file, wanted)
            _require_room((dataset.nbytes for dataset in datasets), len(data))
        except InputError as error:
            datasets, head = [], {"refused": child_process.pack_message(error.detail)}
        except Exception:  # h5py raises many types of exception for broken files
            broken = Message("it is not a Keras file, or it is damaged.")
            datasets, head = [], {"refused": child_process.pack_message(broken)}
        child_process.write_text(out, import_package("orjson", "JSON").dumps(head))
        child_process.limit_memory(SPACE + 2 * max((dataset.nbytes for dataset in datasets), default=0))
        for dataset in datasets:
            child_process.write_array(out, np.ascontiguousarray(dataset[()]))


def _describe_contents(h5py: Any, file: Any, wanted: Datasets) -> tuple[dict[str, Any], list[Any]]:
    """Return what `_read_child` needs to know, and the datasets to send."""
    config = read_model_config(file)
    walk = WeightWalk(h5py, file)
    weights = [] if wanted == "none" else walk.weights(skip_others=wanted == "numbers")
    head = {
        "refused": None,
        "config": config,
        "version": walk.attribute("keras_version"),
        "backend": walk.attribute("backend"),
        "names": None if walk.older_root else walk.names,
        "arrays": [(weight.group, weight.name, *walk.dtype_and_shape(weight)) for weight in weights],
    }
    return head, [weight.dataset for weight in weights]
