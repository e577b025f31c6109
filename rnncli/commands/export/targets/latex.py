"""The equations of each cell in LaTeX, for `\\usepackage{amsmath}`."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.cells.latex import to_latex
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, equations_of
from rnncli.commands.export.literals import as_comment, left_out_of

SUFFIX = ".tex"
BINARY = False

refusal = refusals.of_equations


def write(exports: Sequence[ExportCase]) -> str:
    """Return a block for each different cell."""
    weights = "W, U and b are kernel, recurrent_kernel and bias; W and U stand on the left here."
    blocks = [
        f"% {as_comment(cell.text.title)}\n% {weights}\n{to_latex(cell.text, cell.config)}"
        for cell in equations_of(exports)
    ]
    return left_out_of(exports, "% ") + "\n".join(dict.fromkeys(blocks))
