"""Documents as JSON text: floats in the fewest digits, NaN and infinities as words."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson

from rnncli.page import Written

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
    if value is None or isinstance(value, (str, bool, Written)):  # a stream writes thousands of them
        return value
    if isinstance(value, (dict, Mapping)):
        return {key: _plain(item, decimals) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, decimals) for item in value]
    if hasattr(value, "dtype") or (isinstance(value, float) and not isfinite(value)):
        from rnncli.renderers._arrays import plain

        return plain(value, decimals)
    if isinstance(value, int) and value.bit_length() > 63:
        return orjson.Fragment(str(value))  # orjson itself refuses what 64 bits cannot hold
    return value


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
