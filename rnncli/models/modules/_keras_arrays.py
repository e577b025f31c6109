"""Recurrent layers by Keras's names of their weights, `bi/forward/kernel`, or by the order of the weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rnncli.case import Array
from rnncli.errors import Message
from rnncli.frameworks import cudnn, infer_class
from rnncli.models.graph import Module
from rnncli.models.modules._nodes import BARE, node_of

NAME = re.compile(r"(?s)(?:(?P<path>.*)/)?(?P<role>kernel|recurrent_kernel|bias)(?::\d+)?")
_DIRECTION = re.compile(r"(?s)(?P<layer>.+)/(?P<direction>forward|backward)(?P<rest>_.+)")


def find_modules(tensors: Mapping[str, Any]) -> Iterator[tuple[list[str], Module]]:
    """Yield the layers whose weights have the names of Keras's variables, `bi/forward/kernel`."""
    cells: dict[str, dict[str, str]] = {}
    for name in tensors:
        if match := NAME.fullmatch(name):
            cells.setdefault(match["path"] or "", {})[match["role"]] = name
    layers: dict[str, dict[bool, Any]] = {}
    names: dict[str, list[str]] = {}
    for path, roles in cells.items():
        cell = keras_cell({role: tensors[name] for role, name in roles.items()})
        if cell is not None:
            layer, backward = _split_direction(path, cells)
            layers.setdefault(layer, {})[backward] = cell
            names.setdefault(layer, []).extend(roles.values())
    for layer, both in layers.items():
        if False in both:
            name = layer or BARE[both[False][0]]
            yield names[layer], layer_of_cells(name, *(both[back] for back in sorted(both)))


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


def keras_cell(weights: Mapping[str, Any]) -> tuple[str, dict[str, Array]] | None:
    """Return the class and the weights of one cell in Keras's layout; None for others."""
    kernel, recurrent, bias = (weights.get(name) for name in ("kernel", "recurrent_kernel", "bias"))
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return None
    units, wide = recurrent.shape
    class_name = infer_class(units, wide)
    if class_name is None or kernel.shape[1] != wide:
        return None
    own = {"kernel": kernel, "recurrent_kernel": recurrent, **({} if bias is None else {"bias": bias})}
    if cudnn.is_cudnn(class_name, own):
        return class_name, cudnn.to_keras(class_name, own)
    fits = bias is None or bias.shape == (wide,) or (class_name == "GRU" and bias.shape == (2, wide))
    return (class_name, own) if fits else None


def layer_of_cells(name: str, *cells: tuple[str, dict[str, Array]]) -> Module:
    """Return a layer of Keras with one direction, or with two, the forward one first."""
    if len({(class_name, len(weights["kernel"])) for class_name, weights in cells}) > 1:
        return Module(
            name, (), Message("its two directions are of different classes, or take different inputs")
        )
    return Module(name, (node_of(name, dict(zip((False, True), cells, strict=False)), "keras.layers"),))


def recognize_layer(name: str, weights: Sequence[Array]) -> Module | None:
    """Return a layer of Keras from its weights in their order; None if it is not a plain recurrent layer.

    Three, or two without bias; twice as many inside Bidirectional.
    """
    keys = ("kernel", "recurrent_kernel", "bias")
    for size in (3, 2):
        if len(weights) in (size, 2 * size):
            parts = [weights[start : start + size] for start in range(0, len(weights), size)]
            cells = [keras_cell(dict(zip(keys, part, strict=False))) for part in parts]
            known = [cell for cell in cells if cell is not None]
            if len(known) == len(cells):
                module = layer_of_cells(name, *known)
                return None if module.refusal else module
    return None
