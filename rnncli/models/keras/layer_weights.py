"""The weights of every layer by path and by the names of its variables, from a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.errors import InputError, Message
from rnncli.frameworks import cudnn, default_name, make_unique
from rnncli.layers.plain import keras_may_know
from rnncli.models.keras.versions import CELLS, CONVOLVED, MODELS, PLAIN, RECURRENT, is_operation, name_of
from rnncli.values import format_shape

if TYPE_CHECKING:
    from rnncli.models.graph import Node
    from rnncli.models.keras.file import FileContents, Group
    from rnncli.values import Array

    Arrays = list[tuple[str, Array]]
    LayerEntry = Mapping[str, Any]

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_self_tracked_trackables")

ADVICE = Message("Save the model again in the Keras that it comes from.")

_KERNEL = ("kernel", "bias?use_bias")
_CELL = ("kernel", "recurrent_kernel", "bias?use_bias")
_SCALED = ("gamma?scale", "beta?center")
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(CELLS | CONVOLVED | PLAIN, _CELL),
    **{f"Conv{rank}D{kind}": _KERNEL for rank in (1, 2, 3) for kind in ("", "Transpose")},
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D", "Dense"), _KERNEL),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"), ("depthwise_kernel", "pointwise_kernel", "bias?use_bias")
    ),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), _SCALED),
    "BatchNormalization": (*_SCALED, "moving_mean", "moving_variance"),
    "EinsumDense": ("kernel", "bias?bias_axes"),
    "Embedding": ("embeddings",),
    "PReLU": ("alpha",),
    "Normalization": ("mean", "variance", "count"),
    "RMSNormalization": ("scale",),
    "Attention": ("scale?use_scale", "concat_score_weight?score_mode=concat"),
    "AdditiveAttention": ("scale?use_scale",),
}
"""Variables in Keras's order; after `?` the option, or its value, that gives the layer this variable."""

CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")
"""Layers whose kernels Theano stored reversed."""

_FROZEN = frozenset({"moving_mean", "moving_variance"})
_WRAPPERS = frozenset({"TimeDistributed", "Wrapper"})


def weights_by_path(model: Mapping[str, Any], stored: FileContents) -> dict[str, dict[str, Array]]:
    """Return the weights of each layer, by path `inside/deep`, under the names of today's Keras.

    model: the translated config of the whole model.
    """
    if stored.layers is None:
        return _share_twins(dict(_read_groups(model, stored.root, "")), model)
    by_path: dict[str, dict[str, Array]] = {}
    for entry in _layers_of(model):
        arrays = stored.layers.get(name_of(entry), [])
        for path, layer, layer_arrays in _split_list(entry, name_of(entry), arrays):
            weights = _name_weights(path, layer, layer_arrays)
            _require_units(path, layer, weights)
            if stored.backend == "theano" and layer["class_name"] in CONVOLUTIONS:
                weights |= {  # Theano stored kernels reversed along their spatial axes
                    name: np.flip(array, tuple(range(array.ndim - 2)))
                    for name, array in weights.items()
                    if name.endswith("kernel")
                }
            by_path[path] = weights
    return by_path


def _require_units(path: str, entry: LayerEntry, weights: Mapping[str, Array]) -> None:
    units = entry["config"].get("units")
    recurrent = weights.get("recurrent_kernel")
    if recurrent is not None and isinstance(units, int) and recurrent.shape[0] != units:
        what = "{place}: its config says {units} units, but its recurrent_kernel is {shape}."
        raise InputError(what, ADVICE, place=path, units=units, shape=format_shape(recurrent.shape))


def _read_groups(
    model: Mapping[str, Any], group: Group, prefix: str
) -> Iterator[tuple[str, dict[str, Array]]]:
    container = next((group.groups[name] for name in _CONTAINERS if name in group.groups), None)
    entries = _layers_of(model)
    for entry, entry_group in zip(entries, _match_groups(entries, container), strict=True):
        path = prefix + name_of(entry)
        if entry_group is None:
            continue
        if entry["class_name"] in MODELS:
            yield from _read_groups(entry["config"], entry_group, f"{path}/")
            continue
        arrays = [
            (f"{part}/{number}".lstrip("/"), array)
            for part, numbered in entry_group.cells()
            for number, array in enumerate(numbered)
        ]
        if arrays or not _variables(entry):
            weights = _name_weights(path, entry, arrays, grouped=True)
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
    classes = (str(entry.get("saved_class", entry["class_name"])) for entry in entries)
    kinds = [default_name(name.rpartition(">")[2]) for name in classes]
    exact = make_unique(kinds)
    matched: dict[str, Group | None] = {name: groups.get(name) for name in exact}
    for kind in dict.fromkeys(kinds):
        named = [name for name, other in zip(exact, kinds, strict=True) if other == kind]
        matches = [(re.fullmatch(rf"{re.escape(kind)}(?:_(\d+))?", name), name) for name in groups]
        stored = [name for _, name in sorted((int(match[1] or 0), name) for match, name in matches if match)]
        if len(stored) == len(named):  # Keras 2.12 counted a layer twice: dense, dense_2, dense_4
            matched.update({name: groups[other] for name, other in zip(named, stored, strict=True)})
    return [matched[name] for name in exact]


def _share_twins(
    weights: dict[str, dict[str, Array]], model: Mapping[str, Any]
) -> dict[str, dict[str, Array]]:
    """Give a layer that two models share the weights of its twin, found by name and class."""
    leaves = list(_plain_layers(model))
    namesakes: dict[str, list[tuple[str, LayerEntry]]] = {}
    for path, entry in leaves:
        namesakes.setdefault(name_of(entry), []).append((path, entry))
    for path, entry in leaves:
        if path in weights or not _variables(entry):
            continue
        twins = [
            weights[other]
            for other, twin in namesakes[name_of(entry)]
            if other in weights and twin["config"] == entry["config"]
        ]
        if twins and all(twin is twins[0] for twin in twins):
            weights[path] = twins[0]
        elif entry["class_name"] in RECURRENT:
            what = Message("the file has no weights for this {entry}", entry=entry["class_name"])
            raise InputError("{place}: {what}.", "Build the model, and save it again.", place=path, what=what)
    return weights


def _plain_layers(model: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, LayerEntry]]:
    for entry in _layers_of(model):
        path = prefix + name_of(entry)
        if entry["class_name"] in MODELS:
            yield from _plain_layers(entry["config"], f"{path}/")
        else:
            yield path, entry


def _split_list(entry: LayerEntry, path: str, arrays: Arrays) -> Iterator[tuple[str, LayerEntry, Arrays]]:
    if entry["class_name"] not in MODELS:
        yield path, entry, arrays
        return
    leaves = list(_plain_layers(entry["config"], f"{path}/"))
    shared = _assign_by_name(leaves, arrays) or _assign_by_order(leaves, arrays)
    if shared is None:
        what = "{place}: the {count} weights of this model in the file do not fit its layers."
        raise InputError(what, ADVICE, place=path, count=len(arrays))
    yield from ((leaf, inner, shared[leaf]) for leaf, inner in leaves)


def _assign_by_name(leaves: Sequence[tuple[str, LayerEntry]], arrays: Arrays) -> dict[str, Arrays] | None:
    """Assign arrays to the layers that their names contain; None if a name contains none of the layers."""
    paths = {name_of(entry): path for path, entry in leaves}
    if len(paths) != len(leaves):
        return None
    shared: dict[str, Arrays] = {path: [] for path, _ in leaves}
    for name, array in arrays:
        layer = next((part for part in reversed(name.split("/")) if part in paths), None)
        if layer is None:
            return None
        shared[paths[layer]].append((name, array))
    fit = all(
        len(shared[path]) == len(_variables(entry))
        for path, entry in leaves
        if _direct_variables(entry) is not None
    )
    return shared if fit else None


def _assign_by_order(leaves: Sequence[tuple[str, LayerEntry]], arrays: Arrays) -> dict[str, Arrays] | None:
    """Assign arrays as Keras loads them: layer by layer, first the trainable weights, then the others."""
    slots = [
        (path, name, _is_frozen(name) or entry["config"].get("trainable") is False)
        for path, entry in leaves
        for name in sorted(_variables(entry), key=_is_frozen)
    ]
    slots.sort(key=lambda slot: slot[2])
    if len(slots) != len(arrays):
        return None
    shared: dict[str, Arrays] = {path: [] for path, _ in leaves}
    for (path, name, _), (_, array) in zip(slots, arrays, strict=True):
        shared[path].append((name, array))
    return shared


def _direct_variables(entry: LayerEntry) -> list[str] | None:
    """Return the names of a layer's own variables in Keras's order; None for an unknown class."""
    if entry["class_name"] not in _VARIABLES:
        return None
    names = []
    for text in _VARIABLES[entry["class_name"]]:
        name, _, condition = text.partition("?")
        option, _, value = condition.partition("=")
        given = entry["config"].get(option, option != "bias_axes")  # a missing option is set
        if not condition or (given == value if value else given):
            names.append(name)
    return names


def _parts(entry: LayerEntry) -> list[tuple[str, LayerEntry]]:
    """Return the inner layers by the prefix of their names, `forward/`, in the order of `layer.weights`."""
    class_name, config = entry["class_name"], entry["config"]
    if class_name == "Bidirectional":
        backward = config.get("backward_layer") or config["layer"]
        return [("forward/", config["layer"]), ("backward/", backward)]
    if class_name in _WRAPPERS:
        return [("layer/", config["layer"])]
    if class_name == "RNN":
        return [("", config["cell"])]
    if class_name == "StackedRNNCells":
        return [(f"{number}/", cell) for number, cell in enumerate(config["cells"])]
    if class_name in MODELS:
        return [(f"{name_of(inner)}/", inner) for inner in _layers_of(config)]
    return []


def _variables(entry: LayerEntry) -> list[str]:
    names = list(_direct_variables(entry) or ())
    for prefix, inner in _parts(entry):
        names += [prefix + name for name in _variables(inner)]
    return names


def frozen_names(node: Node) -> frozenset[str]:
    """Return the names of the weights of a layer that training does not change."""
    if not node.trainable or node.class_name == "Normalization":
        return frozenset(node.weights)
    return frozenset(filter(_is_frozen, node.weights))


def _is_frozen(name: str) -> bool:
    """Return whether training never changes the variable; Keras lists such variables last."""
    return name.rpartition("/")[2] in _FROZEN


def _name_weights(
    path: str, entry: LayerEntry, stored: Sequence[tuple[str, Array]], *, grouped: bool = False
) -> dict[str, Array]:
    """Return the arrays under the names of today's variables.

    stored: each with its name in the file, in the order of `layer.get_weights()`.
    grouped: the arrays are in the order of a .keras file, which does not list frozen variables last.
    """
    names, class_name = _variables(entry), entry["class_name"]
    if not grouped:
        names.sort(key=_is_frozen)
    if len(names) == len(stored):
        arrays = dict(zip(names, (array for _, array in stored), strict=True))
        return cudnn.to_plain_layout({name: arrays[name] for name in _variables(entry)})
    by_name = {re.sub(r"(_\d+)?(:\d+)?$", "", name.rpartition("/")[2]): array for name, array in stored}
    has_more = bool(names) and len(by_name) == len(stored) and by_name.keys() >= set(names)
    if has_more:  # the variables of renorm, which inference does not use
        return {name: by_name[name] for name in names}
    if not names and class_name not in RECURRENT and not keras_may_know(class_name, entry.get("module")):
        full = {
            re.sub(r":\d+$", "", name).removeprefix(f"{name_of(entry)}/"): array for name, array in stored
        }
        if len(full) == len(stored):  # the names of the layers inside a layer of a user's class
            return full
    if not names or class_name not in RECURRENT:  # quantized, or of an unknown class
        return _name_by_path(stored)
    wanted = Message(
        "{class_name} has {count} weights ({names})",
        class_name=class_name,
        count=len(names),
        names=", ".join(names),
    )
    raise InputError(
        "{place}: {wanted}, but the file has {stored}.", ADVICE, place=path, wanted=wanted, stored=len(stored)
    )


def _name_by_path(arrays: Sequence[tuple[str, Array]]) -> dict[str, Array]:
    """Return the arrays by the last parts of their paths, as many as needed to tell them apart."""
    paths = [re.sub(r":\d+$", "", name).split("/") for name, _ in arrays]
    for length in range(1, max(map(len, paths), default=1) + 1):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    else:
        names = [str(number) for number in range(len(arrays))]
    return dict(zip(names, (array for _, array in arrays), strict=True))


def _layers_of(config: Mapping[str, Any]) -> list[LayerEntry]:
    return [entry for entry in config["layers"] if not is_operation(entry)]
