"""Documents as JSON text: floats in the fewest digits, NaN and infinities as words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from rnncli.numerals import is_float, is_short, rounded, spelled, widened

OPEN_LEVELS = 3
"""Down to here every key has a line of its own, deeper ones share one."""


def compact(document: Any, decimals: int | None = None) -> str:
    """`document` on one line."""
    return _dumps(_plain(document, decimals)).decode()


def spread(document: Any, decimals: int | None = None) -> str:
    """`document` for people too: a key a line, each array on one line."""
    return _spread(_plain(document, decimals), 0)


def _spread(value: Any, level: int) -> str:
    inner, outer = "  " * (level + 1), "  " * level
    if level < OPEN_LEVELS and isinstance(value, Mapping) and value:
        lines = [f"{inner}{_dumps(key).decode()}: {_spread(item, level + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if level < OPEN_LEVELS and isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        lines = [inner + _spread(item, level + 1) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{outer}]"
    return _dumps(value).decode()


def _plain(value: Any, decimals: int | None) -> Any:
    """`value` in parts that orjson writes as they should be read."""
    if isinstance(value, Mapping):
        return {key: _plain(item, decimals) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, decimals) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _array(np.asarray(value), decimals)
    if isinstance(value, float) and not np.isfinite(value):
        return spelled(value)
    return value


def _array(array: np.ndarray[Any, Any], decimals: int | None) -> Any:
    array = rounded(array.astype(array.dtype.newbyteorder("="), copy=False), decimals)
    missing = ~np.isfinite(array) if is_float(array) else np.zeros(array.shape, bool)
    if is_short(array):
        array = widened(array)
    if array.ndim and not missing.any():
        return np.ascontiguousarray(array)
    nested: Any = orjson.loads(_dumps(np.atleast_1d(np.ascontiguousarray(array))))
    for place in np.argwhere(np.atleast_1d(missing)):
        row = nested
        for index in place[:-1]:
            row = row[index]
        row[place[-1]] = spelled(float(np.atleast_1d(array)[tuple(place)]))
    return nested if array.ndim else nested[0]


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
