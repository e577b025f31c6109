"""html: a self-contained page, light or dark by the reader's setting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from textwrap import dedent
from typing import IO

from rnncli.show.answer import Answer
from rnncli.show.layout import PAGE_WIDTH, PageLayout, lay_out
from rnncli.show.page import Code, Fold, Grid, Heading, Line, Numbers, Table, TableCell, View, marks

LIGHT = """\
--ink: #1f2328; --paper: #ffffff; --dim: #656d76; --rule: #d1d9e0;
        --hidden: #0a6c74; --cell: #8a3ffc; --alarm: #c6281f;"""
DARK = """\
--ink: #e6edf3; --paper: #0d1117; --dim: #8b949e; --rule: #30363d;
          --hidden: #4fd1d9; --cell: #d2a8ff; --alarm: #ff7b72;"""
THEMES = {
    "": f"""\
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{
  :root {{ {DARK} }}
}}
""",
    "light": f":root {{ color-scheme: light; {LIGHT} }}\n",
    "dark": f":root {{ color-scheme: dark; {DARK} }}\n",
}
"""CSS by View.theme; the default follows the reader's setting."""
NOTEBOOK = """\
:root { --ink: var(--jp-content-font-color1, currentColor); --paper: transparent;
        --dim: var(--jp-content-font-color2, color-mix(in srgb, currentColor 65%, transparent));
        --rule: var(--jp-border-color2, color-mix(in srgb, currentColor 20%, transparent));
        --hidden: color-mix(in srgb, currentColor 30%, #1698a3);
        --cell: color-mix(in srgb, currentColor 30%, #9a5bf5);
        --alarm: color-mix(in srgb, currentColor 20%, #ee4b40); }
"""
"""CSS of a fragment: the colors of the page around it, whose theme only that page knows."""
NOTEBOOK_TABLES = """\
& { margin: 0; padding: 0; max-width: none; font-size: 13px; }
table { font-size: inherit; table-layout: auto; margin: 0.5rem 0; border: 0; } .numbers { margin: 0; }
td, th { max-width: none; border: 0; white-space: nowrap; text-align: left; padding: 0.1em 0.9em 0.1em 0; }
.numbers, td .strong, td .hidden, td .cell { font-size: 12px; } th { white-space: normal; }
.said > tbody > tr > td { padding-top: 0.25rem; padding-bottom: 0.25rem; }
.numbers td, .numbers th { padding: 0 0.8em 0 0; } .numbers td { text-align: right; }
tbody tr:nth-child(n), thead tr:nth-child(n) { background: none; border: 0; }
p { margin: 0.15rem 0; }
"""
"""CSS of a fragment, against what notebooks say of tables: text to the right, stripes."""
NOTEBOOK_WIDTH = 80
"""Columns of text that fit beside the prompts of a notebook in a window of 900 pixels."""
STYLE = """\
body { margin: 2rem auto; padding: 0 1rem; max-width: 72rem; color: var(--ink); background: var(--paper);
       font: 15px/1.5 system-ui, sans-serif; }
h1, h2 { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 0; } p { margin: 0.25rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; } th { text-align: left; font-weight: normal; }
td, th { padding: 0.15rem 1.5rem 0.15rem 0; vertical-align: top; }
.said > tbody > tr > td { border-top: 1px solid var(--rule); padding-top: 0.5rem; padding-bottom: 0.5rem; }
.numbers { margin: 0; } .numbers td { text-align: right; } .numbers td, .numbers th { padding: 0 1rem 0 0; }
.numbers th, .said:has(.numbers) > tbody > tr > td:not(:last-child) { white-space: nowrap; }
.numbers .half { border-left: 1px solid var(--dim); padding-left: 1rem; }
.numbers, .strong, .hidden, .cell, .shape { font-family: ui-monospace, monospace; }
.numbers { font-variant-numeric: tabular-nums; } td.right, th.right { text-align: right; }
.strong { font-weight: 600; } .dim, .heading, th { color: var(--dim); }
.hidden { color: var(--hidden); } .cell { color: var(--cell); } .alarm { color: var(--alarm); }
.same0 { color: #b7791f; } .same1 { color: #2f9e44; } .same2 { color: #3b82d6; }
.same3 { color: #d9600f; } .number { font-family: ui-monospace, monospace; white-space: pre; }
 [class^=rise], [class^=pole] { font-family: ui-monospace, monospace; }
"""
PROSE = """\
body { max-width: 50rem; } h2 { margin-top: 3rem; font-family: inherit; } .strong { font-family: inherit; }
pre { margin: 0.5rem 0; padding: 0.25rem 0.75rem; overflow-x: auto; border-left: 2px solid var(--rule);
      font: 0.9em/1.5 ui-monospace, monospace; }
.python { font-weight: 600; } td .dim { font-family: ui-monospace, monospace; white-space: pre; }
.said > tbody > tr > td { border-top: 0; padding-top: 0; padding-bottom: 0.1rem; }
details { margin: 0.25rem 0; } td, th { white-space: nowrap; } summary { cursor: pointer; font-weight: 600; }
"""
"""CSS of a page with headings, a text to read."""
HEAT = {
    "rise": ("#7c83b0", "#5a86b5", "#4f9bab", "#4aa58a", "#7bab5a", "#a9a83f", "#cf9f36", "#e8912d"),
    "pole": ("#1f7fe0", "#5589c9", "#6d8fb4", "#8389ab", "#a88a8f", "#bf7a78", "#d2695f", "#e05548"),
}
"""Colors from low to high, readable on dark and on light; in `pole`, blue is below zero."""


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write the whole document, without scripts, links or images."""
    page = lay_out(answer.page(view), view, PAGE_WIDTH)
    body = "\n".join(_body(page, view))
    style = _style(page) + _heat(body)
    title = escape("".join(span.text for span in page.title) or "rnncli")
    text = (
        f'<!DOCTYPE html>\n<html lang="{escape(view.lang)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{THEMES[view.theme]}{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    file.write(text.encode())


def fragment(answer: Answer, view: View) -> str:
    """Return a fragment to embed in another page, such as a notebook; its styles apply only inside it."""
    view = view._replace(width=view.width or NOTEBOOK_WIDTH)
    page = lay_out(answer.page(view), view, NOTEBOOK_WIDTH)
    body = "\n".join(_body(page, view))
    style = re.sub(r"(:root|^body) \{", "& {", NOTEBOOK + _style(page), flags=re.MULTILINE) + NOTEBOOK_TABLES
    scope = 4 * ".rnncli"  # more classes than the selectors of notebooks have
    return f'<div class="rnncli"><style>\n{scope} {{\n{style}{_heat(body)}}}\n</style>\n{body}\n</div>\n'


def _style(page: PageLayout) -> str:
    return STYLE + (PROSE if any(isinstance(part, Heading) for part in page.parts) else "")


def _heat(body: str) -> str:
    """Return the CSS of the colors used in `body`."""
    colors = {f"{kind}{level}": color for kind, scale in HEAT.items() for level, color in enumerate(scale)}
    rules = (f".{name} {{ color: {color}; }}\n" for name, color in colors.items() if f'"{name}"' in body)
    return "".join(rules)


def _body(page: PageLayout, view: View) -> Iterator[str]:
    if page.title:
        yield f"<h1>{_line(page.title)}</h1>"
    yield from (f"<p>{_line(note)}</p>" for note in page.notes)
    for part in page.parts:
        match part:
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


def _table(table: Table, view: View) -> str:
    heads = "".join(f"<th{_right(column.right)}>{escape(column.heading)}</th>" for column in table.columns)
    rows = "\n".join(f"<tr>{_cells(row, table, view)}</tr>" for row in table.rows)
    return f'<table class="said"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>'


def _cells(row: Sequence[TableCell], table: Table, view: View) -> str:
    return "".join(
        f"<td{_right(column.right)}>{_cell(cell, view)}</td>"
        for column, cell in zip(table.columns, row, strict=True)
    )


def _right(right: bool) -> str:
    return ' class="right"' if right else ""


def _grid_row(heading: str, tables: Sequence[Table], view: View) -> str:
    """Return a row of a grid; its heading, `return_state=True`, may break before the sign."""
    head = escape(heading).replace("=", "<wbr>=")
    return f"<th>{head}</th>{''.join(f'<td>{_table(table, view)}</td>' for table in tables)}"


def _grid(grid: Grid, view: View) -> str:
    heads = "".join(f"<th>{escape(across)}</th>" for across in grid.across)
    rows = "\n".join(
        f"<tr>{_grid_row(down, tables, view)}</tr>"
        for down, tables in zip(grid.down, grid.cells, strict=True)
    )
    return f"<table><thead><tr><th></th>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"


def _cell(cell: TableCell, view: View) -> str:
    return "".join(
        _numbers(part, view) if isinstance(part, Numbers) else f"<div>{_line(part)}</div>" for part in cell
    )


def _numbers(numbers: Numbers, view: View) -> str:
    from rnncli.show.formats._numbers import label_axes, page_block

    shown = page_block(numbers, view)
    axes = label_axes(shown)
    rows = "\n".join(
        "<tr>"
        + "".join(f"<th>{escape(row.labels.get(axis, ''))}</th>" for axis in axes)
        + "".join(_number(text, place == shown.half > 0) for place, text in enumerate(row.texts))
        + (f"<th>{escape(row.remark)}</th>" if row.remark else "")
        + "</tr>"
        for row in shown.rows
    )
    summary = f'<div class="dim">{escape(marks(view).dot.join(shown.summary))}</div>' if shown.summary else ""
    return f'<table class="numbers"><tbody>\n{rows}\n</tbody></table>{summary}'


def _number(text: str, is_half: bool) -> str:
    """Return one number.  is_half: whether the second half begins with it, behind a rule."""
    names = " ".join(["half"] * is_half + ["alarm"] * text.endswith(("NaN", "inf")))
    return f'<td class="{names}">{escape(text)}</td>' if names else f"<td>{escape(text)}</td>"


def _line(line: Line) -> str:
    return "".join(
        f'<span class="{escape(span.style)}">{escape(span.text)}</span>' if span.style else escape(span.text)
        for span in line
    )
