"""JSON text to Python values; a syntax error names line and column and shows what stands there."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, NamedTuple

from rnncli import nested
from rnncli.errors import InputError
from rnncli.readers._packages import needed

BARE = re.compile(r"-?(?:nan|inf(?:inity)?)\b", re.IGNORECASE)
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
KEY = re.compile(rb'"\s*:')
"""What stands after every key, and in few texts."""

BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
"""Texts as wholes, so that a bracket in one is not counted."""

LARGE = 2**22
"""Bytes of a text from which on it is parsed in pieces."""

WORDS = 'Write the text "NaN", "Infinity" or "-Infinity", with the quotes.'


def parse(data: bytes, where: str, *, line: int | None = None) -> Any:
    """One JSON value.

    data: UTF-8 without a mark.  where: what an error begins with, `notes.json: `.
    line: which line of a file `data` is, where it is one and not the whole file.
    Long lists of numbers in a large text are Packed; see nested.
    """
    if len(data) >= LARGE:
        from rnncli.readers import _packed

        short, packed = _packed.shortened(data)
        with suppress(InputError):  # the whole text says where the fault is
            return _packed.filled(_parsed(short, where, line), packed)
        del packed
    return _parsed(data, where, line)


def _parsed(data: bytes, where: str, line: int | None) -> Any:
    orjson = needed("orjson", "JSON")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg:
            raise _too_deep(data, where, line or 1) from None
        text = data.decode("utf-8", errors="replace")
        bad = _explained(error.msg, text, error.pos, a_line=line is not None)
        place = _place(text, bad.position, line or 1)
        raise InputError(f"{where}{place}: {bad.what}.", bad.advice) from None
    if nested.is_too_deep(value):
        raise _too_deep(data, where, line or 1)
    if _keys(value) < len(KEY.findall(data)):
        _refuse_twice(data, where if line is None else f"{where}line {line}: ")
    return value


def _too_deep(data: bytes, where: str, first_line: int) -> InputError:
    """What to say of a value that orjson could read, or gave up on for its depth."""
    text, depth, position = data.decode("utf-8", errors="replace"), 0, 0
    for token in BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > nested.MOST_NESTED:
            position = token.start()
            break
    what = f"it is nested deeper than {nested.MOST_NESTED} lists and objects"
    advice = "Inputs are three lists in each other: [[[0.1, 4.2], [1.0, 3.1]]]."
    return InputError(f"{where}{_place(text, position, first_line)}: {what}.", advice)


def _keys(value: Any) -> int:
    """How many keys the objects have that are found without a walk through every number."""
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(map(_keys, value))
    return 0


def _refuse_twice(data: bytes, where: str) -> None:
    """A key that an object has twice, of which orjson keeps the last in silence.  Slow, and sure."""
    from json import loads

    def once(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InputError(
                    f"{where}the key {key!r} stands twice in one object.", "Leave one of them out."
                )
            seen.add(key)

    with suppress(ValueError, RecursionError):  # what json cannot read, orjson has read already
        loads(data, object_pairs_hook=once)


class _Fault(NamedTuple):
    position: int
    what: str
    advice: str


def _explained(message: str, text: str, position: int, *, a_line: bool) -> _Fault:
    """orjson's message in the words of someone who looks at the text.

    a_line: whether the text is one line of a file of values.
    """
    if "UTF-8" in message:
        return _Fault(max(text.find("\ufffd"), 0), "this is not UTF-8 text", "Save it as UTF-8.")
    bare = BARE.match(text, position - (text[position - 1 : position] == "-"))
    if bare:
        return _Fault(bare.start(), f"JSON has no {bare.group()}", WORDS)
    number = NUMBER.match(text, position)
    if number and "infinity" in message:
        return _Fault(position, f"{_short(number.group())} is too large a number", WORDS)
    if position >= len(text.rstrip()):
        return _Fault(len(text.rstrip()), "it ends too early", "Is it cut short?")
    found = _short(text[position : position + 21].split("\n")[0].rstrip())
    advice = "It has to be JSON; another format is named by --input-format."
    if a_line:
        advice = "Every line is one value, as JSON."
    elif "after document" in message:
        advice = "Several values, one a line, are --input-format ndjson."
    return _Fault(position, f"{message}, found `{found}`", advice)


def _place(text: str, position: int, first_line: int) -> str:
    line = text.count("\n", 0, position) + first_line
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:19]}…"
