"""NumPy .npy files: one array, a header followed by the numbers; also inside a .npz file."""

from __future__ import annotations

import io
from contextlib import ExitStack
from math import prod
from typing import IO, Any

import numpy as np

from rnncli import arrays
from rnncli.errors import InputError, Message, Text
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.nested import require_numbers
from rnncli.inputs.source import Source, report_os_errors
from rnncli.values import Array, Document

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
        shape, fortran, dtype = _read_header(file, size, ADVICE, IT)
        order: Any = "F" if fortran else "C"
        array = arrays.FileArray.open(
            file, lambda buffer, offset: np.ndarray(shape, dtype, buffer, offset, order=order), source.name
        )
        unless_mapped.pop_all()
        return array


def read_array(file: IO[bytes], size: int, advice: Text, name: Text = IT) -> Array:
    """Read the array from a file, or an entry of a zip file, of `size` bytes.

    name: subject of the sentence in errors.  advice: how to write such a file.
    Raises InputError if the file is invalid or truncated; exceptions from `file` propagate.
    """
    _read_header(file, size, advice, name)
    file.seek(0)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _read_header(
    file: IO[bytes], size: int, advice: Text, name: Text
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape, whether the order is Fortran's, and the dtype; `size` bytes must hold the numbers."""
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
        raise InputError("{name} is truncated: its header declares more numbers.", advice, name=name)
    if prod(max(length, 1) for length in shape) * dtype.itemsize >= 2**62:  # NumPy has no such empty array
        raise invalid
    return shape, fortran, dtype
