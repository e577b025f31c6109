"""svg: the table as a picture of a terminal, for a README; the same bytes for the same answer."""

from __future__ import annotations

from io import StringIO

from rich.cells import cell_len

from rnncli.renderers.formats._looks import console
from rnncli.renderers.formats._terminal import drawn
from rnncli.renderers.page import Answer, View

WIDTH = 80
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
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
    return recorder.export_svg(title="rnncli", code_format=FRAME, unique_id="rnncli")
