"""Detect the delimiter, the decimal sign and the header of a CSV text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnncli.errors import InputError, Message, UsageError
from rnncli.inputs.source import InputFlagError

DELIMITERS = ",;\t|"
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "?"})
SAMPLE_LINES = 20
SAMPLE_SIGNS = 4096
"""Maximum number of characters given to csv.Sniffer, which takes quadratic time."""
SAMPLE_QUOTES = 32
"""Maximum number of quotes on a line given to csv.Sniffer: its time grows with their fourth power."""

ROWS = Message("Write rows of equal length with numbers only, separated by commas.")
"""Advice for a file other than the input."""

THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?\s*", re.ASCII)
POINTS = re.compile(r"\s*[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?\s*", re.ASCII)
"""Thousands with points and a decimal comma: 1.234,5."""
DECIMAL_COMMA = re.compile(r"\s*[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True)
class CsvTable:
    """Rows as text, without blank lines.

    lines, numbers: the text of each row, and its line number in the file.
    decimal: `.`, `,`, or None if it is not known yet.
    width: number of cells in every earlier row; 0 if these are the first rows.
    first_line: line number of the file's first row.
    """

    delimiter: str
    decimal: str | None
    header: tuple[str, ...]
    lines: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    width: int = 0
    first_line: int = 0

    def cells(self) -> Iterable[tuple[int, list[str]]]:
        """Return the line number and the cells of each row."""
        return zip(self.numbers, csv.reader(self.lines, delimiter=self.delimiter), strict=True)

    def cell(self, line: int, index: int) -> Message:
        """Return the name of a cell for errors, such as `line 3, column 2 (humidity)`."""
        name = self.header[index] if index < len(self.header) else ""
        template = "line {line}, column {column} ({name})" if name else "line {line}, column {column}"
        return Message(template, line=line, column=index + 1, name=name)


def start_table(
    lines: Sequence[str], numbers: Sequence[int], delimiter: str | None, decimal: str | None
) -> CsvTable:
    """Return the CsvTable, without rows, for a text that starts with `lines`.

    Raises UsageError if `delimiter` or `decimal` is invalid, or if both are the comma.
    """
    decimal = _parse_decimal(decimal)
    given = None if delimiter is None else _parse_delimiter(delimiter)
    _require_short(lines, numbers, given or DELIMITERS)
    found = given or _sniff_delimiter(tuple(lines[:SAMPLE_LINES]), decimal)
    if found == decimal == ",":
        raise UsageError("{--decimal} , and {--delimiter} , are both given.", "Leave one of them out.")
    decimal = "." if found == "," else decimal
    first = [cell.strip() for cell in next(csv.reader(lines[:1], delimiter=found))]
    header = tuple(first) if is_header(first, decimal) else ()
    return CsvTable(found, decimal, header)


def is_header(cells: Sequence[str], decimal: str | None) -> bool:
    """Return whether the first row is a header: none of its cells is a number, also not in other digits.

    A row of nothing but missing numbers is data.
    """
    if len(cells) > 1 and all(cell.casefold() in MISSING for cell in cells):
        return False
    return not any(is_number(cell, decimal) or _means_number(cell) for cell in cells)


def _means_number(cell: str) -> bool:
    """Return whether the cell is a number in other digits, with another minus sign or with underscores."""
    try:
        float(cell.strip().replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return False
    return True


def is_number(cell: str, decimal: str | None = ".") -> bool:
    """Return whether NumPy can parse the cell; unlike Python, it rejects non-ASCII digits and underscores.

    decimal: the accepted decimal sign; None for either.
    """
    if decimal != "." and DECIMAL_COMMA.fullmatch(cell):
        return True
    text = cell.strip()
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text and not (decimal == "," and "." in text)


def check_lines(table: CsvTable) -> None:
    """Raise InputError if a line has an unclosed quote, or a cell too long for csv to read."""
    _require_short(table.lines, table.numbers, table.delimiter)
    for number, line in zip(table.numbers, table.lines, strict=True):
        if '"' in line and not _is_closed(line, table.delimiter):
            raise InputError(
                "line {number} has a quote that is not closed.", "Each row must be one line.", number=number
            )


def _is_closed(line: str, delimiter: str) -> bool:
    """Return whether every quoted cell ends on the same line."""
    if line.count('"') % 2:
        return False
    return len(list(csv.reader([line, "next"], delimiter=delimiter))) == 2


def _require_short(lines: Sequence[str], numbers: Sequence[int], delimiters: str) -> None:
    """Raise InputError if a cell is too long for csv to read.  delimiters: characters that may end a cell."""
    between = f"[{re.escape(delimiters)}]"
    for number, line in zip(numbers, lines, strict=True):
        if len(line) > csv.field_size_limit() and len(max(re.split(between, line), key=len)) > 1000:
            raise InputFlagError(
                Message("line {number} has a cell of more than 1000 characters.", number=number),
                Message("Give rows of numbers; to use another delimiter, add {--delimiter}."),
                ROWS,
            )


def _parse_delimiter(delimiter: str) -> str:
    found = NAMED.get(delimiter.casefold(), delimiter)
    if len(found) != 1 or found in '"\r\n':
        raise UsageError(
            "the delimiter {delimiter!r} is not one character.",
            "Give one, or a name: {named}.",
            delimiter=delimiter,
            named=", ".join(NAMED),
        )
    return found


def _parse_decimal(decimal: str | None) -> str | None:
    found = None if decimal is None else {"comma": ",", "point": "."}.get(decimal.casefold(), decimal)
    if found not in (None, ".", ","):
        raise UsageError("{--decimal:decimal!r} is not a decimal sign.", "Use . or ,", decimal=decimal)
    return found


def _sniff_delimiter(lines: tuple[str, ...], decimal: str | None) -> str:
    """Detect the delimiter; a delimiter other than the comma wins if it splits every line the same way."""
    for character in DELIMITERS[1:]:
        counts = {line.count(character) for line in lines}
        cells = lines[-1][:SAMPLE_SIGNS].split(character)
        if len(counts) == 1 and 0 not in counts and any(is_number(cell, decimal) for cell in cells):
            return character
    choices = DELIMITERS if decimal != "," else DELIMITERS[1:]
    sample = "\n".join(lines)[:SAMPLE_SIGNS]
    sniffed = _sniff(sample, choices)
    if len(sniffed) == 1 and sniffed in choices:
        return sniffed
    return max(choices, key=lambda character: min(line.count(character) for line in lines))


def _sniff(sample: str, choices: str) -> str:
    """Return the delimiter that csv.Sniffer detects; "" if it detects none, or would take too long."""
    if any(line.count('"') + line.count("'") > SAMPLE_QUOTES for line in sample.split("\n")):
        return ""
    try:
        return csv.Sniffer().sniff(sample, delimiters=choices).delimiter
    except csv.Error:
        return ""
