"""The weights of every layer of a model by the layer's path, from the groups or lists of its file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.case import format_shape
from rnncli.errors import InputError, Message
from rnncli.frameworks import make_unique
from rnncli.models.keras import _keras_weights as names
from rnncli.models.keras._keras_classes import MODELS, RECURRENT, name_of

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.models.keras.hdf5 import FileContents, Group

    Found = list[tuple[str, Array]]
    LayerEntry = Mapping[str, Any]

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_self_tracked_trackables")


def weights_by_path(model: Mapping[str, Any], stored: FileContents) -> dict[str, dict[str, Array]]:
    """Return the weights of each layer, by path `inside/deep`, under the names of today's Keras.

    model: the translated config of the whole model.
    """
    if stored.layers is None:
        return _share_twins(dict(_read_groups(model, stored.root, "")), model)
    by_path: dict[str, dict[str, Array]] = {}
    for entry in names.layers_of(model):
        found = stored.layers.get(name_of(entry), [])
        for path, layer, own in _split_list(entry, name_of(entry), found):
            weights = names.name_weights(path, layer, own)
            _require_units(path, layer, weights)
            if stored.backend == "theano":
                weights = names.flip_kernels(layer["class_name"], weights)
            by_path[path] = weights
    return by_path


def _require_units(path: str, entry: LayerEntry, weights: Mapping[str, Array]) -> None:
    """Raise InputError if a recurrent layer has different units than its config says."""
    units = entry["config"].get("units")
    recurrent = weights.get("recurrent_kernel")
    if recurrent is not None and isinstance(units, int) and recurrent.shape[0] != units:
        raise InputError(
            "{place}: its config says {units} units, but its recurrent_kernel is {shape}.",
            names.ADVICE,
            place=path,
            units=units,
            shape=format_shape(recurrent.shape),
        )


def _read_groups(
    model: Mapping[str, Any], group: Group, prefix: str
) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield every layer that has a group of its own."""
    container = next((group.groups[name] for name in _CONTAINERS if name in group.groups), None)
    entries = names.layers_of(model)
    for entry, own in zip(entries, _match_groups(entries, container), strict=True):
        path = prefix + name_of(entry)
        if own is None:
            continue
        if entry["class_name"] in MODELS:
            yield from _read_groups(entry["config"], own, f"{path}/")
            continue
        found = names.read_group(entry, own)
        if found or not names.variables(entry):
            weights = names.name_weights(path, entry, found, grouped=True)
            _require_units(path, entry, weights)
            yield path, weights


def _match_groups(entries: Sequence[LayerEntry], container: Group | None) -> list[Group | None]:
    """Return each layer's group, by the layer's name; if groups lack it, by class and number."""
    if container is None:
        return [None] * len(entries)
    groups = container.groups
    known = {group.name: group for group in groups.values() if group.name is not None}
    if all(name_of(entry) in known for entry in entries if entry["class_name"] != "InputLayer"):
        return [known.get(name_of(entry)) for entry in entries]
    kinds = [names.group_name(entry) for entry in entries]
    exact = make_unique(kinds)
    found: dict[str, Group | None] = {name: groups.get(name) for name in exact}
    for kind in dict.fromkeys(kinds):
        own = [name for name, other in zip(exact, kinds, strict=True) if other == kind]
        there = _order_numbered(kind, groups)
        if len(there) == len(own):  # Keras 2.12 counted a layer twice: dense, dense_2, dense_4
            found.update({name: groups[other] for name, other in zip(own, there, strict=True)})
    return [found[name] for name in exact]


def _order_numbered(kind: str, groups: Mapping[str, Group]) -> list[str]:
    """Return `dense`, `dense_1`, ... in the order of their numbers."""
    found = [(re.fullmatch(rf"{re.escape(kind)}(?:_(\d+))?", name), name) for name in groups]
    return [name for _, name in sorted((int(match[1] or 0), name) for match, name in found if match)]


def _share_twins(
    weights: dict[str, dict[str, Array]], model: Mapping[str, Any]
) -> dict[str, dict[str, Array]]:
    """Give a layer that two models share the weights of its twin, found by name and class."""
    leaves = list(plain_layers(model))
    alike: dict[str, list[tuple[str, LayerEntry]]] = {}
    for path, entry in leaves:
        alike.setdefault(name_of(entry), []).append((path, entry))
    for path, entry in leaves:
        if path in weights or not names.variables(entry):
            continue
        twins = {
            id(weights[other]): other
            for other, twin in alike[name_of(entry)]
            if other in weights and twin["config"] == entry["config"]
        }
        if len(twins) == 1:
            weights[path] = weights[next(iter(twins.values()))]
        elif entry["class_name"] in RECURRENT:
            what = Message("the file has no weights for this {entry}", entry=entry["class_name"])
            raise InputError("{place}: {what}.", "Build the model, and save it again.", place=path, what=what)
    return weights


def plain_layers(model: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, LayerEntry]]:
    """Yield every layer that is not a model, with its path `inside/deep`."""
    for entry in names.layers_of(model):
        path = prefix + name_of(entry)
        if entry["class_name"] in MODELS:
            yield from plain_layers(entry["config"], f"{path}/")
        else:
            yield path, entry


def _split_list(entry: LayerEntry, path: str, found: Found) -> Iterator[tuple[str, LayerEntry, Found]]:
    """Yield the layers of one list of arrays: one layer, or those of a model inside the model."""
    if entry["class_name"] not in MODELS:
        yield path, entry, found
        return
    leaves = list(plain_layers(entry["config"], f"{path}/"))
    shared = _assign_by_name(leaves, found) or _assign_by_order(leaves, found)
    if shared is None:
        raise InputError(
            "{place}: the {count} weights of this model in the file do not fit its layers.",
            names.ADVICE,
            place=path,
            count=len(found),
        )
    yield from ((leaf, inner, shared[leaf]) for leaf, inner in leaves)


def _assign_by_name(leaves: Sequence[tuple[str, LayerEntry]], found: Found) -> dict[str, Found] | None:
    """Assign arrays to the layers that their names contain; None if they belong to other layers."""
    own = {name_of(entry): path for path, entry in leaves}
    if len(own) != len(leaves):
        return None
    shared: dict[str, Found] = {path: [] for path, _ in leaves}
    for name, array in found:
        layer = next((part for part in reversed(name.split("/")) if part in own), None)
        if layer is None:
            return None
        shared[own[layer]].append((name, array))
    fit = all(
        len(shared[path]) == len(names.variables(entry))
        for path, entry in leaves
        if names.direct_variables(entry) is not None
    )
    return shared if fit else None


def _assign_by_order(leaves: Sequence[tuple[str, LayerEntry]], found: Found) -> dict[str, Found] | None:
    """Assign arrays as Keras loads them: layer by layer those that training changes, then the others."""
    slots = [
        (path, name, names.is_frozen(name) or entry["config"].get("trainable") is False)
        for path, entry in leaves
        for name in sorted(names.variables(entry), key=names.is_frozen)
    ]
    slots.sort(key=lambda slot: slot[2])
    if len(slots) != len(found):
        return None
    shared: dict[str, Found] = {path: [] for path, _ in leaves}
    for (path, name, _), (_, array) in zip(slots, found, strict=True):
        shared[path].append((name, array))
    return shared
