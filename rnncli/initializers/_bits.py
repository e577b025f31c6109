"""Random bits as TensorFlow generates them on a CPU: integer seed -> key -> words -> numbers in [0, 1).

Uses Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Words: TypeAlias = NDArray[np.uint32]

_MODULUS = 2147483646
_SCRAMBLE = (0x3EC8F720, 0x02461E29)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_GROWTH = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


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
