"""Safetensors files: arrays by name, in a format that cannot contain code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.case import Array, Document
from rnncli.errors import InputError
from rnncli.readers.formats._named_arrays import inputs_of
from rnncli.readers.packages import import_package

if TYPE_CHECKING:
    from rnncli.readers.formats import ReadOptions
    from rnncli.readers.source import Source

SUFFIXES = (".safetensors",)
ADVICE = "Write it with safetensors.numpy.save_file."


def read(source: Source, options: ReadOptions) -> Document:
    """Read the array `inputs`, or the only array; and `mask`, if there is one."""
    return inputs_of(load(source))


def load(source: Source) -> dict[str, Array]:
    """Return all arrays by name, in alphabetical order, since the library returns them in random order."""
    library = import_package("safetensors.numpy", "safetensors files")
    data = source.content(ADVICE)
    try:
        arrays: dict[str, Array] = library.load(data)
    except Exception as error:  # the library and NumPy raise many types for broken files
        reason = str(error).rstrip(".")[:200] or "broken"
        raise InputError(f"it is not a valid safetensors file ({reason}).", ADVICE) from None
    return dict(sorted(arrays.items()))
