"""Bytes to text: UTF-8, with or without its byte order mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.errors import InputError

if TYPE_CHECKING:
    from rnncli.readers import Source

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def utf8(source: Source) -> bytes:
    """The bytes of a UTF-8 text without the mark; InputError where they are UTF-16 or no text."""
    data = source.content()
    if data[:2] in UTF16_MARKS or b"\0" in data[:4]:
        raise InputError(f"{source.name}: it is UTF-16 or UTF-32.", "Save it as UTF-8.")
    return data.removeprefix(UTF8_MARK)


def decode(source: Source) -> str:
    """The text; InputError with the line of the first byte that is not UTF-8."""
    data = utf8(source)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{source.name}: line {line} is not UTF-8 text: byte 0x{data[error.start]:02x}.",
            "Save it as UTF-8, or name its format with --input-format.",
        ) from None
