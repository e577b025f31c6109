"""A Page as Rich draws it, in so many columns: shared by the table and its picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import IO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from rnncli.page import Cell, Grid, Line, Numbers, Page, Span, Table, View, cell, marks
from rnncli.renderers._numbers import MOST_UNITS, Block, block, cut

ENDLESS = 1_000_000
NARROWEST = 30
"""Below this, lines stay this wide: half a number would be worse than a line too long."""
ENOUGH_UNITS = 4
"""With fewer beside the names, numbers move under the names if there are more to be seen there."""
BETWEEN = "  "
INDENT = "  "

LOOKS = {
    "strong": "bold",
    "dim": "dim",
    "heading": "dim",
    "alarm": "red",
    "hidden": "cyan",
    "cell": "magenta",
}


def console(file: IO[str], view: View, record: bool = False) -> Console:
    """A console that asks nothing of the environment."""
    return Console(
        file=file,
        width=columns(view),
        color_system="standard" if view.color else None,
        force_terminal=view.color,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        record=record,
        _environ={},
    )


def columns(view: View) -> int:
    """How many columns there are to draw in."""
    return ENDLESS if view.width is None else max(view.width, NARROWEST)


def drawn(page: Page, view: View) -> RenderableType:
    """The title, the remarks under it, and every part after an empty line."""
    parts: list[RenderableType] = [_text(page.title)] if page.title else []
    parts += [_text(note) for note in page.notes]
    for part in page.parts:
        if not isinstance(part, tuple):
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


def _look(number: str) -> str:
    return LOOKS["alarm"] if number.endswith(("NaN", "inf")) else ""


def _text(line: Iterable[Span], before: str = "") -> Text:
    text = Text(before)
    for span in line:
        text.append(span.text, " ".join(LOOKS[word] for word in span.style.split()))
    return text


def _length(line: Line) -> int:
    return sum(cell_len(span.text) for span in line)


def _natural(cells: Iterable[Cell]) -> int:
    """The columns that the texts of `cells` need, indented as `_lines` does."""
    return max(
        (
            _length(part) + (len(INDENT) if position and not _has_numbers(cell) else 0)
            for cell in cells
            for position, part in enumerate(cell)
            if not isinstance(part, Numbers)
        ),
        default=0,
    )


def _table(table: Table, view: View) -> RenderableType:
    layout = Layout.of(table, view)
    *others, last = zip(*table.rows, strict=True) if table.rows else ((),)
    taken = sum(
        max(_natural(cells), cell_len(column.heading)) + len(BETWEEN)
        for column, cells in zip(table.columns, others, strict=False)
    )
    beside = columns(view) - taken
    if layout.prefers_beside(beside, columns(view) - len(INDENT)) and min(_natural(last), 24) <= beside:
        return _side_by_side(table, layout, beside)
    return _stacked(table, layout)


def _grid(grid: Grid, view: View) -> RenderableType:
    """Tables side by side where they fit, else one below the other; equal columns under each other."""
    abreast = [
        _widths(tables, across)
        for across, tables in zip(grid.across, zip(*grid.cells, strict=True), strict=True)
    ]
    needed = sum(width + len(BETWEEN) for widths in abreast for width in widths)
    if needed + len(INDENT) <= columns(view):
        return _abreast(grid, abreast)
    widths = _widths([table for tables in grid.cells for table in tables])
    parts: list[RenderableType] = []
    for down, tables in zip(grid.down, grid.cells, strict=True):
        for across, table in zip(grid.across, tables, strict=True):
            parts += [Text("")] if parts else []
            parts += [Text(f"{down}, {across}", LOOKS["dim"])]
            parts += [_indented(_plain_rows([table.rows], widths))]
    return Group(*parts)


def _abreast(grid: Grid, abreast: Sequence[Sequence[int]]) -> RenderableType:
    widths = [width for widths in abreast for width in widths]
    heads = [
        text
        for across, inner in zip(grid.across, abreast, strict=True)
        for text in (across, *[""] * (len(inner) - 1))
    ]
    parts: list[RenderableType] = [
        _indented(_plain_rows([[tuple(cell(head, "dim") for head in heads)]], widths))
    ]
    for down, tables in zip(grid.down, grid.cells, strict=True):
        parts += [Text(down, LOOKS["dim"]), _indented(_plain_rows([table.rows for table in tables], widths))]
    return Group(*parts)


def _indented(drawing: RenderableType) -> Padding:
    return Padding(drawing, (0, 0, 0, len(INDENT)), expand=False)


def _widths(tables: Iterable[Table], head: str = "") -> list[int]:
    """The columns that each column needs, for all of `tables` to stand under each other, and under `head`."""
    rows = [row for table in tables for row in table.rows]
    rows += [(cell(head), *((),) * (len(rows[0]) - 1))] if rows else []
    return [_natural(cells) for cells in zip(*rows, strict=True)]


def _plain_rows(groups: Sequence[Sequence[tuple[Cell, ...]]], widths: Sequence[int]) -> RichTable:
    """The rows of several tables without headings, those of one beside those of the next."""
    drawing = RichTable(box=None, padding=(0, len(BETWEEN), 0, 0), pad_edge=False, show_header=False)
    for width in widths:
        drawing.add_column(width=width, no_wrap=True)
    blank: tuple[Cell, ...] = ((),) * (len(widths) // len(groups))
    for rows in zip_longest(*groups, fillvalue=blank):
        drawing.add_row(*(_text_cell(cell) for row in rows for cell in row))
    return drawing


def _bare(table: Table) -> RichTable:
    drawing = RichTable(box=None, padding=(0, len(BETWEEN), 0, 0), pad_edge=False, header_style=LOOKS["dim"])
    for column in table.columns[:-1]:
        drawing.add_column(
            Text(column.heading), no_wrap=True, justify="right" if column.right else "left", overflow="fold"
        )
    last = table.columns[-1]
    drawing.add_column(Text(last.heading), justify="right" if last.right else "left", overflow="fold")
    return drawing


def _side_by_side(table: Table, layout: Layout, width: int) -> RichTable:
    drawing = _bare(table)
    for row in table.rows:
        drawing.add_row(*(Text("\n").join(_lines(cell, layout, width)) for cell in row))
    return drawing


def _stacked(table: Table, layout: Layout) -> Text:
    """The texts of a row on one line, as far as they fit, and its numbers below."""
    width = columns(layout.view)
    lines: list[Text] = []
    for row in table.rows:
        texts = [
            [_text(part) for part in cell if not isinstance(part, Numbers)]
            for cell in row
            if not _has_numbers(cell)
        ]
        firsts = [text for cell in texts for text in cell[:1]]
        lines += _flow([*firsts, *(text for cell in texts for text in cell[1:])], width, INDENT)
        for numbered in filter(_has_numbers, row):
            lines += [Text(INDENT) + line for line in _lines(numbered, layout, width - len(INDENT))]
    return Text("\n").join(lines)


def _has_numbers(cell: Cell) -> bool:
    return any(isinstance(part, Numbers) for part in cell)


def _flow(pieces: Sequence[Text], width: int, indent: str = "") -> list[Text]:
    """`pieces` two columns apart, on as few lines of `width` as hold them."""
    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + len(BETWEEN) + piece.cell_len <= width:
            lines[-1] = lines[-1] + Text(BETWEEN) + piece
        else:
            lines.append(Text(indent if lines else "") + piece)
    return lines


def _text_cell(cell: Cell) -> Text:
    return Text("\n").join(
        _text(part, INDENT if position else "")
        for position, part in enumerate(cell)
        if not isinstance(part, Numbers)
    )


def _lines(cell: Cell, layout: Layout, width: int) -> Iterator[Text]:
    """`cell` from top to bottom; in a cell of texts, those under the first are indented."""
    for position, part in enumerate(cell):
        if isinstance(part, Numbers):
            yield from layout.lines(part, width)
        else:
            yield _text(part, INDENT if position and not _has_numbers(cell) else "")


@dataclass(frozen=True)
class Layout:
    """How the numbers of one table stand, so that those of different tensors stand under each other.

    blocks: by the identity of their Numbers.  gutter: columns of each axis's labels.
    widths: columns of a number, by its format.
    """

    view: View
    blocks: Mapping[int, Block]
    gutter: Mapping[str, int]
    widths: Mapping[str, int]

    @classmethod
    def of(cls, table: Table, view: View) -> Layout:
        """The layout of all the numbers in `table`."""
        found = [part for row in table.rows for cell in row for part in cell if isinstance(part, Numbers)]
        blocks = {id(numbers): block(numbers, view) for numbers in found}
        gutter: dict[str, int] = {}
        widths: dict[str, int] = {}
        for numbers in sorted(found, key=lambda numbers: -len(numbers.axes)):
            whole = blocks[id(numbers)]
            widths[whole.style] = max(widths.get(whole.style, 0), whole.widest)
            for row in whole.rows:
                for axis, label in row.labels.items():
                    gutter[axis] = max(gutter.get(axis, 0), cell_len(label))
        return cls(view, blocks, gutter, widths)

    @property
    def indent(self) -> int:
        """The columns that labels take."""
        return sum(width + len(BETWEEN) for width in self.gutter.values())

    def fitting(self, whole: Block, width: int) -> int:
        """How many numbers of `whole` fit on a line of `width`; at least one."""
        each = self.widths[whole.style] + len(BETWEEN)
        room = width - self.indent
        if len(whole.units) * each - len(BETWEEN) <= room:
            return len(whole.units)
        return max(1, (room - (0 if self.view.full else 3)) // each)

    def prefers_beside(self, beside: int, below: int) -> bool:
        """Whether a column of width `beside` shows as much as matters of what one of `below` would."""
        for whole in self.blocks.values():
            shown, possible = self.fitting(whole, beside), self.fitting(whole, below)
            if self.indent + self.widths[whole.style] + 3 > beside:
                return False
            if shown < possible and (possible == len(whole.units) or shown < ENOUGH_UNITS):
                return False
        return True

    def lines(self, numbers: Numbers, width: int) -> Iterator[Text]:
        """The rows of `numbers`, and what is to be said of those that are left out."""
        whole = self.blocks[id(numbers)]
        endless = self.view.width is None
        fitting = self.fitting(whole, width)
        most = None if self.view.full else MOST_UNITS if endless else fitting
        shown = cut(whole, numbers.values, most, self.view)
        per_line = max(1, len(shown.units)) if endless or not self.view.full else fitting
        for row in shown.rows:
            yield from self._row(row.labels, row.texts, shown.style, per_line)
        if shown.summary:
            yield from self._summary(shown.summary, width)

    def _summary(self, pieces: Sequence[str], width: int) -> Iterator[Text]:
        """`min -0.98 · mean 0.01 · ...`, on as many lines as it needs."""
        dot = marks(self.view).dot
        text = ""
        for piece in pieces:
            if text and cell_len(text + dot + piece) > width:
                yield Text(text, LOOKS["dim"])
                text = ""
            text += (dot if text else "") + piece
        yield Text(text, LOOKS["dim"])

    def _row(
        self, labels: Mapping[str, str], texts: Sequence[str], style: str, per_line: int
    ) -> Iterator[Text]:
        each, ellipsis = self.widths[style], marks(self.view).ellipsis
        for start in range(0, max(1, len(texts)), per_line):
            line = Text()
            for axis, width in self.gutter.items():
                label = labels.get(axis, "") if start == 0 else ""
                line.append(label + " " * (width - cell_len(label)) + BETWEEN, LOOKS["dim"])
            for text in texts[start : start + per_line]:
                line.append(text if text == ellipsis else text.rjust(each), _look(text))
                line.append(BETWEEN)
            line.rstrip()
            yield line
