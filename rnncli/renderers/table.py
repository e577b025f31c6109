"""table: for the eye, in as many columns as there are."""

from __future__ import annotations

from io import StringIO

from rnncli.page import Answer, View
from rnncli.renderers._looks import console
from rnncli.renderers._terminal import drawn


def render(answer: Answer, view: View) -> str:
    """The page as text, with escape codes only where colour is welcome; no line ends in spaces."""
    file = StringIO()
    console(file, view).print(drawn(answer.page(view), view))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())
