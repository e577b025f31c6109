"""Layers that merge several arrays into one, and their masks by the rules of a version of Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from rnncli.layers.plain import KERAS_2, KERAS_3_0, TODAY, KerasCall, PlainOutput, axis_of
from rnncli.values import Array

Arrays = Sequence[Array]
Join = Callable[[Arrays], Array]
"""Merges arrays of the same rank."""
MaskedJoin = Callable[[Arrays, Sequence[Any]], Array]
"""Merges the numbers that the masks keep; a mask is None, or has the shape of its array."""


def _merging(join: Join, masked_join: MaskedJoin | None = None) -> Callable[[KerasCall], PlainOutput]:
    """Return the function of a layer that merges arrays number by number.

    masked_join: merges as today's Keras does: where the mask of an array skips a step, only the other arrays
        are merged.  None if the masks do not change the numbers.
    """

    def layer(call: KerasCall) -> PlainOutput:
        arrays, masks = _arrays_and_masks(call)
        rank = max(array.ndim for array in arrays)
        wide = [array.reshape(len(array), *[1] * (rank - array.ndim), *array.shape[1:]) for array in arrays]
        if masked_join is None or call.rules != TODAY:
            return join(wide), _combine_masks(call, masks)
        wide_masks = [  # an array of fewer axes is reshaped, which drops its mask
            None if mask is None or array.ndim < rank else np.broadcast_to(mask[..., None], array.shape)
            for array, mask in zip(arrays, masks, strict=True)
        ]
        return masked_join(wide, wide_masks), _combine_masks(call, masks)

    return layer


def _arrays_and_masks(call: KerasCall) -> tuple[list[Array], list[Any]]:
    arrays = list(call.inputs) if isinstance(call.inputs, (list, tuple)) else [call.inputs]
    masks = list(call.previous) if isinstance(call.previous, (list, tuple)) else [call.previous] * len(arrays)
    return arrays, [None] * len(arrays) if call.rules == KERAS_3_0 else masks


def _combine_masks(call: KerasCall, masks: Sequence[Any]) -> Any:
    """Return the mask of the output.

    In Keras 3 a step is kept if any mask keeps it, and there is no mask unless all arrays have one; in
    Keras 2 a step is kept if all masks keep it.
    """
    known = [mask for mask in masks if mask is not None]
    if call.rules == KERAS_2:
        return reduce(np.logical_and, known) if known else None
    return reduce(np.logical_or, known) if len(known) == len(masks) else None


def concatenate(call: KerasCall) -> PlainOutput:
    """Concatenate along one axis, masks too."""
    arrays, masks = _arrays_and_masks(call)
    axis = axis_of(call.config)
    return np.concatenate(arrays, axis=axis), _concatenate_masks(call, arrays, masks, axis)


def _concatenate_masks(call: KerasCall, arrays: Arrays, masks: Sequence[Any], axis: int) -> Any:
    """Concatenate masks as wide as the arrays; a step is kept if any feature is, in Keras 2 if all are."""
    if all(mask is None for mask in masks):
        return None
    wide = []
    for array, mask in zip(arrays, masks, strict=True):
        mask = np.ones(array.shape, bool) if mask is None else mask
        wide.append(np.broadcast_to(mask[..., None], array.shape) if mask.ndim < array.ndim else mask)
    features = np.concatenate(wide, axis=axis)
    return features.all(axis=-1) if call.rules == KERAS_2 else features.any(axis=-1)


def dot(call: KerasCall) -> PlainOutput:
    """Sum the products along one axis of each: (batch, ..., n) and (batch, n, ...) -> (batch, ..., ...)."""
    (first, second), _ = _arrays_and_masks(call)
    axes = call.config["axes"]
    first_axis, second_axis = (axes, axes) if isinstance(axes, int) else axes
    if call.config.get("normalize"):
        first, second = _normalize(call, first, first_axis), _normalize(call, second, second_axis)
    first, second = np.moveaxis(first, first_axis, -1), np.moveaxis(second, second_axis, 1)
    shape = first.shape[:-1] + second.shape[2:]
    left = first.reshape(len(first), -1, first.shape[-1])
    products = left @ second.reshape(len(second), second.shape[1], -1)
    return products.reshape(shape if len(shape) > 1 else (*shape, 1)), None


def _normalize(call: KerasCall, x: Array, axis: int) -> Array:
    squares = np.square(x).sum(axis=axis, keepdims=True)
    if call.rules == KERAS_2:  # tf.nn.l2_normalize
        return np.asarray(x / np.sqrt(np.maximum(squares, x.dtype.type(1e-12))), x.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(x * np.minimum(1 / np.sqrt(squares), x.dtype.type(1e7)), x.dtype)


def _subtract(arrays: Arrays) -> Array:
    first, second = arrays
    return first - second


def _average(arrays: Arrays) -> Array:
    total: Array = reduce(np.add, arrays)
    return np.asarray(total / len(arrays), total.dtype if total.dtype.kind == "f" else np.float32)


def _multiply_masked(arrays: Arrays, masks: Sequence[Any]) -> Array:
    factors = [x if mask is None else np.where(mask, x, 1) for x, mask in zip(arrays, masks, strict=True)]
    product: Array = reduce(np.multiply, factors).astype(arrays[0].dtype)
    return product if any(mask is None for mask in masks) else product * reduce(np.logical_or, masks)


def _select_masked(select: Callable[[Array, Array], Array], arrays: Arrays, masks: Sequence[Any]) -> Array:
    output, before = arrays[0], masks[0]
    for x, mask in zip(arrays[1:], masks[1:], strict=True):
        x = x if mask is None else np.where(mask, x, output)
        output = output if before is None else np.where(before, output, x)
        before = None if mask is None or before is None else mask | before
        output = select(output, x)
    return output


add = _merging(partial(reduce, np.add))
subtract = _merging(_subtract)
multiply = _merging(partial(reduce, np.multiply), _multiply_masked)
average = _merging(_average)
maximum = _merging(partial(reduce, np.maximum), partial(_select_masked, np.maximum))
minimum = _merging(partial(reduce, np.minimum), partial(_select_masked, np.minimum))
