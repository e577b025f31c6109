"""json: one object, one key per line, each array on one line."""

from __future__ import annotations

from typing import IO

from rnncli.show.formats import Traits
from rnncli.show.formats._json_pieces import spread
from rnncli.show.page import Answer, ChunkedAnswer, View

TRAITS = Traits(incremental=True, separator=b"", for_programs=True)


def write(answer: Answer | ChunkedAnswer, view: View, file: IO[bytes]) -> None:
    """Write the document, with all digits unless a precision is given."""
    file.writelines(spread(answer.document(view), view.precision))
    file.write(b"\n")
