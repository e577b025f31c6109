"""Layers that join several inputs, and their masks by the rules of the Keras that saved them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.compute.operations._call import (
    KERAS_2,
    KERAS_3_0,
    TODAY,
    OperationCall,
    OperationOutput,
    axis_of,
)

if TYPE_CHECKING:
    from rnncli.case import Array

    Arrays = Sequence[Array]


def compute(call: OperationCall) -> OperationOutput:
    """One array of several, and the mask that they have together."""
    arrays = list(call.inputs) if isinstance(call.inputs, (list, tuple)) else [call.inputs]
    masks = list(call.previous) if isinstance(call.previous, (list, tuple)) else [call.previous] * len(arrays)
    if call.rules == KERAS_3_0:
        masks = [None] * len(arrays)
    if call.class_name == "Dot":
        return _dot(call, arrays), None
    if call.class_name == "Concatenate":
        return _concatenate(call, arrays), _side_by_side(call, arrays, masks)
    joined = _merge_masked if call.rules == TODAY and call.class_name in _MASKED else _join
    return joined(call.class_name, _one_rank(arrays), _keep_masks(arrays, masks)), _together(call, masks)


def _join(name: str, arrays: Arrays, masks: Sequence[Any]) -> Array:  # noqa: ARG001 - as _merge_masked
    return _JOINS[name](arrays)  # type: ignore[no-any-return]


def _merge_masked(name: str, arrays: Arrays, masks: Sequence[Any]) -> Array:
    """Where a mask leaves a step out, today's Keras takes the numbers of the others alone."""
    wide = [
        None if mask is None else np.broadcast_to(mask[..., None], array.shape)
        for array, mask in zip(arrays, masks, strict=True)
    ]
    if name == "Multiply":
        kept = [x if mask is None else np.where(mask, x, 1) for x, mask in zip(arrays, wide, strict=True)]
        product: Array = reduce(np.multiply, kept).astype(arrays[0].dtype)
        held = [mask for mask in wide if mask is not None]
        return product * reduce(np.logical_or, held) if len(held) == len(wide) else product
    output, before = arrays[0], wide[0]
    for x, mask in zip(arrays[1:], wide[1:], strict=True):
        x = x if mask is None else np.where(mask, x, output)
        output = output if before is None else np.where(before, output, x)
        before = None if mask is None or before is None else mask | before
        output = _JOINS[name]([output, x])
    return output


def _keep_masks(arrays: Arrays, masks: Sequence[Any]) -> list[Any]:
    """The masks that Keras still finds on the arrays after giving all of them one rank."""
    rank = max(array.ndim for array in arrays)
    return [mask if array.ndim == rank else None for array, mask in zip(arrays, masks, strict=True)]


def _one_rank(arrays: Arrays) -> Arrays:
    """Axes of 1 behind the batch where an array has fewer axes than another."""
    rank = max(array.ndim for array in arrays)
    return [array.reshape(len(array), *[1] * (rank - array.ndim), *array.shape[1:]) for array in arrays]


def _together(call: OperationCall, masks: Sequence[Any]) -> Any:
    """Keras 3: where any counts, and no mask unless all have one.  Before: where all that have one count."""
    held = [mask for mask in masks if mask is not None]
    if call.rules == KERAS_2:
        return reduce(np.logical_and, held) if held else None
    return reduce(np.logical_or, held) if len(held) == len(masks) else None


def _side_by_side(call: OperationCall, arrays: Arrays, masks: Sequence[Any]) -> Any:
    """Joined as the arrays are; then a step counts in Keras 3 where any feature does, before where all do."""
    if all(mask is None for mask in masks):
        return None
    wide = [
        np.ones(array.shape, bool)
        if mask is None
        else np.broadcast_to(mask[..., None], array.shape)
        if mask.ndim < array.ndim
        else mask
        for array, mask in zip(arrays, masks, strict=True)
    ]
    joined = np.concatenate(wide, axis=axis_of(call.config))
    return joined.any(axis=-1) if call.rules != KERAS_2 else joined.all(axis=-1)


def _concatenate(call: OperationCall, arrays: Arrays) -> Array:
    return np.concatenate(arrays, axis=axis_of(call.config))


def _dot(call: OperationCall, arrays: Arrays) -> Array:
    """Summed along one axis of each: (batch, ..., n) and (batch, n, ...) -> (batch, ..., ...)."""
    first, second = arrays
    axes = call.config["axes"]
    one, other = (axes, axes) if isinstance(axes, int) else axes
    if call.config.get("normalize"):
        first, second = _normalize(call, first, one), _normalize(call, second, other)
    first, second = np.moveaxis(first, one, -1), np.moveaxis(second, other, 1)
    shape = first.shape[:-1] + second.shape[2:]
    left = first.reshape(len(first), -1, first.shape[-1])
    found = left @ second.reshape(len(second), second.shape[1], -1)
    return found.reshape(shape if len(shape) > 1 else (*shape, 1))


def _normalize(call: OperationCall, x: Array, axis: int) -> Array:
    squares = np.square(x).sum(axis=axis, keepdims=True)
    if call.rules == KERAS_2:  # tf.nn.l2_normalize
        return np.asarray(x / np.sqrt(np.maximum(squares, x.dtype.type(1e-12))), x.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(x * np.minimum(1 / np.sqrt(squares), x.dtype.type(1e7)), x.dtype)


def _subtract(arrays: Arrays) -> Array:
    first, second = arrays
    return first - second


def _average(arrays: Arrays) -> Array:
    total: Array = reduce(lambda one, other: one + other, arrays)
    return np.asarray(total / len(arrays), total.dtype if total.dtype.kind == "f" else np.float32)


def _extreme(name: str) -> Callable[[Any], Any]:
    def join(arrays: Arrays) -> Array:
        return reduce(getattr(np, name), arrays)

    return join


_JOINS: Mapping[str, Callable[[Any], Any]] = {
    "Add": lambda arrays: reduce(lambda one, other: one + other, arrays),
    "Subtract": _subtract,
    "Multiply": lambda arrays: reduce(lambda one, other: one * other, arrays),
    "Average": _average,
    "Maximum": _extreme("maximum"),
    "Minimum": _extreme("minimum"),
}

_MASKED = ("Multiply", "Maximum", "Minimum")

NAMES = (*_JOINS, "Concatenate", "Dot")
