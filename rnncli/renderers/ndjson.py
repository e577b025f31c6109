"""ndjson: one object on one line, so that many runs can be appended to one file."""

from __future__ import annotations

from rnncli.page import Answer, View
from rnncli.renderers._documents import compact


def render(answer: Answer, view: View) -> str:
    """The document on one line; every digit unless a precision is asked for."""
    return compact(answer.document(view), view.precision) + "\n"
