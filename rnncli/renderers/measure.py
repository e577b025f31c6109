"""Measure terminal columns, for tables that show as many columns as fit."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rnncli.renderers.page import Line, Numbers, Table, View, marks
from rnncli.renderers.width import longest, width_of

Item = TypeVar("Item")
BETWEEN = 2
"""Blanks between two table columns."""
PAGE_WIDTH = 120
"""A page of html or markdown shows about this many columns; a wider table must be scrolled."""


@dataclass(frozen=True)
class Space:
    """Terminal columns left for a part of a table; None if unlimited."""

    columns: int | None

    @classmethod
    def left_beside(cls, taken: Iterable[int], view: View, least: int = 0) -> Space:
        """Return the space left beside columns of these widths, but at least `least`."""
        if view.width is None:
            return cls(None)
        return cls(max(view.width - sum(width + BETWEEN for width in taken), least))

    def fits(self, widths: Iterable[int], more: int = 0) -> bool:
        """Return whether columns of these widths fit, plus `more` characters."""
        return (
            self.columns is None or sum(width + BETWEEN for width in widths) - BETWEEN + more <= self.columns
        )

    def count(self, width: int, most: int) -> int:
        """Return how many columns of one width fit, at least one."""
        return (
            most if self.columns is None else max(1, min(most, (self.columns + BETWEEN) // (width + BETWEEN)))
        )

    def share(self, count: int, least: int, most: int) -> int:
        """Return how wide each of `count` columns can be."""
        return most if self.columns is None else min(most, max(self.columns // count - BETWEEN, least))

    def split(self, items: Sequence[Item], width: Callable[[Item], int]) -> Iterator[list[Item]]:
        """Yield `items` in groups, each with as many as fit, at least one."""
        group: list[Item] = []
        for item in items:
            if group and not self.fits(map(width, [*group, item])):
                yield group
                group = []
            group.append(item)
        yield group


def fits_page(table: Table) -> bool:
    """Return whether a page shows every column of `table` at once, apart from its numbers."""
    headings = [column.heading for column in table.columns]
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(headings)
    widths = (
        longest([heading, *(_text(part) for cell in cells for part in cell if not isinstance(part, Numbers))])
        for heading, cells in zip(headings, columns, strict=True)
    )
    return Space(PAGE_WIDTH).fits(widths)


def _text(line: Line) -> str:
    return "".join(span.text for span in line)


def wrap(text: str, view: View) -> list[str]:
    """Wrap `text` to the width of `view`."""
    if view.width is None:
        return [text]
    wide = width_of(text) / max(len(text), 1)
    return textwrap.wrap(text, max(int(view.width / wide) - (wide > 1) * 4, 16), subsequent_indent="  ")


def wrap_command(command: str, width: int | None) -> list[str]:
    """Break a shell command between its flags, with `\\`, if a line of it is wider than `width`."""
    if width is None or all(width_of(text) <= width for text in command.splitlines()):
        return command.splitlines()
    words = re.findall(r"(?:[^\s'\"\\]|'[^']*'|\"[^\"]*\")+", command)
    lines = words[:1]
    for place, word in enumerate(words[1:], 1):
        value = words[place + 1 :][:1] if word.startswith("-") else []
        ahead = " ".join((word, *(one for one in value if not one.startswith("-"))))
        is_value = words[place - 1].startswith("-") and not word.startswith("-")
        if is_value or width_of(f"{lines[-1]} {ahead} \\") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}")
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
