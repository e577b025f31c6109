"""Zip files: what their directory says of the size of what is in them, before anything is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable

from rnncli.readers import _room

PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The compressions that numpy and Keras write; of others zipfile may unpack gigabytes in one go."""


class RefusedError(Exception):
    """What is not read, in words that follow the name of the file."""


def demand_room(archive: zipfile.ZipFile, packed: int, names: Iterable[str] | None = None) -> None:
    """RefusedError where those entries, else all, are packed otherwise or unpack to too much.

    packed: bytes of the file.
    """
    entries = archive.infolist() if names is None else [archive.getinfo(name) for name in names]
    size = sum(entry.file_size for entry in entries)
    for entry in entries:
        if entry.compress_type not in PLAIN:
            name = entry.filename[:100]
            raise RefusedError(f"{name} in it is compressed with {_method(entry)}, which is not supported")
    if size > _room.most(packed):
        raise RefusedError(f"it would expand from {_room.shown(packed)} to {_room.shown(size)}")


def _method(entry: zipfile.ZipInfo) -> str:
    names = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}
    return names.get(entry.compress_type, f"method {entry.compress_type}")
