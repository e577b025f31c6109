"""Read a .npy file, alone or inside a .npz file: a header followed by the numbers."""

from __future__ import annotations

from math import prod
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli import arrays
from rnncli.errors import InputError, Message, Text

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


IT = Message("it")


def read_header(file: IO[bytes], size: int, advice: Text, name: Text = IT) -> Header:
    """Read the header, and check that a file of `size` bytes can hold all the numbers.

    name: subject of the sentence in errors.  advice: how to write such a file.
    Raises InputError if the file is invalid or truncated; exceptions from `file` propagate.
    """
    invalid = InputError("{name} is not a valid .npy file.", advice, name=name)
    start = file.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC):
        raise InputError("{name} is not a .npy file.", advice, name=name)
    version = tuple(start[len(MAGIC) :])
    if version not in VERSIONS:
        raise invalid
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = parse(file)
    except OSError:
        raise
    except Exception:  # ast, tokenize and numpy.dtype raise many types for broken headers
        raise invalid from None
    found = Header(dtype, shape, fortran)
    if dtype.hasobject:
        raise InputError("{name} holds Python objects, not numbers.", advice, name=name)
    if not dtype.itemsize or len(shape) > MAX_NDIM or not all(0 <= length < 2**60 for length in shape):
        raise invalid
    if found.nbytes > size - file.tell():
        raise _explain_truncation(name, advice)
    if prod(max(length, 1) for length in shape) * dtype.itemsize >= 2**62:  # an axis of size 0 next to these
        found = found._replace(shape=tuple(min(length, 1) for length in shape))
    return found


def read(file: IO[bytes], size: int, advice: Text, name: Text = IT) -> NDArray[Any]:
    """Read the array from a file, or an entry of a zip file, of `size` bytes.

    name, advice: see `read_header`, which also raises the errors.
    """
    found = read_header(file, size, advice, name)
    array = np.empty(found.shape, found.dtype, order="F" if found.fortran else "C")
    flat = array.T if found.fortran else array
    buffer, done = flat.reshape(-1).view(np.uint8).data if array.size else memoryview(b""), 0
    while done < len(buffer):
        came = file.readinto(buffer[done : done + arrays.BLOCK])  # type: ignore[attr-defined]
        if not came:
            raise _explain_truncation(name, advice)
        done += came
    return array


def _explain_truncation(name: Text, advice: Text) -> InputError:
    return InputError("{name} is truncated: its header declares more numbers.", advice, name=name)
