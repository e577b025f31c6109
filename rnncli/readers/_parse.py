"""JSON text to Python values; a syntax error names line and column and shows what stands there."""

from __future__ import annotations

import re
from typing import Any

from rnncli.errors import InputError

BARE = re.compile(r"-?(?:nan|inf(?:inity)?)\b", re.IGNORECASE)
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
WORDS = 'Write the text "NaN", "Infinity" or "-Infinity", with the quotes.'


def parse(data: bytes, where: str) -> Any:
    """One JSON value.  data: UTF-8 without a mark.  where: what an error begins with, `notes.json: `."""
    import orjson

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _explained(error.msg, data, error.pos, where) from None


def _explained(message: str, data: bytes, position: int, where: str) -> InputError:
    text = data.decode("utf-8", errors="replace")
    if "UTF-8" in message:
        bad = text.find("\ufffd")
        return InputError(f"{where}{_at(text, max(bad, 0))}: this is not UTF-8 text.", "Save it as UTF-8.")
    if "depth" in message or "recursion" in message.lower():
        return InputError(f"{where}it is nested too deep.", "Three lists in each other are enough.")
    bare = BARE.match(text, position - (text[position - 1 : position] == "-"))
    if bare:
        return InputError(f"{where}{_at(text, bare.start())}: JSON has no {bare.group()}.", WORDS)
    number = NUMBER.match(text, position)
    if number and "infinity" in message:
        came = number.group() if len(number.group()) <= 20 else number.group()[:19] + "…"
        return InputError(f"{where}{_at(text, position)}: {came} is too large a number.", WORDS)
    if position >= len(text.rstrip()):
        return InputError(f"{where}{_at(text, len(text.rstrip()))}: it ends too early.", "Is it cut short?")
    return InputError(
        f"{where}{_at(text, position)}: {message}, found {_shown(text, position)}.", _advice(message)
    )


def _advice(message: str) -> str:
    if "after document" in message:
        return "Several values, one a line, are --input-format ndjson."
    return "It has to be JSON; another format is named by --input-format."


def _at(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


def _shown(text: str, position: int) -> str:
    rest = text[position : position + 21].split("\n")[0].rstrip()
    return f"`{rest if len(rest) <= 20 else rest[:19] + '…'}`"
