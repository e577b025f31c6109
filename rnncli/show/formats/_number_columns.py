"""Align the numbers of a table in columns within a given width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from rnncli.show.formats._styles import COLUMN_GAP, STYLES
from rnncli.show.page import Numbers, Table, View, marks

if TYPE_CHECKING:
    from rnncli.show.formats._number_rows import Block

ENOUGH_UNITS = 6
"""If fewer fit beside the names, numbers move below them when more fit there."""


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
        from rnncli.show.formats._number_rows import block

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
        from rnncli.show.formats._number_rows import MOST_UNITS, trim_block

        whole = self.blocks[id(numbers)]
        endless = self.view.width is None
        fitting = self.count_shown(whole, width)
        most = None if self.view.full else MOST_UNITS if endless else fitting
        shown = trim_block(whole, numbers.values, most, self.view)
        per_line = max(1, len(shown.units)) if endless or not self.view.full else fitting
        for row in shown.rows:
            yield from self._row(row.labels, row.texts, shown.style, per_line)
        if shown.summary:
            from rnncli.show.measure import flow

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
