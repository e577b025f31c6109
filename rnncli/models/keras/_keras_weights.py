"""The weights of one layer by the names of its variables, from their order or a file's groups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli.errors import InputError, Message
from rnncli.frameworks import cudnn, default_name, make_unique
from rnncli.models.keras._keras_classes import (
    CELLS,
    CONVOLVED,
    MODELS,
    PLAIN,
    RECURRENT,
    is_operation,
    name_of,
)
from rnncli.models.keras.hdf5 import SEEDS

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.models.keras.hdf5 import Group

    LayerEntry = Mapping[str, Any]

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


class Sublayer(NamedTuple):
    """A layer inside a layer.

    prefix: of its variables' names, `forward/`.
    groups: where a .keras file keeps it, from the layer's own group.
    """

    prefix: str
    groups: tuple[str, ...]
    entry: LayerEntry


def direct_variables(entry: LayerEntry) -> list[str] | None:
    """Return the names of a layer's own variables in Keras's order; None for an unknown class."""
    if entry["class_name"] not in _VARIABLES:
        return None
    pairs = (name.partition("?")[::2] for name in _VARIABLES[entry["class_name"]])
    return [name for name, option in pairs if not option or _is_set(option, entry["config"])]


def _is_set(option: str, config: Mapping[str, Any]) -> bool:
    """Return whether the config sets `use_bias`, or `score_mode` to `concat`; a missing option is set."""
    name, _, value = option.partition("=")
    if value:
        return bool(config.get(name) == value)
    return bool(config.get(name, name != "bias_axes"))


def parts(entry: LayerEntry) -> list[Sublayer]:
    """Return the inner layers that hold its variables, in the order of `layer.weights`."""
    class_name, config = entry["class_name"], entry["config"]
    if class_name == "Bidirectional":
        backward = config.get("backward_layer") or config["layer"]
        return [
            Sublayer("forward/", ("forward_layer",), config["layer"]),
            Sublayer("backward/", ("backward_layer",), backward),
        ]
    if class_name in _WRAPPERS:
        return [Sublayer("layer/", ("layer",), config["layer"])]
    if class_name == "RNN":
        return [Sublayer("", ("cell",), config["cell"])]
    if class_name == "StackedRNNCells":
        names = make_unique(map(group_name, config["cells"]))
        return [
            Sublayer(f"{number}/", ("cells", name), cell)
            for number, (name, cell) in enumerate(zip(names, config["cells"], strict=True))
        ]
    if class_name in MODELS:
        entries = layers_of(config)
        names = make_unique(map(group_name, entries))
        return [
            Sublayer(f"{name_of(inner)}/", ("layers", name), inner)
            for name, inner in zip(names, entries, strict=True)
        ]
    return []


def variables(entry: LayerEntry) -> list[str]:
    """Return the names of a layer's variables and of those inside it; none for an unknown class."""
    names = list(direct_variables(entry) or ())
    for part in parts(entry):
        names += [part.prefix + name for name in variables(part.entry)]
    return names


def is_frozen(name: str) -> bool:
    """Return whether training never changes the variable; Keras lists such variables last."""
    return name.rpartition("/")[2] in _FROZEN


def name_weights(
    path: str, entry: LayerEntry, stored: Sequence[tuple[str, Array]], *, grouped: bool = False
) -> dict[str, Array]:
    """Return the arrays under the names of today's variables.

    stored: each with its name in the file, in the order of `layer.get_weights()`.
    grouped: they are in the order of a .keras file, which does not list frozen variables last.
    """
    names, class_name = variables(entry), entry["class_name"]
    if not grouped:
        names.sort(key=is_frozen)
    if len(names) == len(stored):
        arrays = dict(zip(names, (array for _, array in stored), strict=True))
        return _to_plain_layout(entry, {name: arrays[name] for name in variables(entry)})
    by_name = {_base(name): array for name, array in stored}
    has_more = bool(names) and len(by_name) == len(stored) and by_name.keys() >= set(names)
    if has_more:  # those of renorm, which inference does not use
        return {name: by_name[name] for name in names}
    if not names or class_name not in RECURRENT:  # quantized, or none that we know
        return name_by_path(stored)
    wanted = Message(
        "{class_name} has {count} weights ({names})",
        class_name=class_name,
        count=len(names),
        names=", ".join(names),
    )
    raise InputError(
        "{place}: {wanted}, but the file has {stored}.",
        ADVICE,
        place=path,
        wanted=wanted,
        stored=len(stored),
    )


def _to_plain_layout(entry: LayerEntry, weights: dict[str, Array]) -> dict[str, Array]:
    """Return the weights with each recurrent layer in Keras's plain layout."""
    changed = dict(weights)
    for prefix, class_name in _iterate_leaves(entry):
        own = {name: weights[prefix + name] for name in _CELL_NAMES if prefix + name in weights}
        if cudnn.is_cudnn(class_name, own):
            converted = cudnn.to_keras(class_name, own)
            changed.update({prefix + name: array for name, array in converted.items()})
    return changed


_CELL_NAMES = ("kernel", "recurrent_kernel", "bias")


def _iterate_leaves(entry: LayerEntry) -> Iterator[tuple[str, str]]:
    """Yield the prefix and the class of every layer that has no parts."""
    inside = parts(entry)
    if not inside:
        yield "", entry["class_name"]
    for part in inside:
        for prefix, class_name in _iterate_leaves(part.entry):
            yield part.prefix + prefix, class_name


def name_by_path(found: Sequence[tuple[str, Array]]) -> dict[str, Array]:
    """Return the arrays by the last parts of their paths, as many as needed to tell them apart."""
    paths = [re.sub(r":\d+$", "", name).split("/") for name, _ in found]
    for length in range(1, max(map(len, paths), default=1) + 1):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    else:
        names = [str(number) for number in range(len(found))]
    return dict(zip(names, (array for _, array in found), strict=True))


def _base(name: str) -> str:
    return re.sub(r"(_\d+)?(:\d+)?$", "", name.rpartition("/")[2])


def read_group(entry: LayerEntry, group: Group) -> list[tuple[str, Array]]:
    """Return a layer's arrays in Keras's order, from its group in a .keras file."""
    inside = parts(entry)
    if direct_variables(entry) is None and not inside:
        return list(_read_all_arrays(group))
    found = list(group.arrays)
    if "cell" in group.groups and entry["class_name"] in PLAIN | CONVOLVED:
        found += group.groups["cell"].arrays
    for part in inside:
        inner = _descend(group, part.groups)
        if inner is not None:
            found += read_group(part.entry, inner)
    return found


def _descend(group: Group | None, names: Sequence[str]) -> Group | None:
    for name in names:
        group = group and group.groups.get(name)
    return group


def _read_all_arrays(group: Group, prefix: str = "") -> Iterator[tuple[str, Array]]:
    for number, (_, array) in enumerate(group.arrays):
        yield f"{prefix}{number}", array
    for name, below in group.groups.items():
        if name not in SEEDS:
            yield from _read_all_arrays(below, f"{prefix}{name}/")


def layers_of(config: Mapping[str, Any]) -> list[LayerEntry]:
    """Return the layers of a model, without operations."""
    return [entry for entry in config["layers"] if not is_operation(entry)]


def group_name(entry: LayerEntry) -> str:
    """Return the name of a layer's group in a .keras file, without a number."""
    return default_name(str(entry.get("saved_class", entry["class_name"])).rpartition(">")[2])


def flip_kernels(class_name: str, weights: dict[str, Array]) -> dict[str, Array]:
    """Flip the kernels of convolutions, which Theano stored reversed along their spatial axes."""
    if class_name not in CONVOLUTIONS:
        return weights
    return {
        name: np.flip(array, tuple(range(array.ndim - 2))) if name.endswith("kernel") else array
        for name, array in weights.items()
    }
