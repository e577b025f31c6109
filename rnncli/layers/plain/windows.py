"""Layers along the one to three spatial axes, which are time in a sequence: windows and reshaping.

Convolutions and pooling have windows.  The output has no mask; only the global average uses one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from rnncli.layers.plain import KerasCall, PlainOutput, activate, channels_first, sizes_of
from rnncli.values import Array


def _sliding(formula: Callable[[KerasCall, Array], Array]) -> Callable[[KerasCall], PlainOutput]:
    """Return the function of a layer that computes `formula(call, x)`; x is the input, channels last."""

    def layer(call: KerasCall) -> PlainOutput:
        x, first = call.floats(), channels_first(call.config)
        outputs = formula(call, np.moveaxis(x, 1, -1) if first else x)
        return np.moveaxis(outputs, -1, 1) if first and outputs.ndim > 2 else outputs, None

    return layer


def convolution(call: KerasCall) -> PlainOutput:
    """Convolve (batch, *space, channels) -> (batch, *places, filters), then apply the activation."""
    outputs, mask = _convolve(call)
    return activate(call, outputs, call.config.get("activation")), mask


@_sliding
def _convolve(call: KerasCall, x: Array) -> Array:
    config, weights, rank = call.config, call.weights, x.ndim - 2
    sizes, strides, dilations = (
        sizes_of(config.get(name) or 1, rank) for name in ("kernel_size", "strides", "dilation_rate")
    )
    seen = _windows(x, sizes, strides, dilations, config.get("padding", "valid"))
    if call.class_name.startswith("Conv"):
        outputs = _mix_channels(seen, weights["kernel"], int(config.get("groups") or 1))
    else:  # each channel with its own kernels, (*sizes, channels, multiplier)
        space = "xyz"[:rank]
        kernel = weights["depthwise_kernel" if "depthwise_kernel" in weights else "kernel"]
        outputs = np.einsum(f"...c{space},{space}cm->...cm", seen, kernel)
        outputs = outputs.reshape(*outputs.shape[:-2], -1)
    if call.class_name.startswith("Separable"):
        pointwise = weights["pointwise_kernel"]
        outputs = outputs @ pointwise.reshape(pointwise.shape[-2:])
    return outputs + weights["bias"] if config.get("use_bias", True) else outputs


def _mix_channels(seen: Array, kernel: Array, groups: int) -> Array:
    """Multiply (batch, *places, channels, *sizes) by (*sizes, channels / groups, filters)."""
    rank = kernel.ndim - 2
    parts = zip(np.split(seen, groups, axis=1 + rank), np.split(kernel, groups, axis=-1), strict=True)
    space = list(range(2 + rank, 2 + 2 * rank))
    axes = [1 + rank, *space], [rank, *range(rank)]
    return np.concatenate([np.tensordot(inputs, weights, axes=axes) for inputs, weights in parts], axis=-1)


@_sliding
def global_pooling(call: KerasCall, x: Array) -> Array:
    """Pool (batch, *space, channels) -> (batch, channels); the average of a sequence uses its mask."""
    space = tuple(range(1, x.ndim - 1))
    if "Max" in call.class_name:
        outputs = x.max(axis=space, keepdims=True)
    elif call.class_name.endswith("1D") and call.mask is not None:
        unmasked = np.asarray(call.mask, bool)[..., None]
        with np.errstate(all="ignore"):
            total = np.where(unmasked, x, 0).sum(axis=1, keepdims=True)
            outputs = np.asarray(total / unmasked.sum(axis=1, keepdims=True), x.dtype)
    else:
        outputs = x.mean(axis=space, keepdims=True)
    return outputs if call.config.get("keepdims") else np.asarray(np.squeeze(outputs, axis=space))


@_sliding
def pooling(call: KerasCall, x: Array) -> Array:
    """Pool windows: (batch, *space, channels) -> (batch, *places, channels).

    Padding counts neither for the maximum nor for the average.
    """
    rank, config = int(re.sub(r"\D", "", call.class_name)), call.config
    sizes = sizes_of(config.get("pool_size", config.get("pool_length", 2)), rank)
    strides = sizes_of(config.get("strides") or sizes, rank)
    ones = (1,) * rank
    padding, inside = config.get("padding", "valid"), tuple(range(-rank, 0))
    if "Max" in call.class_name:
        return np.asarray(_windows(x, sizes, strides, ones, padding, -np.inf).max(axis=inside))
    total = _windows(x, sizes, strides, ones, padding).sum(axis=inside)
    counts = _windows(np.ones_like(x[:1]), sizes, strides, ones, padding).sum(axis=inside)
    return np.asarray(total / counts, x.dtype)


def _windows(
    x: Array,
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    fill: Any = 0,
) -> Array:
    """Return a view of `x`, (batch, *space, channels), as (batch, *places, channels, *sizes).

    padding: `valid`, `same` or `causal`, as in TensorFlow; padded with `fill`.
    """
    covered = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True)]
    pads = [
        _pad_sizes(length, size, stride, padding)
        for length, size, stride in zip(x.shape[1:-1], covered, strides, strict=True)
    ]
    if any(map(any, pads)):
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    axes = tuple(range(1, 1 + len(sizes)))
    windows = np.lib.stride_tricks.sliding_window_view(x, covered, axis=axes)
    starts = [slice(None, None, stride) for stride in strides]
    inside = [slice(None, None, dilation) for dilation in dilations]
    view: Array = windows[(slice(None), *starts, slice(None), *inside)]
    return view


def _pad_sizes(length: int, size: int, stride: int, padding: str) -> tuple[int, int]:
    """Return the sizes to pad before and after one axis.  size: of a window, dilation included."""
    if padding == "causal":
        return size - 1, 0
    if padding == "same":
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        return total // 2, total - total // 2
    return 0, 0


def _reshaping(formula: Callable[[KerasCall, Array], Array]) -> Callable[[KerasCall], PlainOutput]:
    return lambda call: (formula(call, call.inputs), None)


@_reshaping
def reshape(call: KerasCall, x: Array) -> Array:
    """(batch, ...) -> (batch, *target_shape), in which one size may be left open."""
    return x.reshape(len(x), *(-1 if size is None else int(size) for size in call.config["target_shape"]))


@_reshaping
def permute(call: KerasCall, x: Array) -> Array:
    """Reorder the axes after the batch."""
    return x.transpose(0, *call.config["dims"])


@_reshaping
def repeat_vector(call: KerasCall, x: Array) -> Array:
    """(batch, features) -> (batch, n, features)."""
    return x[:, None].repeat(call.config["n"], axis=1)


@_reshaping
def flatten(call: KerasCall, x: Array) -> Array:
    """(batch, ...) -> (batch, numbers), channels last."""
    if channels_first(call.config) and x.ndim > 1:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return x.reshape(len(x), prod(x.shape[1:]))


@_reshaping
def zero_padding(call: KerasCall, x: Array) -> Array:
    """Add zeros around each spatial axis."""
    return np.pad(x, _sides(call, x, "padding"))


@_reshaping
def cropping(call: KerasCall, x: Array) -> Array:
    """Remove numbers around each spatial axis."""
    sides = list(zip(_sides(call, x, "cropping"), x.shape, strict=True))
    if any(first + last >= size for (first, last), size in sides if size):
        raise ValueError("it crops everything")
    return x[tuple(slice(first, size - last) for (first, last), size in sides)]


@_reshaping
def up_sampling(call: KerasCall, x: Array) -> Array:
    """Repeat the numbers along each spatial axis."""
    if call.config.get("interpolation", "nearest") != "nearest":
        raise call.refuse("interpolates by {config}", config=call.config["interpolation"])
    rank = x.ndim - 2
    first = 2 if channels_first(call.config) else 1
    for axis, size in enumerate(sizes_of(call.config.get("size", 2), rank)):
        x = x.repeat(size, axis=first + axis)
    return x


def _sides(call: KerasCall, x: Array, option: str) -> list[tuple[int, int]]:
    """Return the sizes to add or remove before and after each axis.

    The option is `2`, or `(1, 2)` for one axis, or has one of these for each axis.
    """
    rank, value = x.ndim - 2, call.config.get(option, 1)
    each = [value] * rank if rank == 1 or isinstance(value, int) else value
    pairs = [sizes if isinstance(sizes, (list, tuple)) else (sizes,) for sizes in each]
    around = [(0, 0), *((sizes[0], sizes[-1]) for sizes in pairs)]
    around.insert(1 if channels_first(call.config) else len(around), (0, 0))
    return around
