"""ndjson: one object per line, so that many runs can be appended to one file."""

from __future__ import annotations

from typing import IO

from rnncli.show.formats import Traits
from rnncli.show.formats._json_pieces import compact
from rnncli.show.page import Answer, ChunkedAnswer, View

TRAITS = Traits(incremental=True, separator=b"", for_programs=True, suffixes=("jsonl",))


def write(answer: Answer | ChunkedAnswer, view: View, file: IO[bytes]) -> None:
    """Write each of the answer's documents on a line."""
    for document in answer.lines(view):
        file.writelines(compact(document, view.precision))
        file.write(b"\n")
