"""NumPy's .npz: arrays by name."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from rnncli.errors import InputError
from rnncli.readers.formats._named import inputs_of

if TYPE_CHECKING:
    from rnncli.case import Array, Document
    from rnncli.readers.formats import ReadOptions, Source

SUFFIXES = (".npz",)
BROKEN = (
    ValueError,
    EOFError,
    OSError,
    MemoryError,
    KeyError,
    SyntaxError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """The array `inputs`, or the only one; with it `mask`, where there is one."""
    return inputs_of(load(source), source.name)


def load(source: Source) -> dict[str, Array]:
    """Every array by its name."""
    data = source.content("Write one with numpy.savez.")
    if not data.startswith(b"PK"):
        raise InputError(f"{source.name}: it is not a .npz file.", "Write one with numpy.savez.")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except BROKEN as error:
        reason = (
            "an array in it holds Python objects" if "pickle" in str(error) else "it is broken or cut short"
        )
        raise InputError(f"{source.name}: {reason}.", "Write it again with numpy.savez.") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"{source.name}: {name} in it is no array.", "Write it with numpy.savez.")
    return arrays
