"""Lay out a page for one width: break its paragraphs, and choose among forms by what fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from rnncli.show.page import (
    Code,
    Fold,
    Grid,
    Heading,
    Line,
    Numbers,
    Page,
    PagePart,
    Paragraph,
    Span,
    Table,
    TableCell,
    Variants,
    View,
    has_numbers,
    line,
    marks,
    text_of,
)
from rnncli.show.visible import ENDLESS, longest, width_of

if TYPE_CHECKING:
    from rnncli.show.numbers import Block

BETWEEN = 2
"""Blanks between two table columns."""
INDENT = "  "
NARROWEST_TEXT = 16
"""Minimum columns of a line of text; in less, words would stand one below the other."""
PAGE_WIDTH = 120
"""A page of html or markdown shows about this many columns; a wider table must be scrolled."""

LaidOut: TypeAlias = Table | Grid | Heading | Code | Fold | Line


class TwoForms(NamedTuple):
    """Parts of a page in two forms: for its width, and for a narrow screen."""

    wide: tuple[LaidOut, ...]
    narrow: tuple[LaidOut, ...]


class PageLayout(NamedTuple):
    """A page for one width; parts with a form for a narrow screen are TwoForms."""

    title: Line
    notes: tuple[Line, ...]
    parts: tuple[LaidOut, ...]


def lay_out(page: Page, view: View, room: int = ENDLESS, narrow: int = ENDLESS) -> PageLayout:
    """Break the paragraphs for the width of `view`, and choose among the variants.

    room: columns for tables.  narrow: columns of a screen for which there are other forms.
    """
    title, *notes = cast("Iterable[Line]", _lay_out((page.title, *page.notes), view, room, narrow))
    return PageLayout(title, tuple(notes), tuple(_lay_out(page.parts, view, room, narrow)))


def _lay_out(parts: Iterable[PagePart], view: View, room: int, narrow: int) -> Iterator[Any]:
    for part in parts:
        match part:
            case Paragraph():
                yield from _break(part, view)
            case Variants():
                forms = tuple(part.forms)
                wide, small = (
                    next((form for form in forms if _form_fits(form, view, width)), forms[-1])
                    for width in (room, min(room, narrow))
                )
                shown, below = (tuple(_lay_out(form, view, room, narrow)) for form in (wide, small))
                yield from shown if small is wide else (TwoForms(shown, below),)
            case Code(text, "shell") if longest(text.splitlines()) > narrow:
                yield TwoForms((part,), (Code("\n".join(wrap_command(text, narrow)), "shell"),))
            case _:
                yield part


def _form_fits(form: Iterable[PagePart], view: View, room: int) -> bool:
    tables = [part for part in form if isinstance(part, Table)]
    if tables:
        return all(sum_widths(column_widths(table)) - BETWEEN <= room for table in tables)
    other = (Table, Grid, Variants, Paragraph, Heading, Code, Fold)
    return view.width is None or view.width >= longest(
        text_of(part) for part in form if not isinstance(part, other)
    )


def sum_widths(widths: Iterable[int]) -> int:
    """Return the width of columns, with blanks behind each."""
    return sum(width + BETWEEN for width in widths)


def column_widths(table: Table) -> list[int]:
    """Return the width that each column of `table` needs without its numbers."""
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    return [
        max(natural_width(cells), width_of(column.heading))
        for column, cells in zip(table.columns, columns, strict=True)
    ]


class Measures(NamedTuple):
    """What aligns the numbers of different tensors in one table.

    blocks: the rows of each tensor.  gutter: width of each axis's labels.
    widths: the width of a number, by format.
    """

    blocks: dict[Numbers, Block]
    gutter: dict[str, int]
    widths: dict[str, int]


def measure(table: Table, view: View) -> Measures:
    """Measure the numbers of `table`; the tensor with the most axes comes first, and so do its labels."""
    blocks: dict[Numbers, Block] = {}
    number_widths: dict[str, int] = {}
    label_widths: dict[str, int] = {}
    tensors = [part for row in table.rows for cell in row for part in cell if isinstance(part, Numbers)]
    tensors.sort(key=lambda numbers: -len(numbers.axes))
    for numbers in tensors:
        from rnncli.show.numbers import block  # loads NumPy

        whole = blocks[numbers] = block(numbers, view)
        widest = max((len(text) for row in whole.rows for text in row.texts), default=1)
        number_widths[whole.style] = max(number_widths.get(whole.style, 0), widest)
        for row in whole.rows:
            for axis, label in row.labels.items():
                label_widths[axis] = max(label_widths.get(axis, 0), width_of(label))
    axes = _order_axes(numbers.axes for numbers in tensors)
    gutter = {axis: label_widths[axis] for axis in axes if axis in label_widths}
    return Measures(blocks, gutter, number_widths)


def _order_axes(axes_of_tensors: Iterable[Sequence[str]]) -> list[str]:
    """Return all axes; an axis that only a later tensor has stands before the axis that follows it there."""
    ordered: list[str] = []
    for axes in axes_of_tensors:
        following = len(ordered)
        for axis in reversed(axes):
            if axis in ordered:
                following = ordered.index(axis)
            else:
                ordered.insert(following, axis)
    return ordered


def natural_width(cells: Iterable[TableCell]) -> int:
    """Return the width that the texts of `cells` need; of a cell of texts, all but the first are indented."""
    return longest(
        (INDENT if row and not has_numbers(cell) else "") + text_of(part)
        for cell in cells
        for row, part in enumerate(cell)
        if not isinstance(part, Numbers)
    )


def _break(paragraph: Paragraph, view: View) -> Iterator[Line]:
    text, style, breaks, lead, mark = paragraph
    view = view._replace(width=view.width and view.width - len(mark))
    match breaks:
        case "dots":
            rows = flow(text.split(marks(view).dot), view)
        case "flags":
            rows = wrap_command(text, view.width)
        case _:
            rows = _wrap(text, view.width)
    first, *others = rows
    lead = lead if first.startswith(lead) else ""
    spans = (Span(mark, "dim"), Span(lead, "strong"), Span(first.removeprefix(lead), style))
    yield tuple(span for span in spans if span.text)
    yield from (line(" " * (len(mark) - 2) + row, style) for row in others)


def _wrap(text: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    words = text.split()
    rows = fill_lines(list(map(width_of, words)), max(width, NARROWEST_TEXT), 1, len(INDENT))
    return [INDENT * bool(row.start) + " ".join(words[row]) for row in rows]


def wrap_command(command: str, width: int | None) -> list[str]:
    """Break a shell command between its flags, with `\\`, if a line of it is wider than `width`.

    Blanks before the command indent every line.
    """
    if width is None or all(width_of(text) <= width for text in command.splitlines()):
        return command.splitlines()
    import re

    words = re.findall(r"(?:[^\s'\"\\]|'[^']*'|\"[^\"]*\")+", command)
    indent = " " * (len(command) - len(command.lstrip()))
    lines = [indent + words[0]]
    for index, word in enumerate(words[1:], 1):
        value = words[index + 1 :][:1] if word.startswith("-") else []
        ahead = " ".join((word, *(text for text in value if not text.startswith("-"))))
        is_value = words[index - 1].startswith("-") and not word.startswith("-")
        if is_value or width_of(f"{lines[-1]} {ahead} \\") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}  {word}")
    return [*(f"{text} \\" for text in lines[:-1]), lines[-1]]


def flow(pieces: Iterable[str], view: View, indent: str = INDENT) -> list[str]:
    """Join `pieces` with dots, wrapped to the width of `view`; all lines but the first are indented."""
    texts, dot = list(pieces), marks(view).dot
    room = ENDLESS if view.width is None else view.width
    rows = fill_lines(list(map(width_of, texts)), room, width_of(dot), len(indent))
    return [f"{indent if row.start else ''}{dot.join(texts[row])}" for row in rows]


def fill_lines(widths: Sequence[int], room: int, gap: int, indent: int = 0) -> Iterator[slice]:
    """Yield which pieces share each line: as many as fit, at least one.

    gap: columns between two pieces.  indent: columns before all lines but the first.
    """
    start, taken = 0, 0
    for index, width in enumerate(widths):
        if index > start and taken + gap + width > room:
            yield slice(start, index)
            start, taken = index, indent + width
        else:
            taken += width + (gap if index > start else 0)
    if widths:
        yield slice(start, len(widths))
