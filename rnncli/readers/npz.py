"""NumPy's .npz: arrays by name."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from rnncli.errors import InputError
from rnncli.readers import _npy, _zip
from rnncli.readers._named import inputs_of

if TYPE_CHECKING:
    from rnncli.case import Array, Document
    from rnncli.readers import ReadOptions, Source

SUFFIXES = (".npz",)
ADVICE = "Write it again, uncompressed, with numpy.savez."


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """The array `inputs`, or the only one; with it `mask`, where there is one."""
    return inputs_of(load(source), source.name)


def load(source: Source) -> dict[str, Array]:
    """Every array by its name."""
    data = source.content("Write one with numpy.savez.")
    if not data.startswith(b"PK"):
        raise InputError(f"{source.name}: it is not a .npz file.", "Write one with numpy.savez.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _zip.demand_room(archive, len(data))
            return {_name(entry): _array(archive, entry) for entry in archive.infolist()}
    except (_zip.RefusedError, _npy.RefusedError) as error:
        raise InputError(f"{source.name}: {error}.", ADVICE) from None
    except Exception:  # of whatever kind: zipfile and zlib raise many for broken files
        raise InputError(f"{source.name}: it is broken or cut short.", ADVICE) from None


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as file:
        try:
            array = _npy.read(file, entry.file_size)
            if file.read(1):  # at its end, and not before, zipfile has compared the checksum
                raise _npy.RefusedError("it has more bytes than its header promises")
            return array
        except _npy.RefusedError as error:
            reason = str(error).removeprefix("it ")
            raise _npy.RefusedError(f"{_name(entry)[:100]} in it {reason}") from None
