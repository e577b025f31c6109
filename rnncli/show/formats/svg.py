"""svg: the table as a picture of a terminal, for a README; the same answer gives the same bytes.

Rich counts a Hangul syllable as one column although it takes two, and relies on the viewer to keep
the blanks that align numbers, so every piece of text is given its own position here.  A Hangul syllable
is narrower than two columns: stretched to them, a word would fall apart.  Rich cuts each line off below
its letters; without that, no underscore is cut in a font with a deep one.
"""

from __future__ import annotations

import re
from html import escape, unescape
from io import StringIO
from typing import IO

from rich.cells import cell_len
from rich.color import parse_rgb_hex
from rich.terminal_theme import TerminalTheme

from rnncli.show import styles
from rnncli.show.answer import Answer
from rnncli.show.formats.table import console, draw_page
from rnncli.show.page import View

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
"""Width of a column in Rich's drawing."""
TEXT = re.compile(r'<text class="([^"]*)" x="([^"]*)" y="([^"]*)" [^>]*>([^<]*)</text>')
RIM = {"light": 'stroke="rgba(31,35,40,0.35)"', "dark": 'stroke="rgba(255,255,255,0.35)"'}


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Draw a terminal as wide as the table, limited to the view's width."""
    widest = view._replace(color=True, width=view.width or WIDTH)
    page = draw_page(answer.page(widest), widest)
    measured = StringIO()
    console(measured, widest._replace(color=False)).print(page)
    longest = max(cell_len(line.rstrip()) for line in measured.getvalue().splitlines())
    recorder = console(StringIO(), widest, record=True)
    recorder.width = longest
    recorder.print(page)
    theme = terminal_theme(is_dark=view.theme != "light")
    drawing = recorder.export_svg(title="rnncli", code_format=FRAME, unique_id="rnncli", theme=theme)
    drawing = drawing.replace(RIM["dark"], RIM[view.theme or "dark"])
    file.write(TEXT.sub(_place, drawing).encode())


def terminal_theme(*, is_dark: bool = True) -> TerminalTheme:
    """Return the colors of html as a terminal's theme."""
    pairs = re.findall(r"--(\w+): light-dark\(#(\w+), #(\w+)\)", styles.read("colors"))
    colors = {name: parse_rgb_hex(pair[is_dark]) for name, *pair in pairs}
    ansi = ("ink", "alarm", "same1", "same0", "same2", "cell", "hidden", "dim")
    return TerminalTheme(colors["paper"], colors["ink"], [colors[name] for name in ansi])


def _place(match: re.Match[str]) -> str:
    """Split a text at two or more blanks; each piece gets its own position and length."""
    name, left, down, inner = match.groups()
    text = unescape(inner).replace("\xa0", " ").rstrip("\n")
    return "".join(
        f'<text class="{name}" x="{float(left) + COLUMN * cell_len(text[: piece.start()]):g}" y="{down}"'
        f"{_length(piece[0])}>{escape(piece[0]).replace(' ', '&#160;')}</text>"
        for piece in re.finditer(r"\S+(?: \S+)*", text)
    )


def _length(text: str) -> str:
    columns = cell_len(text)
    return f' textLength="{COLUMN * columns:g}"' if columns == len(text) else ""
