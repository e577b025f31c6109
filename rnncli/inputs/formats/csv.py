"""CSV and TSV: one row per time step, one column per feature."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from rnncli.case import Array, Document
from rnncli.errors import InputError, Message, UsageError, count, did_you_mean, shorten
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.source import InputFlagError, Source, read_blocks

DELIMITERS = ",;\t|"
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "?"})
SAMPLE_LINES = 20
ROWS = Message("Write rows of equal length with numbers only, separated by commas.")
"""Advice for a file of a mask, weights or states."""

THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?\s*", re.ASCII)
POINTS = re.compile(r"\s*[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?\s*", re.ASCII)
"""Thousands with points and a decimal comma: 1.234,5."""
DECIMAL_COMMA = re.compile(r"\s*[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def read(source: Source, options: ReadOptions) -> Document:
    """Read an array (rows, columns); with a batch column, one sequence per value, in order of appearance.

    A large file is converted a block of lines at a time, so its text is never fully in memory.
    Raises InputError if the text has no rows, a row of another width, or a cell that is not a number.
    """
    table = _Table(options)
    try:
        for first, text in read_blocks(source):
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            table.take([(number, line) for number, line in enumerate(lines, start=first) if line.strip()])
        return table.document()
    except InputError:
        from rnncli.inputs import rnncli_output

        if rnncli_output.is_printed(next((text for _, text in read_blocks(source)), "")):
            raise InputError(
                "it looks like rnncli's own output, written for people to read.", rnncli_output.ONLY_JSON
            ) from None
        raise


class _Table:
    """The rows read so far as numbers, what the text has shown about its form, and a block of lines.

    decimal: `.`, `,`, or None if it is not known yet.
    width: number of cells in every earlier row; 0 before the first row.
    first_line: line number of the file's first row, 0 before it is read.
    lines, numbers: of the block, the text of each row and its line number in the file.
    """

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.delimiter = ""
        self.decimal: str | None = None
        self.header: tuple[str, ...] = ()
        self.width = self.first_line = 0
        self.lines: tuple[str, ...] = ()
        self.numbers: tuple[int, ...] = ()
        self._batch_column: int | None = None
        self._columns: list[int] | None = None  # all but the batch column
        self._sequences: dict[str, int] = {}
        self._members: list[Array] = []
        self._features = 0
        self._found_commas = False
        self._buffer = bytearray()  # grows in place; joining arrays would copy them

    def take(self, rows: Sequence[tuple[int, str]]) -> None:
        """Convert a block of rows, each with its line number."""
        if not rows:
            return
        self.numbers, self.lines = zip(*rows, strict=True)
        is_first = not self.first_line
        if is_first:
            self._detect_form()
            self.first_line = self.numbers[0]
        self._require_short(self.delimiter)
        for number, line in rows:
            if '"' in line and not _is_closed(line, self.delimiter):
                raise InputError(
                    "line {number} has a quote that is not closed.",
                    "Each row must be one line.",
                    number=number,
                )
        if is_first and self.header:
            self.numbers, self.lines = self.numbers[1:], self.lines[1:]
        if not self.lines:
            return
        if self.options.batch_column is not None:
            self._group(self.options.batch_column)
        array = self._read_numbers()
        self._features = array.shape[1]
        self.width = self.width or self._features + (self._batch_column is not None)
        self._buffer += np.ascontiguousarray(array).data.cast("B")

    def document(self) -> Document:
        """Return the Document with all rows read."""
        if not self.first_line:
            raise InputError("it has no rows.", "Give one row per time step.")
        if not self._features:
            raise InputError(
                "it has the header {header} and no rows.",
                "Give one row of numbers per time step.",
                header=", ".join(self.header),
            )
        array = np.frombuffer(self._buffer, np.float64).reshape(-1, self._features)
        names = tuple(name for index, name in enumerate(self.header) if index != self._batch_column)
        commas = Message("took the comma as the decimal sign, as in 2,5")
        return Document(
            inputs=array if self._batch_column is None else self._split(array),
            feature_names=names,
            remarks=(commas,) if self._found_commas else (),
        )

    def _split(self, array: Array) -> Array | tuple[Array, ...]:
        """Split into (batch, rows, columns), or a tuple of (rows, columns) if the lengths differ."""
        members = np.concatenate(self._members)
        order, lengths = np.argsort(members, kind="stable"), np.bincount(members)
        if (lengths == lengths[0]).all():
            return array[order].reshape(len(lengths), -1, self._features)
        return tuple(array[places] for places in np.split(order, np.cumsum(lengths)[:-1]))

    def _detect_form(self) -> None:
        """Find the delimiter, the decimal sign and the header from the first block.

        Raises UsageError if an option is invalid, or if the comma is both the delimiter and the decimal sign.
        """
        self.decimal = _parse_decimal(self.options.decimal)
        given = None if self.options.delimiter is None else _parse_delimiter(self.options.delimiter)
        self._require_short(given or DELIMITERS)
        self.delimiter = given or _find_delimiter(self.lines[:SAMPLE_LINES], self.decimal)
        if self.delimiter == self.decimal == ",":
            raise UsageError("{--decimal} , and {--delimiter} , are both given.", "Leave one of them out.")
        if self.delimiter == ",":
            self.decimal = "."
        first = [cell.strip() for cell in next(csv.reader(self.lines[:1], delimiter=self.delimiter))]
        self.header = tuple(first) if is_header(first, self.decimal) else ()

    def _require_short(self, delimiters: str) -> None:
        """Raise InputError if a cell, ended by one of `delimiters`, is too long for csv to read."""
        between = f"[{re.escape(delimiters)}]"
        for number, line in zip(self.numbers, self.lines, strict=True):
            if len(line) > csv.field_size_limit() and len(max(re.split(between, line), key=len)) > 1000:
                raise InputFlagError(
                    Message("line {number} has a cell of more than 1000 characters.", number=number),
                    Message("Give rows of numbers; to use another delimiter, add {--delimiter}."),
                    ROWS,
                )

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Return the line number and the cells of each row."""
        return zip(self.numbers, csv.reader(self.lines, delimiter=self.delimiter), strict=True)

    def _cells(self) -> Iterator[tuple[int, int, str]]:
        """Yield every cell that must be a number: its line number, the index of its column, and its text."""
        for number, cells in self._rows():
            for index in range(len(cells)) if self._columns is None else self._columns:
                yield number, index, cells[index]

    def _group(self, batch_column: str) -> None:
        """Record the sequence of every row."""
        if self._batch_column is None:
            self._batch_column = self._find_column(batch_column)
        self._require_widths()
        width, by = len(next(self._rows())[1]), self._batch_column
        if width == 1:
            raise InputError(
                "it has no column beside the batch column.",
                "Add a column of numbers, or leave {--batch-column} out.",
            )
        self._columns = [index for index in range(width) if index != by]
        known = self._sequences
        members = (known.setdefault(cells[by].strip(), len(known)) for _, cells in self._rows())
        self._members.append(np.fromiter(members, np.int64, len(self.lines)))

    def _find_column(self, name: str) -> int:
        """Return the index of the batch column: a name in the header, or without one a number from 0."""
        if self.header.count(name) > 1:
            raise InputError(
                "there are {number} columns {batch_column!r}.",
                "Give each column a name of its own.",
                number=self.header.count(name),
                batch_column=name,
            )
        if name in self.header:
            return self.header.index(name)
        if self.header:
            raise InputError(
                "there is no column {batch_column!r}.", did_you_mean(name, self.header), batch_column=name
            )
        width = len(next(self._rows())[1])
        if name.isascii() and name.isdecimal() and int(name) < width:
            return int(name)
        raise InputError(
            "there is no header, so no column {batch_column!r}.",
            "Give its number, counted from 0: 0 to {width}.",
            batch_column=name,
            width=width - 1,
        )

    def _read_numbers(self) -> Array:
        """Return the array (rows, columns) of the block.

        NumPy parses the rows; the slow search for a bad cell starts only if there may be one.
        """
        assumed = self.decimal
        array = self._convert()
        if array is None and assumed is None and self._has_commas():
            self.decimal = ","
            array = self._convert()
        width = self.width or len(self.header)
        if array is not None and width and self._columns is None and array.shape[1] != width:
            array = None
        points = any("." in line for line in self.lines)
        if array is None or (points and self.decimal == ",") or np.isinf(array).any():
            self._require_numbers()
        if array is None:
            raise InputError("a cell in it is not a number.", "Give rows of numbers.")
        self._found_commas = self._found_commas or (self.decimal == "," and assumed is None)
        if points and self.decimal is None:
            self.decimal = "."
        return array

    def _convert(self) -> Array | None:
        """Return the array (rows, columns); None if NumPy finds a cell that is not a number."""
        lines = [line.replace(",", ".") for line in self.lines] if self.decimal == "," else self.lines
        with suppress(ValueError):
            return np.loadtxt(
                lines, delimiter=self.delimiter, comments=None, quotechar='"', ndmin=2, usecols=self._columns
            )
        return None

    def _has_commas(self) -> bool:
        """Return whether the cells have decimal commas and no decimal points."""
        self._require_widths()
        cells = [cell for _, _, cell in self._cells() if "." in cell or "," in cell]
        if any("." in cell and is_number(cell) for cell in cells):
            return False
        return any(DECIMAL_COMMA.fullmatch(cell) for cell in cells)

    def _require_widths(self) -> None:
        """Raise InputError if a row is not as wide as the header, or as the previous rows."""
        width = self.width or len(self.header)
        after_lines = "line {line} has {columns}, the previous lines have {width}."
        after_header = "line {line} has {columns}, the header has {width}."
        before = after_lines if self.width or not self.header else after_header
        for number, cells in self._rows():
            width = width or len(cells)
            if len(cells) != width:
                raise InputFlagError(
                    Message(before, line=number, columns=count(len(cells), "column"), width=width),
                    Message("Write NaN for a missing number; to use another delimiter, add {--delimiter}."),
                    ROWS,
                )
            before = after_lines

    def _require_numbers(self) -> None:
        """Raise InputError for the first row of another width, else for the first cell that is no number."""
        self._require_widths()
        for line, index, cell in self._cells():
            name = self.header[index] if index < len(self.header) else ""
            place = "line {line}, column {column} ({name})" if name else "line {line}, column {column}"
            fields: dict[str, Any] = {
                "cell": Message(place, line=line, column=index + 1, name=name),
                "text": shorten(cell.strip()),
            }
            if self.decimal == "," and "." in cell and (is_number(cell) or POINTS.fullmatch(cell)):
                raise InputFlagError(
                    Message("{cell}: {text!r} has a point, but the decimal sign is the comma.", **fields),
                    Message(
                        "Write all numbers with the same sign; {--decimal} . or {--decimal} , says which one "
                        "it is."
                    ),
                    ROWS,
                )
            if not is_number(cell.replace(",", ".") if self.decimal == "," else cell):
                raise self._explain_cell(line, cell, Message("{cell}: {text!r} is not a number.", **fields))
            # The word inf is allowed.
            if any(map(str.isdigit, cell)) and abs(float(cell.replace(",", ".").strip())) == np.inf:
                raise InputError("{cell}: {text} is too large a number.", "Write inf for infinity.", **fields)

    def _explain_cell(self, line: int, cell: str, what: Message) -> InputError:
        """Return the error for a cell that is not a number."""
        flag = False
        if not cell.isascii() and any(map(str.isdigit, cell)):
            advice = Message("Write its digits as 0 to 9.")
        elif THOUSANDS.fullmatch(cell):
            advice = Message("Write digits without commas; if the comma is the decimal sign, write a point.")
        elif DECIMAL_COMMA.fullmatch(cell):
            advice = Message("Write a decimal point, not a comma.")
        elif cell.strip().casefold() in MISSING:
            advice = Message("Write NaN for a missing number.")
        elif flag := any(character in cell for character in DELIMITERS + " "):
            advice = Message(
                "Rows were split at {delimiter!r}; to use another delimiter, add {--delimiter}.",
                delimiter=self.delimiter,
            )
        else:
            flag = True
            advice = Message(
                "Only the batch column may contain text: name it with {--batch-column}, or remove it."
            )
        if not self.header and line == self.first_line:
            advice = Message(
                "{advice} A first row that contains a number is read as data, not as a header.", advice=advice
            )
        return InputFlagError(what, advice, ROWS) if flag else InputError(what, advice)


def is_header(cells: Sequence[str], decimal: str | None) -> bool:
    """Return whether the first row is a header: no cell is a number, even in other digits.

    A row in which every number is missing is data.
    """
    if len(cells) > 1 and all(cell.casefold() in MISSING for cell in cells):
        return False
    return not any(is_number(cell, decimal) or _means_number(cell) for cell in cells)


def _means_number(cell: str) -> bool:
    """Return whether the cell is a number in other digits, with another minus sign or with underscores."""
    with suppress(ValueError):
        float(cell.strip().replace("\N{MINUS SIGN}", "-"))
        return True
    return False


def is_number(cell: str, decimal: str | None = ".") -> bool:
    """Return whether NumPy can parse the cell; unlike Python, it rejects non-ASCII digits and underscores.

    decimal: the accepted decimal sign; None for either.
    """
    if decimal != "." and DECIMAL_COMMA.fullmatch(cell):
        return True
    with suppress(ValueError):
        float(cell.strip())
        return cell.strip().isascii() and "_" not in cell and not (decimal == "," and "." in cell)
    return False


def _is_closed(line: str, delimiter: str) -> bool:
    """Return whether every quoted cell ends on the same line."""
    return line.count('"') % 2 == 0 and len(list(csv.reader([line, "next"], delimiter=delimiter))) == 2


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


def _find_delimiter(lines: Sequence[str], decimal: str | None) -> str:
    """Return a delimiter that every line has equally often, except the comma; else the most frequent one."""
    for character in DELIMITERS[1:]:
        counts = {line.count(character) for line in lines}
        cells = lines[-1].split(character)
        if len(counts) == 1 and 0 not in counts and any(is_number(cell, decimal) for cell in cells):
            return character
    choices = DELIMITERS if decimal != "," else DELIMITERS[1:]
    return max(choices, key=lambda character: min(line.count(character) for line in lines))
