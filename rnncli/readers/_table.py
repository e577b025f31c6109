"""How the cells of a CSV text are told apart: delimiter, decimal sign, header."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnncli.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DELIMITERS = ",;\t|"
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "?"})
SAMPLE_LINES = 20
SAMPLE_SIGNS = 4096
"""What csv.Sniffer sees: it takes the square of the time."""

DECIMAL_COMMA = re.compile(r"\s*[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True)
class Table:
    """The rows as text, each with its line in the file; blank lines are left out.

    decimal: `.`, `,`, or None where it is not known yet.
    width: cells of every row before these; 0 where these are the first.
    first: the line of the file's first row.
    """

    name: str
    delimiter: str
    decimal: str | None
    header: tuple[str, ...]
    lines: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    width: int = 0
    first: int = 0

    def cells(self) -> Iterable[tuple[int, list[str]]]:
        """Each line's number, and its cells."""
        return zip(self.numbers, csv.reader(self.lines, delimiter=self.delimiter), strict=True)

    def column(self, index: int) -> str:
        """`column 2 (humidity)`."""
        return f"column {index + 1}" + (f" ({self.header[index]})" if index < len(self.header) else "")


def begun(
    name: str, lines: Sequence[str], numbers: Sequence[int], delimiter: str | None, decimal: str | None
) -> Table:
    """The Table, without rows, of a text that begins with `lines`.  UsageError for flags that cannot be."""
    _demand_short(name, lines, numbers)
    decimal = _decimal(decimal)
    sample = tuple(lines[:SAMPLE_LINES])
    found = _said(delimiter) if delimiter is not None else _sniffed(sample, decimal)
    if found == decimal == ",":
        raise UsageError("--decimal , and --delimiter , are both given.", "Leave one of them out.")
    decimal = "." if found == "," else decimal
    first = [cell.strip() for cell in next(csv.reader(lines[:1], delimiter=found))]
    header = tuple(first) if is_header(first, decimal) else ()
    return Table(name, found, decimal, header)


def is_header(cells: Sequence[str], decimal: str | None) -> bool:
    """Whether a first row is names: it has no number."""
    return not any(is_number(cell, decimal) for cell in cells)


def is_number(cell: str, decimal: str | None = ".") -> bool:
    """As NumPy sees it: no digits of other scripts, and no underscores, which Python takes.

    decimal: the sign that is taken; None for either.
    """
    if decimal != "." and DECIMAL_COMMA.fullmatch(cell):
        return True
    text = cell.strip()
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text and not (decimal == "," and "." in text)


def check_lines(table: Table) -> None:
    """No line that would be read together with the next one, or not at all."""
    _demand_short(table.name, table.lines, table.numbers)
    for number, line in zip(table.numbers, table.lines, strict=True):
        if '"' in line and not _is_closed(line, table.delimiter):
            raise InputError(
                f"{table.name}: line {number} has a quote that is not closed.", "A row is one line."
            )


def _is_closed(line: str, delimiter: str) -> bool:
    """Whether every quoted cell ends on its line."""
    if line.count('"') % 2:
        return False
    return len(list(csv.reader([line, "next"], delimiter=delimiter))) == 2


def _demand_short(name: str, lines: Sequence[str], numbers: Sequence[int]) -> None:
    """No cell that csv refuses to read."""
    for number, line in zip(numbers, lines, strict=True):
        if len(line) > csv.field_size_limit() and len(max(re.split(r"[,;\t|]", line), key=len)) > 1000:
            raise InputError(f"{name}: line {number} has a cell of more than 1000 characters.")


def _said(delimiter: str) -> str:
    found = NAMED.get(delimiter.casefold(), delimiter)
    if len(found) != 1 or found in '"\r\n':
        raise UsageError(
            f"the delimiter {delimiter!r} is not one character.", f"Or its name: {', '.join(NAMED)}."
        )
    return found


def _decimal(said: str | None) -> str | None:
    found = None if said is None else {"comma": ",", "point": "."}.get(said.casefold(), said)
    if found not in (None, ".", ","):
        raise UsageError(f"--decimal {said!r} is no decimal sign.", "It is . or ,")
    return found


def _sniffed(lines: tuple[str, ...], decimal: str | None) -> str:
    """The delimiter; another one than the comma where it tells the cells of every line apart."""
    for character in DELIMITERS[1:]:
        counts = {line.count(character) for line in lines}
        cells = lines[-1][:SAMPLE_SIGNS].split(character)
        if len(counts) == 1 and 0 not in counts and any(is_number(cell, decimal) for cell in cells):
            return character
    choices = DELIMITERS if decimal != "," else DELIMITERS[1:]
    sample = "\n".join(lines)[:SAMPLE_SIGNS]
    try:
        sniffed = csv.Sniffer().sniff(sample, delimiters=choices).delimiter
    except csv.Error:
        sniffed = ""
    if len(sniffed) == 1 and sniffed in choices:
        return sniffed
    return max(choices, key=lambda character: min(line.count(character) for line in lines))
