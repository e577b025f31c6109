"""Find the weights in a Keras HDF5 file: their order, and the name of the layer that each belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import count, takewhile
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import InputError

DEPTH = 64
"""Maximum nesting of groups; Keras writes one or two levels per nested model."""
PARTS = frozenset({"vars", "cell", "cells", "layer", "forward_layer", "backward_layer"})
"""Names of the groups inside one layer's group."""
SEEDS = frozenset({"seed_generator", "generator"})
"""Names of the groups of random number generators, which are not weights."""


class StoredWeight(NamedTuple):
    """A dataset to read.

    group: path of the layer or part of one that has it, `layers/lstm/cell`; in older files the layer's name.
    name: its number in the group; in older files its path below the layer's group.
    """

    group: str
    name: str
    dataset: Any


def read_model_config(file: Any) -> str | None:
    """Return the model's config as text; None if the file holds only weights."""
    text = file.attrs.get("model_config")
    if text is not None and not isinstance(text, (str, bytes)):
        raise InputError("its model_config is not text.")
    return None if text is None else _decode(text)


class WeightWalk:
    """A walk through the groups of a file.

    names: what the file calls the layer of each group, None where it does not say; filled by `weights`.
    """

    def __init__(self, h5py: Any, file: Any) -> None:
        self.h5py, self.file = h5py, file
        self.parents: dict[int, int] = {self._address(file): -1}
        self.names: dict[str, str | None] = {}

    @cached_property
    def older_root(self) -> Any:
        """The group that lists the layers in files of Keras 1 and 2; None in a file of Keras 3."""
        root = self._at(self.file, "model_weights" if self._has(self.file, "model_weights") else "")
        return root if {"layer_names", "layer_names0"} & set(root.attrs) else None

    def weights(self, *, skip_others: bool) -> list[StoredWeight]:
        """Return the weights in the model's order, without those of the optimizer.

        skip_others: leave out datasets that do not hold numbers.
        """
        weights = (
            self._walk(self.file, "", 0) if self.older_root is None else self._walk_older(self.older_root)
        )
        return [weight for weight in weights if not (skip_others and self._is_other(weight.dataset))]

    def attribute(self, name: str) -> str:
        """Return a text that the file, or the group of an older file, has under this name; else ""."""
        values = [group.attrs.get(name) for group in (self.file, self.older_root) if group is not None]
        return next((_decode(value) for value in values if isinstance(value, (str, bytes))), "")

    def dtype_and_shape(self, weight: StoredWeight) -> tuple[str, list[int]]:
        """Return the dtype and shape of a dataset.

        Raises InputError if it does not hold real numbers, or stores them in another file.
        """
        dataset = weight.dataset
        if not isinstance(dataset, self.h5py.Dataset):
            raise InputError("{group}/{name} is not a dataset.", group=weight.group, name=weight.name)
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
        return dtype.str, list(dataset.shape)

    def _is_other(self, dataset: Any) -> bool:
        return isinstance(dataset, self.h5py.Dataset) and dataset.dtype.kind not in "fiu"

    def _walk(self, group: Any, path: str, depth: int) -> Iterator[StoredWeight]:
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
                yield StoredWeight(owner, number, self._at(child, number))

    def _walk_older(self, root: Any) -> Iterator[StoredWeight]:
        """Yield the weights of Keras 1 and 2: `lstm/lstm/lstm_cell/kernel:0`; attributes give the order."""
        for layer in _list_names(root, "layer_names"):
            group = self._at(root, layer)
            for path in _list_names(group, "weight_names"):
                if not SEEDS & set(path.split("/")):
                    yield StoredWeight(layer, path, self._at(group, path))

    def _children(self, group: Any, depth: int) -> dict[str, Any]:
        """Return the groups in a group by name.

        h5py sorts them by name; sorted by address, they are in the order of the model, which wrote them.
        """
        if depth > DEPTH:
            raise InputError("its groups are nested more than {depth} levels deep.", depth=DEPTH)
        items = {name: self._at(group, name) for name in group}
        addresses = {
            name: self._address(item) for name, item in items.items() if isinstance(item, self.h5py.Group)
        }
        self._require_tree(self._address(group), list(addresses.values()))
        return {name: items[name] for name in sorted(addresses, key=addresses.__getitem__)}

    def _require_tree(self, parent: int, children: list[int]) -> None:
        """Raise InputError if a group is linked from several places, since the walk might never end."""
        parents = {self.parents.setdefault(child, parent) for child in children}
        if len(set(children)) < len(children) or parents - {parent}:
            raise InputError("a group in it appears in several places.")

    def _address(self, group: Any) -> int:
        return int(self.h5py.h5o.get_info(group.id).addr)

    def _has(self, group: Any, name: str) -> bool:
        """Return whether the group has a link with this name; the target of the link is not checked."""
        return isinstance(group, self.h5py.Group) and group.get(name, getlink=True) is not None

    def _at(self, group: Any, path: str) -> Any:
        """Return the object at `path` below `group`.

        Raises InputError if it does not exist, or if a link on the path points elsewhere.
        """
        for name in filter(None, path.split("/")):
            if not self._has(group, name):
                raise InputError("it lists {place}, but does not contain it.", place=path)
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                raise InputError(
                    "{name}/{child} is a link to another place or file.",
                    name=group.name.rstrip("/"),
                    child=name,
                )
            group = group[name]
        return group


def _list_names(group: Any, attribute: str) -> list[str]:
    """Return a list of names; Keras splits a long one into `layer_names0`, `layer_names1`, ..."""
    pieces = takewhile(group.attrs.__contains__, (f"{attribute}{number}" for number in count()))
    keys = [attribute] if attribute in group.attrs else list(pieces)
    return [name for key in keys or [attribute] for name in _list_texts(group, key)]


def _list_texts(group: Any, attribute: str) -> list[str]:
    texts = group.attrs.get(attribute)
    if not isinstance(texts, np.ndarray) or not all(isinstance(text, (str, bytes)) for text in texts.flat):
        raise InputError("its {attribute} is not a list of names.", attribute=attribute)
    return list(map(_decode, texts.flat))


def _decode(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
