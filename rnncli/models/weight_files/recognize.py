"""Recurrent layers of files without a graph: recognized by the names and shapes of their weights."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np

from rnncli.errors import Message, Text, UsageError, format_names, inside, join
from rnncli.frameworks import FoundChain, LayerWeights, cudnn, keras, name_by_shape, onnx, torch
from rnncli.models.graph import Module, Modules, Node
from rnncli.models.weight_files import joint
from rnncli.values import Array, format_shape

FRAMEWORKS = {framework.PACKAGE: framework for framework in (torch, keras, onnx, joint)}
"""The frameworks whose names are recognized, by the module of a Node: `torch.nn`."""
RAW = "_raw"
"""The end of the name under which WeightDrop keeps a weight without dropout."""

_LIKE_A_WEIGHT = re.compile(r"(parametrizations\.)?(weight|bias)_(ih|hh|hr)(?![a-z])", re.IGNORECASE)
"""`bias_ih_l0_orig` beside `weight_ih_l0`: a weight that is made of several tensors."""
_OLD_NORM = re.compile(r"(?P<base>.*(?:weight|bias)_.+)_(?P<part>[gv])")
_NEW_NORM = re.compile(
    r"(?P<path>.*\.|)parametrizations\.(?P<leaf>(?:weight|bias)_.+)\.original(?P<number>[01])"
)


def is_recurrent(name: str, layers: Mapping[str, str] = {}) -> bool:
    """Return whether a tensor with this name may belong to a recurrent layer.

    layers: the names of their tensors, `{"encoder": "enc_*"}`.
    """
    if any(_compile(glob).fullmatch(name) for glob in layers.values()):
        return True
    name = name.removesuffix(RAW)
    if part := _split_normalized(name):
        name = part[0]
    return any(framework.NAME.fullmatch(name) for framework in FRAMEWORKS.values())


def find_modules(
    file: Text, tensors: Mapping[str, Any], origin: str = "", layers: Mapping[str, str] = {}
) -> Modules:
    """Return the recurrent layers of a file, and the shapes of its other tensors.

    tensors: by name; arrays, or other objects with a shape.
    origin: the framework that writes such files; used if no name tells the framework.
    layers: the names of their tensors, where no framework gave them: `{"encoder": "enc_*"}`.
        Raises UsageError if their tensors are not the weights of a layer.
    """
    with inside(file, UsageError):
        named, notes = _name_layers(tensors, layers)
        modules = _find_modules(file, named, origin)
        names = [module.name for module in modules.modules]
        for layer, glob in layers.items():
            if names.count(layer) != 1:
                _refuse_layer(layer, glob, tensors)
    return replace(modules, notes=(*notes, *modules.notes), assumptions=dict(layers))


def _compile(glob: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(map(re.escape, glob.split("*"))), re.DOTALL)


def _name_layers(
    tensors: Mapping[str, Any], layers: Mapping[str, str]
) -> tuple[Mapping[str, Any], list[Text]]:
    """What the last * stands for is the name of the weight, `enc_kernel`; else its shape tells."""
    named, notes = dict(tensors), list[Text]()
    for layer, glob in layers.items():
        matches = [match for name in tensors if (match := _compile(glob).fullmatch(name))]
        weights = {match.groups()[-1]: match.string for match in matches}
        if len(weights) < len(matches) or not all(map(is_recurrent, weights)):
            weights = name_by_shape({match.string: tuple(tensors[match.string].shape) for match in matches})
            notes += [join((layer, note_shapes(weights)), ": ")] if weights else []
        for weight, name in weights.items():
            if name not in named:
                raise UsageError("{name} belongs to two layers.", "Give each its own tensors.", name=name)
            slash = "." if torch.NAME.fullmatch(weight) else "/"
            named[f"{layer}{slash}{weight}"] = named.pop(name)
    return named, notes


def note_shapes(weights: Mapping[str, str]) -> Message:
    """Return a note on tensors whose shapes say which weights they are.  weights: their names by weight."""
    named = ", ".join(f"{name} is {weight}" for weight, name in weights.items())
    return Message("by their shapes, {weights}", weights=named)


def _refuse_layer(layer: str, glob: str, tensors: Mapping[str, Any]) -> None:
    pattern = _compile(glob)
    chosen = [name for name in tensors if pattern.fullmatch(name)]
    there = [f"{name} {format_shape(tuple(tensors[name].shape))}" for name in chosen or tensors]
    before, _, behind = glob.rpartition("*")
    raise UsageError(
        "{assumed}: by their shapes, these are not the weights of one layer: {there}."
        if chosen
        else "{assumed}: no tensor has such a name; it has {there}.",
        "Give the tensors names that say what they are, such as {kernel} and {recurrent}." if chosen else "",
        assumed=f"{layer}={glob}",
        there=format_names(there),
        kernel=f"{before}kernel{behind}",
        recurrent=f"{before}recurrent_kernel{behind}",
    )


def _find_modules(file: Text, tensors: Mapping[str, Any], origin: str) -> Modules:
    tensors, notes = _restore_dropped(tensors)
    tensors, more = _restore_normalized(tensors)
    numbers = {name: _convert_numbers(name, tensor) for name, tensor in tensors.items() if is_recurrent(name)}
    known = {name: array for name, array in numbers.items() if array is not None}
    named: list[tuple[Sequence[str], Module]] = []
    plain = cudnn.to_plain_layout(known)
    for framework in FRAMEWORKS.values():
        for chain in framework.find_chains(plain):
            arrays = [known[name] for name in chain.names]
            named.append((chain.names, _count_parameters(to_module(chain, framework.PACKAGE), arrays)))
    used = {name for names, _ in named for name in names}
    others = {name: tuple(map(int, tensor.shape)) for name, tensor in tensors.items() if name not in used}
    sorted_others = sorted(others)
    layers = tuple(_refuse_unknown_weights(module, names, sorted_others) for names, module in named)
    if is_numbered(layers):
        layers = tuple(sorted(layers, key=lambda module: int(module.name)))
    packages = {module.nodes[0].module for module in layers if module.nodes}
    titles = (framework.FRAMEWORK for package, framework in FRAMEWORKS.items() if package in packages)
    origin = next(titles, "Keras" if layers else origin)
    assumed = (onnx.ASSUMPTIONS,) if onnx.PACKAGE in packages else ()
    return Modules(str(file), origin, layers, others, (*notes, *more, *assumed))


def to_module(recognized: FoundChain, package: str) -> Module:
    """Return the recognized layers as a module of the framework with this package."""
    nodes = tuple(_to_node(layer, package) for layer in recognized.chain.layers)
    chain, refusal, way_out = recognized.chain, recognized.refusal, recognized.way_out
    is_cell = not any(re.search(r"_l\d+(_reverse)?$", name) for name in recognized.names)
    return Module(chain.name, nodes, refusal, way_out, recognized.tensors, is_cell)


def _to_node(layer: LayerWeights, package: str) -> Node:
    name, first = layer.name, layer.cells[0]
    if len(layer.cells) == 1:
        return Node(name, name, first.class_name, package, dict(first.config), first.weights, (), {})
    weights = {
        f"{direction}/{key}": array
        for direction, cell in zip(("forward", "backward"), layer.cells, strict=True)
        for key, array in cell.weights.items()
    }
    inner = {"class_name": first.class_name, "config": dict(first.config)}
    config = {"layer": inner, "merge_mode": layer.merge_mode, "dtype": first.config["dtype"]}
    return Node(name, name, "Bidirectional", package, config, weights, (), {})


def _count_parameters(module: Module, arrays: Sequence[Array]) -> Module:
    floats = [array for array in arrays if array.dtype.kind == "f"]  # the others are attributes of ONNX
    stored = [tuple(tensors.values()) for tensors in module.tensors] or [tuple(floats)]
    if len(stored) != len(module.nodes):  # refused; or several layers, whose arrays are not told apart
        return module
    sizes = [sum(array.size for array in layer_arrays) for layer_arrays in stored]
    nodes = zip(module.nodes, sizes, strict=True)
    return replace(module, nodes=tuple(replace(node, parameters=size) for node, size in nodes))


def _refuse_unknown_weights(module: Module, names: Sequence[str], others: Sequence[str]) -> Module:
    """A layer that normalizes its gates has the weights of an LSTM and others, and returns other numbers."""
    path = re.fullmatch(rf"{re.escape(module.name)}[./]", names[0][: len(module.name) + 1])
    # The weights of a bare layer have no path.
    extra = _below(others, path[0]) if path else [name for name in others if _LIKE_A_WEIGHT.match(name)]
    if module.refusal or not extra:
        return module
    more = Message(
        "it has more weights than such a layer of {framework}: {extra}",
        framework=FRAMEWORKS[module.nodes[0].module].FRAMEWORK,
        extra=format_names(extra),
    )
    return replace(module, refusal=more)


def is_numbered(modules: Sequence[Module]) -> bool:
    """Return whether the modules are called 0, 1, ..., like the layers of a stack."""
    return all(re.fullmatch("[0-9]{1,6}", module.name) for module in modules)


def _convert_numbers(name: str, value: Any) -> Array | None:
    """Return floats (half precision as float32, without loss) and ONNX's attribute; None for other values."""
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype == np.float16 or value.dtype.name == "bfloat16":
        return value.astype(np.float32)
    known = value.dtype in (np.float32, np.float64) or name.rpartition("/")[2] == onnx.ATTRIBUTE
    return value if known else None


def _below(names: Sequence[str], prefix: str) -> list[str]:
    """Return the names that start with `prefix`.  names: sorted, so that few are compared."""
    return list(takewhile(lambda name: name.startswith(prefix), names[bisect_left(names, prefix) :]))


def _restore_dropped(tensors: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Text, ...]]:
    """Return the tensors with complete weights in place of the weights with dropout, and a note on them.

    WeightDrop of fastai and AWD-LSTM keeps `lstm.weight_hh_l0_raw` beside the layer, which it calls
    `lstm.module`; outside of training the layer computes with the raw weight, whatever
    `lstm.module.weight_hh_l0` in the file is.
    """
    restored = dict(tensors)
    names, used = sorted(tensors), []
    for name in tensors:
        path, _, leaf = name.removesuffix(RAW).rpartition(".")
        inside = f"{path}.module." if path else "module."
        if name.endswith(RAW) and _below(names, f"{inside}weight_"):
            restored[f"{inside}{leaf}"] = restored.pop(name)
            used.append(name)
    note = Message("weights with dropout were replaced by the complete ones: {used}.", used=", ".join(used))
    return restored, (note,) if used else ()


def _restore_normalized(tensors: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Text, ...]]:
    """PyTorch's weight_norm saves a weight as a length `g` and a direction `v`."""
    pairs: dict[str, dict[bool, str]] = {}
    for name in tensors:
        if part := _split_normalized(name):
            weight_name, is_length = part
            pairs.setdefault(weight_name, {})[is_length] = name
    whole, used = dict(tensors), []
    for name, parts in pairs.items():
        weight = None if len(parts) < 2 else _multiply(tensors[parts[True]], tensors[parts[False]])
        if weight is not None and name not in tensors:
            for part_name in parts.values():
                del whole[part_name]
            whole[name] = weight
            used.append(name)
    note = Message(
        "weights with weight normalization were computed from their length and direction: {used}.",
        used=", ".join(used),
    )
    return whole, (note,) if used else ()


def _split_normalized(name: str) -> tuple[str, bool] | None:
    """The end is compared first: a regular expression takes long on a long name with another end."""
    if name.endswith(("_g", "_v")) and (match := _OLD_NORM.fullmatch(name)):
        return match["base"], match["part"] == "g"
    if name.endswith((".original0", ".original1")) and (match := _NEW_NORM.fullmatch(name)):
        return f"{match['path']}{match['leaf']}", match["number"] == "0"
    return None


def _multiply(length: Any, direction: Any) -> Any:
    """Return w = g v / ||v|| (Salimans and Kingma, 2016); None if they are no parts of a weight."""
    if not isinstance(length, np.ndarray) or not isinstance(direction, np.ndarray):
        return None
    axes = tuple(range(direction.ndim))
    if length.ndim:
        fits = length.ndim == direction.ndim and all(
            size in (1, whole) for size, whole in zip(length.shape, direction.shape, strict=True)
        )
        if not fits:
            return None
        axes = tuple(axis for axis in axes if length.shape[axis] == 1)
    precise = direction.astype(np.float64)
    weight = precise * (length / np.sqrt((precise**2).sum(axis=axes, keepdims=True)))
    return weight.astype(direction.dtype)
