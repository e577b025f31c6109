"""Parse shapes written as `2,10,8`."""

from __future__ import annotations

from rnncli.case import Dimension, Shape
from rnncli.errors import UsageError

EXAMPLE = (
    "Write sizes with commas between them: 2,10,8; in rnncli shape, a size may be None or a name: batch,10,8."
)


def parse_shape(text: str) -> Shape:
    """Convert `2,None,8` or `(batch, 10, 8)` to a shape.

    Raises UsageError if `text` is empty or a part of it is not a dimension.
    """
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1].strip().removesuffix(",")
    if not inner:
        raise UsageError(f"the input shape {text!r} is empty.", EXAMPLE)
    return tuple(_dimension(part.strip(), text) for part in inner.split(","))


def _dimension(part: str, text: str) -> Dimension:
    if part.casefold() == "none":
        return None
    if part.isascii() and part.isdecimal() and 0 < len(part) <= 15 and int(part) > 0:
        return int(part)
    if part.isidentifier():
        return part
    named = repr(part) if part else "an empty part"
    raise UsageError(f"the input shape {text!r} has {named}, which is not a size above 0.", EXAMPLE)
