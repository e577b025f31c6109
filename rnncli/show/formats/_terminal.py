"""Draw a Page with Rich in a given width; shared by table and svg."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from rnncli.show.formats._number_columns import ColumnLayout
from rnncli.show.formats._styles import COLUMN_GAP, INDENT, STYLES, columns
from rnncli.show.page import Grid, Line, Numbers, Page, Span, Table, TableCell, View, cell, has_numbers
from rnncli.show.page_layout import lay_out


def draw_page(page: Page, view: View) -> RenderableType:
    """Draw the title, the remarks below it, and every part after an empty line."""
    room = columns(view) + len(COLUMN_GAP)  # nothing is between the last column and the edge
    layout = lay_out(page, view, lambda table: _sum_widths(_column_widths(table)) <= room)
    parts: list[RenderableType] = [_text(layout.title)] if layout.title else []
    parts += [_text(note) for note in layout.notes]
    for part in layout.parts:
        if parts and isinstance(part, (Table, Grid)):
            parts.append(Text(""))
        parts.append(_part(part, view))
    return Group(*parts)


def _part(part: Table | Grid | Line, view: View) -> RenderableType:
    match part:
        case Table():
            titled = [_text(part.title)] if part.title else []
            return Group(*titled, _table(part, view))
        case Grid():
            return _grid(part, view)
    return _text(part)


def _text(line: Iterable[Span], before: str = "") -> Text:
    text = Text(before)
    for span in line:
        text.append(span.text, " ".join(STYLES[word] for word in span.style.split()))
    return text


def _natural_width(cells: Iterable[TableCell]) -> int:
    """Return the columns that the texts of `cells` need, indented as in `_lines`."""
    return max(
        (
            _text(part, INDENT if position and not has_numbers(cell) else "").cell_len
            for cell in cells
            for position, part in enumerate(cell)
            if not isinstance(part, Numbers)
        ),
        default=0,
    )


def _column_widths(table: Table) -> list[int]:
    """Return the width that each column of `table` needs without its numbers."""
    cells = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    return [
        max(_natural_width(column_cells), cell_len(column.heading))
        for column, column_cells in zip(table.columns, cells, strict=True)
    ]


def _sum_widths(widths: Iterable[int]) -> int:
    """Return the width of columns, with a space behind each."""
    return sum(width + len(COLUMN_GAP) for width in widths)


def _table(table: Table, view: View) -> RenderableType:
    layout = ColumnLayout.of(table, view)
    beside = columns(view) - _sum_widths(_column_widths(table)[:-1])
    last = _natural_width(row[-1] for row in table.rows)
    if not layout.prefers_beside(beside, columns(view) - len(INDENT)) or min(last, 32) > beside:
        return _stack(table, layout)
    drawing = _bare(table)
    for row in table.rows:
        drawing.add_row(*(Text("\n").join(_lines(cell, layout, beside)) for cell in row))
    return drawing


def _grid(grid: Grid, view: View) -> RenderableType:
    """Draw tables side by side if they fit, else one below the other, with aligned columns."""
    folded = grid._replace(cells=tuple(tuple(map(_fold, tables)) for tables in grid.cells))
    for shape in (grid, folded):
        abreast = [
            _widths(tables, across)
            for across, tables in zip(grid.across, zip(*shape.cells, strict=True), strict=True)
        ]
        if len(INDENT) + sum(map(_sum_widths, abreast)) <= columns(view):
            return _draw_side_by_side(shape, abreast)
    return _one_by_one(folded)


def _fold(table: Table) -> Table:
    """Move the last column below the first, to save width."""
    rows = tuple((row[0] + row[-1], *row[1:-1]) for row in table.rows)
    return table._replace(columns=table.columns[:-1], rows=rows)


def _one_by_one(grid: Grid) -> RenderableType:
    widths = _widths([table for tables in grid.cells for table in tables])
    parts: list[RenderableType] = []
    for down, tables in zip(grid.down, grid.cells, strict=True):
        for across, table in zip(grid.across, tables, strict=True):
            parts += [Text("")] if parts else []
            parts += [Text(f"{down}, {across}", STYLES["dim"])]
            parts += [_indent(_plain_rows([table.rows], widths))]
    return Group(*parts)


def _draw_side_by_side(grid: Grid, abreast: Sequence[Sequence[int]]) -> RenderableType:
    widths = [width for widths in abreast for width in widths]
    heads = [
        text
        for across, inner in zip(grid.across, abreast, strict=True)
        for text in (across, *[""] * (len(inner) - 1))
    ]
    parts: list[RenderableType] = [
        _indent(_plain_rows([[tuple(cell(head, "dim") for head in heads)]], widths))
    ]
    for down, tables in zip(grid.down, grid.cells, strict=True):
        parts += [Text(down, STYLES["dim"]), _indent(_plain_rows([table.rows for table in tables], widths))]
    return Group(*parts)


def _indent(drawing: RenderableType) -> Padding:
    return Padding(drawing, (0, 0, 0, len(INDENT)), expand=False)


def _widths(tables: Iterable[Table], head: str = "") -> list[int]:
    """Return the width of each column so that all of `tables` align, and fit below `head`."""
    rows = [row for table in tables for row in table.rows]
    rows += [(cell(head), *((),) * (len(rows[0]) - 1))] if rows else []
    return [_natural_width(cells) for cells in zip(*rows, strict=True)]


def _plain_rows(groups: Sequence[Sequence[tuple[TableCell, ...]]], widths: Sequence[int]) -> RichTable:
    """Lay out the rows of several tables without headings, side by side."""
    drawing = RichTable(box=None, padding=(0, len(COLUMN_GAP), 0, 0), pad_edge=False, show_header=False)
    for width in filter(None, widths):
        drawing.add_column(width=width, no_wrap=True)
    blank: tuple[TableCell, ...] = ((),) * (len(widths) // len(groups))
    for rows in zip_longest(*groups, fillvalue=blank):
        cells = (cell for row in rows for cell in row)
        drawing.add_row(*(_text_cell(cell) for cell, width in zip(cells, widths, strict=True) if width))
    return drawing


def _bare(table: Table) -> RichTable:
    headed = any(column.heading for column in table.columns)
    drawing = RichTable(
        box=None, padding=(0, len(COLUMN_GAP), 0, 0), pad_edge=False, header_style="", show_header=headed
    )
    for column in table.columns:
        drawing.add_column(
            Text(column.heading, STYLES["heading"]),
            no_wrap=column is not table.columns[-1],
            justify="right" if column.right else "left",
            overflow="fold",
        )
    return drawing


def _stack(table: Table, layout: ColumnLayout) -> Text:
    """Put the texts of a row on one line, as far as they fit, and its numbers below."""
    width = columns(layout.view)
    lines: list[Text] = []
    for row in table.rows:
        texts = [
            [_text(part) for part in cell if not isinstance(part, Numbers)]
            for cell in row
            if not has_numbers(cell)
        ]
        firsts = [text for cell in texts for text in cell[:1]]
        lines += _flow([*firsts, *(text for cell in texts for text in cell[1:])], width)
        for numbered in filter(has_numbers, row):
            lines += [Text(INDENT) + line for line in _lines(numbered, layout, width - len(INDENT))]
    return Text("\n").join(lines)


def _flow(pieces: Sequence[Text], width: int) -> list[Text]:
    """Join `pieces`, two blanks apart, into as few lines of `width` as possible; indent all but the first."""
    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + len(COLUMN_GAP) + piece.cell_len <= width:
            lines[-1] = lines[-1] + Text(COLUMN_GAP) + piece
        else:
            lines.append(Text(INDENT if lines else "") + piece)
    return lines


def _text_cell(cell: TableCell) -> Text:
    return Text("\n").join(
        _text(part, INDENT if position else "")
        for position, part in enumerate(cell)
        if not isinstance(part, Numbers)
    )


def _lines(cell: TableCell, layout: ColumnLayout, width: int) -> Iterator[Text]:
    """Yield the lines of `cell`; in a cell of texts, all but the first are indented."""
    for position, part in enumerate(cell):
        if isinstance(part, Numbers):
            yield from layout.lines(part, width)
        else:
            yield _text(part, INDENT if position and not has_numbers(cell) else "")
