"""table: a page as text for the terminal, drawn by Rich in the available width; svg draws it too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from rnncli.show.answer import Answer
from rnncli.show.layout import flow, lay_out
from rnncli.show.page import Grid, Numbers, Page, Span, Table, TableCell, View, cell, has_numbers, marks
from rnncli.show.visible import ENDLESS

if TYPE_CHECKING:
    from rnncli.show.formats._numbers import Block

NARROWEST = 30
"""Minimum line width; in a narrower terminal, long lines are better than cut numbers."""
COLUMN_GAP = "  "
INDENT = "  "

RISE = (103, 67, 73, 72, 107, 143, 179, 214)
"""From the 256 colors, cold to warm; readable on dark and on light backgrounds."""
POLES = (33, 68, 67, 103, 138, 173, 167, 203)
"""Same, blue below zero and red above; paler near zero."""

STYLES = {
    "strong": "bold",
    "dim": "dim",
    "heading": "dim",
    "alarm": "red",
    "hidden": "cyan",
    "cell": "magenta",
    "number": "",
    **{f"same{number}": color for number, color in enumerate(("cyan", "magenta", "yellow", "green"))},
    **{f"rise{level}": f"color({color})" for level, color in enumerate(RISE)},
    **{f"pole{level}": f"color({color})" for level, color in enumerate(POLES)},
}
ENOUGH_UNITS = 6
"""If fewer fit beside the names, numbers move below them when more fit there."""


def console(file: IO[str], view: View, record: bool = False) -> Console:
    """Create a console that ignores the environment."""
    return Console(
        file=file,
        width=columns(view),
        color_system="256" if view.color else None,
        force_terminal=view.color,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        record=record,
        _environ={},
    )


def columns(view: View) -> int:
    """Return the number of columns available."""
    return ENDLESS if view.width is None else max(view.width, NARROWEST)


def draw_page(page: Page, view: View) -> RenderableType:
    """Draw the title, the remarks below it, and every part after an empty line."""
    room = columns(view) + len(COLUMN_GAP)  # nothing is between the last column and the edge
    layout = lay_out(page, view, lambda table: _sum_widths(_column_widths(table)) <= room)
    parts: list[RenderableType] = [_text(layout.title)] if layout.title else []
    parts += [_text(note) for note in layout.notes]
    for part in layout.parts:
        if parts and isinstance(part, (Table, Grid)):
            parts.append(Text(""))
        match part:
            case Table():
                parts += [_text(part.title)] if part.title else []
                parts.append(_table(part, view))
            case Grid():
                parts.append(_grid(part, view))
            case _:
                parts.append(_text(part))
    return Group(*parts)


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
    """Draw tables side by side if they fit, else one below the other, with aligned columns.

    To save width, the last column of every table moves below the first.
    """
    folded = [
        [table._replace(rows=tuple((row[0] + row[-1], *row[1:-1]) for row in table.rows)) for table in tables]
        for tables in grid.cells
    ]
    parts: list[RenderableType] = []
    for rows in (grid.cells, folded):
        abreast = [_widths(tables, across) for across, *tables in zip(grid.across, *rows, strict=True)]
        if len(INDENT) + sum(map(_sum_widths, abreast)) <= columns(view):
            widths = [width for widths in abreast for width in widths]
            heads = [
                cell(text, "dim")
                for across, inner in zip(grid.across, abreast, strict=True)
                for text in (across, *[""] * (len(inner) - 1))
            ]
            parts.append(_plain_rows([[tuple(heads)]], widths))
            for down, tables in zip(grid.down, rows, strict=True):
                parts += [
                    Text(down, STYLES["dim"]),
                    _plain_rows([table.rows for table in tables], widths),
                ]
            return Group(*parts)
    widths = _widths([table for tables in folded for table in tables])
    for down, tables in zip(grid.down, folded, strict=True):
        for across, table in zip(grid.across, tables, strict=True):
            parts += [Text("")] if parts else []
            parts += [Text(f"{down}, {across}", STYLES["dim"]), _plain_rows([table.rows], widths)]
    return Group(*parts)


def _widths(tables: Iterable[Table], head: str = "") -> list[int]:
    """Return the width of each column so that all of `tables` align, and fit below `head`."""
    rows = [row for table in tables for row in table.rows]
    rows += [(cell(head), *((),) * (len(rows[0]) - 1))] if rows else []
    return [_natural_width(cells) for cells in zip(*rows, strict=True)]


def _plain_rows(groups: Sequence[Sequence[tuple[TableCell, ...]]], widths: Sequence[int]) -> Padding:
    """Lay out the rows of several tables without headings, side by side and indented."""
    drawing = RichTable(box=None, padding=(0, len(COLUMN_GAP), 0, 0), pad_edge=False, show_header=False)
    for width in filter(None, widths):
        drawing.add_column(width=width, no_wrap=True)
    blank: tuple[TableCell, ...] = ((),) * (len(widths) // len(groups))
    for rows in zip_longest(*groups, fillvalue=blank):
        cells = zip((cell for row in rows for cell in row), widths, strict=True)
        drawing.add_row(
            *(
                Text("\n").join(
                    _text(part, INDENT if place else "")
                    for place, part in enumerate(cell)
                    if not isinstance(part, Numbers)
                )
                for cell, width in cells
                if width
            )
        )
    return Padding(drawing, (0, 0, 0, len(INDENT)), expand=False)


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


def _lines(cell: TableCell, layout: ColumnLayout, width: int) -> Iterator[Text]:
    """Yield the lines of `cell`; in a cell of texts, all but the first are indented."""
    for position, part in enumerate(cell):
        if isinstance(part, Numbers):
            yield from layout.lines(part, width)
        else:
            yield _text(part, INDENT if position and not has_numbers(cell) else "")


class ColumnLayout(NamedTuple):
    """Layout of the numbers of one table, which aligns those of different tensors.

    blocks: by the id of their Numbers.  gutter: width of each axis's labels.
    widths: columns per number, by format.
    """

    view: View
    blocks: Mapping[int, Block]
    gutter: Mapping[str, int]
    widths: Mapping[str, int]

    @classmethod
    def of(cls, table: Table, view: View) -> ColumnLayout:
        """Return the layout of all numbers in `table`; loads NumPy only if there are any."""
        found = [part for row in table.rows for cell in row for part in cell if isinstance(part, Numbers)]
        if not found:
            return cls(view, {}, {}, {})
        from rnncli.show.formats._numbers import block

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
        """Number of columns that labels take."""
        return sum(width + len(COLUMN_GAP) for width in self.gutter.values())

    @property
    def gap(self) -> int:
        """Number of columns that the ellipsis for omitted numbers takes."""
        return cell_len(marks(self.view).ellipsis)

    def count_shown(self, whole: Block, width: int) -> int:
        """Return how many numbers of `whole` fit on a line of `width`; at least one."""
        each = self.widths[whole.style] + len(COLUMN_GAP)
        room = width - self.indent
        if len(whole.units) * each - len(COLUMN_GAP) <= room:
            return len(whole.units)
        return max(1, (room - (0 if self.view.full else self.gap)) // each)

    def prefers_beside(self, beside: int, below: int) -> bool:
        """Return whether a column of width `beside` shows enough compared with one of width `below`."""
        for whole in self.blocks.values():
            shown, possible = self.count_shown(whole, beside), self.count_shown(whole, below)
            if self.indent + self.widths[whole.style] + len(COLUMN_GAP) + self.gap > beside:
                return False
            if shown < possible and (possible == len(whole.units) or shown < ENOUGH_UNITS):
                return False
        return True

    def lines(self, numbers: Numbers, width: int) -> Iterator[Text]:
        """Yield the rows of `numbers`, then a summary if some are omitted."""
        from rnncli.show.formats._numbers import MOST_UNITS, trim_block

        whole = self.blocks[id(numbers)]
        endless = self.view.width is None
        fitting = self.count_shown(whole, width)
        most = None if self.view.full else MOST_UNITS if endless else fitting
        shown = trim_block(whole, numbers.values, most, self.view)
        per_line = max(1, len(shown.units)) if endless or not self.view.full else fitting
        for row in shown.rows:
            yield from self._row(row.labels, row.texts, shown.style, per_line)
        if shown.summary:
            lines = flow(shown.summary, self.view._replace(width=width), indent="")
            yield from (Text(line, STYLES["dim"]) for line in lines)

    def _row(
        self, labels: Mapping[str, str], texts: Sequence[str], style: str, per_line: int
    ) -> Iterator[Text]:
        each, ellipsis = self.widths[style], marks(self.view).ellipsis
        for start in range(0, max(1, len(texts)), per_line):
            line = Text()
            for axis, width in self.gutter.items():
                label = labels.get(axis, "") if start == 0 else ""
                line.append(label + " " * (width - cell_len(label)) + COLUMN_GAP, STYLES["dim"])
            for text in texts[start : start + per_line]:
                line.append(
                    text if text == ellipsis else text.rjust(each),
                    STYLES["alarm"] if text.endswith(("NaN", "inf")) else "",
                )
                line.append(COLUMN_GAP)
            line.rstrip()
            yield line


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write the page as text, with escape codes only if color is enabled and without trailing spaces."""
    page = StringIO()
    console(page, view).print(draw_page(answer.page(view), view))
    text = "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())
    file.write(text.encode(view.encoding, "backslashreplace"))


def draw_lines(page: Page, view: View) -> list[Text]:
    """Return the lines of a page, for a screen of which it is a part."""
    lines = console(StringIO(), view).render_lines(draw_page(page, view), pad=False)
    return [Text.assemble(*((part.text, part.style or "") for part in line)) for line in lines]


class Drawing:
    """An answer for a Rich console, in that console's width."""

    def __init__(self, answer: Answer, view: View) -> None:
        self.answer, self.view = answer, view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view = self.view._replace(width=self.view.width or options.max_width, ascii=options.ascii_only)
        yield draw_page(self.answer.page(view), view)
