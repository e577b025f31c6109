"""Random tensors, drawn as `keras.random` does with the TensorFlow backend on a CPU.

Seed -> key -> words -> numbers in [0, 1) -> distribution.  The words come from Philox4x32-10 (Salmon et al.,
"Parallel random numbers: as easy as 1, 2, 3", 2011).

uniform is bit-identical.  normal and truncated_normal are within one unit in the last place, because
log, sin and cos are computed in double precision here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli.values import Array

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    ArrayShape: TypeAlias = tuple[int, ...]
    Words: TypeAlias = NDArray[np.uint32]

_MODULUS = 2147483646
_SCRAMBLE = (0x3EC8F720, 0x02461E29)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_GROWTH = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
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
    words = stream(seed, k).first(_count_blocks(shape, dtype))
    return _trim(unit(words, dtype), shape)


def normal(shape: ArrayShape, mean: float, stddev: float, dtype: str, seed: int) -> Array:
    """Return random numbers from a normal distribution."""
    words = stream(seed, 0).first(_count_blocks(shape, dtype))
    return _scale(_trim(box_muller(words, dtype), shape), mean, stddev, dtype)


def truncated_normal(shape: ArrayShape, mean: float, stddev: float, dtype: str, seed: int) -> Array:
    """Return random numbers from a normal distribution, truncated to two standard deviations."""
    groups = _count_blocks(shape, dtype)
    return _scale(_trim(_draw_truncated(stream(seed, 0), groups, dtype), shape), mean, stddev, dtype)


def dropout_mask(shape: ArrayShape, rate: float, dtype: str, seed: int, k: int) -> Array:
    """Return the dropout mask for draw `k` (from 0) of a SeedGenerator; entries are 0 or 1 / (1 - rate)."""
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
    words = _values_per_block(dtype)
    start = np.arange(groups, dtype=np.uint64) * np.uint64(_BLOCKS_A_GROUP.get(dtype, 256))
    out = np.zeros((groups, words), np.float64 if dtype == "float64" else np.float32)
    filled = np.zeros(groups, np.int64)
    open_groups = np.arange(groups)
    attempt = 0
    while len(open_groups):
        values = box_muller(source.words(start[open_groups] + np.uint64(attempt)), dtype)
        kept = np.abs(values) < _BOUND
        index = filled[open_groups, None] + np.cumsum(kept, axis=1) - 1
        row, column = np.nonzero(kept & (index < words))
        out[open_groups[row], index[row, column]] = values[row, column]
        filled[open_groups] += kept.sum(axis=1)
        open_groups = open_groups[filled[open_groups] < words]
        attempt += 1
    return out


def _scale(values: Array, mean: float, stddev: float, dtype: str) -> Array:
    real = np.dtype(dtype).type
    return np.asarray(values.astype(dtype) * real(stddev) + real(mean), dtype)


def _values_per_block(dtype: str) -> int:
    return 2 if dtype == "float64" else 4


def _count_blocks(shape: ArrayShape, dtype: str) -> int:
    return -(-math.prod(shape) // _values_per_block(dtype))


def _trim(values: Array, shape: ArrayShape) -> Array:
    return values.ravel()[: math.prod(shape)].reshape(shape)


class PhiloxStream(NamedTuple):
    """Where the words of one draw start: the Philox key and the upper half of the counter."""

    key: tuple[int, int]
    upper: tuple[int, int]

    def words(self, blocks: NDArray[np.uint64]) -> Words:
        """Return the four words of each block: block numbers (n,) -> words (n, 4)."""
        n = len(blocks)
        upper = [np.full(n, word, np.uint64) for word in self.upper]
        return philox([blocks & _LOW, blocks >> _HALF, *upper], self.key)

    def first(self, n: int) -> Words:
        """Return the words of blocks 0 to n - 1, shape (n, 4)."""
        return self.words(np.arange(n, dtype=np.uint64))


def stream(seed: int, k: int = 0) -> PhiloxStream:
    """Return the stream for the pair [seed, k], where `k` counts the draws of a SeedGenerator."""
    pair = [np.full(1, value % _MODULUS, np.uint64) for value in (seed, k)]
    nothing = np.zeros(1, np.uint64)
    m0, m1, m2, m3 = philox([pair[0], nothing, pair[1], nothing], _SCRAMBLE)[0].tolist()
    return PhiloxStream((m0, m1), (m2, m3))


def philox(counter: list[NDArray[np.uint64]], key: tuple[int, int]) -> Words:
    """Return ten Philox rounds on four 32-bit counters stored as uint64: four arrays (n,) -> words (n, 4)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p, q = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (q >> _HALF) ^ c1 ^ np.uint64(k0),
            q & _LOW,
            (p >> _HALF) ^ c3 ^ np.uint64(k1),
            p & _LOW,
        )
        k0, k1 = (k0 + _GROWTH[0]) & 0xFFFFFFFF, (k1 + _GROWTH[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def unit(words: Words, dtype: str) -> NDArray[np.floating]:
    """Convert words to numbers in [0, 1), using their low bits as the mantissa.

    float64 uses two words per number.
    """
    if dtype == "float64":
        high = (words[..., 0::2] & np.uint32(0xFFFFF)).astype(np.uint64)
        mantissa = (high << _HALF) | words[..., 1::2]
        return (mantissa | np.uint64(1023 << 52)).view(np.float64) - 1.0
    if dtype == "float16":
        half = ((words & np.uint32(0x3FF)) | np.uint32(15 << 10)).astype(np.uint16)
        return half.view(np.float16) - np.float16(1)
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
