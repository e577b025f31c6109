"""table: text for the terminal, in the available width."""

from __future__ import annotations

from io import StringIO
from typing import IO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from rnncli.show.answer import Answer
from rnncli.show.formats._terminal import console, draw_page
from rnncli.show.page import Page, View


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
