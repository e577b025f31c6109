"""Layers that move numbers without changing them; their output has no mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.models.operations import OperationCall, OperationOutput, channels_first, sizes_of


def compute(call: OperationCall) -> OperationOutput:
    """Move the numbers; the output has no mask."""
    return _LAYERS[call.class_name](call, call.inputs), None


def _reshape(call: OperationCall, x: Array) -> Array:
    shape = [-1 if size is None else int(size) for size in call.config["target_shape"]]
    return x.reshape(len(x), *shape)


def _permute(call: OperationCall, x: Array) -> Array:
    return x.transpose(0, *call.config["dims"])


def _flatten(call: OperationCall, x: Array) -> Array:
    if channels_first(call.config) and x.ndim > 1:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return x.reshape(len(x), prod(x.shape[1:]))


def _repeat_vector(call: OperationCall, x: Array) -> Array:
    return x[:, None].repeat(call.config["n"], axis=1)


def _zero_padding(call: OperationCall, x: Array) -> Array:
    return np.pad(x, _sides(call, x, "padding"))


def _cropping(call: OperationCall, x: Array) -> Array:
    sides = list(zip(_sides(call, x, "cropping"), x.shape, strict=True))
    if any(first + last >= size for (first, last), size in sides if size):
        raise ValueError("it crops everything")
    return x[tuple(slice(first, size - last) for (first, last), size in sides)]


def _up_sampling(call: OperationCall, x: Array) -> Array:
    if call.config.get("interpolation", "nearest") != "nearest":
        raise call.refuse("interpolates by {config}", config=call.config["interpolation"])
    rank = x.ndim - 2
    first = 2 if channels_first(call.config) else 1
    for axis, size in enumerate(sizes_of(call.config.get("size", 2), rank)):
        x = x.repeat(size, axis=first + axis)
    return x


def _sides(call: OperationCall, x: Array, option: str) -> list[tuple[int, int]]:
    """Return the sizes to add or remove before and after each axis.

    The option is `2`, or `(1, 2)` for one axis, or has one of these for each axis.
    """
    rank, value = x.ndim - 2, call.config.get(option, 1)
    each = [value] * rank if rank == 1 or isinstance(value, int) else value
    pairs = [_as_pair(own) for own in each]
    around = [(0, 0), *pairs]
    around.insert(1 if channels_first(call.config) else len(around), (0, 0))
    return around


def _as_pair(value: Any) -> tuple[int, int]:
    return (value[0], value[-1]) if isinstance(value, (list, tuple)) else (value, value)


_LAYERS: Mapping[str, Callable[[OperationCall, Any], Any]] = {
    "Reshape": _reshape,
    "Permute": _permute,
    "Flatten": _flatten,
    "RepeatVector": _repeat_vector,
    **{f"ZeroPadding{rank}D": _zero_padding for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": _cropping for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": _up_sampling for rank in (1, 2, 3)},
}

NAMES = tuple(_LAYERS)
