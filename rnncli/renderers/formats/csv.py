"""csv: long form, one number per row, with digits that round-trip."""

from __future__ import annotations

import csv
import re
from io import StringIO
from itertools import islice
from typing import IO

from rnncli.renderers.formats import Traits
from rnncli.renderers.page import Answer, ChunkedAnswer, View
from rnncli.renderers.visible import visible

TRAITS = Traits(only_values=True, incremental=True, for_programs=True)
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
ROWS_PER_WRITE = 2**14
"""Fewer than TEXT_BLOCK: these rows wait while the next chunk is computed, if this one has too few."""


def write(answer: Answer | ChunkedAnswer, view: View, file: IO[bytes]) -> None:
    """Write a header and the records; rounded only if a precision is given."""
    header, found = answer.records(view)
    rows = iter(found)
    if view.precision is not None and header[-1] == "value":
        decimals = view.precision
        rows = ((*row[:-1], _round(row[-1], decimals)) for row in rows)
    some = [header]
    while some:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(some)
        file.write(_format(text.getvalue()).encode())
        some = list(islice(rows, ROWS_PER_WRITE))


def _format(text: str) -> str:
    """Escape control characters, which feature names may contain; numbers never do."""
    return text if text.isascii() and not CONTROLS.search(text) else visible(text, keep="\n")


def _round(text: str, decimals: int) -> str:
    number = float(text)
    return f"{number:z.{decimals}f}" if abs(number) < float("inf") else text
