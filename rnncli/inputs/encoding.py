"""Decode bytes to text: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, cast

from rnncli.errors import InputError, Message, Text
from rnncli.inputs.source import InputFlagError, Source

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_utf8(source: Source, *advice: Text) -> bytes:
    """Return the bytes of a UTF-8 text without the byte order mark.

    advice: of the error for an empty source, other than that for an input.
    Raises InputError if they are UTF-16, UTF-32 or not text.
    """
    data = source.content(*advice)
    _require_utf8(data)
    return data.removeprefix(UTF8_MARK)


def read_blocks(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the text in blocks of whole lines, each with the number of its first line.

    A large file is never fully in memory.
    Raises InputError if the text is not UTF-8; the message names the line of the first bad byte.
    """
    from rnncli import arrays

    first = 1
    with _open(source, arrays.BLOCK) as file:
        while data := file.read(arrays.BLOCK):
            data += file.readline()
            if first == 1:
                _require_utf8(data)
                data = data.removeprefix(UTF8_MARK)
            yield first, _decode(data, first)
            first += data.count(b"\n")


def _open(source: Source, small: int) -> IO[bytes]:
    """Open a file directly; read anything else, and a file of at most `small` bytes, into memory first."""
    if source.data is None and source.file().stat().st_size > small:
        with suppress(OSError):  # content() reports the error
            return io.BufferedReader(cast("io.RawIOBase", source.open()))
    return io.BytesIO(source.content())


def _require_utf8(data: bytes) -> None:
    if data[:2] in UTF16_MARKS or b"\0" in data[:4]:
        raise InputError("it is UTF-16 or UTF-32.", "Save it as UTF-8.")


def _decode(data: bytes, first: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + first
        raise InputFlagError(
            Message("line {line} is not UTF-8 text: byte 0x{data:02x}.", line=line, data=data[error.start]),
            Message("Save it as UTF-8; an input in another format needs {--input-format}."),
            Message("Save it as UTF-8."),
        ) from None
