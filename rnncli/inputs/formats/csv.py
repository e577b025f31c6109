"""CSV and TSV: one row per time step, one column per feature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from rnncli.case import Array, Document
from rnncli.errors import InputError, Message, Text, count, did_you_mean, shorten
from rnncli.inputs import rnncli_output
from rnncli.inputs.encoding import read_blocks
from rnncli.inputs.formats import ReadOptions, _csv_table
from rnncli.inputs.formats._csv_table import (
    DECIMAL_COMMA,
    DELIMITERS,
    MISSING,
    POINTS,
    ROWS,
    THOUSANDS,
    CsvTable,
    is_number,
)
from rnncli.inputs.source import InputFlagError, Source


def read(source: Source, options: ReadOptions) -> Document:
    """Read an array (rows, columns); with a batch column, one sequence per value, in order of appearance.

    A large file is converted a block of lines at a time, so its text is never fully in memory.
    Raises InputError if the text has no rows, a row of another width, or a cell that is not a number.
    """
    try:
        return _read_rows(source, options)
    except InputError:
        if rnncli_output.is_printed(next((text for _, text in read_blocks(source)), "")):
            raise InputError(
                "it looks like rnncli's own output, written for people to read.", rnncli_output.ONLY_JSON
            ) from None
        raise


def load(source: Source) -> Array | tuple[Array, ...] | None:
    """Return the numbers."""
    return read(source, ReadOptions()).inputs


def _read_rows(source: Source, options: ReadOptions) -> Document:
    rows = _CsvRows(options)
    table: CsvTable | None = None
    for first, text in read_blocks(source):
        every = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        numbered = [(number, line) for number, line in enumerate(every, start=first) if line.strip()]
        if numbered:
            table = rows.take(_add_rows(table, numbered, options))
    if table is None:
        raise InputError("it has no rows.", "Give one row per time step.")
    if not rows.width:
        raise InputError(
            "it has the header {header} and no rows.",
            "Give one row of numbers per time step.",
            header=", ".join(table.header),
        )
    return rows.document(table)


def _add_rows(before: CsvTable | None, numbered: list[tuple[int, str]], options: ReadOptions) -> CsvTable:
    """Return the table `before` with these rows; if it is None, a new table that starts with them."""
    numbers, lines = zip(*numbered, strict=True)
    if before is not None:
        table = replace(before, lines=lines, numbers=numbers)
        _csv_table.check_lines(table)
        return table
    table = _csv_table.start_table(lines, numbers, options.delimiter, options.decimal)
    _csv_table.check_lines(replace(table, lines=lines, numbers=numbers))
    skipped = 1 if table.header else 0
    return replace(table, lines=lines[skipped:], numbers=numbers[skipped:], first_line=numbers[0])


class _CsvRows:
    """The rows read so far: their numbers, and the sequence that each row belongs to."""

    def __init__(self, options: ReadOptions) -> None:
        self._batch_column = options.batch_column
        self._by: int | None = None
        self._buffer = bytearray()  # grows in place; joining arrays would copy them
        self._sequences: dict[str, int] = {}
        self._members: list[Array] = []
        self.width = 0
        self._commas = False

    def take(self, table: CsvTable) -> CsvTable:
        """Convert a table's rows; return the table without rows, with the width and decimal sign found."""
        if not table.lines:
            return table
        columns = None
        if self._batch_column is not None:
            columns = self._group(table, self._batch_column)
        numbers, decimal = _read_numbers(table, columns)
        self._commas = self._commas or (decimal == "," and table.decimal is None)
        self.width = numbers.shape[1]
        self._buffer += np.ascontiguousarray(numbers).data.cast("B")
        width = table.width or numbers.shape[1] + (self._by is not None)
        return replace(table, lines=(), numbers=(), width=width, decimal=decimal)

    def _group(self, table: CsvTable, batch_column: str) -> list[int]:
        """Record the sequence of every row; return the indices of the other columns."""
        if self._by is None:
            self._by = _find_batch_column(table, batch_column)
        _check_widths(table)
        keys = [cells[self._by].strip() for _, cells in table.cells()]
        width = len(next(iter(table.cells()))[1])
        if width == 1:
            raise InputError(
                "it has no column beside the batch column.",
                "Add a column of numbers, or leave {--batch-column} out.",
            )
        known = self._sequences
        members = (known.setdefault(key, len(known)) for key in keys)
        self._members.append(np.fromiter(members, np.int64, len(keys)))
        return [index for index in range(width) if index != self._by]

    def document(self, table: CsvTable) -> Document:
        """Return the Document with all rows read."""
        array = np.frombuffer(self._buffer, np.float64).reshape(-1, self.width)
        names = tuple(name for index, name in enumerate(table.header) if index != self._by)
        remarks = (Message("took the comma as the decimal sign, as in 2,5"),) if self._commas else ()
        inputs = array if self._by is None else self._split(array)
        return Document(inputs=inputs, feature_names=names, remarks=remarks)

    def _split(self, array: Array) -> Array | tuple[Array, ...]:
        """Split into (batch, rows, columns), or a tuple of (rows, columns) if the lengths differ."""
        members = np.concatenate(self._members)
        order = np.argsort(members, kind="stable")
        lengths = np.bincount(members)
        if (lengths == lengths[0]).all():
            return array[order].reshape(len(lengths), -1, self.width)
        return tuple(array[places] for places in np.split(order, np.cumsum(lengths)[:-1]))


def _read_numbers(table: CsvTable, columns: list[int] | None) -> tuple[Array, str | None]:
    """Return the array (rows, columns) and the decimal sign, or None if no cell shows which it is.

    NumPy parses the rows; the slow search for a bad cell starts only if there may be one.
    """
    array = _convert(table, columns)
    if array is None and table.decimal is None and _has_commas(table, columns):
        table = replace(table, decimal=",")
        array = _convert(table, columns)
    width = table.width or len(table.header)
    points = any("." in line for line in table.lines)
    if array is not None and width and columns is None and array.shape[1] != width:
        array = None
    if array is None or (points and table.decimal == ",") or np.isinf(array).any():
        _check_cells(table, columns)
    if array is None:
        raise InputError("a cell in it is not a number.", "Give rows of numbers.")
    return array, "." if points and table.decimal is None else table.decimal


def _convert(table: CsvTable, columns: list[int] | None) -> Array | None:
    """Return the array (rows, columns); None if NumPy finds something other than numbers."""
    lines = [line.replace(",", ".") for line in table.lines] if table.decimal == "," else table.lines
    with suppress(ValueError):
        return np.loadtxt(
            lines, delimiter=table.delimiter, comments=None, quotechar='"', ndmin=2, usecols=columns
        )
    return None


def _has_commas(table: CsvTable, columns: list[int] | None) -> bool:
    """Return whether the cells have decimal commas and no decimal points."""
    _check_widths(table)
    found = False
    for _, _, cell in _iterate_cells(table, columns):
        if "." in cell and is_number(cell):
            return False
        found = found or DECIMAL_COMMA.fullmatch(cell) is not None
    return found


def _check_cells(table: CsvTable, columns: list[int] | None) -> None:
    """Raise InputError for the first row of another width, or else the first cell that is not a number."""
    _check_widths(table)
    for line, index, cell in _iterate_cells(table, columns):
        place = table.cell(line, index)
        number = cell.replace(",", ".") if table.decimal == "," else cell
        text = shorten(cell.strip())
        if table.decimal == "," and "." in cell and (is_number(cell) or POINTS.fullmatch(cell)):
            raise InputFlagError(
                Message(
                    "{cell}: {text!r} has a point, but the decimal sign is the comma.", cell=place, text=text
                ),
                Message(
                    "Write all numbers with the same sign; {--decimal} . or {--decimal} , says which one "
                    "it is."
                ),
                ROWS,
            )
        if not is_number(number):
            what = Message("{cell}: {text!r} is not a number.", cell=place, text=text)
            advice, otherwise = _advise_cell(table, cell)
            if not table.header and line == table.first_line:
                advice = Message(
                    "{advice} A first row that contains a number is read as data, not as a header.",
                    advice=advice,
                )
            raise InputFlagError(what, advice, otherwise) if otherwise else InputError(what, advice)
        if any(map(str.isdigit, cell)) and abs(float(number.strip())) == np.inf:  # the word inf is allowed
            raise InputError(
                "{cell}: {text} is too large a number.", "Write inf for infinity.", cell=place, text=text
            )


def _iterate_cells(table: CsvTable, columns: list[int] | None) -> Iterator[tuple[int, int, str]]:
    """Yield every cell that must be a number: its line number, the index of its column, and its text."""
    for number, cells in table.cells():
        for index in range(len(cells)) if columns is None else columns:
            yield number, index, cells[index]


def _check_widths(table: CsvTable) -> None:
    """Raise InputError if a row is not as wide as the header, or as the previous rows."""
    width = table.width or len(table.header)
    after_lines = "line {line} has {columns}, the previous lines have {width}."
    after_header = "line {line} has {columns}, the header has {width}."
    before = after_lines if table.width or not table.header else after_header
    for number, cells in table.cells():
        width = width or len(cells)
        if len(cells) != width:
            raise InputFlagError(
                Message(before, line=number, columns=count(len(cells), "column"), width=width),
                Message("Write NaN for a missing number; to use another delimiter, add {--delimiter}."),
                ROWS,
            )
        before = after_lines


def _advise_cell(table: CsvTable, cell: str) -> tuple[Text, Message | None]:
    """Return advice on a cell that is not a number; if it names a flag, also that of `InputFlagError`."""
    if not cell.isascii() and any(map(str.isdigit, cell)):
        return Message("Write its digits as 0 to 9."), None
    if THOUSANDS.fullmatch(cell):
        return Message("Write digits without commas; if the comma is the decimal sign, write a point."), None
    if DECIMAL_COMMA.fullmatch(cell):
        return Message("Write a decimal point, not a comma."), None
    if cell.strip().casefold() in MISSING:
        return Message("Write NaN for a missing number."), None
    if any(character in cell for character in DELIMITERS + " "):
        return Message(
            "Rows were split at {delimiter!r}; to use another delimiter, add {--delimiter}.",
            delimiter=table.delimiter,
        ), ROWS
    return Message(
        "Only the batch column may contain text: name it with {--batch-column}, or remove it."
    ), ROWS


def _find_batch_column(table: CsvTable, batch_column: str) -> int:
    """Return the index of the batch column.

    batch_column: a name in the header; without a header, a number counted from 0.
    Raises InputError if there is no such column.
    """
    if table.header.count(batch_column) > 1:
        raise InputError(
            "there are {number} columns {batch_column!r}.",
            "Give each column a name of its own.",
            number=table.header.count(batch_column),
            batch_column=batch_column,
        )
    if batch_column in table.header:
        return table.header.index(batch_column)
    if table.header:
        raise InputError(
            "there is no column {batch_column!r}.",
            did_you_mean(batch_column, table.header),
            batch_column=batch_column,
        )
    width = len(next(iter(table.cells()))[1])
    if batch_column.isascii() and batch_column.isdecimal() and int(batch_column) < width:
        return int(batch_column)
    raise InputError(
        "there is no header, so no column {batch_column!r}.",
        "Give its number, counted from 0: 0 to {width}.",
        batch_column=batch_column,
        width=width - 1,
    )
