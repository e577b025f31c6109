"""Keras's core layers, its activation layers, and layers that change nothing outside of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.cells import activations
from rnncli.errors import InputError
from rnncli.models.operations import KERAS_2, OperationCall, OperationOutput, activate, axes_of


def _dense(call: OperationCall) -> OperationOutput:
    """activation(x W + b) along the last axis: (..., features) -> (..., units); the mask is passed on."""
    kernel, x = call.weights["kernel"], np.asarray(call.inputs)
    x = x.astype(kernel.dtype) if x.dtype.kind != "f" else x
    product = x.reshape(-1, x.shape[-1]).dot(kernel).reshape(*x.shape[:-1], kernel.shape[-1])
    if call.config.get("use_bias", True):
        product += call.weights["bias"]
    return activate(call, product, call.config.get("activation")), call.previous


def _embedding(call: OperationCall) -> OperationOutput:
    """Look token ids up in a table: (...) -> (..., output_dim); with mask_zero the id 0 is masked.

    Raises InputError for an id that is not in the table.
    """
    table, ids = call.weights["embeddings"], np.asarray(call.inputs)
    whole = ids.astype(np.int64)
    outside = (whole < 0) | (whole >= len(table)) | ~np.isfinite(ids)
    if outside.any():
        index = tuple(map(int, np.argwhere(outside)[0]))
        raise InputError(
            "the layer {layer} (Embedding) takes token ids 0 to {highest}; the id at [{index}] is {id}.",
            "Use the vocabulary that the model was trained with.",
            layer=call.layer,
            highest=len(table) - 1,
            index=", ".join(map(str, index)),
            id=ids[index],
        )
    return table[whole], (ids != 0 if call.config.get("mask_zero") else None)


def _masking(call: OperationCall) -> OperationOutput:
    """Mask the steps whose features all equal mask_value, and set them to 0."""
    x, value = call.inputs, call.config.get("mask_value", 0.0)
    mask = (x != (x.dtype.type(value) if x.dtype.kind == "f" else value)).any(axis=-1)
    return np.where(mask[..., None], x, x.dtype.type(0)), mask


def _pass_on(call: OperationCall) -> OperationOutput:
    """Return the inputs and their mask."""
    return call.inputs, call.previous


def _activate(call: OperationCall) -> OperationOutput:
    """Apply the function to the inputs; the mask is passed on."""
    with np.errstate(all="ignore"):
        return _ACTIVATIONS[call.class_name](call, call.floats()), call.previous


def _relu(call: OperationCall, x: Array) -> Array:
    """Compute in Keras's order: the threshold, the maximum, then the slope below the threshold."""
    number, config = x.dtype.type, call.config
    slope, threshold = config.get("negative_slope") or 0.0, number(config.get("threshold") or 0.0)
    highest = config.get("max_value")
    found = x * (x > threshold) if threshold else np.maximum(x, number(0))
    if highest is not None:
        found = np.clip(found, number(0), number(highest))
    if slope:
        found = found - number(slope) * np.maximum(threshold - x, number(0))
    return np.asarray(found)


def _elu(call: OperationCall, x: Array) -> Array:
    """x if positive, else alpha (exp(x) - 1) (Clevert et al., 2016)."""
    alpha = call.config.get("alpha", 1.0)
    if call.config.get("is_gated"):
        raise call.refuse("is gated")
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


def _softmax(call: OperationCall, x: Array) -> Array:
    """Compute softmax over one axis or several; masked entries are 0."""
    axes = axes_of(call.config)
    if call.mask is None:
        if axes in ((-1,), (x.ndim - 1,)):
            return activations.get("softmax")(x)
        powers = np.exp(x - x.max(axis=axes, keepdims=True))
        return np.asarray(powers / powers.sum(axis=axes, keepdims=True), x.dtype)
    if call.rules == KERAS_2:
        raise call.refuse("gets a mask, which Keras 2 treats in its own way")
    mask = np.asarray(call.mask, bool)
    low = np.where(mask, x, x.dtype.type(-1e9))
    powers = np.exp(low - low.max(axis=axes, keepdims=True))
    return np.asarray(np.where(mask, powers / powers.sum(axis=axes, keepdims=True), x.dtype.type(0)))


_ACTIVATIONS: Mapping[str, Callable[[OperationCall, Any], Any]] = {
    "Activation": lambda call, x: activate(call, x, call.config.get("activation")),
    "ReLU": _relu,
    "LeakyReLU": lambda call, x: np.where(
        x > 0, x, x * x.dtype.type(call.config.get("negative_slope", call.config.get("alpha", 0.3)))
    ),
    "ThresholdedReLU": lambda call, x: x * (x > x.dtype.type(call.config.get("theta", 1.0))),
    "ELU": _elu,
    # x if positive, else alpha x with a learned alpha (He et al., 2015)
    "PReLU": lambda call, x: np.maximum(x, 0) - call.weights["alpha"] * np.maximum(-x, 0),
    "Softmax": _softmax,
}

LAYERS = {
    **dict.fromkeys(_ACTIVATIONS, _activate),
    "Dense": _dense,
    "Embedding": _embedding,
    "Masking": _masking,
    **dict.fromkeys(
        (
            "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
            "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity",
        ),
        _pass_on,
    ),
}  # fmt: skip
