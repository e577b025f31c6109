"""Random tensors, drawn as `keras.random` does with the TensorFlow backend on a CPU.

uniform is bit-identical.  normal and truncated_normal are within one unit in the last place, because
log, sin and cos are computed in double precision here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.case import Array
from rnncli.initializers._bits import PhiloxStream, stream, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rnncli.initializers._bits import Words
    from rnncli.initializers._contract import ArrayShape

_SMALLEST = 1e-7
_BOUND = 2.0
_BLOCKS_A_GROUP = {"float64": 128}


def uniform(shape: ArrayShape, low: float, high: float, dtype: str, seed: int) -> Array:
    """Return uniform random numbers in [low, high).

    Float bounds are rounded to float32 first, whatever the dtype; integer bounds are exact.
    """
    lowest, highest = (
        np.dtype(dtype).type(bound if isinstance(bound, int) else np.float32(bound)) for bound in (low, high)
    )
    return np.asarray(unit_uniform(shape, dtype, seed, 0) * (highest - lowest) + lowest, dtype)


def unit_uniform(shape: ArrayShape, dtype: str, seed: int, k: int) -> Array:
    """Return uniform random numbers in [0, 1), for draw `k` of a SeedGenerator."""
    size = math.prod(shape)
    words = stream(seed, k).first(_count_blocks(size, dtype))
    return _trim(unit(words, dtype), shape)


def normal(shape: ArrayShape, mean: float, stddev: float, dtype: str, seed: int) -> Array:
    """Return random numbers from a normal distribution."""
    words = stream(seed, 0).first(_count_blocks(math.prod(shape), dtype))
    return _scale(_trim(box_muller(words, dtype), shape), mean, stddev, dtype)


def truncated_normal(shape: ArrayShape, mean: float, stddev: float, dtype: str, seed: int) -> Array:
    """Return random numbers from a normal distribution, truncated to two standard deviations."""
    groups = _count_blocks(math.prod(shape), dtype)
    return _scale(_trim(_draw_truncated(stream(seed, 0), groups, dtype), shape), mean, stddev, dtype)


def dropout_mask(shape: ArrayShape, rate: float, dtype: str, seed: int, k: int) -> Array:
    """Return the dropout mask for draw `k` of a SeedGenerator; entries are 0 or 1 / (1 - rate)."""
    if rate == 1.0:
        return np.zeros(shape, dtype)
    kept = unit_uniform(shape, dtype, seed, k) >= np.dtype(dtype).type(rate)
    return np.asarray(np.where(kept, 1 / (1 - rate), 0.0), dtype)


def box_muller(words: Words, dtype: str) -> NDArray[np.floating[Any]]:
    """Return standard normal numbers: words (n, 4) -> numbers (n, 4), or (n, 2) for float64."""
    real = np.float64 if dtype == "float64" else np.float32
    numbers = unit(words, np.dtype(real).name)
    u = np.maximum(numbers[:, 0::2], real(_SMALLEST))
    angle = (2 * math.pi * numbers[:, 1::2].astype(np.float64)).astype(real)
    radius = np.sqrt(real(-2) * np.log(u.astype(np.float64)).astype(real))
    wide = angle.astype(np.float64)
    pair = np.stack([np.sin(wide).astype(real) * radius, np.cos(wide).astype(real) * radius], axis=-1)
    return pair.reshape(len(words), _values_per_block(dtype))


def _draw_truncated(source: PhiloxStream, groups: int, dtype: str) -> NDArray[np.floating[Any]]:
    """Return standard normal numbers within two standard deviations, shape (groups, values per block).

    Each group draws from its own sequence of blocks until it is full.
    """
    wanted = _values_per_block(dtype)
    start = np.arange(groups, dtype=np.uint64) * np.uint64(_BLOCKS_A_GROUP.get(dtype, 256))
    out = np.zeros((groups, wanted), np.float64 if dtype == "float64" else np.float32)
    filled = np.zeros(groups, np.int64)
    open_groups = np.arange(groups)
    attempt = 0
    while len(open_groups):
        values = box_muller(source.words(start[open_groups] + np.uint64(attempt)), dtype)
        kept = np.abs(values) < _BOUND
        place = filled[open_groups, None] + np.cumsum(kept, axis=1) - 1
        row, column = np.nonzero(kept & (place < wanted))
        out[open_groups[row], place[row, column]] = values[row, column]
        filled[open_groups] += kept.sum(axis=1)
        open_groups = open_groups[filled[open_groups] < wanted]
        attempt += 1
    return out


def _scale(values: Array, mean: float, stddev: float, dtype: str) -> Array:
    real = np.dtype(dtype).type
    return np.asarray(values.astype(dtype) * real(stddev) + real(mean), dtype)


def _values_per_block(dtype: str) -> int:
    return 2 if dtype == "float64" else 4


def _count_blocks(size: int, dtype: str) -> int:
    return -(-size // _values_per_block(dtype))


def _trim(values: Array, shape: ArrayShape) -> Array:
    return values.ravel()[: math.prod(shape)].reshape(shape)
