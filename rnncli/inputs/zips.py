"""Zip files: check the sizes in the directory before anything is decompressed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rnncli.errors import InputError, Text
from rnncli.process.memory import expansion_limit, format_size

PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The compression methods that NumPy and Keras write; zipfile may expand others by gigabytes at once."""
METHODS = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}


@contextmanager
def open_archive(data: bytes, broken: Text, advice: Text) -> Iterator[zipfile.ZipFile]:
    """Yield the archive; everything that zipfile and zlib raise in the block becomes an InputError.

    broken: the message for a broken file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except InputError:
        raise
    except Exception:  # zipfile and zlib raise many types of exception for broken files
        raise InputError("{broken}.", advice, broken=broken) from None


def require_room(
    archive: zipfile.ZipFile,
    packed: int,
    advice: Text,
    names: Iterable[str] | None = None,
    most: int | None = None,
) -> None:
    """Raise InputError if entries use another compression method than PLAIN or would expand too much.

    packed: size of the file in bytes.
    names: entries to check; None for all.
    most: bytes that they may expand to; None for what a file of this size may.
    """
    entries = archive.infolist() if names is None else [archive.getinfo(name) for name in names]
    size = sum(entry.file_size for entry in entries)
    for entry in entries:
        if entry.compress_type not in PLAIN:
            name = entry.filename[:100]
            raise InputError(
                "{name} in it is compressed with {method}, which is not supported.",
                advice,
                name=name,
                method=METHODS.get(entry.compress_type, f"method {entry.compress_type}"),
            )
    if size > (expansion_limit(packed) if most is None else most):
        what = "it would expand from {size} to {expanded}."
        raise InputError(what, advice, size=format_size(packed), expanded=format_size(size))
