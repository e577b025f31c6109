"""NumPy .npz files: arrays by name."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from rnncli.case import Array, Document
from rnncli.errors import InputError, Message
from rnncli.inputs import zips
from rnncli.inputs.formats import ReadOptions, _npy_headers
from rnncli.inputs.named_arrays import to_inputs

if TYPE_CHECKING:
    from rnncli.inputs.source import Source

ADVICE = Message("Write it again with numpy.savez: uncompressed arrays of numbers.")


def read(source: Source, options: ReadOptions) -> Document:
    """Read the array `inputs`, or the only array; and `mask`, if there is one."""
    return to_inputs(load(source))


def load(source: Source) -> dict[str, Array]:
    """Return all arrays by name."""
    data = source.content(Message("Write one with numpy.savez."))
    if not data.startswith(b"PK"):
        raise InputError("it is not a .npz file.", "Write one with numpy.savez.")
    with zips.open_archive(data, Message("it is damaged or truncated"), ADVICE) as archive:
        zips.require_room(archive, len(data), ADVICE)
        return {_name(entry): _read_array(archive, entry) for entry in archive.infolist()}


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    name = _name(entry)[:100]
    with archive.open(entry) as file:
        array = _npy_headers.read(file, entry.file_size, ADVICE, Message("{name} in it", name=name))
        if file.read(1):  # zipfile compares the checksum only at the end
            raise InputError("{name} in it has more bytes than its header declares.", ADVICE, name=name)
        return array
