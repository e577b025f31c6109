"""Layers along the one to three spatial axes, which are time in a sequence: windows and reshaping.

Convolutions and pooling have windows.  The output has no mask; only the global average uses one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.models.operations import OperationCall, OperationOutput, activate, channels_first, sizes_of

CONVOLUTIONS = (
    "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
)  # fmt: skip
POOLING = tuple(
    f"{scope}{kind}Pooling{rank}D"
    for scope in ("", "Global")
    for kind in ("Average", "Max")
    for rank in (1, 2, 3)
)


def _slide(call: OperationCall) -> OperationOutput:
    """Compute (batch, *space, channels) -> (batch, *places, filters), globally (batch, channels)."""
    x, first = call.floats(), channels_first(call.config)
    x = np.moveaxis(x, 1, -1) if first else x
    if call.class_name.startswith("Global"):
        return _pool_all(call, x), None
    found = _convolve(call, x) if call.class_name in CONVOLUTIONS else _pool(call, x)
    found = np.moveaxis(found, -1, 1) if first else found
    if call.class_name in CONVOLUTIONS:
        found = activate(call, found, call.config.get("activation"))
    return found, None


def _convolve(call: OperationCall, x: Array) -> Array:
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
    found = [np.tensordot(part, own, axes=([1 + rank, *space], [rank, *range(rank)])) for part, own in parts]
    return np.concatenate(found, axis=-1)


def _pool_all(call: OperationCall, x: Array) -> Array:
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
    if not call.config.get("keepdims"):
        return np.asarray(np.squeeze(outputs, axis=space))
    return np.moveaxis(outputs, -1, 1) if channels_first(call.config) else outputs


def _pool(call: OperationCall, x: Array) -> Array:
    """Pool windows; padding counts neither for the maximum nor for the average."""
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
    padding: str = "valid",
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
    found = np.lib.stride_tricks.sliding_window_view(x, covered, axis=axes)
    every = [slice(None, None, stride) for stride in strides]
    inside = [slice(None, None, dilation) for dilation in dilations]
    view: Array = found[(slice(None), *every, slice(None), *inside)]
    return view


def _pad_sizes(length: int, size: int, stride: int, padding: str) -> tuple[int, int]:
    """Return the sizes to pad before and after one axis.  size: of a window, dilation included."""
    if padding == "causal":
        return size - 1, 0
    if padding == "same":
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        return total // 2, total - total // 2
    return 0, 0


def _reshape_axes(call: OperationCall) -> OperationOutput:
    """Move the numbers; the output has no mask."""
    return _RESHAPING[call.class_name](call, call.inputs), None


def _flatten(call: OperationCall, x: Array) -> Array:
    if channels_first(call.config) and x.ndim > 1:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return x.reshape(len(x), prod(x.shape[1:]))


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
    pairs = [own if isinstance(own, (list, tuple)) else (own,) for own in each]
    around = [(0, 0), *((own[0], own[-1]) for own in pairs)]
    around.insert(1 if channels_first(call.config) else len(around), (0, 0))
    return around


_RESHAPING: Mapping[str, Callable[[OperationCall, Any], Any]] = {
    "Reshape": lambda call, x: x.reshape(
        len(x), *(-1 if size is None else int(size) for size in call.config["target_shape"])
    ),
    "Permute": lambda call, x: x.transpose(0, *call.config["dims"]),
    "Flatten": _flatten,
    "RepeatVector": lambda call, x: x[:, None].repeat(call.config["n"], axis=1),
    **dict.fromkeys(
        [f"ZeroPadding{rank}D" for rank in (1, 2, 3)],
        lambda call, x: np.pad(x, _sides(call, x, "padding")),
    ),
    **dict.fromkeys([f"Cropping{rank}D" for rank in (1, 2, 3)], _cropping),
    **dict.fromkeys([f"UpSampling{rank}D" for rank in (1, 2, 3)], _up_sampling),
}

LAYERS = {**dict.fromkeys((*CONVOLUTIONS, *POOLING), _slide), **dict.fromkeys(_RESHAPING, _reshape_axes)}
