"""NumPy's .npy: one array."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rnncli.case import Document
from rnncli.errors import InputError
from rnncli.readers import _npy
from rnncli.readers._values import numeric

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.readers import ReadOptions, Source

SUFFIXES = (".npy",)
MAPPED_FROM = 2**24
"""Bytes of a file from which on it is not read into memory."""

ADVICE = "Write numbers of one type with numpy.save, such as array.astype('float32')."


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """The array as inputs, of any rank; that of a large file stays in the file."""
    size = 0 if source.data is not None else source.file().stat().st_size
    array = load(source) if size < MAPPED_FROM else _filed(source, size)
    return Document(inputs=numeric(array, f"{source.name}: "))


def load(source: Source) -> Array:
    """The array as it is."""
    data = source.content("Write one with numpy.save.")
    try:
        return _npy.read(io.BytesIO(data), len(data))
    except _npy.RefusedError as error:
        raise InputError(f"{source.name}: {error}.", ADVICE) from None


def _filed(source: Source, size: int) -> Any:
    from rnncli import mapped

    try:
        file = source.file().open("rb", buffering=0)
        header = _npy.header(file, size)
        return mapped.Filed.opened(file, header.over, f"{source.name}: ")
    except _npy.RefusedError as error:
        raise InputError(f"{source.name}: {error}.", ADVICE) from None
    except PermissionError:
        raise InputError(f"{source.name}: there is no permission to read it.", "Check its mode.") from None
    except OSError as error:
        raise InputError(f"{source.name}: it cannot be read: {error.strerror or error}.") from None
