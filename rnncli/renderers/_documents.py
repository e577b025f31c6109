"""Documents as JSON text, piece by piece: floats in the fewest digits, NaN and infinities as words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import orjson

from rnncli.page import Later, Written
from rnncli.visible import json_escaped

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.mapped import Growing

    Waiting = Array | Growing | Later

OPEN_LEVELS = 3
"""Down to here every key has a line of its own, deeper ones share one."""
LARGE = 2**16
"""An array of more numbers becomes text a part at a time, when it is its turn."""
_LATER = b"\0"
"""Stands for what becomes text when it is its turn; JSON itself has no such character."""


def compact(document: Any, decimals: int | None = None) -> Iterator[bytes]:
    """`document` on one line."""
    waiting: list[Waiting] = []
    return _pieces(_dumps(_plain(document, decimals, waiting)), waiting, decimals)


def spread(document: Any, decimals: int | None = None) -> Iterator[bytes]:
    """`document` for people too: a key a line, each array on one line."""
    waiting: list[Waiting] = []
    return _pieces(_spread(_plain(document, decimals, waiting), 0), waiting, decimals)


def _pieces(text: bytes, waiting: list[Waiting], decimals: int | None) -> Iterator[bytes]:
    """`text`, with what waited where it belongs."""
    before, *after = text.split(_LATER)
    yield before
    for value, rest in zip(waiting, after, strict=True):
        if isinstance(value, Later):
            yield _dumps(_plain(value.value(), decimals, []))
        else:
            yield from _numbers(value, decimals)
        yield rest


def _numbers(array: Array | Growing, decimals: int | None) -> Iterator[bytes]:
    """`[[...], [...]]`, some rows of it at a time."""
    separator = b"["
    parts: Iterable[Array] = array.parts if hasattr(array, "parts") else (array,)
    for part in parts:
        for row in _rows(part, decimals):
            yield separator
            yield from row
            separator = b","
    yield b"]"


def _rows(array: Array, decimals: int | None) -> Iterator[Iterator[bytes]]:
    """`[...],[...]`, as many rows at a time as are large together."""
    rows = LARGE * len(array) // array.size
    for start in range(0, len(array), max(rows, 1)):
        if rows:
            yield iter((_dumps(_plain(array[start : start + rows], decimals, []))[1:-1],))
        else:
            yield _numbers(array[start], decimals)


def _spread(value: Any, level: int) -> bytes:
    inner, outer = b"  " * (level + 1), b"  " * level
    if level < OPEN_LEVELS and isinstance(value, Mapping) and value:
        lines = [inner + _dumps(key) + b": " + _spread(item, level + 1) for key, item in value.items()]
        return b"{\n" + b",\n".join(lines) + b"\n" + outer + b"}"
    if level < OPEN_LEVELS and isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        lines = [inner + _spread(item, level + 1) for item in value]
        return b"[\n" + b",\n".join(lines) + b"\n" + outer + b"]"
    return _dumps(value)


def _plain(value: Any, decimals: int | None, waiting: list[Waiting]) -> Any:
    """`value` in parts that orjson writes as they should be read; what is large or late is set aside."""
    if value is None or isinstance(value, (str, bool, Written)):  # a stream writes thousands of them
        return value
    if isinstance(value, (dict, Mapping)):
        return {key: _plain(item, decimals, waiting) for key, item in value.items()}
    if isinstance(value, Later) or hasattr(value, "parts") or getattr(value, "size", 0) > LARGE:
        waiting.append(value)
        return orjson.Fragment(_LATER)
    if isinstance(value, (list, tuple)):
        return [_plain(item, decimals, waiting) for item in value]
    if hasattr(value, "dtype") or (isinstance(value, float) and not isfinite(value)):
        from rnncli.renderers._arrays import plain

        return plain(value, decimals)
    if isinstance(value, int) and value.bit_length() > 63:
        return orjson.Fragment(str(value))  # orjson itself refuses what 64 bits cannot hold
    return value


def _dumps(value: Any) -> bytes:
    return json_escaped(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
