"""Keras's activation layers: Activation, and those with options of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.layers import activations
from rnncli.models.operations import KERAS_2, OperationCall, OperationOutput, activate, axes_of


def compute(call: OperationCall) -> OperationOutput:
    """Apply the function to the inputs; the mask is passed on."""
    with np.errstate(all="ignore"):
        return _LAYERS[call.class_name](call, call.floats()), call.previous


def _activation(call: OperationCall, x: Array) -> Array:
    return activate(call, x, call.config.get("activation"))


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


def _leaky_relu(call: OperationCall, x: Array) -> Array:
    slope = call.config.get("negative_slope", call.config.get("alpha", 0.3))
    return np.asarray(np.where(x > 0, x, x * x.dtype.type(slope)))


def _thresholded_relu(call: OperationCall, x: Array) -> Array:
    found: Array = x * (x > x.dtype.type(call.config.get("theta", 1.0)))
    return found


def _elu(call: OperationCall, x: Array) -> Array:
    """x if positive, else alpha (exp(x) - 1) (Clevert et al., 2016)."""
    alpha = call.config.get("alpha", 1.0)
    if call.config.get("is_gated"):
        raise call.refuse("is gated")
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


def _prelu(call: OperationCall, x: Array) -> Array:
    """x if positive, else alpha x with a learned alpha (He et al., 2015)."""
    found: Array = np.maximum(x, 0) - call.weights["alpha"] * np.maximum(-x, 0)
    return found


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


_LAYERS: Mapping[str, Callable[[OperationCall, Any], Any]] = {
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ThresholdedReLU": _thresholded_relu,
    "ELU": _elu,
    "PReLU": _prelu,
    "Softmax": _softmax,
}

NAMES = tuple(_LAYERS)
