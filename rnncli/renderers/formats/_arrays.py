"""Arrays in parts that orjson writes as they should be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from rnncli.renderers.numerals import is_float, is_short, rounded, spelled, widened

AS_THEY_ARE = (np.dtype("float32"), np.dtype("float64"))


def plain(value: Any, decimals: int | None) -> Any:
    """An array or one number: as it is, or in nested lists with words where JSON has no number."""
    array = np.asarray(value)
    if decimals is None and array.ndim and array.dtype in AS_THEY_ARE and np.isfinite(array).all():
        return np.ascontiguousarray(array)
    array = rounded(array.astype(array.dtype.newbyteorder("="), copy=False), decimals)
    missing = ~np.isfinite(array) if is_float(array) else np.zeros(array.shape, bool)
    array = np.ascontiguousarray(widened(array) if is_short(array) else array)
    if not missing.any() and np.ndim(value):
        return array
    nested: Any = orjson.loads(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
    for place in np.argwhere(missing.reshape(array.shape)):
        row = nested
        for index in place[:-1]:
            row = row[index]
        row[place[-1]] = spelled(float(array[tuple(place)]))
    return nested if np.ndim(value) else nested[0]
