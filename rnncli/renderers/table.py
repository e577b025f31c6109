"""table: for the eye, in as many columns as there are."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, ConsoleOptions, RenderResult

from rnncli.page import Answer, View
from rnncli.renderers._looks import console
from rnncli.renderers._terminal import drawn


def render(answer: Answer, view: View) -> str:
    """The page as text, with escape codes only where colour is welcome; no line ends in spaces."""
    file = StringIO()
    console(file, view).print(drawn(answer.page(view), view))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


class Drawing:
    """An answer for a Rich console, in as many columns as that has."""

    def __init__(self, answer: Answer, view: View) -> None:
        self.answer, self.view = answer, view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view = self.view._replace(width=self.view.width or options.max_width, ascii=options.ascii_only)
        yield drawn(self.answer.page(view), view)
