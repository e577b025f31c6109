"""ndjson: one object on one line, so that many runs can be appended to one file."""

from __future__ import annotations

from rnncli.page import Answer, View
from rnncli.renderers._documents import compact


def render(answer: Answer, view: View) -> str:
    """The document on one line, or where the answer comes in `lines`, each of them on one."""
    documents = answer.lines(view) if hasattr(answer, "lines") else (answer.document(view),)
    return "".join(compact(document, view.precision) + "\n" for document in documents)
