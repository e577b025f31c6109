"""Keras's own layout: `lstm/kernel`, `bi/backward/bias`.

A .h5 file is what `model.load_weights` reads; a .weights.h5 file is Keras 3's form of it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnncli.errors import EngineError, LayerError, Message, Text
from rnncli.frameworks import (
    BARE,
    CellWeights,
    Chain,
    FoundChain,
    LayerWeights,
    cell_of,
    default_name,
    infer_class,
    make_unique,
)
from rnncli.frameworks import GATES as GATES
from rnncli.values import Array

FRAMEWORK = "Keras"
PACKAGE = "keras.layers"
SUFFIXES = (".weights.h5", ".h5", ".hdf5")
ROLES = ("kernel", "recurrent_kernel", "bias")
NAME = re.compile(rf"(?s)(?:(?P<path>.*)/)?(?P<role>{'|'.join(ROLES)})(?::\d+)?")
_DIRECTION = re.compile(r"(?s)(?P<layer>.+)/(?P<direction>forward|backward)(?P<rest>_.+)")
Convert = Callable[[str, Mapping[str, Array]], dict[str, Array]]
"""(class name, weights of one direction) -> the arrays of a layout."""


def from_keras(class_name: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights unchanged."""
    return dict(weights)


def to_keras(class_name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays unchanged."""
    return dict(arrays)


def refusal(layer: LayerWeights) -> Text | None:
    """Return None: Keras's layout holds every layer."""
    return None


def notes(chain: Chain) -> Iterator[Text]:
    """Yield nothing."""
    return iter(())


def name_arrays(chain: Chain) -> dict[str, Array]:
    """Return every weight by its path."""
    return name_paths(chain, from_keras)


def dump(chains: Sequence[Chain], suffix: str) -> bytes:
    """Return an HDF5 file."""
    return dump_weights(chains) if suffix == ".weights.h5" else dump_legacy(chains, from_keras)


def find_chains(arrays: Mapping[str, Any]) -> Iterator[FoundChain]:
    """Yield the layers whose arrays have the names of Keras's variables, `bi/forward/kernel`."""
    by_path = group_by_path(arrays)
    layers: dict[str, dict[bool, CellWeights]] = {}
    names: dict[str, list[str]] = {}
    for path, roles in by_path.items():
        cell = read_cell({role: arrays[name] for role, name in roles.items()})
        if cell is not None:
            layer, backward = _split_direction(path, by_path)
            layers.setdefault(layer, {})[backward] = cell
            names.setdefault(layer, []).extend(roles.values())
    for layer, both in layers.items():
        if False in both:
            name = layer or BARE[both[False].class_name]
            yield join_cells(name, [both[back] for back in sorted(both)])._replace(names=names[layer])


def _split_direction(path: str, paths: Collection[str]) -> tuple[str, bool]:
    """Return the layer that a cell belongs to, and whether it goes backward.

    Keras calls the cells of a Bidirectional `bi/forward_lstm/lstm_cell` and `bi/backward_lstm/lstm_cell`,
    rnncli `bi/forward` and `bi/backward`.  `a/forward_b` without `a/backward_b` is a layer of that name.
    """
    above, _, last = path.rpartition("/")
    if last in ("forward", "backward"):
        return above, last == "backward"
    if match := _DIRECTION.fullmatch(path):
        other = "forward" if match["direction"] == "backward" else "backward"
        if f"{match['layer']}/{other}{match['rest']}" in paths:
            return match["layer"], match["direction"] == "backward"
    return path, False


def read_cell(arrays: Mapping[str, Any]) -> CellWeights | None:
    """Return the cell of these arrays by role, `kernel`; None if their shapes do not fit together."""
    kernel, recurrent, bias = (arrays.get(role) for role in ROLES)
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return None
    units, wide = recurrent.shape
    class_name = infer_class(units, wide)
    if class_name is None or kernel.shape[1] != wide:
        return None
    weights = {"kernel": kernel, "recurrent_kernel": recurrent, **({} if bias is None else {"bias": bias})}
    fits = bias is None or bias.shape == (wide,) or (class_name == "GRU" and bias.shape == (2, wide))
    return cell_of(class_name, weights) if fits else None


def join_cells(name: str, cells: Sequence[CellWeights]) -> FoundChain:
    """Return a layer with one cell, or with a forward and a backward cell, in this order."""
    if len({(cell.class_name, cell.features) for cell in cells}) > 1:
        why = Message("its two directions are of different classes, or take different inputs")
        return FoundChain(Chain(name, ()), (), why)
    return FoundChain(Chain(name, (LayerWeights(name, tuple(cells)),)), ())


def directions(layer: LayerWeights) -> Iterator[tuple[str, CellWeights]]:
    """Yield each cell with the prefix of its weights: `forward/` and `backward/`, or "" for a single cell."""
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
    """Return the names of weights, by the path of their cell and by role: `bi/forward`, then `kernel`."""
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
                    what = (
                        "{title}: .weights.h5 names the parts inside {class_name} by their classes, which "
                        "are not known here."
                    )
                    raise LayerError(what, "Write a .h5 file.", title=layer.title, class_name=cell.class_name)
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
