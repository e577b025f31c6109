"""Read foreign weights with the names and shapes that their files have."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.case import Array, SavedLayer
from rnncli.commands.port import foreign_weights
from rnncli.errors import InputError, inside
from rnncli.readers import formats, models, named_arrays
from rnncli.readers.formats import Source
from rnncli.readers.source import TORCH_SUFFIXES, split_source

if TYPE_CHECKING:
    from rnncli.model import Graph, Modules

IN_ORDER = ("kernel", "recurrent_kernel", "bias")


def read_weights(source: Source) -> dict[str, Array]:
    """Return the arrays by name, in the layout of the file; those of one layer for FILE#layer.

    Raises InputError if the file holds a graph, or no arrays; EngineError if a package is missing.
    """
    source, names = split_source(source)
    name = ",".join(names)
    with inside(source.name):
        arrays = {key: np.asarray(array) for key, array in _read_arrays(source).items()}
        arrays = {key: array for key, array in arrays.items() if array.dtype.kind in "fV" or array.ndim > 1}
        chosen = foreign_weights.select_layer(arrays, name) if name else arrays
        wide = {key: array.astype(np.float64) for key, array in chosen.items()}
        broken = next((key for key, array in wide.items() if not np.isfinite(array).all()), None)
        if broken is not None:
            raise InputError(
                "{broken} contains NaN or infinity.", "Give the weights of a working layer.", broken=broken
            )
    return wide


def _read_arrays(source: Source) -> Mapping[str, Any]:
    """Return all arrays of the file by name."""
    if source.suffix in TORCH_SUFFIXES:
        return _name_torch_tensors(models.read_graph_or_layers(source))
    if source.suffix == ".onnx":
        raise InputError(
            "port does not read weights from .onnx files.",
            "Write them as arrays: rnncli weights {name} --to onnx -o weights.npz",
            name=shlex.quote(str(source.name)),
        )
    format_name = formats.detect_format(source, advice=formats.RENAMED)
    if format_name in formats.ONLY_INPUTS:
        raise InputError("this format does not hold named arrays.", "Use npz, safetensors or JSON.")
    value = formats.load(source, format_name)
    return _name_keras_arrays(value) if isinstance(value, tuple) else named_arrays.to_weights(value)


def _name_torch_tensors(found: Graph | Modules) -> dict[str, Array]:
    """Return PyTorch's tensors by its names."""
    modules = getattr(found, "modules", ())
    if (
        refused := next(
            (one.refusal for one in modules if "suffix" in getattr(one.refusal, "fields", ())), None
        )
    ) is not None:
        raise InputError("{refused}.", "Give the weights of a layer without a projection.", refused=refused)
    arrays = {
        f"{module.name}{f'_l{number}' if len(module.tensors) > 1 else ''}.{key}": array
        for module in modules
        for number, own in enumerate(module.tensors)
        for key, array in own.items()
    }
    if not arrays:
        raise InputError("there is no recurrent layer in it.", "Save the state dict of one.")
    return arrays


def _name_keras_arrays(layers: tuple[SavedLayer, ...]) -> dict[str, Array]:
    """Return the arrays of layers that Keras saved, in its order."""
    arrays: dict[str, Array] = {}
    for layer in layers:
        count = len(layer.weights)
        halves = 2 if count in (4, 6) else 1
        if count not in (2, 3, 4, 6) or layer.weights[1].ndim != 2:
            continue
        for number, array in enumerate(layer.weights):
            direction, place = divmod(number, count // halves)
            path = f"{('forward', 'backward')[direction]}/" if halves == 2 else ""
            arrays[f"{layer.name}/{path}{IN_ORDER[place]}"] = array
    if not arrays:
        raise InputError("there is no recurrent layer in it.", "Save the weights of one.")
    return arrays
