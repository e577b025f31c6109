"""json and ndjson: documents in pieces; floats in the fewest digits, NaN and infinities as strings.

json is one object, one key per line, each array on one line; ndjson is one object per line, so that many
runs can be appended to one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import IO, TYPE_CHECKING, Any

from rnncli.errors import Message
from rnncli.process.signals import defer_signals
from rnncli.show import page
from rnncli.show.answer import Answer, DeferredValue
from rnncli.show.page import View
from rnncli.show.visible import escape_json, visible
from rnncli.values import Array

with defer_signals():  # orjson crashes the process if its loading is interrupted
    import orjson

if TYPE_CHECKING:
    from rnncli.arrays import ChunkedArray

    Waiting = Array | ChunkedArray | DeferredValue

OPEN_LEVELS = 3
"""Up to this depth each key has its own line; deeper keys share one."""
_LATER = b"\0"
"""Placeholder for a value that is converted later; JSON text never contains this character."""


def write_json(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write the document, with all digits unless a precision is given."""
    waiting: list[Waiting] = []
    text = _spread(_plain(answer.document(view), view.precision, waiting), 0)
    file.writelines(_pieces(text, waiting, view.precision))


def write_ndjson(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write each of the answer's documents on a line."""
    for document in answer.lines(view):
        waiting: list[Waiting] = []
        text = _dumps(_plain(document, view.precision, waiting))
        file.writelines(_pieces(text, waiting, view.precision))


def _pieces(text: bytes, waiting: list[Waiting], decimals: int | None) -> Iterator[bytes]:
    """Yield a line: `text` with the waiting values in place of their placeholders."""
    before, *after = text.split(_LATER)
    yield before
    for value, rest in zip(waiting, after, strict=True):
        if isinstance(value, DeferredValue):
            yield _dumps(_plain(value.value(), decimals, []))
        else:
            yield from _numbers(value, decimals)
        yield rest
    yield b"\n"


def _numbers(array: Array | ChunkedArray, decimals: int | None) -> Iterator[bytes]:
    """Yield `[[...], [...]]`, a few rows at a time."""
    separator = b"["
    parts: Iterable[Array] = array.parts if hasattr(array, "parts") else (array,)
    for part in parts:
        for row in _rows(part, decimals):
            yield separator
            yield from row
            separator = b","
    yield b"]"


def _rows(array: Array, decimals: int | None) -> Iterator[Iterable[bytes]]:
    """Yield `[...],[...]` of the rows that fit in one block; a row larger than a block in pieces."""
    per_block = page.TEXT_BLOCK * len(array) // array.size
    if per_block == 0:
        yield from (_numbers(row, decimals) for row in array)
        return
    for start in range(0, len(array), per_block):
        text = _dumps(_plain(array[start : start + per_block], decimals, []))
        yield (text[1:-1],)


def _spread(value: Any, level: int) -> bytes:
    inner, outer = b"  " * (level + 1), b"  " * level
    if level < OPEN_LEVELS and isinstance(value, Mapping) and value:
        lines = [inner + _dumps(key) + b": " + _spread(item, level + 1) for key, item in value.items()]
        return b"{\n" + b",\n".join(lines) + b"\n" + outer + b"}"
    if level < OPEN_LEVELS and isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        lines = [inner + _spread(item, level + 1) for item in value]
        return b"[\n" + b",\n".join(lines) + b"\n" + outer + b"]"
    return _dumps(value)


_PLAIN = frozenset({str, bool, type(None)})


def _plain(value: Any, decimals: int | None, waiting: list[Waiting]) -> Any:
    """Convert `value` to types that orjson can write; set aside large and late parts.

    A stream writes thousands of values, so the commonest types come first.
    """
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _PLAIN else _plain(item, decimals, waiting) for item in value]
    if isinstance(value, int):  # orjson does not support integers beyond 64 bits
        return value if value.bit_length() <= 63 else orjson.Fragment(str(value))
    if hasattr(value, "keys"):
        return dict(zip(value, _plain(list(value.values()), decimals, waiting), strict=True))
    large = getattr(value, "size", 0) > page.TEXT_BLOCK
    if large or isinstance(value, DeferredValue) or hasattr(value, "parts"):
        waiting.append(value)
        return orjson.Fragment(_LATER)
    if hasattr(value, "dtype") or (isinstance(value, float) and not isfinite(value)):
        return _array(value, decimals)
    return str(value) if isinstance(value, Message) else value


def _array(value: Any, decimals: int | None) -> Any:
    """Convert an array or a number: unchanged, or as nested lists with strings for NaN and infinities."""
    import numpy as np

    array = np.asarray(value)
    is_written = array.ndim and array.dtype.char in "fd" and array.dtype.isnative
    if decimals is None and is_written and np.isfinite(array).all():
        return np.ascontiguousarray(array)
    from rnncli.show.digits import is_float, is_short, round_values, spell_nonfinite, widen

    array = round_values(array.astype(array.dtype.newbyteorder("="), copy=False), decimals)
    missing = ~np.isfinite(array) if is_float(array) else np.zeros(array.shape, bool)
    array = np.ascontiguousarray(widen(array) if is_short(array) else array)
    if not missing.any() and np.ndim(value):
        return array
    nested: Any = orjson.loads(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
    for indices in np.argwhere(missing.reshape(array.shape)):
        row = nested
        for index in indices[:-1]:
            row = row[index]
        row[indices[-1]] = spell_nonfinite(float(array[tuple(indices)]))
    return nested if np.ndim(value) else nested[0]


def _dumps(value: Any) -> bytes:
    try:
        return escape_json(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    except TypeError:  # a name has half of a surrogate pair, as a file name that is not UTF-8
        return escape_json(orjson.dumps(_show_names(value), option=orjson.OPT_SERIALIZE_NUMPY))


def _show_names(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {_show_names(key): _show_names(item) for key, item in value.items()}
    return [_show_names(item) for item in value] if isinstance(value, (list, tuple)) else value
