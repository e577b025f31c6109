"""Layers in Keras's files, by names and shapes of weights, if there is no graph that can be followed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnncli.errors import Message
from rnncli.frameworks import CellWeights, cudnn, keras
from rnncli.frameworks.keras import ROLES
from rnncli.models.graph import Module, Modules, Node
from rnncli.models.keras import file as keras_file
from rnncli.models.keras.versions import Origin, origin_of
from rnncli.models.weight_files import recognize

if TYPE_CHECKING:
    from rnncli.inputs.source import Source
    from rnncli.models.keras.file import FileContents
    from rnncli.values import Array

    Cells = Mapping[str, Sequence[tuple[str, Array]]]

HARD_BEFORE = (2, 3)
"""The version of Keras in which the gates of LSTM and GRU became sigmoid by default, not hard_sigmoid."""
HARD_BEFORE_TF = (2, 2, 4)
"""The version of tf.keras in which they became sigmoid."""
GATES = (("",), ("i", "f", "c", "o"), ("z", "r", "h"))
"""The gates of Keras 1 in today's order; "" for a weight in which the gates already stand side by side."""


_KERAS_1 = re.compile(r"(?P<owner>.+)_(?P<role>[WUb])(?:_(?P<gate>[ifcozrh]))?")
"""`lstm_1_W_i`: the input gate's part of the kernel."""


_PART = re.compile(r"cells?|(forward|backward)_layer|.+_cell(_\d+)?|(forward|backward)_.+")
"""The parts of a layer, by which its weights are grouped below its name."""


class SavedWeights(NamedTuple):
    """The weights of one layer in a file.

    cells: arrays with their names in the file, by the path of the cell that has them.
    is_keras_1: whether they have the names of Keras 1.
    """

    name: str
    cells: Cells
    is_keras_1: bool = False

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Return all arrays, in order."""
        return tuple(array for cell in self.cells.values() for _, array in cell)


def read(source: Source) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other weights.  Raises InputError."""
    stored = keras_file.read_stored(source)
    origin = origin_of(stored.version)
    modules: list[Module] = []
    others: dict[str, tuple[int, ...]] = {}
    first = False
    for saved in _iterate_layers(stored):
        first = first or saved.is_keras_1
        module = _recognize_layer(saved)
        if module is None or module.refusal:
            shapes = {f"{saved.name}/{index}": array.shape for index, array in enumerate(saved.arrays)}
            others |= shapes
        elif _is_hard(origin, saved, module.nodes[0]):
            hard = {"recurrent_activation": "hard_sigmoid_keras2"}
            module = replace(module, nodes=tuple(node.with_core_options(**hard) for node in module.nodes))
        if module is not None:
            size = sum(array.size for array in saved.arrays)
            modules.append(
                replace(module, nodes=tuple(replace(node, parameters=size) for node in module.nodes))
            )
    text = origin.text if origin.version else "Keras 1" if first else "Keras"
    return Modules(str(source.name), text, tuple(modules), others)


def read_numbers(source: Source) -> dict[str, Array]:
    """Return every array by its layer and number, `dense/0`."""
    layers = _iterate_layers(keras_file.read_stored(source))
    return {f"{saved.name}/{index}": array for saved in layers for index, array in enumerate(saved.arrays)}


def _iterate_layers(stored: FileContents) -> Iterator[SavedWeights]:
    if stored.layers is None:
        layers = [layer for layer in stored.root.layers() if layer[2]]
        uses = Counter(name for _, name, _ in layers)  # layers inside two others may have the same name
        for path, name, groups in layers:
            unnamed = {part: [("", array) for array in arrays] for part, arrays in groups.items()}
            yield SavedWeights(name if uses[name] == 1 else path, unnamed)
        return
    for name, arrays in stored.layers.items():
        first = _rename_cells(arrays)
        if first:
            yield SavedWeights(name, first, True)
            continue
        cells: dict[str, list[tuple[str, Array]]] = {}
        for path, array in arrays:
            owner, _, role = path.rpartition("/")
            cells.setdefault(owner, []).append((role.partition(":")[0], array))
        yield SavedWeights(name, cells)


def _rename_cells(arrays: Sequence[tuple[str, Array]]) -> dict[str, list[tuple[str, Array]]]:
    """Return the cells with today's names, gates side by side; empty for other names."""
    parts: dict[str, dict[str, dict[str, Array]]] = {}
    for path, array in arrays:
        match = _KERAS_1.fullmatch(path.rpartition("/")[2].partition(":")[0])
        if match is None:
            return {}
        parts.setdefault(match["owner"], {}).setdefault(match["role"], {})[match["gate"] or ""] = array
    cells: dict[str, list[tuple[str, Array]]] = {}
    for owner, roles in parts.items():
        for role, name in zip("WUb", ROLES, strict=True):
            gates = roles.get(role, {})
            order = next((order for order in GATES if sorted(order) == sorted(gates)), None)
            if order is not None:
                whole = np.concatenate([gates[gate] for gate in order], axis=-1)
                cells.setdefault(owner, []).append((name, whole))
    return cells


def find_inner(node: Node) -> list[tuple[Module, tuple[str, ...]]]:
    """Return the recurrent layers inside a layer of a user's class, each with the names of its weights.

    Of `rec/cell/0` or `rec/gru_cell/kernel` the layer is `rec`; with both directions, the last parts are
    `forward_layer/cell/0` or `forward_gru/gru_cell/kernel`.
    """
    layers: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for weight in node.weights:
        owner, _, role = weight.rpartition("/")
        parts, cell = owner.split("/"), ""
        while parts and _PART.fullmatch(parts[-1]):
            cell = f"{parts.pop()}/{cell}".strip("/")
        name = "/".join(parts) or cell.partition("/")[0].removesuffix("_cell")
        layers.setdefault(name, {}).setdefault(cell, []).append((role.strip("0123456789"), weight))
    inner: list[tuple[Module, tuple[str, ...]]] = []
    for name, cells in layers.items():
        arrays = {
            cell: [(role, node.weights[weight]) for role, weight in roles] for cell, roles in cells.items()
        }
        module = _recognize_layer(SavedWeights(f"{node.name}/{name}", arrays))
        if module is not None and not module.refusal:
            inner.append((module, tuple(weight for roles in cells.values() for _, weight in roles)))
    return inner


def _recognize_layer(saved: SavedWeights) -> Module | None:
    cells = {path: _recognize_cell(arrays) for path, arrays in saved.cells.items()}
    known = {path: cell for path, cell in cells.items() if cell is not None}
    if not known:
        if not any(_looks_recurrent(path, arrays) for path, arrays in saved.cells.items()):
            return None
        return Module(saved.name, (), Message("its weights do not fit LSTM, GRU or SimpleRNN"))
    distributed = any(path.split("/")[0] == "layer" or path.startswith("time_distributed") for path in known)
    both = zip(known, ("forward", "backward"), strict=False)
    is_pair = all(any(part.startswith(word) for part in path.split("/")) for path, word in both)
    if len(known) == len(cells) and ((len(known) == 1 and not distributed) or (len(known) == 2 and is_pair)):
        return recognize.to_module(keras.join_cells(saved.name, list(known.values())), keras.PACKAGE)
    if distributed:
        why = Message("it is in a TimeDistributed, whose inputs have one more axis")
        return Module(saved.name, (), why)
    why = Message(
        "it has {count} sets of recurrent weights, and the file does not say how they are connected",
        count=len(known),
    )
    way_out = "describe it, as in -l 'RNN([LSTMCell(3), LSTMCell(3)])', and give this file to {--weights}"
    return Module(saved.name, (), why, Message(way_out))


def _recognize_cell(named: Sequence[tuple[str, Array]]) -> CellWeights | None:
    """Return one cell.  Keras 3 names weights by number, in the order of ROLES."""
    if len(named) not in (2, 3):
        return None
    names = [name for name, _ in named]
    roles = names if set(names) <= set(ROLES) else ROLES if not any(names) else ()
    arrays = {role: array for role, (_, array) in zip(roles, named, strict=False)}
    return keras.read_cell(cudnn.to_plain_layout(arrays))


def _looks_recurrent(path: str, named: Sequence[tuple[str, Array]]) -> bool:
    if {"cell", "cells"} & set(path.split("/")) or any(name == "recurrent_kernel" for name, _ in named):
        return True
    matrices = [array.shape for name, array in named if not name and array.ndim == 2]
    return any(
        kernel[1] == recurrent[1] and recurrent[0] > 0 and recurrent[1] % recurrent[0] == 0
        for kernel, recurrent in permutations(matrices, 2)
    )


def _is_hard(origin: Origin, saved: SavedWeights, node: Node) -> bool:
    """Return whether the gates used hard_sigmoid by default; cuDNN's never did."""
    before = HARD_BEFORE if origin.own_package else HARD_BEFORE_TF
    if not saved.is_keras_1 and (not origin.version or origin.version >= before):
        return False
    weights = saved.arrays
    bias = next((array for name, array in node.weights.items() if name.endswith("bias")), None)
    converted = bias is not None and len(weights) in (3, 6) and weights[2].shape != bias.shape
    two_biases = bias is not None and bias.ndim == 2  # CuDNNGRU's; GRU had no reset_after by default
    return node.core_class in ("LSTM", "GRU") and not converted and not two_biases
