"""The derivatives of the activations; at a corner, such as relu's at 0, the derivative is TensorFlow's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import pi, sqrt
from typing import Any

from rnncli.cells.activations import (
    LEAK,
    ROOT_OF_HALF,
    SELU_BELOW,
    SELU_SCALE,
    canonical_name,
    parse_parametric,
)
from rnncli.values import Array

Slope = Callable[[Any, Any, Any], Any]
"""(numpy, value, argument) -> the derivative of each number."""

Pull = Callable[[Array, Array, Array], Array]
"""(vectors, value, argument) -> the vectors, (..., n), times the Jacobian of the value by the argument."""


def _sigmoid(np: Any, x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _within(x: Any, low: float, high: float) -> Any:
    """Return whether the derivative of TensorFlow's clip_by_value is 1, for each number."""
    return (x >= low) & (x <= high)


def _gelu(np: Any, y: Any, x: Any) -> Any:
    bell = np.exp(-np.square(ROOT_OF_HALF * x)) * (ROOT_OF_HALF / sqrt(pi))
    return np.where(x == 0, 0.5, y / x) + x * bell


def _hard_sigmoid(x: Any) -> Any:
    return ((x > -3) & (x < 3)) / 6


def _mish(np: Any, _: Any, x: Any) -> Any:
    inner = np.tanh(np.logaddexp(x, 0))
    return inner + x * (1 - np.square(inner)) * _sigmoid(np, x)


_SLOPES: Mapping[str, Slope] = {
    "linear": lambda np, y, x: 1,
    "tanh": lambda np, y, x: 1 - np.square(y),
    "sigmoid": lambda np, y, x: y * (1 - y),
    "hard_sigmoid": lambda np, y, x: _hard_sigmoid(x),
    "relu": lambda np, y, x: x > 0,
    "relu6": lambda np, y, x: (x > 0) & (x < 6),
    "leaky_relu": lambda np, y, x: np.where(x > 0, 1, LEAK),
    "elu": lambda np, y, x: np.where(y < 0, y + 1, 1),
    "selu": lambda np, y, x: np.where(y < 0, y + SELU_BELOW, SELU_SCALE),
    # At 0 both of its parts count, as in Keras: it is 2 there.
    "celu": lambda np, y, x: (x >= 0) + np.where(x <= 0, np.exp(np.minimum(x, 0)), 0),
    "gelu": _gelu,
    "silu": lambda np, y, x: (sigmoid := _sigmoid(np, x)) * (1 + x * (1 - sigmoid)),
    "hard_silu": lambda np, y, x: np.minimum(np.maximum(x + 3, 0), 6) / 6 + x * _hard_sigmoid(x),
    "mish": _mish,
    "softplus": lambda np, y, x: _sigmoid(np, x),
    "softsign": lambda np, y, x: 1 / np.square(np.abs(x) + 1),
    "squareplus": lambda np, y, x: (1 + x / np.sqrt(np.square(x) + 4)) / 2,
    "exponential": lambda np, y, x: y,
    "hard_tanh": lambda np, y, x: _within(x, -1, 1),
    "tanh_shrink": lambda np, y, x: np.square(np.tanh(x)),
    "hard_shrink": lambda np, y, x: np.abs(x) > 0.5,
    "soft_shrink": lambda np, y, x: np.abs(x) > 0.5,
    "sparse_plus": lambda np, y, x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) / 2, 1)),
    "sparse_sigmoid": lambda np, y, x: ((x > -1) & (x < 1)) / 2,
    "log_sigmoid": lambda np, y, x: _sigmoid(np, -x),
    "hard_sigmoid_keras2": lambda np, y, x: 0.2 * _within(0.2 * x + 0.5, 0, 1),
}

_PARAMETRIC: Mapping[str, Callable[..., Any]] = {
    "affine": lambda np, y, x, alpha, beta: alpha,
    "elu": lambda np, y, x, alpha, beta: np.where(x < 0, alpha * np.exp(np.minimum(x, 0)), 1),
    "hard_sigmoid": lambda np, y, x, alpha, beta: alpha * _within(alpha * x + beta, 0, 1),
    "leaky_relu": lambda np, y, x, alpha, beta: np.where(x < 0, alpha, 1),
    "scaled_tanh": lambda np, y, x, alpha, beta: alpha * beta * (1 - np.square(np.tanh(beta * x))),
    "thresholded_relu": lambda np, y, x, alpha, beta: x >= alpha,
}


def _softmax(np: Any, g: Any, y: Any, x: Any) -> Any:
    return y * (g - np.sum(g * y, axis=-1, keepdims=True))


def _log_softmax(np: Any, g: Any, y: Any, x: Any) -> Any:
    return g - np.exp(y) * np.sum(g, axis=-1, keepdims=True)


def _sparsemax(np: Any, g: Any, y: Any, x: Any) -> Any:
    """Keras's threshold is the sum of several sums, so that the largest number counts most often in it."""
    order = np.argsort(-x, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(x, order, -1), axis=-1)
    counts = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    support = np.take_along_axis(x, order, -1) - (sums - 1) / counts > 0
    size = np.asarray(support.sum(axis=-1, keepdims=True), x.dtype)
    threshold = (np.where(support, sums, 0).sum(axis=-1, keepdims=True) - 1) / size
    shares = np.empty_like(x)
    np.put_along_axis(shares, order, np.cumsum(support[..., ::-1], axis=-1)[..., ::-1] / size, -1)
    kept = g * (x - threshold >= 0)
    return kept - shares * kept.sum(axis=-1, keepdims=True)


_ALONG_THE_AXIS = {"softmax": _softmax, "log_softmax": _log_softmax, "sparsemax": _sparsemax}


def get(name: Any) -> Pull:
    """Return the product with an activation's Jacobian; the caller must use `np.errstate(all="ignore")`.

    name: as in `activations.get`.
    """
    import numpy as np

    activation = parse_parametric(name)
    key = activation.name if activation else canonical_name(name)
    if key in _ALONG_THE_AXIS:
        along = _ALONG_THE_AXIS[key]
        return lambda g, y, x: along(np, g, y, x)
    if activation and activation.alpha is not None:
        alpha, beta = (float(np.float32(number or 0)) for number in (activation.alpha, activation.beta))
        slope: Slope = partial(_PARAMETRIC[key], alpha=alpha, beta=beta)
    else:
        slope = _SLOPES[key]

    def pull(g: Array, y: Array, x: Array) -> Any:
        return g * np.asarray(slope(np, y, x), g.dtype)

    if activation is None or activation.clip is None:
        return pull
    most = float(np.float32(activation.clip))
    return lambda g, y, x: pull(g, y, np.clip(x, -most, most)) * _within(x, -most, most)
