"""The cells of TensorFlow 1, whose kernel has the rows of the features and of the units in one.

BasicLSTMCell and LSTMCell have the kernel (features + units, 4 units), and add 1 to the bias of the forget
gate; GRUCell has a kernel for its gates, (features + units, 2 units), and another for its candidate.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from rnncli.errors import Message, Text
from rnncli.frameworks import GATES as KERAS_GATES
from rnncli.frameworks import CellWeights, Chain, FoundChain, LayerWeights, cell_of, reorder
from rnncli.values import Array

FRAMEWORK = "TensorFlow 1"
PACKAGE = "tensorflow.nn"
GATES: Mapping[str, tuple[str, ...]] = {
    "SimpleRNN": ("candidate",),
    "LSTM": ("input", "candidate", "forget", "output"),
    "GRU": ("reset", "update", "candidate"),
}
FORGET_BIAS = 1.0
"""What the cells of an LSTM add to the bias of the forget gate, unless they were made otherwise."""
NAME = re.compile(
    r"(?s)(?P<path>(?:.*/)?(?:basic_)?(?P<kind>lstm|gru|rnn)_cell(?:_\d+)?)"
    r"/(?P<role>(?:(?:gates|candidate)/)?(?:kernel|bias|weights|biases))(?::0)?"
)
_STACKED = re.compile(r"(?s)(?P<above>(?:.*/)?)cell_(?P<index>\d+)/(?P<below>.*)")
_HALF = re.compile(r"(?s)(?P<above>.*)/(?P<half>fw|bw)(?P<below>/.*)")


def find_chains(arrays: Mapping[str, Any]) -> Iterator[FoundChain]:
    """Yield the layers of TensorFlow 1: cells of a MultiRNNCell are a stack, `fw` and `bw` two directions."""
    cells: dict[str, CellWeights] = {}
    names: dict[str, list[str]] = {}
    for path, (kind, roles) in _group(arrays).items():
        cell = _read_cell(kind, {role: arrays[name] for role, name in roles.items()})
        if cell is not None:
            cells[path], names[path] = cell, list(roles.values())
    stacks: dict[str, dict[int, dict[str, str]]] = {}
    for path in cells:
        half = _HALF.fullmatch(path)
        whole = f"{half['above']}{half['below']}" if half else path
        layer = _STACKED.fullmatch(whole)
        above = layer["above"] if layer else whole.rpartition("/")[0] or whole
        name = above.rstrip("/").removesuffix("/multi_rnn_cell")
        halves = stacks.setdefault(name, {}).setdefault(int(layer["index"]) if layer else 0, {})
        halves[half["half"] if half else path] = path
    for name, stack in stacks.items():
        layers: list[LayerWeights] = []
        for index, halves in sorted(stack.items()):
            both = tuple(cells[path] for _, path in sorted(halves.items(), reverse=True))
            layers.append(LayerWeights(f"{name}_l{index}" if len(stack) > 1 else name, both))
        paths = [path for halves in stack.values() for path in halves.values()]
        used = [each for path in paths for each in names[path]]
        yield FoundChain(Chain(name, tuple(layers)), used, _refusal(stack, cells))


def _refusal(stack: Mapping[int, Mapping[str, str]], cells: Mapping[str, CellWeights]) -> Text:
    for halves in stack.values():
        both = [cells[path] for path in halves.values()]
        if len(both) > 1 and (halves.keys() != {"fw", "bw"} or len({cell.features for cell in both}) > 1):
            return Message("the names do not say how its cells are connected")
        if len(both) > 1 and len(stack) > 1 and "/multi_rnn_cell/" in halves["fw"]:
            return Message("its two directions are two stacks, each of which reads the input")
    return ""


def _group(names: Collection[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the kind of each cell and its names by role: `rnn/lstm_cell`, then `kernel`."""
    groups: dict[str, tuple[str, dict[str, str]]] = {}
    names = set(names)
    for name in sorted(names):
        match = NAME.fullmatch(name)
        if match and not {f"{match['path']}/recurrent_kernel{end}" for end in ("", ":0")} & names:
            role = match["role"].replace("weights", "kernel").replace("biases", "bias")
            groups.setdefault(match["path"], (match["kind"], {}))[1][role] = name
    return groups


def _read_cell(kind: str, arrays: Mapping[str, Array]) -> CellWeights | None:
    parts = ("gates", "candidate") if kind == "gru" else ("",)
    kernels = [arrays.get(f"{part}/kernel".lstrip("/")) for part in parts]
    biases = [arrays.get(f"{part}/bias".lstrip("/")) for part in parts]
    if any(kernel is None or kernel.ndim != 2 for kernel in kernels):
        return None
    if len({len(kernel) for kernel in kernels if kernel is not None}) > 1:
        return None
    class_name = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}[kind]
    kernel = np.concatenate([kernel for kernel in kernels if kernel is not None], axis=1)
    units, rest = divmod(kernel.shape[1], len(GATES[class_name]))
    features = len(kernel) - units
    flat = [bias for bias in biases if bias is not None and bias.ndim == 1]
    if rest or units < 1 or features < 1 or (flat and sum(map(len, flat)) != kernel.shape[1]):
        return None
    bias = np.concatenate(flat) if flat else np.zeros(kernel.shape[1], kernel.dtype)
    if class_name == "LSTM":
        bias = bias + np.repeat(np.array([0, 0, FORGET_BIAS, 0], kernel.dtype), units)
    packed = {"kernel": kernel[:features], "recurrent_kernel": kernel[features:], "bias": bias}
    order = GATES[class_name], KERAS_GATES[class_name]
    weights = {role: np.ascontiguousarray(reorder(array, *order)) for role, array in packed.items()}
    return cell_of(class_name, weights)
