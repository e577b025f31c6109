"""csv: long form, one number a row, in the digits that read back the same."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice

from rnncli.page import Answer, GrowingAnswer, View
from rnncli.visible import visible

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
AT_ONCE = 2**14
"""So many rows become text in one go."""


def pieces(answer: Answer | GrowingAnswer, view: View) -> Iterator[bytes]:
    """A header and the records; decimals only if a precision is asked for."""
    header, found = answer.records(view)
    rows = iter(found)
    if view.precision is not None and header[-1] == "value":
        decimals = view.precision
        rows = ((*row[:-1], _rounded(row[-1], decimals)) for row in rows)
    some = [header]
    while some:
        file = StringIO()
        csv.writer(file, lineterminator="\n").writerows(some)
        yield _shown(file.getvalue()).encode()
        some = list(islice(rows, AT_ONCE))


def _shown(text: str) -> str:
    """Names of features may hold control characters; numbers never do."""
    return text if text.isascii() and not CONTROLS.search(text) else visible(text, keep="\n")


def _rounded(text: str, decimals: int) -> str:
    number = float(text)
    return f"{number:z.{decimals}f}" if abs(number) < float("inf") else text
