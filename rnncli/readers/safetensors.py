"""Safetensors: arrays by name, in a file that cannot run code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.errors import InputError
from rnncli.readers._named import inputs_of
from rnncli.readers._packages import needed

if TYPE_CHECKING:
    from rnncli.case import Array, Document
    from rnncli.readers import ReadOptions, Source

SUFFIXES = (".safetensors",)
ADVICE = "Write it with safetensors.numpy.save_file."


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """The array `inputs`, or the only one; with it `mask`, where there is one."""
    return inputs_of(load(source), source.name)


def load(source: Source) -> dict[str, Array]:
    """Every array by its name."""
    library = needed("safetensors.numpy", "safetensors files")
    data = source.content(ADVICE)
    try:
        arrays: dict[str, Array] = library.load(data)
    except Exception as error:  # the library, and NumPy in it, raise many kinds for broken files
        reason = str(error).rstrip(".")[:200] or "broken"
        raise InputError(f"{source.name}: it is not a valid safetensors file ({reason}).", ADVICE) from None
    return arrays
