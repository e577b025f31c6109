"""Arrays that are never whole in memory: those that stay in their file, and those that come in parts."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 2**20
"""So many numbers are looked at in one go, about."""


class Growing(NamedTuple):
    """An array that comes part after part along its first axis; the parts are taken once."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Iterator[NDArray[Any]]


class Cast:
    """An array as another dtype sees it.  An index, or NumPy itself, casts just what it takes."""

    def __init__(self, array: NDArray[Any], dtype: np.dtype[Any]) -> None:
        self.array, self.dtype = array, dtype
        self.shape, self.ndim, self.size = array.shape, array.ndim, array.size

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        with np.errstate(over="ignore"):
            return np.asarray(self.array[index], dtype=self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)


def is_mapped(array: Any) -> bool:
    """Whether the numbers are in a file and not in memory."""
    return _map(array) is not None


def blocks(array: Any, numbers: int | None = None) -> Iterator[Any]:
    """The array along its first axis, some megabytes at a time; of a mapped one they leave memory again."""
    if isinstance(array, Growing):
        for part in array.parts:
            yield from blocks(part, numbers)
        return
    if not array.shape:
        yield np.atleast_1d(array)
        return
    step = max(1, (numbers or BLOCK) * len(array) // max(array.size, 1))
    for start in range(0, len(array), step):
        yield array[start : start + step]
        release(array)


def release(array: Any) -> None:
    """Let go of what was read of a mapped array; it is read again when it is asked for again."""
    found = _map(array)
    if found is not None and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError, ValueError):
            found.madvise(mmap.MADV_DONTNEED)


def _map(array: Any) -> mmap.mmap | None:
    """What is at the root of a chain of views."""
    if isinstance(array, Cast):
        array = array.array
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array if isinstance(array, mmap.mmap) else None
