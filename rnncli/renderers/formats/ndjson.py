"""ndjson: one object per line, so that many runs can be appended to one file."""

from __future__ import annotations

from typing import IO

from rnncli.renderers.formats import Traits
from rnncli.renderers.formats._json_pieces import compact
from rnncli.renderers.page import Answer, GrowingAnswer, View

TRAITS = Traits(incremental=True, separator=b"", for_programs=True)


def write(answer: Answer | GrowingAnswer, view: View, file: IO[bytes]) -> None:
    """Write the document on one line; an answer with `lines` is written as one line for each."""
    documents = answer.lines(view) if hasattr(answer, "lines") else (answer.document(view),)
    for document in documents:
        file.writelines(compact(document, view.precision))
        file.write(b"\n")
