"""Layers of several inputs: merging layers, and attention over a sequence, Luong's and Bahdanau's.

Merging layers combine masks by the rules of the version that saved the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.case import Array
from rnncli.cells import activations
from rnncli.models.operations import KERAS_2, KERAS_3_0, TODAY, OperationCall, OperationOutput, axis_of

if TYPE_CHECKING:
    Arrays = Sequence[Array]


def _merge(call: OperationCall) -> OperationOutput:
    """Merge several arrays into one, and their masks into its mask."""
    arrays = list(call.inputs) if isinstance(call.inputs, (list, tuple)) else [call.inputs]
    masks = list(call.previous) if isinstance(call.previous, (list, tuple)) else [call.previous] * len(arrays)
    if call.rules == KERAS_3_0:
        masks = [None] * len(arrays)
    if call.class_name == "Dot":
        return _dot(call, arrays), None
    if call.class_name == "Concatenate":
        axis = axis_of(call.config)
        return np.concatenate(arrays, axis=axis), _concatenate_masks(call, arrays, masks, axis)
    rank = max(array.ndim for array in arrays)
    wide = [array.reshape(len(array), *[1] * (rank - array.ndim), *array.shape[1:]) for array in arrays]
    if call.rules == TODAY and call.class_name in ("Multiply", "Maximum", "Minimum"):
        kept = [mask if array.ndim == rank else None for array, mask in zip(arrays, masks, strict=True)]
        return _merge_masked(call.class_name, wide, kept), _combine_masks(call, masks)
    return _JOINS[call.class_name](wide), _combine_masks(call, masks)


def _merge_masked(name: str, arrays: Arrays, masks: Sequence[Any]) -> Array:
    """Merge as today's Keras does: where a mask skips a step, only the other arrays are merged.

    masks: of the arrays after reshaping, which drops a mask.
    """
    wide: list[Any] = [
        None if mask is None else np.broadcast_to(mask[..., None], array.shape)
        for array, mask in zip(arrays, masks, strict=True)
    ]
    if name == "Multiply":
        factors = [x if mask is None else np.where(mask, x, 1) for x, mask in zip(arrays, wide, strict=True)]
        product: Array = reduce(np.multiply, factors).astype(arrays[0].dtype)
        return product if any(mask is None for mask in wide) else product * reduce(np.logical_or, wide)
    output, before = arrays[0], wide[0]
    for x, mask in zip(arrays[1:], wide[1:], strict=True):
        x = x if mask is None else np.where(mask, x, output)
        output = output if before is None else np.where(before, output, x)
        before = None if mask is None or before is None else mask | before
        output = _JOINS[name]([output, x])
    return output


def _combine_masks(call: OperationCall, masks: Sequence[Any]) -> Any:
    """Return the mask of the output.

    In Keras 3 a step is kept if any mask keeps it, and there is no mask unless all arrays have one; in
    Keras 2 a step is kept if all masks keep it.
    """
    known = [mask for mask in masks if mask is not None]
    if call.rules == KERAS_2:
        return reduce(np.logical_and, known) if known else None
    return reduce(np.logical_or, known) if len(known) == len(masks) else None


def _concatenate_masks(call: OperationCall, arrays: Arrays, masks: Sequence[Any], axis: int) -> Any:
    """Concatenate masks as wide as the arrays; a step is kept if any feature is, in Keras 2 if all are."""
    if all(mask is None for mask in masks):
        return None
    wide = []
    for array, mask in zip(arrays, masks, strict=True):
        mask = np.ones(array.shape, bool) if mask is None else mask
        wide.append(np.broadcast_to(mask[..., None], array.shape) if mask.ndim < array.ndim else mask)
    features = np.concatenate(wide, axis=axis)
    return features.all(axis=-1) if call.rules == KERAS_2 else features.any(axis=-1)


def _dot(call: OperationCall, arrays: Arrays) -> Array:
    """Sum the products along one axis of each: (batch, ..., n) and (batch, n, ...) -> (batch, ..., ...)."""
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
    total: Array = reduce(np.add, arrays)
    return np.asarray(total / len(arrays), total.dtype if total.dtype.kind == "f" else np.float32)


_JOINS: Mapping[str, Callable[[Any], Any]] = {
    "Add": partial(reduce, np.add),
    "Subtract": _subtract,
    "Multiply": partial(reduce, np.multiply),
    "Average": _average,
    "Maximum": partial(reduce, np.maximum),
    "Minimum": partial(reduce, np.minimum),
}


def _attend(call: OperationCall) -> OperationOutput:
    """Attend: [query, value, key] -> (batch, query steps, dim); the mask of the query is passed on.

    With return_attention_scores the scores are a second output, (batch, query steps, value steps).
    """
    query, value = call.inputs[0], call.inputs[1]
    key = call.inputs[2] if len(call.inputs) > 2 else value
    masks = call.mask if isinstance(call.mask, (list, tuple)) else (None, None)
    scores = _scores(call, query, key)
    attended = _attended(call, scores, masks[1])
    if attended is not None:
        scores = np.where(attended, scores, scores - scores.dtype.type(1e9))
    shares = activations.get("softmax")(scores)
    output = shares @ value
    if masks[0] is not None:
        output = np.where(masks[0][..., None], output, output.dtype.type(0))
    both = call.kwargs.get("return_attention_scores")
    after = call.previous[0] if isinstance(call.previous, (list, tuple)) else None
    return ((output, shares) if both else output), after


def _scores(call: OperationCall, query: Array, key: Array) -> Array:
    """Return how well each query fits each key, (batch, query steps, value steps).

    Luong et al. (2015): query . key.  Bahdanau et al. (2014): scale . tanh(query + key).
    """
    scale: Any = call.weights["scale"] if call.config.get("use_scale") else None
    if call.class_name == "Attention" and call.config.get("score_mode", "dot") == "dot":
        scores: Array = query @ np.swapaxes(key, -2, -1)
        return scores if scale is None else scores * scale
    both = query[..., :, None, :] + key[..., None, :, :]
    if call.class_name == "AdditiveAttention":
        added: Array = np.tanh(both) if scale is None else scale * np.tanh(both)
        return np.asarray(added.sum(axis=-1))
    inner = both if scale is None else scale * both
    return np.asarray(call.weights["concat_score_weight"] * np.tanh(inner).sum(axis=-1))


def _attended(call: OperationCall, scores: Array, mask: Any) -> Any:
    """Return which values each query may use, (batch or 1, query steps or 1, value steps); None for all."""
    attended = None if mask is None else mask[:, None, :]
    if call.kwargs.get("use_causal_mask") or call.config.get("causal"):
        causal = np.tri(*scores.shape[-2:])[None] > 0
        attended = causal if attended is None else attended & causal
    return attended


MERGING = (*_JOINS, "Concatenate", "Dot")
LAYERS = {
    **dict.fromkeys(MERGING, _merge),
    **dict.fromkeys(("Attention", "AdditiveAttention"), _attend),
}
