"""Arrays that are never fully in memory: they are read from a file on demand, or arrive in parts."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from rnncli.errors import InputError, Text, inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 2**20
"""About how many numbers, or how many bytes of a file, are handled at a time."""

SMALLEST_READ = 2**16
"""Numbers within this many bytes are read at once, gaps included: faster than two reads."""

INTEGERS = (int, np.integer)

MAX_READ = 2**30
"""Maximum number of bytes to read in one call; the system has a limit near 2**31."""


@dataclass(frozen=True, eq=False)
class ChunkedArray:
    """An array that arrives in parts along its first axis; the parts can be iterated over only once."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Iterator[NDArray[Any]]


class FileArray:
    """An array in a file; indexing reads the numbers it needs.

    If another program truncates the file meanwhile, reading raises InputError; accessing a memory map would
    end the process.

    view: an array over a mapping of the file, used only for its shape and addresses.
    start: address of the first byte of the file in that mapping.  name: the name of the file in errors.
    """

    def __init__(self, file: BinaryIO, view: NDArray[Any], start: int, name: Text) -> None:
        self._file, self._view, self._start, self._name = file, view, start, name
        self.shape, self.ndim, self.size, self.dtype = view.shape, view.ndim, view.size, view.dtype

    @classmethod
    def open(cls, file: BinaryIO, make_array: Callable[[Any, int], NDArray[Any]], name: Text) -> FileArray:
        """Open the array in `file`, which is closed with the last view of it.

        make_array: takes a buffer and the current offset of the file; returns the array over the buffer.
        """
        offset = file.tell()
        try:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            view = make_array(mapping, offset)
        except (TypeError, ValueError):
            raise _truncation_error() from None
        weakref.finalize(mapping, file.close)  # every view keeps the mapping
        return cls(file, view, view.ctypes.data - offset, name)

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: Any) -> Any:
        whole: tuple[Any, ...] = index if isinstance(index, tuple) else (index,)
        if not all(part is None or part is ... or isinstance(part, (*INTEGERS, slice)) for part in whole):
            # Arrays as indices need the numbers in memory: of one sequence, or of all.
            return self[whole[0]][whole[1:]] if isinstance(whole[0], INTEGERS) else self[...][index]
        elliptic = any(part is ... for part in whole)
        numbers = self._read(self._view[whole if elliptic else (*whole, ...)])  # otherwise a scalar
        return numbers if numbers.ndim or elliptic else numbers[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def change_view(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> FileArray:
        """Return the array with its axes reordered or with axes added; `change` must return a view."""
        return FileArray(self._file, change(self._view), self._start, self._name)

    def _read(self, view: NDArray[Any]) -> NDArray[Any]:
        """If the elements of `view` are far apart, read part by part along the longest axis."""
        if not view.size:
            return np.empty(view.shape, view.dtype)
        spans = [(size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True)]
        first = view.ctypes.data + sum(span for span in spans if span < 0)
        extent = sum(map(abs, spans)) + view.itemsize
        if extent <= max(2 * view.nbytes, SMALLEST_READ):
            buffer = np.empty(extent, np.uint8)
            with inside(self._name):
                self._fill(buffer.data, first - self._start)
            return np.ndarray(view.shape, view.dtype, buffer, view.ctypes.data - first, view.strides)
        axis = max(range(view.ndim), key=lambda number: abs(spans[number]))
        numbers = np.empty(view.shape, view.dtype)
        for start in range(view.shape[axis]):
            index: Any = (*[slice(None)] * axis, start, ...)
            numbers[index] = self._read(view[index])
        return numbers

    def _fill(self, buffer: memoryview, offset: int) -> None:
        while buffer:
            try:
                came = os.preadv(self._file.fileno(), [buffer[:MAX_READ]], offset)
            except OSError as error:
                reason = error.strerror or error
                raise InputError(
                    "it cannot be read: {strerror}.", "Check the file.", strerror=reason
                ) from None
            if not came:
                raise _truncation_error()
            buffer, offset = buffer[came:], offset + came


def _truncation_error() -> InputError:
    return InputError("it became shorter while it was being read.", "Write the file, then run this again.")


class CastArray:
    """An array converted to another dtype.  Only the elements that are indexed are converted."""

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
    """Return whether the numbers are in a file rather than in memory."""
    array = array.array if isinstance(array, CastArray) else array
    return isinstance(array, FileArray) or _map(array) is not None


def change_view(array: Any, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
    """Return `change(array)`, a view, whether the numbers are in memory or in a file."""
    return array.change_view(change) if isinstance(array, FileArray) else change(array)


def blocks(array: Any, numbers: int | None = None) -> Iterator[Any]:
    """Iterate over the first axis, a few megabytes at a time; release blocks of a mapped array after use."""
    if isinstance(array, ChunkedArray):
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


def find_first(array: Any, holds: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> tuple[int, ...] | None:
    """Return the index of the first number for which `holds` is true; None for none, and for text."""
    start = 0
    for block in blocks(array, BLOCK) if array.dtype.kind in "fc" else ():
        hits = np.flatnonzero(holds(block))
        if len(hits):
            return index_of(start + int(hits[0]), array.shape)
        start += block.size
    return None


def index_of(position: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of a number by its position in the flat array."""
    return tuple(map(int, np.unravel_index(position, shape)))


def is_finite(array: Any) -> bool:
    """Return whether all numbers are finite; so is text."""
    return find_first(array, lambda block: ~np.isfinite(block)) is None


def release(array: Any) -> None:
    """Release the pages read from a mapped array; they are read again when needed."""
    mapping = _map(array)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError, ValueError):
            mapping.madvise(mmap.MADV_DONTNEED)


def _map(array: Any) -> mmap.mmap | None:
    """Return the mapping at the root of a chain of views; None if there is none."""
    if isinstance(array, CastArray):
        array = array.array
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array if isinstance(array, mmap.mmap) else None
