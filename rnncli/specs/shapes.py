"""Parse shapes written as `2,10,8`."""

from __future__ import annotations

import re

from rnncli.case import Dimension, Shape
from rnncli.errors import Message, UsageError

EXAMPLE = Message(
    "Write sizes with commas between them: 2,10,8; in rnncli shape, a size may be None or a name: batch,10,8."
)
_SEPARATORS = r"(?i)\s*[,;*×\s]\s*|(?:(?<=[0-9])|(?<=None))x(?=[0-9N])"
"""The letter x separates sizes in 2x10 and Nonex8, but it is not one in a name such as max2."""


def parse_shape(text: str) -> Shape:
    """Convert `2,None,8` or `(batch, 10, 8)` to a shape.

    Raises UsageError if `text` is empty or a part of it is not a dimension.
    """
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1].strip().removesuffix(",")
    if not inner:
        raise UsageError("the input shape {text!r} is empty.", EXAMPLE, text=text)
    return tuple(_dimension(part.strip(), text) for part in inner.split(","))


def write_with_commas(text: str) -> str | None:
    """Return `2,10,8` for sizes with anything between them, such as `2x10x8` or `2 10 8`; else None."""
    parts = re.split(_SEPARATORS, text.strip().strip("()[]").strip())
    known = len(parts) > 1 and all(part == "None" or _is_size(part) for part in parts)
    return ",".join(parts) if known else None


def _is_size(part: str) -> bool:
    return part.isascii() and part.isdecimal() and 0 < len(part) <= 15 and int(part) > 0


def _dimension(part: str, text: str) -> Dimension:
    if part.casefold() == "none":
        return None
    if _is_size(part):
        return int(part)
    if part.isidentifier() and write_with_commas(part) is None:  # Nonex8 is an identifier, and two sizes
        return part
    named = repr(part) if part else Message("an empty part")
    commas = write_with_commas(text)
    raise UsageError(
        "the input shape {text!r} has {named}, which is not a size above 0.",
        Message("Write {commas} instead.", commas=commas) if commas else EXAMPLE,
        text=text,
        named=named,
    )
