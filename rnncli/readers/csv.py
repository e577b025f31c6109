"""CSV and TSV: one row a time step, one column a feature."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from rnncli.case import Document
from rnncli.errors import InputError, UsageError, did_you_mean
from rnncli.readers._text import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rnncli.case import Array
    from rnncli.readers import ReadOptions, Source

SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t|"
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "?"})
SAMPLE_LINES = 20
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")


@dataclass(frozen=True)
class _Table:
    """The rows as text, each with its line in the file; blank lines are left out."""

    name: str
    delimiter: str
    header: tuple[str, ...]
    lines: tuple[str, ...]
    numbers: tuple[int, ...]

    def cells(self) -> Iterable[tuple[int, list[str]]]:
        return zip(self.numbers, csv.reader(self.lines, delimiter=self.delimiter), strict=True)

    def column(self, index: int) -> str:
        return f"column {index + 1}" + (f" ({self.header[index]})" if index < len(self.header) else "")


def read(source: Source, options: ReadOptions) -> Document:
    """(rows, columns); with a batch column one sequence for each of its values, in order of appearance."""
    table, remarks = _table(source, options)
    if options.batch_column is None:
        return Document(inputs=_numbers(table, None), feature_names=table.header, remarks=remarks)
    by = _batch_index(table, options.batch_column)
    names = tuple(name for index, name in enumerate(table.header) if index != by)
    return Document(inputs=_grouped(table, by), feature_names=names, remarks=remarks)


def _table(source: Source, options: ReadOptions) -> tuple[_Table, tuple[str, ...]]:
    every = decode(source).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    numbered = [(number, line) for number, line in enumerate(every, start=1) if line.strip()]
    if not numbered:
        raise InputError(f"{source.name}: it has no rows.", "Give a row for each time step.")
    numbers, lines = zip(*numbered, strict=True)
    _check_lines(source.name, numbered)
    delimiter = _delimiter(options.delimiter, lines[:SAMPLE_LINES])
    first = [cell.strip() for cell in next(csv.reader(lines[:1], delimiter=delimiter))]
    if not _is_header(first, options.batch_column):
        return _Table(source.name, delimiter, (), lines, numbers), ()
    if len(lines) == 1:
        raise InputError(f"{source.name}: it has the header {', '.join(first)} and no rows.")
    mixed = any(map(_is_number, first))
    remarks = (f"took line {numbers[0]} as the header: {', '.join(first)}",) if mixed else ()
    return _Table(source.name, delimiter, tuple(first), lines[1:], numbers[1:]), remarks


def _check_lines(name: str, numbered: list[tuple[int, str]]) -> None:
    """No line that would be read together with the next one, or not at all."""
    for number, line in numbered:
        if line.count('"') % 2:
            raise InputError(f"{name}: line {number} has a quote that is not closed.", "A row is one line.")
        if len(line) > csv.field_size_limit() and len(max(re.split(r"[,;\t|]", line), key=len)) > 1000:
            raise InputError(f"{name}: line {number} has a cell of more than 1000 characters.")


def _delimiter(said: str | None, lines: tuple[str, ...]) -> str:
    if said is not None:
        found = NAMED.get(said.casefold(), said)
        if len(found) != 1 or found in '"\r\n':
            raise UsageError(
                f"the delimiter {said!r} is not one character.", f"Or its name: {', '.join(NAMED)}."
            )
        return found
    try:
        sniffed = csv.Sniffer().sniff("\n".join(lines), delimiters=DELIMITERS).delimiter
    except csv.Error:
        sniffed = ""
    if len(sniffed) == 1 and sniffed in DELIMITERS:
        return sniffed
    return max(DELIMITERS, key=lambda character: min(line.count(character) for line in lines))


def _is_header(cells: list[str], batch_column: str | None) -> bool:
    """Whether the first row is names: no number in it, or numbers beside names (not beside a gap)."""
    if batch_column is not None and batch_column in cells and not batch_column.isdecimal():
        return True
    if batch_column is not None and batch_column.isdecimal() and int(batch_column) < len(cells):
        cells = cells[: int(batch_column)] + cells[int(batch_column) + 1 :]
    words = [cell for cell in cells if not _is_number(cell)]
    if len(words) == len(cells):
        return bool(words)
    return any(cell.casefold() not in MISSING for cell in words)


def _is_number(cell: str) -> bool:
    """As NumPy sees it: no digits of other scripts, and no underscores, which Python takes."""
    text = cell.strip()
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def _numbers(table: _Table, columns: list[int] | None) -> Array:
    """(rows, columns) as NumPy reads them; the slow search for the bad cell only where it refuses."""
    try:
        array: Array = np.loadtxt(
            table.lines,
            delimiter=table.delimiter,
            comments=None,
            quotechar='"',
            ndmin=2,
            usecols=columns,
        )
    except ValueError:
        _raise_first_fault(table, columns)
    if table.header and columns is None and array.shape[1] != len(table.header):
        _raise_first_fault(table, columns)
    if np.isinf(array).any():
        _refuse_too_large(table, columns)
    return array


def _raise_first_fault(table: _Table, columns: list[int] | None) -> NoReturn:
    _check_widths(table)
    for place, cell in _places(table, columns):
        if not _is_number(cell):
            raise InputError(f"{place}: {cell.strip()!r} is not a number.", _cell_advice(table, cell))
    raise InputError(f"{table.name}: a cell in it is not a number.", "Give rows of numbers.")


def _refuse_too_large(table: _Table, columns: list[int] | None) -> None:
    """A number beyond all floats is no infinity; the word `inf` is."""
    for place, cell in _places(table, columns):
        if abs(float(cell)) == np.inf and any(map(str.isdigit, cell)):
            raise InputError(f"{place}: {_short(cell)} is too large a number.", "Write inf for infinity.")


def _places(table: _Table, columns: list[int] | None) -> Iterator[tuple[str, str]]:
    """Every cell that is to be a number, and where it stands."""
    for number, cells in table.cells():
        for index in range(len(cells)) if columns is None else columns:
            yield f"{table.name}: line {number}, {table.column(index)}", cells[index]


def _short(cell: str) -> str:
    text = cell.strip()
    return text if len(text) <= 20 else f"{text[:19]}…"


def _check_widths(table: _Table) -> None:
    """Every row is as wide as the header, or as the first row."""
    width, before = len(table.header), "the header has"
    for number, cells in table.cells():
        if not width:
            width, before = len(cells), "the lines before have"
        if len(cells) != width:
            columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
            raise InputError(
                f"{table.name}: line {number} has {columns}, {before} {width}.",
                "Write NaN for a missing number; another delimiter is named by --delimiter.",
            )
        before = "the lines before have"


def _cell_advice(table: _Table, cell: str) -> str:
    if not cell.isascii() and any(map(str.isdigit, cell)):
        return "Write its digits as 0 to 9."
    if DECIMAL_COMMA.fullmatch(cell):
        return "Write a decimal point, not a comma."
    if cell.strip().casefold() in MISSING:
        return "Write NaN for a missing number."
    if any(character in cell for character in DELIMITERS + " "):
        return f"Rows were split at {table.delimiter!r}; another delimiter is named by --delimiter."
    return "Text can only tell sequences apart: --batch-column names its column."


def _batch_index(table: _Table, batch_column: str) -> int:
    """The index of the column; a number counts from 0 where there is no header."""
    if batch_column in table.header:
        return table.header.index(batch_column)
    if table.header:
        raise InputError(
            f"{table.name}: there is no column {batch_column!r}.", did_you_mean(batch_column, table.header)
        )
    width = len(next(iter(table.cells()))[1])
    if batch_column.isdecimal() and int(batch_column) < width:
        return int(batch_column)
    raise InputError(
        f"{table.name}: there is no header, so no column {batch_column!r}.",
        f"Give its number, counted from 0: 0 to {width - 1}.",
    )


def _grouped(table: _Table, by: int) -> Array | tuple[Array, ...]:
    """(batch, rows, columns), or a tuple of (rows, columns) where groups differ in length."""
    _check_widths(table)
    keys = [cells[by].strip() for _, cells in table.cells()]
    width = len(next(iter(table.cells()))[1])
    if width == 1:
        raise InputError(f"{table.name}: it has no column beside the batch column.")
    numbers = _numbers(table, [index for index in range(width) if index != by])
    rows: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        rows.setdefault(key, []).append(index)
    groups = tuple(numbers[places] for places in rows.values())
    return np.stack(groups) if len({len(group) for group in groups}) == 1 else groups
