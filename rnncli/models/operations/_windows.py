"""Windows over the spatial axes, for convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.case import Array


def windows(
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
