"""json: one object, a key a line, an array on one line."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.renderers.formats._json_pieces import spread
from rnncli.renderers.page import Answer, GrowingAnswer, View


def pieces(answer: Answer | GrowingAnswer, view: View) -> Iterator[bytes]:
    """The document; every digit unless a precision is asked for."""
    yield from spread(answer.document(view), view.precision)
    yield b"\n"
