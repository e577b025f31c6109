"""Safetensors files: arrays by name, in a format that cannot contain code."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.case import Array, Document
from rnncli.errors import InputError, shorten
from rnncli.readers.formats._named_arrays import inputs_of
from rnncli.readers.packages import import_package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnncli.readers.formats import ReadOptions
    from rnncli.readers.source import Source

SUFFIXES = (".safetensors",)
ADVICE = "Write it with safetensors.numpy.save_file."
DTYPES = {
    "BF16": "<u2",
    "BOOL": "?",
    "C64": "<c8",
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}


def read(source: Source, options: ReadOptions) -> Document:
    """Read the array `inputs`, or the only array; and `mask`, if there is one."""
    return inputs_of(load(source))


def load(source: Source) -> dict[str, Array]:
    """Return all arrays by name, in alphabetical order, since the library returns them in random order."""
    library = import_package("safetensors.numpy", "safetensors files")
    data = source.content(ADVICE)
    try:
        found = library.deserialize(data)
    except Exception as error:  # of the library's own kind
        reason = shorten(str(error).rstrip("."), 200) or "broken"
        raise InputError(f"it is not a valid safetensors file ({reason}).", ADVICE) from None
    return {name: _array(name, tensor) for name, tensor in sorted(found, key=itemgetter(0))}


def _array(name: str, tensor: Mapping[str, Any]) -> Array:
    if tensor["dtype"] not in DTYPES:
        raise InputError(
            f"{name} is of dtype {tensor['dtype']}, which is not supported.", "Save it as float32."
        )
    return to_array(tensor)


def to_array(tensor: Mapping[str, Any]) -> Array:
    """Return a tensor of one of DTYPES; bfloat16, which NumPy lacks, becomes float32 without loss."""
    numbers = np.frombuffer(tensor["data"], DTYPES[tensor["dtype"]])
    if tensor["dtype"] == "BF16":  # the upper half of a float32
        numbers = (numbers.astype("<u4") << 16).view("<f4")
    return numbers.reshape(tensor["shape"])
