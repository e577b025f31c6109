"""json: one object, a key a line, an array on one line."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.page import Answer, GrowingAnswer, View
from rnncli.renderers._documents import spread


def pieces(answer: Answer | GrowingAnswer, view: View) -> Iterator[bytes]:
    """The document; every digit unless a precision is asked for."""
    yield from spread(answer.document(view), view.precision)
    yield b"\n"
