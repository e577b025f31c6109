"""Read a .npy file, alone or inside a .npz file: a header followed by the numbers."""

from __future__ import annotations

from math import prod
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli import arrays
from rnncli.readers.refusal import RefusalError

MAGIC = b"\x93NUMPY"
VERSIONS = ((1, 0), (2, 0), (3, 0))
MAX_NDIM = 32


class Header(NamedTuple):
    """The header of a .npy file.  fortran: whether the numbers are in Fortran order."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Size of the numbers in bytes."""
        return prod(self.shape) * self.dtype.itemsize

    def array(self, buffer: Any, offset: int = 0) -> NDArray[Any]:
        """Return an array whose numbers are in `buffer`, starting at byte `offset`."""
        order = "F" if self.fortran else "C"
        return np.ndarray(self.shape, self.dtype, buffer, offset, order=order)  # type: ignore[arg-type]


def header(file: IO[bytes], size: int) -> Header:
    """Read the header, and check that a file of `size` bytes can hold all the numbers.

    Raises RefusalError if the file is invalid or truncated; exceptions from `file` propagate.
    """
    start = file.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC):
        raise RefusalError("it is not a .npy file")
    version = tuple(start[len(MAGIC) :])
    if version not in VERSIONS:
        raise RefusalError("it is not a valid .npy file")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except OSError:
        raise
    except Exception:  # ast, tokenize and numpy.dtype raise many types for broken headers
        raise RefusalError("it is not a valid .npy file") from None
    found = Header(dtype, shape, fortran)
    if dtype.hasobject:
        raise RefusalError("it holds Python objects, not numbers")
    if not dtype.itemsize or len(shape) > MAX_NDIM or not all(0 <= length < 2**60 for length in shape):
        raise RefusalError("it is not a valid .npy file")
    if found.nbytes > size - file.tell():
        raise RefusalError("it is truncated: its header declares more numbers")
    if prod(max(length, 1) for length in shape) * dtype.itemsize >= 2**62:  # an axis of size 0 next to these
        found = found._replace(shape=tuple(min(length, 1) for length in shape))
    return found


def read(file: IO[bytes], size: int) -> NDArray[Any]:
    """Read the array from a file, or an entry of a zip file, of `size` bytes.  Raises as `header` does."""
    found = header(file, size)
    array = np.empty(found.shape, found.dtype, order="F" if found.fortran else "C")
    flat = array.T if found.fortran else array
    buffer, done = flat.reshape(-1).view(np.uint8).data if array.size else memoryview(b""), 0
    while done < len(buffer):
        came = file.readinto(buffer[done : done + arrays.BLOCK])  # type: ignore[attr-defined]
        if not came:
            raise RefusalError("it is truncated: its header declares more numbers")
        done += came
    return array
