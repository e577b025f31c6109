"""Weights of one layer by the names of its variables, out of Keras's order or out of a file's groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli.errors import InputError
from rnncli.layouts import cudnn, default_name
from rnncli.readers import hdf5
from rnncli.readers.models._keras_config import CELLS, CONVOLVED, PLAIN, RECURRENT, is_operation, name_of

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.readers.models._keras_file import Group

ADVICE = "Save the model again in the Keras that it comes from."

_KERNEL = ("kernel", "bias?use_bias")
_CELL = ("kernel", "recurrent_kernel", "bias?use_bias")
_SCALED = ("gamma?scale", "beta?center")
_OWN: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(CELLS | CONVOLVED | PLAIN, _CELL),
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _KERNEL),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _KERNEL),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _KERNEL),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"), ("depthwise_kernel", "pointwise_kernel", "bias?use_bias")
    ),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), _SCALED),
    "BatchNormalization": (*_SCALED, "moving_mean", "moving_variance"),
    "Dense": _KERNEL,
    "EinsumDense": ("kernel", "bias?bias_axes"),
    "Embedding": ("embeddings",),
    "PReLU": ("alpha",),
    "Normalization": ("mean", "variance", "count"),
    "RMSNormalization": ("scale",),
    "Attention": ("scale?use_scale", "concat_score_weight?score_mode=concat"),
    "AdditiveAttention": ("scale?use_scale",),
}
"""Variables in Keras's order, behind `?` the option, or its value, with which the layer has one."""

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
    entry: Mapping[str, Any]


def own_names(class_name: str, config: Mapping[str, Any]) -> list[str] | None:
    """Return the names of a layer's own variables in Keras's order; None for an unknown class."""
    if class_name not in _OWN:
        return None
    pairs = (name.partition("?")[::2] for name in _OWN[class_name])
    return [name for name, option in pairs if not option or _is_set(option, config)]


def _is_set(option: str, config: Mapping[str, Any]) -> bool:
    """Whether the config sets `use_bias`, or `score_mode` to `concat`; an option left out counts as set."""
    name, _, value = option.partition("=")
    if value:
        return bool(config.get(name) == value)
    return bool(config.get(name, name != "bias_axes"))


def parts(class_name: str, config: Mapping[str, Any]) -> list[Sublayer]:
    """Return the inner layers that hold its variables, in the order of `layer.weights`."""
    if class_name == "Bidirectional":
        layer = config["layer"]
        backward = config.get("backward_layer") or layer
        return [
            Sublayer("forward/", ("forward_layer",), layer),
            Sublayer("backward/", ("backward_layer",), backward),
        ]
    if class_name in _WRAPPERS:
        return [Sublayer("layer/", ("layer",), config["layer"])]
    if class_name == "RNN":
        return [Sublayer("", ("cell",), config["cell"])]
    if class_name == "StackedRNNCells":
        names = make_unique(group_name(cell) for cell in config["cells"])
        return [
            Sublayer(f"{number}/", ("cells", name), cell)
            for number, (name, cell) in enumerate(zip(names, config["cells"], strict=True))
        ]
    if class_name in ("Sequential", "Functional"):
        held = layers_of(config)
        names = make_unique(group_name(entry) for entry in held)
        return [
            Sublayer(f"{name_of(entry)}/", ("layers", name), entry)
            for name, entry in zip(names, held, strict=True)
        ]
    return []


def variables(class_name: str, config: Mapping[str, Any]) -> list[str]:
    """Return the names of a layer's variables and of those inside it; none for an unknown class."""
    names = list(own_names(class_name, config) or ())
    for part in parts(class_name, config):
        below = variables(part.entry["class_name"], part.entry["config"])
        names += [part.prefix + name for name in below]
    return names


def is_frozen(name: str) -> bool:
    """Return whether training never changes the variable; Keras lists such variables last."""
    return name.rpartition("/")[2] in _FROZEN


def name_weights(
    path: str,
    class_name: str,
    config: Mapping[str, Any],
    found: Sequence[tuple[str, Array]],
    *,
    grouped: bool = False,
) -> dict[str, Array]:
    """Return the arrays under the names of today's variables.

    found: each with its name in the file, in the order of `layer.get_weights()`; grouped: in that of
        the groups of a .keras file, where those that training does not change stand with the others.
    """
    names = variables(class_name, config)
    if not grouped:
        names.sort(key=is_frozen)
    if len(names) == len(found):
        arrays = dict(zip(names, (array for _, array in found), strict=True))
        ordered = {name: arrays[name] for name in variables(class_name, config)}
        return to_plain_layout(class_name, config, ordered)
    own = {_base(name): array for name, array in found}
    if len(own) == len(found) and names and set(names) <= own.keys():  # renorm's, beside what counts
        return {name: own[name] for name in names}
    if not names or class_name not in RECURRENT:  # quantized, or none that we know
        return as_found(found)
    wanted = f"{class_name} has {len(names)} weights ({', '.join(names)})"
    raise InputError(f"{path}: {wanted}, but the file has {len(found)}.", ADVICE)


def to_plain_layout(
    class_name: str, config: Mapping[str, Any], weights: dict[str, Array]
) -> dict[str, Array]:
    """Return the weights with each recurrent layer in Keras's plain layout."""
    changed = dict(weights)
    for prefix, entry in _iterate_leaves(class_name, config):
        own = {name: weights[prefix + name] for name in _CELL_NAMES if prefix + name in weights}
        if cudnn.is_cudnn(entry, own):
            converted = cudnn.to_keras(entry, own)
            changed.update({prefix + name: array for name, array in converted.items()})
    return changed


_CELL_NAMES = ("kernel", "recurrent_kernel", "bias")


def _iterate_leaves(class_name: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the prefix and the class of every layer that has no parts."""
    inside = parts(class_name, config)
    if not inside:
        yield "", class_name
    for part in inside:
        for prefix, name in _iterate_leaves(part.entry["class_name"], part.entry["config"]):
            yield part.prefix + prefix, name


def as_found(found: Sequence[tuple[str, Array]]) -> dict[str, Array]:
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


def read_group(
    path: str, class_name: str, config: Mapping[str, Any], group: Group
) -> list[tuple[str, Array]]:
    """Return a layer's arrays in Keras's order, from its group in a .keras file."""
    if own_names(class_name, config) is None and not parts(class_name, config):
        return list(_read_all_arrays(group))
    found = list(group.arrays)
    if "cell" in group.groups and class_name in PLAIN | CONVOLVED:
        found += group.groups["cell"].arrays
    for part in parts(class_name, config):
        inner = _descend(group, part.groups)
        if inner is not None:
            found += read_group(
                f"{path}/{part.prefix}", part.entry["class_name"], part.entry["config"], inner
            )
    return found


def _descend(group: Group, names: Sequence[str]) -> Group | None:
    for name in names:
        below = group.groups.get(name)
        if below is None:
            return None
        group = below
    return group


def _read_all_arrays(group: Group, prefix: str = "") -> Iterator[tuple[str, Array]]:
    for number, (_, array) in enumerate(group.arrays):
        yield f"{prefix}{number}", array
    for name, below in group.groups.items():
        if name not in hdf5.SEEDS:
            yield from _read_all_arrays(below, f"{prefix}{name}/")


def layers_of(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the layers of a model, without operations."""
    return [entry for entry in config["layers"] if not is_operation(entry)]


def group_name(entry: Mapping[str, Any]) -> str:
    """Return the name of a layer's group in a .keras file, without a number."""
    return default_name(str(entry.get("written", entry["class_name"])).rpartition(">")[2])


def make_unique(names: Iterable[str]) -> list[str]:
    """Number repeated names: the second `lstm` becomes `lstm_1`."""
    counts: dict[str, int] = {}
    made: list[str] = []
    for name in names:
        counts[name] = counts.get(name, -1) + 1
        made.append(f"{name}_{counts[name]}" if counts[name] else name)
    return made


def flip_kernels(class_name: str, weights: dict[str, Array]) -> dict[str, Array]:
    """Flip the kernels of convolutions, which Theano stored reversed along their spatial axes."""
    if class_name not in CONVOLUTIONS:
        return weights
    return {
        name: np.flip(array, tuple(range(array.ndim - 2))) if name.endswith("kernel") else array
        for name, array in weights.items()
    }
