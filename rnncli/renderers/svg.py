"""svg: the table as a picture of a terminal, for a README; the same bytes for the same answer.

Rich draws it, and counts a Hangul syllable as one column where it takes two, and leaves it to the viewer
to keep the blanks that put a number in its column: every piece of text gets its own place here.
"""

from __future__ import annotations

import re
from html import escape, unescape
from io import StringIO

from rich.cells import cell_len
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme

from rnncli.page import Answer, View
from rnncli.renderers._looks import console
from rnncli.renderers._terminal import drawn

WIDTH = 80
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font: 18px system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


COLUMN = 12.2
"""How wide Rich draws a column."""
TEXT = re.compile(r'<text class="([^"]*)" x="([^"]*)" y="([^"]*)" textLength="[^"]*"([^>]*)>([^<]*)</text>')
LIGHT = TerminalTheme(
    (255, 255, 255),
    (16, 18, 22),
    [
        (31, 35, 40), (198, 40, 31), (37, 125, 54), (146, 96, 24),
        (9, 105, 218), (138, 63, 252), (10, 108, 116), (101, 109, 118),
    ],
)  # fmt: skip
"""The colours of the light page of html."""
RIM = {"light": 'stroke="rgba(31,35,40,0.35)"', "dark": 'stroke="rgba(255,255,255,0.35)"'}


def render(answer: Answer, view: View) -> str:
    """A terminal as wide as the table, never wider than the view asks for."""
    widest = view._replace(color=True, width=view.width or WIDTH)
    page = answer.page(widest)
    measured = StringIO()
    console(measured, widest._replace(color=False)).print(drawn(page, widest))
    longest = max(cell_len(line.rstrip()) for line in measured.getvalue().splitlines())
    recorder = console(StringIO(), widest, record=True)
    recorder.width = longest
    recorder.print(drawn(page, widest))
    theme = LIGHT if view.theme == "light" else SVG_EXPORT_THEME
    drawing = recorder.export_svg(title="rnncli", code_format=FRAME, unique_id="rnncli", theme=theme)
    return TEXT.sub(_placed, drawing.replace(RIM["dark"], RIM[view.theme or "dark"]))


def _placed(found: re.Match[str]) -> str:
    """The pieces of a text that two blanks or more part, each with its own place and its own length."""
    name, left, down, rest, inner = found.groups()
    text = unescape(inner).replace("\xa0", " ").rstrip("\n")
    return "".join(
        f'<text class="{name}" x="{float(left) + COLUMN * cell_len(text[: piece.start()]):g}" y="{down}" '
        f'textLength="{COLUMN * cell_len(piece[0]):g}"{rest}>{_kept(piece[0])}</text>'
        for piece in re.finditer(r"\S+(?: \S+)*", text)
    )


def _kept(text: str) -> str:
    return escape(text).replace(" ", "&#160;")
