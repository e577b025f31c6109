"""Arrays as NumPy's own formats can hold them."""

from __future__ import annotations

import numpy as np

from rnncli.case import Array


def storable(array: Array) -> Array:
    """`array`, or where NumPy itself has no such floats, the same numbers as float32."""
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
