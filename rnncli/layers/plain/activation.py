"""Layers that apply an activation; the mask of their input is passed on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnncli.cells import activations
from rnncli.layers.plain import KERAS_2, KerasCall, PlainOutput, activate, axes_of
from rnncli.values import Array


def _activation_layer(formula: Callable[[KerasCall, Array], Array]) -> Callable[[KerasCall], PlainOutput]:
    def layer(call: KerasCall) -> PlainOutput:
        with np.errstate(all="ignore"):
            return formula(call, call.floats()), call.previous

    return layer


@_activation_layer
def activation(call: KerasCall, x: Array) -> Array:
    """Apply the activation that the config names."""
    return activate(call, x, call.config.get("activation"))


@_activation_layer
def relu(call: KerasCall, x: Array) -> Array:
    """Compute in Keras's order: the threshold, the maximum, then the slope below the threshold."""
    number, config = x.dtype.type, call.config
    slope, threshold = config.get("negative_slope") or 0.0, number(config.get("threshold") or 0.0)
    highest = config.get("max_value")
    output = x * (x > threshold) if threshold else np.maximum(x, number(0))
    if highest is not None:
        output = np.clip(output, number(0), number(highest))
    if slope:
        output = output - number(slope) * np.maximum(threshold - x, number(0))
    return np.asarray(output)


@_activation_layer
def elu(call: KerasCall, x: Array) -> Array:
    """x if positive, else alpha (exp(x) - 1) (Clevert et al., 2016)."""
    alpha = call.config.get("alpha", 1.0)
    if call.config.get("is_gated"):
        raise call.refuse("is gated")
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


@_activation_layer
def softmax(call: KerasCall, x: Array) -> Array:
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


@_activation_layer
def leaky_relu(call: KerasCall, x: Array) -> Array:
    """x if positive, else slope x."""
    slope = call.config.get("negative_slope", call.config.get("alpha", 0.3))
    return np.where(x > 0, x, x * x.dtype.type(slope))


@_activation_layer
def thresholded_relu(call: KerasCall, x: Array) -> Array:
    """x if above theta, else 0."""
    return np.asarray(x * (x > x.dtype.type(call.config.get("theta", 1.0))))


@_activation_layer
def prelu(call: KerasCall, x: Array) -> Array:
    """x if positive, else alpha x with a learned alpha (He et al., 2015)."""
    return np.asarray(np.maximum(x, 0) - call.weights["alpha"] * np.maximum(-x, 0))
