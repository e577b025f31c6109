"""Weights by Keras's names, `bi/forward/kernel`, and as HDF5 files that Keras loads."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnncli.case import Array
from rnncli.errors import EngineError, LayerError
from rnncli.frameworks import CellWeights, Chain, LayerWeights, default_name, make_unique

ROLES = ("kernel", "recurrent_kernel", "bias")
NAME = re.compile(rf"(?s)(?:(?P<path>.*)/)?(?P<role>{'|'.join(ROLES)})(?::\d+)?")
Convert = Callable[[str, Mapping[str, Array]], dict[str, Array]]
"""Converts the weights of one direction, of a class."""


def directions(layer: LayerWeights) -> Iterator[tuple[str, CellWeights]]:
    """Yield each cell with the prefix of its weights: `forward/` and `backward/`, or "" for a single one."""
    prefixes = ("",) if len(layer.cells) == 1 else ("forward/", "backward/")
    return zip(prefixes, layer.cells, strict=True)


def name_paths(chain: Chain, convert: Convert) -> dict[str, Array]:
    """Return every array by its path, `bi/forward/kernel`."""
    return {
        f"{layer.name}/{prefix}{name}".lstrip("/"): array
        for layer in chain.layers
        for prefix, cell in directions(layer)
        for name, array in convert(cell.class_name, cell.weights).items()
    }


def group_by_path(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the names of the weights of every cell, by its path and their roles."""
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        if match := NAME.fullmatch(name):
            groups.setdefault(match["path"] or "", {})[match["role"]] = name
    return groups


def dump_legacy(chains: Sequence[Chain], convert: Convert) -> bytes:
    """Return a .h5 file as Keras 2 wrote it and Keras 3 reads it: a group per layer, and their order."""
    content, layers = io.BytesIO(), [layer for chain in chains for layer in chain.layers]
    with _library().File(content, "w") as file:
        file.attrs["layer_names"] = [_name(layer).encode() for layer in layers]
        for layer in layers:
            group, paths = file.create_group(_name(layer)), []
            for prefix, cell in directions(layer):
                for name, array in convert(cell.class_name, cell.weights).items():
                    paths.append(f"{prefix}{name}:0")
                    group.create_dataset(paths[-1], data=array)
            group.attrs["weight_names"] = [path.encode() for path in paths]
    return content.getvalue()


def dump_weights(chains: Sequence[Chain]) -> bytes:
    """Return a .weights.h5 file of Keras 3, whose groups are called after the classes of the layers.

    Raises LayerError for a layer of several parts.
    """
    content, layers = io.BytesIO(), [layer for chain in chains for layer in chain.layers]
    groups = make_unique(
        default_name("Bidirectional" if len(layer.cells) > 1 else layer.cells[0].class_name)
        for layer in layers
    )
    with _library().File(content, "w") as file:
        for layer, group in zip(layers, groups, strict=True):
            for prefix, cell in directions(layer):
                if any("/" in name for name in cell.weights):
                    raise LayerError(
                        "{title}: .weights.h5 names the parts inside {class_name} by their classes, which "
                        "are not known here.",
                        "Write a .h5 file.",
                        title=layer.title,
                        class_name=cell.class_name,
                    )
                path = f"{prefix.rstrip('/')}_layer/cell" if prefix else "cell"
                variables = file.create_group(f"layers/{group}/{path}/vars")
                for number, array in enumerate(cell.weights.values()):
                    variables[str(number)] = array
            file.require_group(f"layers/{group}/vars").attrs["name"] = _name(layer)
    return content.getvalue()


def _name(layer: LayerWeights) -> str:
    return layer.name or default_name(layer.title)


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise EngineError(
            "h5py is not installed; it is needed to write .h5 files.", "pip install h5py"
        ) from None
    return h5py
