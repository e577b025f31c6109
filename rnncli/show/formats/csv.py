"""csv: long form, one number per row, with digits that round-trip."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from io import StringIO
from itertools import islice
from typing import IO, Any

from rnncli.show.answer import Answer
from rnncli.show.page import View
from rnncli.show.visible import visible

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
SIGNS = "=+-@\t\r"
"""A spreadsheet computes a cell that begins with one of these."""
NUMBER = r"(?:\d[\d.]*(?:[eE][+-]?\d+)?|[iI]nf(?:inity)?)"
NEGATIVE = re.compile(f"-{NUMBER}")
SUSPECT = re.compile(rf'[,\n"](?:[=+@\t\r]|-(?!{NUMBER}[,\n])|-(?<="-))')
"""Matches where a cell of a whole text may be a formula; numbers are not quoted."""
ROWS_PER_WRITE = 2**14
"""Fewer than TEXT_BLOCK: these rows wait while the next chunk is computed, if this one has too few."""


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write a header and the records; rounded only if a precision is given."""
    header, records = answer.records(view)
    rows = iter(records)
    if (decimals := view.precision) is not None and header[-1] == "value":
        rows = ((*row[:-1], _round(row[-1], decimals)) for row in rows)
    together: list[tuple[Any, ...]] = [header]
    while together:
        text = _write_rows(together)
        if SUSPECT.search(f"\n{text}"):
            text = _write_rows(tuple(map(_quote_formula, row)) for row in together)
        if not text.isascii() or CONTROLS.search(text):  # of feature names; numbers never have any
            text = visible(text, keep="\n")
        file.write(text.encode())
        together = list(islice(rows, ROWS_PER_WRITE))


def _write_rows(rows: Iterable[tuple[Any, ...]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _quote_formula(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and cell[:1] in SIGNS and not NEGATIVE.fullmatch(cell)
    return f"'{cell}" if cell and is_formula else cell


def _round(text: str, decimals: int) -> str:
    number = float(text)
    return f"{number:z.{decimals}f}" if abs(number) < float("inf") else text
