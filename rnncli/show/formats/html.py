"""html: a self-contained page, light or dark by the reader's setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from textwrap import dedent
from typing import IO

from rnncli.show import styles
from rnncli.show.answer import Answer
from rnncli.show.layout import (
    BETWEEN,
    PAGE_WIDTH,
    LaidOut,
    Measures,
    PageLayout,
    TwoForms,
    lay_out,
    measure,
    sum_widths,
)
from rnncli.show.page import (
    Code,
    Fold,
    Grid,
    Heading,
    Line,
    Numbers,
    Page,
    Table,
    TableCell,
    View,
    has_numbers,
    marks,
)
from rnncli.show.visible import width_of

PHONE_WIDTH, NOTEBOOK_WIDTH = 40, 80
"""Columns of text that fit on a phone, and beside the prompts of a notebook in a window of 900 pixels."""
RIGHT = ' class="right"'


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write the whole document, without scripts, links or images."""
    page = lay_out(_page(answer, view, PAGE_WIDTH), view, PAGE_WIDTH, PHONE_WIDTH)
    title = escape("".join(span.text for span in page.title) or "rnncli")
    body = _body(page, view)
    style = styles.read("colors") + styles.read("page") + _prose(page) + _of_grid(body)
    text = (
        f'<!DOCTYPE html>\n<html lang="{escape(view.lang)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n:root {{ color-scheme: {view.theme or 'light dark'}; }}\n{style}"
        f"</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    file.write(text.encode())


def fragment(answers: Iterable[Answer], view: View) -> str:
    """Return answers as a fragment to embed in a page such as a notebook; its styles apply only inside it."""
    view = view._replace(width=view.width or NOTEBOOK_WIDTH)
    pages = [lay_out(_page(answer, view, NOTEBOOK_WIDTH), view, NOTEBOOK_WIDTH) for answer in answers]
    prose = next(filter(None, map(_prose, pages)), "")
    text = "\n".join(_body(page, view) for page in pages)
    rules = styles.read("page") + prose + _of_grid(text) + styles.read("notebook")
    style = re.sub(r"^(:root|body) \{", "& {", rules, flags=re.MULTILINE)
    name = "rnncli-prose" if prose else "rnncli"  # prose has styles that a table lacks
    scope = 4 * f".{name}"  # more classes than the selectors of notebooks have
    return f'<div class="{name}"><style>\n{scope} {{\n{style}}}\n</style>\n{text}\n</div>\n'


def body(page: Page, view: View) -> str:
    """Return a part of a page that brings the styles itself."""
    return _body(lay_out(page, view, PAGE_WIDTH, PHONE_WIDTH), view)


def _page(answer: Answer, view: View, width: int) -> Page:
    """Return the page of an answer, with every number if they are few."""
    few = bool(answer.few) and sum(array.size for array in answer.tensors().values()) <= answer.few
    return answer.page(view._replace(width=view.width or width, full=view.full or few))


def _prose(page: PageLayout) -> str:
    return styles.read("prose") if any(isinstance(part, Heading) for part in page.parts) else ""


def _of_grid(body: str) -> str:
    return styles.read("grid") if '<table class="grid">' in body else ""


def _body(page: PageLayout, view: View) -> str:
    title = [f"<h1>{_line(page.title)}</h1>"] if page.title else []
    return "\n".join([*title, *(f"<p>{_line(note)}</p>" for note in page.notes), *_parts(page.parts, view)])


def _parts(parts: Iterable[LaidOut | TwoForms], view: View) -> Iterator[str]:
    for part in parts:
        match part:
            case TwoForms(wide, narrow):
                for name, form in (("wide", wide), ("phone", narrow)):
                    yield f'<div class="{name}">'
                    yield from _parts(form, view)
                    yield "</div>"
            case Table():
                yield from ([f"<h2>{_line(part.title)}</h2>"] if part.title else [])
                yield f'<div class="scroll">{_table(part, view)}</div>'
            case Grid():
                yield f'<div class="scroll">{_grid(part, view)}</div>'
            case Heading(text, anchor):
                yield f'<h2 id="{escape(anchor)}">{_line(text)}</h2>'
            case Code(text, kind):
                yield f'<pre class="{kind or "math"}">{escape(dedent(text))}</pre>'
            case Fold():
                yield f"<details><summary>{escape(part.label)}</summary><p>{escape(part.text)}</p></details>"
            case _:
                yield from [f"<p>{_line(part)}</p>"] if part else []


def _table(table: Table, view: View, *, has_head: bool = True) -> str:
    measures, head = measure(table, view), ""
    if has_head:
        over = f'<span class="numbers">{" " * sum_widths(measures.gutter.values())}</span>'
        for column, *cells in zip(table.columns, *table.rows, strict=True):
            blanks = over if any(map(has_numbers, cells)) else ""
            tag = "th" if column.heading.strip() else "td"  # a heading that says nothing is none
            head += f"<{tag}{RIGHT * column.right}>{blanks}{escape(column.heading)}</{tag}>"
        head = f"<thead><tr>{head}</tr></thead>"
    rows = (
        "".join(
            f"<td{RIGHT * column.right}>{_cell(cell, view, measures)}</td>"
            for column, cell in zip(table.columns, row, strict=True)
        )
        for row in table.rows
    )
    return f'<table class="said">{head}{_rows(rows)}</table>'


def _rows(rows: Iterable[str]) -> str:
    return "".join(("\n<tbody>\n<tr>", "</tr>\n<tr>".join(rows), "</tr>\n</tbody>"))


def _grid(grid: Grid, view: View) -> str:
    heads = "".join(f"<th>{escape(across)}</th>" for across in grid.across)
    rows = [
        f"<th>{escape(down).replace('=', '<wbr>=')}</th>"
        + "".join(
            f'<td data-across="{escape(across)}">{_table(table, view, has_head=False)}</td>'
            for across, table in zip(grid.across, tables, strict=True)
        )
        for down, tables in zip(grid.down, grid.cells, strict=True)
    ]
    return f'<table class="grid"><thead><tr><td></td>{heads}</tr></thead>{_rows(rows)}</table>'


def _cell(cell: TableCell, view: View, measures: Measures) -> str:
    return "".join(
        _numbers(part, view, measures) if isinstance(part, Numbers) else f"<div>{_line(part)}</div>"
        for part in cell
    )


def _numbers(numbers: Numbers, view: View, measures: Measures) -> str:
    from rnncli.show.numbers import Row, trim_block

    shown = trim_block(measures.blocks[numbers], numbers.values, view)
    rows = [
        "".join(
            f"<th>{escape(label)}{' ' * (width + BETWEEN - width_of(label))}</th>"
            if (label := row.labels.get(axis))
            else f'<td class="gap">{" " * (width + BETWEEN)}</td>'
            for axis, width in measures.gutter.items()
        )
        + "".join(
            _number(text, measures.widths[shown.style], index == shown.half > 0, row.texts is shown.heads)
            for index, text in enumerate(row.texts)
        )
        + (f"<th>{escape(row.remark)}</th>" if row.remark else "")
        for row in (Row({}, shown.heads), *shown.rows)
    ]
    summary = f'<div class="dim">{escape(marks(view).dot.join(shown.summary))}</div>' if shown.summary else ""
    return f'<table class="numbers">{_rows(rows)}</table>{summary}'


def _number(text: str, width: int, is_half: bool, is_head: bool) -> str:
    """is_half: whether the second half begins with this number, behind a rule."""
    names = " ".join(["half"] * is_half + ["dim"] * is_head + ["alarm"] * text.endswith(("NaN", "inf")))
    shown = text if width_of(text) == 1 else text.rjust(width)  # the ellipsis is narrow
    return f'<td class="{names}">{shown}</td>' if names else f"<td>{shown}</td>"


def _line(line: Line) -> str:
    return "".join(
        f'<span class="{escape(span.style)}">{escape(span.text)}</span>' if span.style else escape(span.text)
        for span in line
    )
