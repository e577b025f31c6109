"""Keras's own layout: `lstm/kernel`, `bi/backward/bias`.

A .h5 file is what `model.load_weights` reads; a .weights.h5 file is Keras 3's form of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rnncli.case import Array
from rnncli.errors import Message, Text
from rnncli.frameworks import BARE, CellWeights, Chain, FoundChain, LayerWeights, cell_of, infer_class
from rnncli.frameworks import GATES as GATES
from rnncli.frameworks._hdf5 import NAME as NAME
from rnncli.frameworks._hdf5 import ROLES as ROLES
from rnncli.frameworks._hdf5 import dump_legacy, dump_weights, group_by_path, name_paths

FRAMEWORK = "Keras"
PACKAGE = "keras.layers"
SUFFIXES = (".weights.h5", ".h5", ".hdf5")
_DIRECTION = re.compile(r"(?s)(?P<layer>.+)/(?P<direction>forward|backward)(?P<rest>_.+)")


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
    rnncli `bi/forward` and `bi/backward`.  One without the other is a layer with such a name.
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
    """Return the cell that arrays by role are; None if they do not fit."""
    kernel, recurrent, bias = (arrays.get(role) for role in ROLES)
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return None
    units, wide = recurrent.shape
    class_name = infer_class(units, wide)
    if class_name is None or kernel.shape[1] != wide:
        return None
    own = {"kernel": kernel, "recurrent_kernel": recurrent, **({} if bias is None else {"bias": bias})}
    fits = bias is None or bias.shape == (wide,) or (class_name == "GRU" and bias.shape == (2, wide))
    return cell_of(class_name, own) if fits else None


def join_cells(name: str, cells: Sequence[CellWeights]) -> FoundChain:
    """Return a layer with one direction, or with two, the forward one first."""
    if len({(cell.class_name, cell.features) for cell in cells}) > 1:
        why = Message("its two directions are of different classes, or take different inputs")
        return FoundChain(Chain(name, ()), (), why)
    return FoundChain(Chain(name, (LayerWeights(name, tuple(cells)),)), ())
