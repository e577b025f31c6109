"""Convolutions over one to three spatial axes."""

from __future__ import annotations

import numpy as np

from rnncli.case import Array
from rnncli.models.operations._activation_config import activate
from rnncli.models.operations._call import OperationCall, OperationOutput, channels_first, sizes_of
from rnncli.models.operations._windows import windows

NAMES = (
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)


def compute(call: OperationCall) -> OperationOutput:
    """Convolve: (batch, *space, channels) -> (batch, *places, filters); the output has no mask."""
    x, config, weights = call.floats(), call.config, call.weights
    x = np.moveaxis(x, 1, -1) if channels_first(config) else x
    if call.class_name.startswith("Conv"):
        outputs = _convolve(call, x, weights["kernel"], int(config.get("groups") or 1))
    else:
        separable = call.class_name.startswith("Separable")
        kernel = "depthwise_kernel" if "depthwise_kernel" in weights else "kernel"
        outputs = _depthwise(call, x, weights[kernel])
        if separable:
            pointwise = weights["pointwise_kernel"]
            outputs = outputs @ pointwise.reshape(pointwise.shape[-2:])
    if config.get("use_bias", True):
        outputs = outputs + weights["bias"]
    outputs = np.moveaxis(outputs, -1, 1) if channels_first(config) else outputs
    return activate(call, outputs, config.get("activation")), None


def _windows_of(call: OperationCall, x: Array) -> Array:
    """Return the windows under the kernel, (batch, *places, channels, *sizes)."""
    rank = x.ndim - 2
    sizes, strides, dilations = (
        sizes_of(call.config.get(name) or 1, rank) for name in ("kernel_size", "strides", "dilation_rate")
    )
    return windows(x, sizes, strides, dilations, call.config.get("padding", "valid"))


def _convolve(call: OperationCall, x: Array, kernel: Array, groups: int) -> Array:
    rank = x.ndim - 2
    seen = _windows_of(call, x)
    parts = zip(np.split(seen, groups, axis=1 + rank), np.split(kernel, groups, axis=-1), strict=True)
    space = list(range(2 + rank, 2 + 2 * rank))
    found = [np.tensordot(part, own, axes=([1 + rank, *space], [rank, *range(rank)])) for part, own in parts]
    return np.concatenate(found, axis=-1)


def _depthwise(call: OperationCall, x: Array, kernel: Array) -> Array:
    """Convolve each channel with its own kernels, (*sizes, channels, multiplier)."""
    seen = _windows_of(call, x)
    space = "xyz"[: x.ndim - 2]
    found = np.einsum(f"...c{space},{space}cm->...cm", seen, kernel)
    return np.asarray(found.reshape(*found.shape[:-2], -1))
