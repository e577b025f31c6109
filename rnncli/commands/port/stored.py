"""Read foreign weights and expected tensors with the names and shapes that their files have."""

from __future__ import annotations

import shlex
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.case import Array, SavedLayer
from rnncli.commands.port import foreign
from rnncli.errors import InputError
from rnncli.readers import formats, models
from rnncli.readers.formats import Source

if TYPE_CHECKING:
    from rnncli.model import Graph, Modules

IN_ORDER = ("kernel", "recurrent_kernel", "bias")


def read_weights(source: Source) -> dict[str, Array]:
    """Return the arrays by name, in the layout of the file; those of one layer for FILE#layer.

    Raises InputError if the file holds a graph, or no arrays; EngineError if a package is missing.
    """
    source, name = _divide(source)
    where = f"{source.name}: "
    suffix = source.path.suffix.casefold() if source.path else ""
    if suffix in models.TORCH_SUFFIXES:
        arrays = _name_torch_tensors(models.read_graph_or_layers(source), where)
    elif suffix == ".onnx":
        raise InputError(
            f"{where}port does not read weights from .onnx files.",
            f"Write them as arrays: rnncli weights {shlex.quote(source.name)} --to onnx -o weights.npz",
        )
    else:
        value = _load(source)
        held = _name_keras_arrays(value, where) if isinstance(value, tuple) else None
        arrays = formats.weights_of(value, source) if held is None else held
    arrays = {key: np.asarray(array) for key, array in arrays.items()}
    arrays = {key: array for key, array in arrays.items() if array.dtype.kind in "fV" or array.ndim > 1}
    chosen = foreign.choose(arrays, name, where) if name else arrays
    wide = {key: array.astype(np.float64) for key, array in chosen.items()}
    broken = next((key for key, array in wide.items() if not np.isfinite(array).all()), None)
    if broken is not None:
        raise InputError(f"{where}{broken} contains NaN or infinity.", "Give the weights of a working layer.")
    return wide


def _divide(source: Source) -> tuple[Source, str]:
    """Return the file, and the layer after a # that is not part of the file's own name."""
    path = source.path
    if path is None or "#" not in path.name or path.exists():
        return source, ""
    file, _, name = path.name.rpartition("#")
    return Source(source.name.removesuffix(f"#{name}"), path=path.with_name(file)), name.strip()


def _load(source: Source) -> Any:
    """Return all that a file of arrays contains."""
    path = source.path
    format = formats.format_of(path, formats.RENAMED) if path else formats.format_name(source)
    reader = import_module(f"{formats.__name__}.{format}")
    if not hasattr(reader, "load"):
        raise InputError(
            f"{source.name}: this format does not hold named arrays.", "Use npz, safetensors or JSON."
        )
    return formats.load(source, format)


def _name_torch_tensors(found: Graph | Modules, where: str) -> dict[str, Array]:
    """Return PyTorch's tensors by its names."""
    modules = getattr(found, "modules", ())
    arrays = {
        f"{module.name}{f'_l{number}' if len(module.stored) > 1 else ''}.{key}": array
        for module in modules
        for number, own in enumerate(module.stored)
        for key, array in own.items()
    }
    if not arrays:
        raise InputError(f"{where}there is no recurrent layer in it.", "Save the state dict of one.")
    return arrays


def _name_keras_arrays(layers: tuple[SavedLayer, ...], where: str) -> dict[str, Array]:
    """Return the arrays of layers that Keras saved, in its order."""
    arrays: dict[str, Array] = {}
    for layer in layers:
        count = len(layer.weights)
        halves = 2 if count in (4, 6) else 1
        if count not in (2, 3, 4, 6):
            continue
        for number, array in enumerate(layer.weights):
            direction, place = divmod(number, count // halves)
            path = f"{('forward', 'backward')[direction]}/" if halves == 2 else ""
            arrays[f"{layer.name}/{path}{IN_ORDER[place]}"] = array
    if not arrays:
        raise InputError(f"{where}there is no recurrent layer in it.", "Save the weights of one.")
    return arrays
