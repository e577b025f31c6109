"""Windows over the spatial axes, for convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rnncli.case import Array


def compute_padding(
    shape: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: str
) -> list[tuple[int, int]]:
    """Return the padding before and after each spatial axis for `valid`, `same` or `causal`, as in TensorFlow."""
    found = []
    for length, size, stride, dilation in zip(shape, sizes, strides, dilations, strict=True):
        covered = (size - 1) * dilation + 1
        if padding == "causal":
            found.append((covered - 1, 0))
        elif padding == "same":
            total = max((-(-length // stride) - 1) * stride + covered - length, 0)
            found.append((total // 2, total - total // 2))
        else:
            found.append((0, 0))
    return found


def pad(x: Array, pads: Sequence[tuple[int, int]], fill: Any = 0) -> Array:
    """Return `x`, (batch, *space, channels), with `fill` around its spatial axes."""
    if not any(map(any, pads)):
        return x
    return np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)


def windows(x: Array, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """Return a view of shape (batch, *places, channels, *sizes)."""
    axes = tuple(range(1, 1 + len(sizes)))
    covered = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True)]
    found = np.lib.stride_tricks.sliding_window_view(x, covered, axis=axes)
    every = [slice(None, None, stride) for stride in strides]
    inside = [slice(None, None, dilation) for dilation in dilations]
    view: Array = found[(slice(None), *every, slice(None), *inside)]
    return view
