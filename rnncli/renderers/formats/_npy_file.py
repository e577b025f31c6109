"""An array as npy, written as it comes: part after part along its first axis."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from rnncli import arrays
from rnncli.case import Array


def write_npy(file: IO[bytes], array: Array | arrays.Growing) -> None:
    """A whole .npy, its numbers in copies of some megabytes."""
    like: Array = np.empty(0, array.dtype)
    header: dict[str, Any] = {
        "descr": np.lib.format.dtype_to_descr(_storable(like).dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
    for block in arrays.blocks(array):
        file.write(_storable(block).tobytes())


def _storable(array: Array) -> Array:
    """`array`, or where NumPy itself has no such floats, the same numbers as float32."""
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
