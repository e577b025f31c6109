"""ndjson: one object on one line, so that many runs can be appended to one file."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.renderers.formats._json_pieces import compact
from rnncli.renderers.page import Answer, GrowingAnswer, View


def pieces(answer: Answer | GrowingAnswer, view: View) -> Iterator[bytes]:
    """The document on one line, or where the answer comes in `lines`, each of them on one."""
    documents = answer.lines(view) if hasattr(answer, "lines") else (answer.document(view),)
    for document in documents:
        yield from compact(document, view.precision)
        yield b"\n"
