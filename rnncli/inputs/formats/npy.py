"""NumPy .npy files: one array, a header followed by the numbers; also inside a .npz file."""

from __future__ import annotations

import io
from contextlib import ExitStack
from math import prod
from typing import IO, Any, NamedTuple

import numpy as np

from rnncli import arrays
from rnncli.case import Array, Document
from rnncli.errors import InputError, Message, Text
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.nested import require_numbers
from rnncli.inputs.source import Source, report_os_errors

MAPPED_FROM = 2**24
"""Files of at least this many bytes are not read into memory."""
MAGIC = b"\x93NUMPY"
VERSIONS = ((1, 0), (2, 0), (3, 0))
MAX_NDIM = 32
IT = Message("it")
ADVICE = Message("Write numbers of one type with numpy.save, such as array.astype('float32').")


def read(source: Source, options: ReadOptions) -> Document:
    """Read the array, of any rank, as inputs; the array of a large file stays in the file."""
    size = 0 if source.data is not None else source.file().stat().st_size
    return Document(inputs=require_numbers(load(source) if size < MAPPED_FROM else _open_large(source, size)))


def load(source: Source) -> Array:
    """Return the array unchanged."""
    data = source.content(Message("Write one with numpy.save."))
    return read_array(io.BytesIO(data), len(data), ADVICE)


def _open_large(source: Source, size: int) -> Any:
    with report_os_errors(source.name, "Check the file."), ExitStack() as unless_mapped:
        file = unless_mapped.enter_context(source.open())
        array = arrays.FileArray.open(file, _read_header(file, size, ADVICE, IT).array, source.name)
        unless_mapped.pop_all()
        return array


def read_array(file: IO[bytes], size: int, advice: Text, name: Text = IT) -> Array:
    """Read the array from a file, or an entry of a zip file, of `size` bytes.

    name: subject of the sentence in errors.  advice: how to write such a file.
    Raises InputError if the file is invalid or truncated; exceptions from `file` propagate.
    """
    found = _read_header(file, size, advice, name)
    array = np.empty(found.shape, found.dtype, order="F" if found.fortran else "C")
    flat = array.T if found.fortran else array
    buffer, done = flat.reshape(-1).view(np.uint8).data if array.size else memoryview(b""), 0
    while done < len(buffer):
        came = file.readinto(buffer[done : done + arrays.BLOCK])  # type: ignore[attr-defined]
        if not came:
            raise _explain_truncation(name, advice)
        done += came
    return array


class _Header(NamedTuple):
    """The header of a .npy file.  fortran: whether the numbers are in Fortran order."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    def array(self, buffer: Any, offset: int = 0) -> Array:
        """Return an array whose numbers are in `buffer`, starting at byte `offset`."""
        order = "F" if self.fortran else "C"
        return np.ndarray(self.shape, self.dtype, buffer, offset, order=order)  # type: ignore[arg-type]


def _read_header(file: IO[bytes], size: int, advice: Text, name: Text) -> _Header:
    """Read the header, and check that a file of `size` bytes can hold all the numbers."""
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
    if dtype.hasobject:
        raise InputError("{name} holds Python objects, not numbers.", advice, name=name)
    if not dtype.itemsize or len(shape) > MAX_NDIM or not all(0 <= length < 2**60 for length in shape):
        raise invalid
    if prod(shape) * dtype.itemsize > size - file.tell():
        raise _explain_truncation(name, advice)
    if prod(max(length, 1) for length in shape) * dtype.itemsize >= 2**62:  # an axis of size 0 next to these
        shape = tuple(min(length, 1) for length in shape)
    return _Header(dtype, shape, fortran)


def _explain_truncation(name: Text, advice: Text) -> InputError:
    return InputError("{name} is truncated: its header declares more numbers.", advice, name=name)
