"""Measure terminal columns: what fits, and where text breaks."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rnncli.show.page import Line, Numbers, Paragraph, Span, Table, View, line, marks, text_of
from rnncli.show.width import ENDLESS, longest, width_of

BETWEEN = 2
"""Blanks between two table columns."""
PAGE_WIDTH = 120
"""A page of html or markdown shows about this many columns; a wider table must be scrolled."""
LEAST_ROOM = 20
"""What some columns of a table get at least."""


class Room(NamedTuple):
    """The room that some columns of a table have, in terminal columns."""

    width: int

    @classmethod
    def beside(cls, columns: Iterable[Iterable[str]], view: View) -> Room:
        """Return what `view` leaves beside other columns, given by their texts."""
        if view.width is None:
            return cls(ENDLESS)
        return cls(max(view.width - sum(longest(texts) + BETWEEN for texts in columns), LEAST_ROOM))

    def fits(self, widths: Iterable[int]) -> bool:
        """Return whether columns of these widths fit."""
        return sum(width + BETWEEN for width in widths) - BETWEEN <= self.width

    def share(self, count: int) -> int:
        """Return how wide each of `count` columns of equal width may be."""
        return self.width // count - BETWEEN

    def count(self, width: int) -> int:
        """Return how many columns of this width fit."""
        return (self.width + BETWEEN) // (width + BETWEEN)

    def split(self, widths: Sequence[int]) -> list[slice]:
        """Return the columns of each table, if each holds as many as fit, at least one."""
        starts, left = [0], self.width
        for place, width in enumerate(widths):
            if width > left and place > starts[-1]:
                starts.append(place)
                left = self.width
            left -= width + BETWEEN
        return [slice(*pair) for pair in zip(starts, [*starts[1:], len(widths)], strict=True)]


def fits_page(table: Table) -> bool:
    """Return whether a page shows every column of `table` at once, apart from its numbers."""
    headings = [column.heading for column in table.columns]
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(headings)
    widths = (
        longest([heading, *(text_of(one) for cell in cells for one in cell if not isinstance(one, Numbers))])
        for heading, cells in zip(headings, columns, strict=True)
    )
    return sum(width + BETWEEN for width in widths) - BETWEEN <= PAGE_WIDTH


def break_paragraph(paragraph: Paragraph, view: View) -> Iterator[Line]:
    """Yield the lines of a paragraph for the width of `view`; all but the first are indented."""
    text, style, breaks, lead, mark = paragraph
    view = view._replace(width=view.width and view.width - len(mark))
    match breaks:
        case "dots":
            rows = flow(text.split(marks(view).dot), view)
        case "flags":
            rows = wrap_command(text, view.width)
        case _:
            rows = wrap(text, view)
    first, *others = rows
    lead = lead if first.startswith(lead) else ""
    spans = (Span(mark, "dim"), Span(lead, "strong"), Span(first.removeprefix(lead), style))
    yield tuple(span for span in spans if span.text)
    yield from (line(" " * (len(mark) - 2) + row, style) for row in others)


def wrap(text: str, view: View) -> list[str]:
    """Wrap `text` to the width of `view`."""
    if view.width is None:
        return [text]
    wide = width_of(text) / max(len(text), 1)
    return textwrap.wrap(text, max(int(view.width / wide) - (wide > 1) * 4, 16), subsequent_indent="  ")


def wrap_command(command: str, width: int | None) -> list[str]:
    """Break a shell command between its flags, with `\\`, if a line of it is wider than `width`.

    Blanks before the command indent every line.
    """
    if width is None or all(width_of(text) <= width for text in command.splitlines()):
        return command.splitlines()
    words = re.findall(r"(?:[^\s'\"\\]|'[^']*'|\"[^\"]*\")+", command)
    indent = " " * (len(command) - len(command.lstrip()))
    lines = [indent + words[0]]
    for place, word in enumerate(words[1:], 1):
        value = words[place + 1 :][:1] if word.startswith("-") else []
        ahead = " ".join((word, *(one for one in value if not one.startswith("-"))))
        is_value = words[place - 1].startswith("-") and not word.startswith("-")
        if is_value or width_of(f"{lines[-1]} {ahead} \\") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}  {word}")
    return [*(f"{text} \\" for text in lines[:-1]), lines[-1]]


def flow(pieces: Iterable[str], view: View, indent: str = "  ") -> list[str]:
    """Join `pieces` with dots, wrapped to the width of `view`; all lines but the first are indented."""
    lines: list[str] = []
    for piece in pieces:
        longer = f"{lines[-1]}{marks(view).dot}{piece}" if lines else piece
        if lines and view.width is not None and width_of(longer) > view.width:
            lines.append(f"{indent}{piece}")
        else:
            lines[-1:] = [longer]
    return lines
