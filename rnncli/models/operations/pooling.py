"""Pooling over time or space; only the global average uses a mask."""

from __future__ import annotations

import re

import numpy as np

from rnncli.case import Array
from rnncli.models.operations._call import OperationCall, OperationOutput, channels_first, sizes_of
from rnncli.models.operations._windows import windows

NAMES = tuple(
    f"{scope}{kind}Pooling{rank}D"
    for scope in ("", "Global")
    for kind in ("Average", "Max")
    for rank in (1, 2, 3)
)


def compute(call: OperationCall) -> OperationOutput:
    """Pool: (batch, *space, channels) -> (batch, *places, channels); globally -> (batch, channels)."""
    x = np.moveaxis(call.floats(), 1, -1) if channels_first(call.config) else call.floats()
    if call.class_name.startswith("Global"):
        return _over_all(call, x), None
    found = _pool(call, x)
    return np.moveaxis(found, -1, 1) if channels_first(call.config) else found, None


def _over_all(call: OperationCall, x: Array) -> Array:
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
        return np.asarray(windows(x, sizes, strides, ones, padding, -np.inf).max(axis=inside))
    total = windows(x, sizes, strides, ones, padding).sum(axis=inside)
    counts = windows(np.ones_like(x[:1]), sizes, strides, ones, padding).sum(axis=inside)
    return np.asarray(total / counts, x.dtype)
