"""Write an array as npy in parts along its first axis."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from rnncli import arrays
from rnncli.case import Array


def write_npy(file: IO[bytes], array: Array | arrays.ChunkedArray) -> None:
    """Write a complete .npy file, copying a few megabytes at a time."""
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
    """Return `array`, or a float32 copy if NumPy does not support its float type."""
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
