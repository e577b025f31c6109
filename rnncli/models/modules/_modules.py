"""Recurrent layers of files without a graph: recognized by the names and shapes of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.errors import Message, Text, format_names
from rnncli.models.graph import Module, Modules
from rnncli.models.modules import _keras_arrays, _onnx_arrays, _torch_arrays, _weight_drop, _weight_norm
from rnncli.models.modules._names import Names

_LIKE_A_WEIGHT = re.compile(r"(parametrizations\.)?(weight|bias)_(ih|hh|hr)(?![a-z])", re.IGNORECASE)
"""`bias_ih_l0_orig` beside `weight_ih_l0`: a weight that is made of several tensors."""

FRAMEWORKS = {"torch.nn": "PyTorch", "keras.layers": "Keras", "onnx": "ONNX"}
"""The framework that saved a layer, by the module of its node."""


def is_recurrent(name: str) -> bool:
    """Return whether a tensor with this name may belong to a recurrent layer."""
    name = _weight_norm.find_base_name(name.removesuffix(_weight_drop.RAW))
    return any(kind.NAME.fullmatch(name) for kind in (_torch_arrays, _keras_arrays, _onnx_arrays))


def find_modules(file: Text, tensors: Mapping[str, Any], origin: str = "") -> Modules:
    """Return the recurrent layers of a file, and the shapes of its other tensors.

    tensors: by name; arrays, or other objects with a shape.
    origin: the framework that writes such files, where the names do not say it.
    """
    tensors, notes = _weight_drop.restore_dropped(tensors)
    tensors, more = _weight_norm.restore_normalized(tensors)
    numbers = {name: _convert_numbers(tensor) for name, tensor in tensors.items() if is_recurrent(name)}
    known = {name: array for name, array in numbers.items() if array is not None}
    named = [
        *_torch_arrays.find_modules(known),
        *_keras_arrays.find_modules(known),
        *_onnx_arrays.find_modules(known, tensors),
    ]
    named = [
        (names, _count_parameters(module, [known[name] for name in names if name in known]))
        for names, module in named
    ]
    used = {name for names, _ in named for name in names}
    others = {name: tuple(map(int, tensor.shape)) for name, tensor in tensors.items() if name not in used}
    sorted_others = Names(others)
    layers = tuple(_refuse_unknown_weights(module, names, sorted_others) for names, module in named)
    if is_numbered(layers):
        layers = tuple(sorted(layers, key=lambda module: int(module.name)))
    packages = {module.nodes[0].module: module for module in layers if module.nodes}
    known_titles = (title for package, title in FRAMEWORKS.items() if package in packages)
    origin = next(known_titles, "Keras" if layers else origin)
    by_onnx = [module for module in layers if module.nodes and module.nodes[0].module == "onnx"]
    return Modules(
        str(file), origin, layers, others, (*notes, *more, *_onnx_arrays.note_assumptions(by_onnx))
    )


def _count_parameters(module: Module, arrays: Sequence[Array]) -> Module:
    """Return the module, its nodes with the number of parameters that the file has."""
    stored = [tuple(tensors.values()) for tensors in module.tensors] or [tuple(arrays)]
    sizes = [sum(array.size for array in own) for own in stored]
    nodes = zip(module.nodes, sizes, strict=bool(module.nodes))
    return replace(module, nodes=tuple(replace(node, parameters=size) for node, size in nodes))


def _refuse_unknown_weights(module: Module, names: Sequence[str], others: Names) -> Module:
    """Return the module; refuse it if it has more weights than a plain layer.

    A layer that normalizes its gates has the weights of an LSTM and others, and returns different numbers.
    """
    path = re.fullmatch(rf"{re.escape(module.name)}[./]", names[0][: len(module.name) + 1])
    # The weights of a bare layer have no path.
    extra = others.below(path[0]) if path else [name for name in others if _LIKE_A_WEIGHT.match(name)]
    if module.refusal or not extra:
        return module
    framework = FRAMEWORKS[module.nodes[0].module]
    more = Message(
        "it has more weights than such a layer of {framework}: {extra}",
        framework=framework,
        extra=format_names(extra),
    )
    return replace(module, refusal=more)


def is_numbered(modules: Sequence[Module]) -> bool:
    """Return whether the modules are called 0, 1, ..., like the layers of a stack."""
    return all(re.fullmatch("[0-9]{1,6}", module.name) for module in modules)


def _convert_numbers(value: Any) -> Array | None:
    """Return floats as they are, half precision as float32 without loss; None for others."""
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype == np.float16 or value.dtype.name == "bfloat16":
        return value.astype(np.float32)
    return value if value.dtype in (np.float32, np.float64) else None
