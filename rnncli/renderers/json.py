"""json: one object, a key a line, an array on one line."""

from __future__ import annotations

from rnncli.page import Answer, View
from rnncli.renderers._documents import spread


def render(answer: Answer, view: View) -> str:
    """The document; every digit unless a precision is asked for."""
    return spread(answer.document(view), view.precision) + "\n"
