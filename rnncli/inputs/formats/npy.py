"""NumPy .npy files: one array."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import Any

from rnncli.case import Array, Document
from rnncli.errors import Message
from rnncli.inputs.formats import ReadOptions, _npy_headers
from rnncli.inputs.named_arrays import require_numbers
from rnncli.inputs.source import Source, report_os_errors

MAPPED_FROM = 2**24
"""Files of at least this many bytes are not read into memory."""

ADVICE = Message("Write numbers of one type with numpy.save, such as array.astype('float32').")


def read(source: Source, options: ReadOptions) -> Document:
    """Read the array, of any rank, as inputs; the array of a large file stays in the file."""
    size = 0 if source.data is not None else source.file().stat().st_size
    array = load(source) if size < MAPPED_FROM else _open_large(source, size)
    return Document(inputs=require_numbers(array))


def load(source: Source) -> Array:
    """Return the array unchanged."""
    data = source.content(Message("Write one with numpy.save."))
    return _npy_headers.read(io.BytesIO(data), len(data), ADVICE)


def _open_large(source: Source, size: int) -> Any:
    from rnncli import arrays

    with report_os_errors(source.name, "Check the file."), ExitStack() as unless_mapped:
        file = unless_mapped.enter_context(source.open())
        header = _npy_headers.read_header(file, size, ADVICE)
        array = arrays.FileArray.open(file, header.array, source.name)
        unless_mapped.pop_all()
        return array
