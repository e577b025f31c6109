"""Normalization layers, with statistics learned in training or computed from the inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnncli.layers.plain import KerasCall, PlainOutput, axes_of, axis_of
from rnncli.values import Array

EPSILON = 1e-7
"""keras.backend.epsilon()."""


def _normalizing(formula: Callable[[KerasCall, Array], Array]) -> Callable[[KerasCall], PlainOutput]:
    """Return the function of a layer that computes `formula(call, x)`; x is the input in floats.

    The mask is passed on, except by RMSNormalization: Keras does so, too.
    """

    def layer(call: KerasCall) -> PlainOutput:
        x = call.inputs if call.inputs.dtype.kind == "f" else call.inputs.astype(np.float32)
        with np.errstate(all="ignore"):
            output = formula(call, x)
        return output, None if call.class_name == "RMSNormalization" else call.previous

    return layer


@_normalizing
def batch_normalization(call: KerasCall, x: Array) -> Array:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta (Ioffe and Szegedy, 2015).

    The statistics are the moving ones, as outside of training.
    """
    axis, weights = axis_of(call.config), call.weights
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    inverse = 1 / np.sqrt(weights["moving_variance"] + x.dtype.type(call.config.get("epsilon", 1e-3)))
    if "gamma" in weights:
        inverse = inverse * weights["gamma"]
    offset = weights.get("beta", x.dtype.type(0)) - weights["moving_mean"] * inverse
    return np.asarray(x * inverse.reshape(shape) + offset.reshape(shape), x.dtype)


@_normalizing
def layer_normalization(call: KerasCall, x: Array) -> Array:
    """Normalize with the statistics of each sequence, over one axis or several (Ba et al., 2016)."""
    axes = tuple(axis % x.ndim for axis in axes_of(call.config))
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    gamma, beta = call.weights.get("gamma"), call.weights.get("beta")
    mean = x.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + x.dtype.type(call.config.get("epsilon", 1e-3)))
    if call.config.get("rms_scaling"):
        mean, beta = 0 * mean, None
    if gamma is not None:
        inverse = inverse * gamma.reshape(shape)
    offset = -mean * inverse if beta is None else beta.reshape(shape) - mean * inverse
    return np.asarray(x * inverse + offset, x.dtype)


@_normalizing
def unit_normalization(call: KerasCall, x: Array) -> Array:
    """x / ||x||."""
    squares = np.square(x).sum(axis=axes_of(call.config), keepdims=True)
    return np.asarray(x * np.minimum(1 / np.sqrt(squares), x.dtype.type(1e12)), x.dtype)


@_normalizing
def rms_normalization(call: KerasCall, x: Array) -> Array:
    """x / sqrt(mean(x^2) + epsilon) scale (Zhang and Sennrich, 2019)."""
    axes = tuple(axis % x.ndim for axis in axes_of(call.config))
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    squares = np.square(x).mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(squares + x.dtype.type(call.config.get("epsilon", 1e-6)))
    return np.asarray(x * inverse * call.weights["scale"].reshape(shape), x.dtype)


@_normalizing
def normalization(call: KerasCall, x: Array) -> Array:
    """Normalize with the mean and variance that were learned, or that the config has."""
    config, axis = call.config, call.config.get("axis", -1)
    axes = () if axis is None else tuple(axis % x.ndim for axis in axes_of(config))
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    learned = config.get("mean") is None
    mean, variance = (
        np.asarray(call.weights[name] if learned else config[name], x.dtype) for name in ("mean", "variance")
    )
    if not learned and mean.ndim and mean.size != np.prod(shape):
        raise call.refuse("has a mean of another shape than its axes")
    mean, variance = (part.reshape(shape) if part.ndim or learned else part for part in (mean, variance))
    deviation = np.maximum(np.sqrt(variance), x.dtype.type(EPSILON))
    return np.asarray(mean + x * deviation if config.get("invert") else (x - mean) / deviation, x.dtype)


@_normalizing
def rescaling(call: KerasCall, x: Array) -> Array:
    """x scale + offset."""
    scale, offset = (np.asarray(call.config.get(name, 0.0), x.dtype) for name in ("scale", "offset"))
    return np.asarray(x * scale + offset, x.dtype)
