"""NumPy's .npy: one array."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from rnncli.case import Document
from rnncli.errors import InputError
from rnncli.readers.formats._named_arrays import numeric

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.readers.formats import ReadOptions, Source

SUFFIXES = (".npy",)
MAGIC = b"\x93NUMPY"
MAPPED_FROM = 2**24
"""Bytes of a file from which on it is not read into memory."""


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """The array as inputs, of any rank."""
    return Document(inputs=numeric(load(source), f"{source.name}: "))


def load(source: Source) -> Array:
    """The array as it is; that of a large file stays in the file."""
    try:
        if source.data is None and source.file().stat().st_size >= MAPPED_FROM:
            return np.lib.format.open_memmap(source.file(), mode="r")
        data = source.content("Write one with numpy.save.")
        if not data.startswith(MAGIC):
            raise InputError(f"{source.name}: it is not a .npy file.", "Write one with numpy.save.")
        array: Array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError, SyntaxError, TypeError) as error:
        advice = "Write numbers of one type with numpy.save, such as array.astype('float32')."
        raise InputError(f"{source.name}: {_reason(error)}.", advice) from None
    return array


def _reason(error: Exception) -> str:
    text = str(error).lower()
    if isinstance(error, PermissionError):
        return "there is no permission to read it"
    if "pickle" in text or "python objects" in text:
        return "it holds Python objects, not numbers"
    short = any(sign in text for sign in ("reshape", "mmap length", "eof"))
    if short or isinstance(error, (EOFError, MemoryError)):
        return "it is cut short: its header promises more numbers"
    return "it is not a valid .npy file"
