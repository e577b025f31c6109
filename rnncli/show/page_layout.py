"""Lay out a page for one width: break its paragraphs, and choose among forms by what fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, cast

from rnncli.show.page import Grid, Line, Page, PagePart, Paragraph, Table, Variants, View, text_of
from rnncli.show.width import longest


class PageLayout(NamedTuple):
    """A page for one width: its title is one line, and every part has one form."""

    title: Line
    notes: tuple[Line, ...]
    parts: tuple[Table | Grid | Line, ...]


def lay_out(page: Page, view: View, fits: Callable[[Table], bool] = lambda _: True) -> PageLayout:
    """Break the paragraphs and choose among the variants.  fits: whether a table does."""
    title, *notes = cast("Iterable[Line]", _lay_out((page.title, *page.notes), view, fits))
    return PageLayout(title, tuple(notes), tuple(_lay_out(page.parts, view, fits)))


def _lay_out(
    parts: Iterable[PagePart], view: View, fits: Callable[[Table], bool]
) -> Iterator[Table | Grid | Line]:
    for part in parts:
        match part:
            case Paragraph():
                from rnncli.show.measure import break_paragraph  # most pages have no paragraphs

                yield from break_paragraph(part, view)
            case Variants():
                for form in part.forms:
                    if _form_fits(form, view, fits):
                        break
                yield from _lay_out(form, view, fits)
            case _:
                yield part


def _form_fits(form: Iterable[PagePart], view: View, fits: Callable[[Table], bool]) -> bool:
    tables = [part for part in form if isinstance(part, Table)]
    if tables:
        return all(map(fits, tables))
    texts = (text_of(part) for part in form if not isinstance(part, (Table, Grid, Variants, Paragraph)))
    return view.width is None or longest(texts) <= view.width
