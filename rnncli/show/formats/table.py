"""table: a page as text for the terminal, drawn by Rich in the available width; svg draws it too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import chain, zip_longest
from typing import IO, TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from rnncli.show.answer import Answer
from rnncli.show.layout import (
    BETWEEN,
    INDENT,
    column_widths,
    fill_lines,
    flow,
    lay_out,
    measure,
    natural_width,
    sum_widths,
    wrap_command,
)
from rnncli.show.page import (
    Code,
    Fold,
    Grid,
    Heading,
    Numbers,
    Page,
    Span,
    Table,
    TableCell,
    View,
    cell,
    has_numbers,
    marks,
)
from rnncli.show.visible import ENDLESS

if TYPE_CHECKING:
    from rnncli.show.numbers import Block

NARROWEST = 30
"""Minimum line width; in a narrower terminal, long lines are better than cut numbers."""
COLUMN_GAP = " " * BETWEEN
BARE: dict[str, Any] = {"box": None, "padding": (0, BETWEEN, 0, 0), "pad_edge": False}

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
    **{f"same{number}": color for number, color in enumerate(("yellow", "green", "blue", "color(208)"))},
    **{f"rise{level}": f"color({color})" for level, color in enumerate(RISE)},
    **{f"pole{level}": f"color({color})" for level, color in enumerate(POLES)},
}
ENOUGH_BESIDE_REMARKS = 3
"""If fewer numbers fit beside the remarks on their rows, the remarks stand below."""
ENOUGH_UNITS = 6
"""If fewer fit beside the names, numbers move below them when more fit there."""


def console(file: IO[str], view: View, *, colors: str = "256", record: bool = False) -> Console:
    """Create a console that ignores the environment."""
    return Console(
        file=file,
        width=columns(view),
        color_system=colors if view.color else None,  # type: ignore[arg-type]
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
    layout = lay_out(page, view, columns(view))
    parts: list[RenderableType] = [_text(line) for line in (layout.title, *layout.notes) if line]
    for part in layout.parts:
        if parts and isinstance(part, (Table, Grid)):
            parts.append(Text(""))
        match part:
            case Table():
                parts += [_text(part.title)] if part.title else []
                parts.append(_table(part, view))
            case Grid():
                parts.append(_grid(part, view))
            case Heading():
                parts.append(_text(part.text))
            case Code(text, "python"):
                for line in text.splitlines():
                    parts.append(Text(("... " if line.startswith(" ") else ">>> ") + line, STYLES["strong"]))
            case Code(text, kind):
                parts += map(Text, wrap_command(text, view.width) if kind else text.splitlines())
            case Fold():
                parts.append(_text((Span(f"{part.label}:", "strong"), Span(f" {part.text}"))))
            case _:
                parts.append(_text(part))
    return Group(*parts)


def _text(line: Iterable[Span], before: str = "") -> Text:
    text = Text(before)
    for span in line:
        text.append(span.text, " ".join(STYLES[word] for word in span.style.split()))
    return text


def _table(table: Table, view: View) -> RenderableType:
    layout = NumbersLayout(table, view)
    beside = columns(view) - sum_widths(column_widths(table)[:-1])
    last = natural_width(row[-1] for row in table.rows)
    if not layout.prefers_beside(beside, columns(view) - len(INDENT)) or min(last, 32) > beside:
        return _stack(table, layout)
    drawing = RichTable(**BARE, header_style="", show_header=any(column.heading for column in table.columns))
    for column in table.columns:
        drawing.add_column(
            Text(column.heading, STYLES["heading"]),
            no_wrap=column is not table.columns[-1],
            justify="right" if column.right else "left",
            overflow="fold",
        )
    for row in table.rows:
        drawing.add_row(*(Text("\n").join(_lines(cell, layout, beside)) for cell in row))
        if layout.blocks and row is not table.rows[-1]:
            drawing.add_row()
    return drawing


def _grid(grid: Grid, view: View) -> RenderableType:
    """Draw tables of texts side by side if they fit, else one below the other, with aligned columns.

    To save width, the last column of every table moves below the first.
    """
    folded = [
        [table._replace(rows=tuple((row[0] + row[-1], *row[1:-1]) for row in table.rows)) for table in tables]
        for tables in grid.cells
    ]
    parts: list[RenderableType] = []
    for rows in (grid.cells, folded):
        abreast = [_widths(tables, across) for across, *tables in zip(grid.across, *rows, strict=True)]
        if len(INDENT) + sum(map(sum_widths, abreast)) <= columns(view):
            widths = [width for widths in abreast for width in widths]
            heads = [
                cell(text, "dim")
                for across, inner in zip(grid.across, abreast, strict=True)
                for text in (across, *[""] * (len(inner) - 1))
            ]
            parts.append(_plain_rows([[tuple(heads)]], widths))
            for down, tables in zip(grid.down, rows, strict=True):
                parts += [Text(down, STYLES["dim"]), _plain_rows([table.rows for table in tables], widths)]
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
    return [natural_width(cells) for cells in zip(*rows, strict=True)]


def _plain_rows(groups: Sequence[Sequence[tuple[TableCell, ...]]], widths: Sequence[int]) -> Padding:
    """Lay out the rows of several tables without headings, side by side and indented."""
    drawing = RichTable(**BARE, show_header=False)
    for width in filter(None, widths):
        drawing.add_column(width=width, no_wrap=True)
    blank: tuple[TableCell, ...] = ((),) * (len(widths) // len(groups))
    for rows in zip_longest(*groups, fillvalue=blank):
        cells = zip(chain.from_iterable(rows), widths, strict=True)
        drawing.add_row(*(Text("\n").join(_lines(cell)) for cell, width in cells if width))
    return Padding(drawing, (0, 0, 0, len(INDENT)), expand=False)


def _stack(table: Table, layout: NumbersLayout) -> Text:
    """Put the texts of a row on one line, as far as they fit, and its numbers below."""
    width = columns(layout.view)
    heading = COLUMN_GAP.join(column.heading for column in table.columns)
    lines = [Text(heading, STYLES["heading"])] if layout.blocks else []
    for row in table.rows:
        cells: Any = [cell for cell in row if not has_numbers(cell)]
        ordered = [
            *(part for cell in cells for part in cell[:1]),
            *(part for cell in cells for part in cell[1:]),
        ]
        pieces = list(map(_text, ordered))
        shared = fill_lines([piece.cell_len for piece in pieces], width, BETWEEN, len(INDENT))
        lines += [Text(INDENT if part.start else "") + Text(COLUMN_GAP).join(pieces[part]) for part in shared]
        for numbered in filter(has_numbers, row):
            lines += [Text(INDENT) + line for line in _lines(numbered, layout, width - len(INDENT))]
    return Text("\n").join(lines)


def _lines(cell: TableCell, layout: NumbersLayout | None = None, width: int = 0) -> Iterator[Text]:
    """Yield the lines of `cell`; in a cell of texts, all but the first are indented."""
    for position, part in enumerate(cell):
        if not isinstance(part, Numbers):
            yield _text(part, INDENT if position and not has_numbers(cell) else "")
        elif layout is not None:
            yield from layout.lines(part, width)


class NumbersLayout:
    """Layout of the numbers of one table.

    blocks, gutter, widths: as in Measures.  indent: columns of all labels.
    gap: columns of the ellipsis for omitted numbers.  after: columns for the remarks behind the numbers.
    """

    def __init__(self, table: Table, view: View) -> None:
        self.view, self.gap = view, cell_len(marks(view).ellipsis)
        self.blocks, self.gutter, self.widths = measure(table, view)
        remarks = [row.remark for whole in self.blocks.values() for row in whole.rows if row.remark]
        self.indent, self.after = (
            sum_widths(self.gutter.values()),
            sum_widths([max(map(cell_len, remarks))] if remarks else []),
        )

    def count_shown(self, whole: Block, width: int) -> int:
        """Return how many numbers of `whole` fit on a line of `width`; at least one."""
        each = self.widths[whole.style] + BETWEEN
        room = width - self.indent - bool(whole.half)  # `1 │ 2` for `1  2`
        if len(whole.heads) * each - BETWEEN <= room:
            return len(whole.heads)
        room -= 0 if self.view.full else self.gap_of(whole) + BETWEEN
        beside = (room - self.after) // each  # with room for the remarks
        return beside if beside >= ENOUGH_BESIDE_REMARKS else max(1, room // each)

    def gap_of(self, whole: Block) -> int:
        """Return the columns that `u3…u29` needs above omitted numbers."""
        return 2 * max((len(head.rpartition(" ")[2]) for head in whole.heads), default=0) + self.gap

    def prefers_beside(self, beside: int, below: int) -> bool:
        """Return whether a column of width `beside` shows enough compared with one of width `below`."""
        for whole in self.blocks.values():
            shown, possible = self.count_shown(whole, beside), self.count_shown(whole, below)
            if self.indent + self.widths[whole.style] + BETWEEN + self.gap_of(whole) > beside:
                return False
            if shown < possible and (possible == len(whole.heads) or shown < ENOUGH_UNITS):
                return False
            wide = self.indent + shown * (self.widths[whole.style] + BETWEEN) + bool(whole.half)
            if any(row.remark for row in whole.rows) and beside < wide + self.after - BETWEEN <= below:
                return False
        return True

    def lines(self, numbers: Numbers, width: int) -> Iterator[Text]:
        """Yield the rows of `numbers`, then a summary if some are omitted."""
        from rnncli.show.numbers import MOST_UNITS, Row, trim_block

        whole = self.blocks[numbers]
        endless = self.view.width is None
        fitting = self.count_shown(whole, width)
        shown = trim_block(whole, numbers.values, self.view, MOST_UNITS if endless else fitting)
        per_line = max(1, len(shown.heads)) if endless or not self.view.full else fitting
        heads = Row({}, shown.heads)
        for row in (heads, *shown.rows) if shown.heads else shown.rows:
            for start in range(0, max(1, len(row.texts)), per_line):
                labels, end = {} if start else row.labels, start + per_line
                half = shown.half - start if start <= shown.half < end and shown.half else None
                remark = row.remark if end >= len(row.texts) else ""
                line = self._line(
                    labels, row.texts[start:end], shown, half, "dim" if row is heads else "number"
                )
                beside = line.cell_len + BETWEEN + cell_len(remark) <= width
                yield line.append(COLUMN_GAP + remark, STYLES["dim"]) if remark and beside else line
                if remark and not beside:
                    yield Text(" " * self.indent + remark, STYLES["dim"])
        if shown.summary:
            lines = flow(shown.summary, self.view._replace(width=width), indent="")
            yield from (Text(line, STYLES["dim"]) for line in lines)

    def _line(
        self, labels: Mapping[str, str], texts: Sequence[str], shown: Block, half: int | None, style: str
    ) -> Text:
        """half: before which number the second half begins; None for no bar."""
        each, ellipsis = self.widths[shown.style], marks(self.view).ellipsis
        omitted = next((cell_len(head) for head in shown.heads if ellipsis in head), 0)
        line = Text()
        for axis, width in self.gutter.items():
            label = labels.get(axis, "")
            line.append(label + " " * (width - cell_len(label)) + COLUMN_GAP, STYLES["dim"])
        for index, text in enumerate(texts):
            if len(text) > each and ellipsis not in text:  # the name of an axis, before its first index
                line.right_crop(min(len(text) - each, self.indent))
                text = text[-each - self.indent :]
            if index == half:
                line.append(f"{marks(self.view).halves} ", STYLES["dim"])
            line.append(
                text.center(omitted) if omitted and ellipsis in text else text.rjust(each),
                STYLES["alarm" if text.endswith(("NaN", "inf")) else style],
            )
            line.append(COLUMN_GAP if index + 1 != half else " ")
        line.rstrip()
        return line


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write the page as text, with escape codes only if color is enabled and without trailing spaces."""
    page = StringIO()
    console(page, view).print(draw_page(answer.page(view), view))
    text = "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())
    file.write(text.encode(view.encoding, "backslashreplace"))


class RichAnswer:
    """An answer for a Rich console, in that console's width."""

    def __init__(self, answer: Answer, view: View) -> None:
        self.answer, self.view = answer, view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view = self.view._replace(width=self.view.width or options.max_width, ascii=options.ascii_only)
        yield draw_page(self.answer.page(view), view)
