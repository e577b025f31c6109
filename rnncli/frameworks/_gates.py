"""What all layouts need: gates in another order, and one bias as two that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnncli.case import Array
from rnncli.errors import Message, Text
from rnncli.frameworks._chain import LayerWeights

GATES: Mapping[str, tuple[str, ...]] = {
    "SimpleRNN": ("candidate",),
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("update", "reset", "candidate"),
}
"""The gates of each class in the order in which Keras packs them."""


def infer_class(units: int, width: int) -> str | None:
    """Return the class whose gates of this many units are `width` wide; None if there is none."""
    if units <= 0:
        return None
    return next((name for name, gates in GATES.items() if len(gates) * units == width), None)


def reorder(array: Array, before: Sequence[str], after: Sequence[str]) -> Array:
    """Return the array with its gates, packed along the last axis, in another order."""
    if tuple(before) == tuple(after):
        return array
    parts = dict(zip(before, np.split(array, len(before), axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in after], axis=-1)


def two_biases(bias: Array) -> tuple[Array, Array]:
    """Return the input bias and the recurrent bias, (gates * units,) each.

    A single bias becomes the input bias.  The recurrent bias is then -0.0, which changes no number that it
    is added to: 0.0 would change -0.0.
    """
    if bias.ndim == 2:
        return bias[0], bias[1]
    return bias, np.full_like(bias, -0.0)


def one_bias(first: Array | None, second: Array | None) -> Array | None:
    """Return the sum of both biases; one of them, or both, may be missing."""
    if first is None or second is None:
        return second if first is None else first
    total: Array = first + second
    return total


def explain_uneven(layer: LayerWeights) -> Text | None:
    """Return why a layout in which both directions are alike cannot hold the layer."""
    first, last = layer.cells[0], layer.cells[-1]
    if first.class_name != last.class_name:
        return Message(
            "its directions are {class_name} and {other}",
            class_name=first.class_name,
            other=last.class_name,
        )
    if len(layer.cells) > 1 and first.config.get("go_backwards"):
        return Message("its first direction runs backwards (go_backwards)")
    if first.units != last.units:
        return Message("its directions have {units} and {other} units", units=first.units, other=last.units)
    if ("bias" in first.weights) != ("bias" in last.weights):
        return Message("only one of its directions has a bias (use_bias)")
    if first.weights["kernel"].dtype != last.weights["kernel"].dtype:
        return Message("its directions have different dtypes")
    return None


def adds_bias(layer: LayerWeights) -> bool:
    """Return whether a layer has a single bias where other frameworks have two that add up."""
    return any("bias" in cell.weights and cell.weights["bias"].ndim == 1 for cell in layer.cells)
