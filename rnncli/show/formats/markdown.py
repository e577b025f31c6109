"""markdown: headings and tables for GitHub and notebooks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from textwrap import dedent
from typing import IO, Any

from rnncli.show.answer import Answer
from rnncli.show.layout import PAGE_WIDTH, PageLayout, lay_out
from rnncli.show.page import (
    Code,
    Fold,
    Grid,
    Heading,
    Line,
    Numbers,
    Span,
    Table,
    View,
    has_numbers,
    marks,
    text_of,
)


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write the page; numbers become a table below the name of their tensor."""
    text = "\n\n".join(_page(lay_out(answer.page(view), view, PAGE_WIDTH), view)) + "\n"
    file.write(text.encode())


def _page(page: PageLayout, view: View) -> Iterator[str]:
    if page.title:
        level = "#" if any(isinstance(part, Heading) for part in page.parts) else "##"
        yield f"{level} {_escape(text_of(page.title))}"
    yield from (_text(note) for note in page.notes)
    for part in page.parts:
        match part:
            case Table():
                yield from _table(part, view)
            case Grid():
                for down, tables in zip(part.down, part.cells, strict=True):
                    for across, table in zip(part.across, tables, strict=True):
                        yield f"### {_escape(f'{down}, {across}')}"
                        yield from _table(table, view)
            case Heading():
                yield f"## {_escape(text_of(part.text))}"
            case Code(text, kind):
                yield f"```{kind}\n{dedent(text)}\n```"
            case Fold():
                yield f"<details><summary>{_escape(part.label)}</summary>"
                yield f"{_escape(part.text)}\n\n</details>"
            case _:
                yield from [_text(part)] if part else []


def _table(table: Table, view: View) -> Iterator[str]:
    if table.title:
        yield f"### {_text(table.title)}"
    if not any(has_numbers(cell) for row in table.rows for cell in row):
        heads = [_escape(column.heading) for column in table.columns]
        rows = (["<br>".join(map(_text, cell)) for cell in row] for row in table.rows)  # type: ignore[arg-type]
        yield _grid(heads, rows, [column.right for column in table.columns])
        return
    for row in table.rows:  # a tensor: a line of its texts, then its numbers
        texts: Any = [cell for cell in row if not has_numbers(cell)]
        first = " ".join(_text(part) for cell in texts for part in cell[:1])
        yield marks(view).dot.join([first, *(_text(part) for cell in texts for part in cell[1:])])
        for part in (part for cell in row if has_numbers(cell) for part in cell):
            yield from _numbers(part, view) if isinstance(part, Numbers) else [_text(part)]


def _numbers(numbers: Numbers, view: View) -> Iterator[str]:
    from rnncli.show.numbers import block, trim_block

    shown = trim_block(block(numbers, view), numbers.values, view)
    axes = max((row.labels for row in shown.rows), key=len, default={})
    remarks, bar = any(row.remark for row in shown.rows), [marks(view).halves] * bool(shown.half)

    def with_bar(texts: Sequence[str]) -> list[str]:
        return [*texts[: shown.half], *(bar if texts else ()), *texts[shown.half :]]

    heads = [*[""] * len(axes), *with_bar(list(map(_escape, shown.heads))), *[""] * remarks]
    rows = [
        [
            *(_escape(row.labels.get(axis, "")) for axis in axes),
            *with_bar(row.texts),
            *[_escape(row.remark)] * remarks,
        ]
        for row in shown.rows
    ]
    yield _grid(
        heads, rows, [*[False] * len(axes), *[True] * (len(shown.heads) + len(bar)), *[False] * remarks]
    )
    if shown.summary:
        yield marks(view).dot.join(shown.summary)


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool]) -> str:
    sides = ["--:" if end else ":--" for end in right]
    filled = ([*row, *[""] * (len(heads) - len(row))] for row in rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, sides, *filled))


def _text(line: Line) -> str:
    """Return a line; only code keeps its blanks, and numbers side by side are one piece of code."""
    pieces = groupby(line, lambda span: "number" in span.style.split() and bool(span.text.strip()))
    return "".join(
        f"`{text_of(tuple(spans))}`" if numbers else "".join(map(_span, spans)) for numbers, spans in pieces
    )


def _span(span: Span) -> str:
    """Return a span; `** bold**` would not be bold."""
    styles, text = span.style.split(), span.text.strip()
    if "strong" in styles and text:
        return span.text.replace(text, f"**{_escape(text)}**")
    return _escape(span.text)


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
