"""The equations of each cell in LaTeX, for `\\usepackage{amsmath}`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.cells.latex import to_latex
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, cells_of
from rnncli.commands.export.literals import as_comment

SUFFIX = ".tex"
BINARY = False

refusal = refusals.of_equations


def write(exports: Sequence[ExportCase]) -> str:
    """Return a block for each different cell."""
    return "\n".join(dict.fromkeys(_blocks(exports)))


def _blocks(exports: Sequence[ExportCase]) -> Iterator[str]:
    for cell in (one for export in exports for layer in export.layers for one in cells_of(layer.spec)):
        weights = "W, U and b are kernel, recurrent_kernel and bias; W and U stand on the left here."
        yield f"% {as_comment(cell.text.title)}\n% {weights}\n{to_latex(cell.text, cell.config)}"
