"""csv: long form, one number a row, in the digits that read back the same."""

from __future__ import annotations

import csv
from io import StringIO

from rnncli.page import Answer, View


def render(answer: Answer, view: View) -> str:
    """A header and the records; decimals only if a precision is asked for."""
    header, rows = answer.records()
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    if view.precision is None or header[-1] != "value":
        writer.writerows(rows)
    else:
        writer.writerows((*row[:-1], _rounded(row[-1], view.precision)) for row in rows)
    return file.getvalue()


def _rounded(text: str, decimals: int) -> str:
    number = float(text)
    return f"{number:z.{decimals}f}" if abs(number) < float("inf") else text
