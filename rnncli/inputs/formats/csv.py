"""CSV and TSV: one row per time step, one column per feature."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import compress, islice, takewhile
from typing import Any

import numpy as np

from rnncli.errors import InputError, Message, Text, UsageError, count, did_you_mean, shorten
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.source import InputFlagError, Source, read_blocks, read_utf8
from rnncli.values import Array, Document

DELIMITERS = ",;\t|"
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "?"})
SAMPLE_LINES = 20
LONGEST = 1000
"""Characters of a cell; only a text without rows has a longer one."""
ROWS = Message("Write rows of equal length with numbers only, separated by commas.")
"""Advice for a file of a mask, weights or states."""

THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?\s*", re.ASCII)
POINTS = re.compile(r"\s*[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?\s*", re.ASCII)
"""Thousands with points and a decimal comma: 1.234,5."""
DECIMAL_COMMA = re.compile(r"\s*[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def read(source: Source, options: ReadOptions) -> Document:
    """Read an array (rows, columns); with a batch column, one sequence per value, in order of appearance.

    NumPy takes one line at a time, so the text of a large file is never fully in memory.
    Raises InputError if the text has no rows, a row of another width, or a cell that is not a number.
    """
    try:
        return _Table(source, options).read()
    except InputError:
        from rnncli.inputs import named_arrays

        if named_arrays.is_printed(next((text for _, text in read_blocks(source)), "")):
            raise InputError(
                "it looks like rnncli's own output, written for people to read.", named_arrays.ONLY_JSON
            ) from None
        raise


def read_texts(
    source: Source, options: ReadOptions, names: Collection[str]
) -> tuple[Array | dict[str, Array], tuple[Text, ...]]:
    """Read one row per sequence; return (rows,), or (rows, columns) for several columns, and remarks.

    names: of the model's inputs; a first row of these names makes each column an input.
    Raises InputError if the text has no rows, or rows of different widths.
    """
    text = read_utf8(source).decode("utf-8", errors="replace")
    default = "\t" if source.suffix == ".tsv" else ","
    delimiter = default if options.delimiter is None else _parse_delimiter(options.delimiter)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise InputError("it is not CSV: {error}.", "Write one row per sequence.", error=error) from None
    if not rows:
        raise InputError("it has no rows.", "Write one row per sequence.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            what = "row {number} has {columns} columns, the first has {width}."
            advice = 'Put a text with commas in quotes: "the cat, asleep"'
            raise InputError(what, advice, number=number, columns=len(row), width=len(rows[0]))
    if set(rows[0]) <= set(names) and len(rows) > 1:
        return {name: np.array(column, object) for name, *column in zip(*rows, strict=True)}, ()
    remark = Message(
        "the first row, {row!r}, is read as text; a header would name the inputs: {names}",
        row=delimiter.join(rows[0])[:40],
        names=delimiter.join(names),
    )
    array = np.array(rows, object)
    return array[:, 0] if array.shape[1] == 1 else array, (remark,)


def _read_rows(source: Source) -> Iterator[tuple[int, str]]:
    for first, text in read_blocks(source):
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from ((number, line) for number, line in enumerate(lines, start=first) if line.strip())


class _Table:
    """The form of a text of rows, as the first ones show it, and the row that is being read.

    decimal: `.`, `,`, or None if it is not known yet.
    header: names of the columns; () without a header.
    width: number of cells of every row.
    by: index of the batch column; None without one.  columns: indices of the columns of numbers.
    sequences: the index of each value of the batch column.
    row: line number and text of the row that is being read.  first: line number of the first row of numbers.
    """

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self.source = source
        decimal = options.decimal and {"comma": ",", "point": "."}.get(
            options.decimal.casefold(), options.decimal
        )
        if decimal not in (None, ".", ","):
            raise UsageError(
                "{--decimal:decimal!r} is not a decimal sign.", "Use . or ,", decimal=options.decimal
            )
        given = None if options.delimiter is None else _parse_delimiter(options.delimiter)
        sample = list(islice(_read_rows(source), SAMPLE_LINES))
        if not sample:
            raise InputError("it has no rows.", "Give one row per time step.")
        self.delimiter = given or _find_delimiter([line for _, line in sample], decimal)
        if self.delimiter == decimal == ",":
            raise UsageError("{--decimal} , and {--delimiter} , are both given.", "Leave one of them out.")
        self.decimal = "." if self.delimiter == "," else decimal
        self.row = sample[0]
        cells = [cell.strip() for cell in self._cells()]
        self.header = tuple(cells) if is_header(cells, self.decimal) else ()
        if self.header and len(sample) == 1:
            what = "it has the header {header} and no rows."
            raise InputError(what, "Give one row of numbers per time step.", header=", ".join(self.header))
        self.width, (self.first, _) = len(cells), sample[bool(self.header)]
        self.by = (
            None
            if options.batch_column is None
            else find_column(options.batch_column, self.header, self.width)
        )
        self.columns = choose_columns(options, self.header, self.width, self.by)
        self.sequences: dict[str, int] = {}

    def read(self) -> Document:
        """Return the Document with all rows."""
        remarks: tuple[Message, ...] = ()
        try:
            array, members = self._read_numbers()
        except InputError:
            if self.decimal is not None or not self._has_commas():
                raise
            self.decimal = ","
            array, members = self._read_numbers()
            remarks = (Message("took the comma as the decimal sign, as in 2,5"),)
        names = tuple(self.header[index] for index in self.columns) if self.header else ()
        return Document(
            inputs=array if self.by is None else split_rows(array, members),
            feature_names=names,
            sequence_names=tuple(self.sequences),
            remarks=remarks,
        )

    def _read_numbers(self) -> tuple[Array, Array]:
        """NumPy parses the rows; a row that it refuses, or with too large a number, is searched."""
        members: list[int] = []
        try:
            numbers = np.loadtxt(
                self._lines(members), delimiter=self.delimiter, comments=None, quotechar='"', ndmin=2,
                usecols=None if self.columns == list(range(self.width)) else self.columns,
            )  # fmt: skip
        except ValueError:
            self._require_numbers()
            raise InputError("a cell in it is not a number.", "Give rows of numbers.") from None
        infinite = np.any(np.isinf(numbers), axis=1)
        if infinite.any():
            for row in compress(self._rows(), infinite):
                self.row = row
                self._require_numbers()
        return numbers, np.array(members)

    def _rows(self) -> Iterator[tuple[int, str]]:
        return islice(_read_rows(self.source), bool(self.header), None)

    def _lines(self, members: list[int]) -> Iterator[str]:
        """Yield the lines for NumPy, each when the one before is parsed; add the sequence of each."""
        known = self.sequences
        known.clear()
        for number, line in self._rows():
            self.row = number, line
            if self.by is not None:
                name = self._cells_of_width()[self.by].strip()
                members.append(known.setdefault(name, len(known)))
            elif number == self.first or '"' in line:
                self._cells_of_width()
            if self.decimal == ",":
                if "." in line:
                    self._require_numbers()
                line = line.replace(",", ".")
            yield line

    def _cells(self) -> list[str]:
        number, line = self.row
        try:
            rows = list(csv.reader([line, "next"], delimiter=self.delimiter))
        except csv.Error:
            rows = [[line]]  # csv reads no cell that is so long
        if max(map(len, rows[0])) > LONGEST:
            raise InputFlagError(
                Message("line {number} has a cell of more than 1000 characters.", number=number),
                Message("Give rows of numbers; to use another delimiter, add {--delimiter}."),
                ROWS,
            )
        if len(rows) != 2 or line.count('"') % 2:
            raise InputError(
                "line {number} has a quote that is not closed.", "Each row must be one line.", number=number
            )
        return rows[0]

    def _cells_of_width(self) -> list[str]:
        number, cells = self.row[0], self._cells()
        if len(cells) != self.width:
            raise InputFlagError(
                Message(
                    "line {line} has {columns}, the header has {width}."
                    if self.header and number == self.first
                    else "line {line} has {columns}, the previous lines have {width}.",
                    line=number,
                    columns=count(len(cells), "column"),
                    width=self.width,
                ),
                Message("Write NaN for a missing number; to use another delimiter, add {--delimiter}."),
                ROWS,
            )
        return cells

    def _has_commas(self) -> bool:
        """Return whether the row has a decimal comma, and neither it nor an earlier one a decimal point."""
        last, _ = self.row
        commas = any(DECIMAL_COMMA.fullmatch(cell) for _, cell in self._number_cells())
        earlier = takewhile(lambda row: row[0] <= last, self._rows()) if commas else ()
        for row in (row for row in earlier if "." in row[1]):
            self.row = row
            commas = commas and not any("." in cell and is_number(cell) for _, cell in self._number_cells())
        return commas

    def _number_cells(self) -> Iterator[tuple[int, str]]:
        cells = self._cells_of_width()
        return ((index, cells[index]) for index in sorted(self.columns))

    def _require_numbers(self) -> None:
        for index, cell in self._number_cells():
            name = self.header[index] if self.header else ""
            position = "line {line}, column {column} ({name})" if name else "line {line}, column {column}"
            fields: dict[str, Any] = {
                "cell": Message(position, line=self.row[0], column=index + 1, name=name),
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
                raise self._explain_cell(index, cell, Message("{cell}: {text!r} is not a number.", **fields))
            # The word inf is allowed.
            if any(map(str.isdigit, cell)) and abs(float(cell.replace(",", ".").strip())) == np.inf:
                raise InputError("{cell}: {text} is too large a number.", "Write inf for infinity.", **fields)

    def _explain_cell(self, index: int, cell: str, what: Message) -> InputError:
        flag = False
        if not cell.isascii() and any(map(str.isdigit, cell)):
            advice = Message("Write its digits as 0 to 9.")
        elif THOUSANDS.fullmatch(cell):
            advice = Message("Write digits without commas; if the comma is the decimal sign, write a point.")
        elif DECIMAL_COMMA.fullmatch(cell):
            advice = Message("Write a decimal point, not a comma.")
        elif cell.strip().casefold() in MISSING:
            advice = Message("Write NaN for a missing number.")
        elif flag := (
            any(character in cell for character in DELIMITERS + " ")
            and (self.width == 1 or all(map(is_number, re.split(f"[{DELIMITERS} ]+", cell.strip()))))
        ):
            advice = Message(
                "Rows were split at {delimiter!r}; to use another delimiter, add {--delimiter}.",
                delimiter=self.delimiter,
            )
        elif len(self.columns) == 1:
            advice = Message("Give rows of numbers.")
        else:
            flag = True
            column = self.header[index] if self.header else str(index)
            text = "Leave the column out: {--drop:name}."
            if self.by is None:
                text = (
                    "Leave the column out: {--drop:name}. If it names the sequences: {--batch-column:name}."
                )
            advice = Message(text, name=shlex.quote(column))
        if not self.header and self.row[0] == self.first:
            advice = Message(
                "{advice} A first row that contains a number is read as data, not as a header.", advice=advice
            )
        return InputFlagError(what, advice, ROWS) if flag else InputError(what, advice)


def choose_columns(options: ReadOptions, header: Sequence[str], width: int, by: int | None) -> list[int]:
    """Return the indices of the columns of numbers.  by: index of the batch column; None without one.

    Raises InputError if there is no such column, or none is left.
    """
    chosen, dropped = (
        None if names is None else [find_column(name.strip(), header, width) for name in names]
        for names in (options.columns, options.drop)
    )
    every = range(width) if chosen is None else chosen
    columns = [index for index in every if index != by and index not in (dropped or ())]
    if columns:
        return columns
    if options.columns is options.drop is None:
        what = "it has no column beside the batch column."
        raise InputError(what, "Add a column of numbers, or leave {--batch-column} out.")
    raise InputError("no column is left to read.", "Choose others with {--columns}, or leave {--drop} out.")


def find_column(name: str, header: Sequence[str], width: int = 0) -> int:
    """Return the index of the batch column: a name in the header, or without a header a number from 0.

    width: number of columns, used without a header.
    """
    if header.count(name) > 1:
        what = "there are {number} columns {batch_column!r}."
        advice = "Give each column a name of its own."
        raise InputError(what, advice, number=header.count(name), batch_column=name)
    if name in header:
        return header.index(name)
    if header:
        raise InputError(
            "there is no column {batch_column!r}.", did_you_mean(name, header), batch_column=name
        )
    if name.isascii() and name.isdecimal() and int(name) < width:
        return int(name)
    what = "there is no header, so no column {batch_column!r}."
    advice = "Give its number, counted from 0: 0 to {width}."
    raise InputError(what, advice, batch_column=name, width=width - 1)


def split_rows(array: Array, members: Array) -> Array | tuple[Array, ...]:
    """Split the rows into (batch, rows, columns), or a tuple of (rows, columns) if the lengths differ.

    members: the index of each row's sequence.
    """
    order, lengths = np.argsort(members, kind="stable"), np.bincount(members)
    if (lengths == lengths[0]).all():
        return array[order].reshape(len(lengths), -1, array.shape[-1])
    return tuple(array[places] for places in np.split(order, np.cumsum(lengths)[:-1]))


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


def _parse_delimiter(delimiter: str) -> str:
    sign = NAMED.get(delimiter.casefold(), delimiter)
    if len(sign) != 1 or sign in '"\r\n':
        what = "the delimiter {delimiter!r} is not one character."
        raise UsageError(what, "Give one, or a name: {named}.", delimiter=delimiter, named=", ".join(NAMED))
    return sign


def _find_delimiter(lines: Sequence[str], decimal: str | None) -> str:
    """Return a delimiter that every line has equally often, except the comma; else the most frequent one."""
    for character in DELIMITERS[1:]:
        counts = {line.count(character) for line in lines}
        cells = lines[-1].split(character)
        if len(counts) == 1 and 0 not in counts and any(is_number(cell, decimal) for cell in cells):
            return character
    choices = DELIMITERS if decimal != "," else DELIMITERS[1:]
    return max(choices, key=lambda character: min(line.count(character) for line in lines))
