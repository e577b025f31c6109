"""`rnncli plot`."""

# Annotations are objects here, as in options.py, whose groups they join.

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from rnncli.cli.options import OUTPUT, RUN, AllLayers, InputFlags, LayerFlags, ReadingFlags, RunFlags
from rnncli.cli.options import _choice as choice
from rnncli.cli.options import _flag as flag
from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.case import Case
    from rnncli.plots.sheet import Sheet

EXAMPLES = """\
rnncli plot --layer lstm --seed 42 -o gates.svg
rnncli plot data.csv --layer bilstm --gate forget --gate cell -o cells.png
rnncli plot --layer gru --layer lstm --size 7x5 --style grey -o stack.pdf
rnncli plot --layer gru --seed 42 --terminal
"""

SUFFIXES = ("png", "svg", "pdf")
STYLES = ("light", "dark", "grey")
WHAT = ("trace", "result")
LARGEST = 100.0


class PlotFlags(NamedTuple):
    """What is drawn, and how."""

    what: Annotated[
        str | None, choice(RUN, "--what", "WHAT", WHAT, "What to draw (default trace, if there is one).")
    ] = None
    gate: Annotated[
        list[str] | None,
        flag(RUN, "--gate", metavar="NAME", help="This gate or state of a trace. Several draw several."),
    ] = None
    batch: Annotated[
        int,
        flag(RUN, "--batch", metavar="N", help="Which sequence (default 0); -1 is the last."),
    ] = 0
    steps: Annotated[
        str | None,
        flag(
            RUN, "--steps", "--step", metavar="A:B", help="Time steps from A up to, not including, B; or one."
        ),
    ] = None
    output: Annotated[
        str | None, flag(OUTPUT, "--output", "-o", metavar="FILE", help="A .png, .svg or .pdf file.")
    ] = None
    terminal: Annotated[bool, flag(OUTPUT, "--terminal", help="Draw here, not into a file.")] = False
    size: Annotated[
        str | None,
        flag(OUTPUT, "--size", metavar="WxH", help="Inches, 7x4, or pixels of a png, 1600x900px."),
    ] = None
    style: Annotated[str | None, choice(OUTPUT, "--style", "STYLE", STYLES, "Colours (default light).")] = (
        None
    )
    theme: Annotated[
        str | None, choice(OUTPUT, "--theme", "THEME", ("light", "dark"), "Background; the same as --style.")
    ] = None
    scale: Annotated[
        str,
        choice(
            OUTPUT,
            "--scale",
            "SCALE",
            ("fixed", "auto"),
            "Colours span 0 to 1 and -1 to 1 (fixed, the default), or only what the values do (auto).",
        ),
    ] = "fixed"
    width: Annotated[int | None, flag(OUTPUT, "--width", metavar="N", min=1, help="--terminal: columns.")] = (
        None
    )
    quiet: Annotated[bool, flag(OUTPUT, "--quiet", help="No remarks on stderr.")] = False

    @property
    def colours(self) -> str:
        """The style that --style or --theme names."""
        return self.style or self.theme or "light"

    def demand_sense(self) -> None:
        """UsageError where --style and --theme differ."""
        if self.style and self.theme and self.style != self.theme:
            raise UsageError(
                f"--style {self.style} and --theme {self.theme} do not go together.", "Leave out one of them."
            )


def plot(
    input: InputFlags, layer: LayerFlags, run: RunFlags, plot: PlotFlags, all_layers: AllLayers = False
) -> None:
    """A picture of every gate and state: png, svg, pdf, or in the terminal.

    Heat maps of one sequence, time from left to right. Gates have one scale from 0 to 1, states one from
    -1 to 1, wider where they go beyond; steps that the mask left out are hatched.
    """
    from rnncli.cli import request, terminal
    from rnncli.cli.steps import part
    from rnncli.plots.sheet import Wanted

    size = _size(plot)
    steps = slice(None) if plot.steps is None else part(plot.steps)
    format = _format(plot, input, layer, run)
    case, remarks = request.case(input, layer, run, all_layers=all_layers)
    sheet = _sheet(case, run.engine, plot, Wanted(plot.batch, steps, tuple(plot.gate or ()), plot.scale))
    if format is None:
        text = _in_terminal(sheet, plot)
        terminal.remark(remarks, plot.quiet)
        terminal.write(text)
    else:
        missing = _into_file(sheet, plot, format, size)
        terminal.remark([*remarks, *missing], plot.quiet)


def _sheet(case: "Case", engine: str, plot: PlotFlags, wanted: Any) -> "Sheet":
    from rnncli import calling, pipeline
    from rnncli.gradients import is_stepped
    from rnncli.plots import sheet

    through_time = any(map(is_stepped, case.layers))
    traceable = through_time and calling.choose(case) == "numpy"
    what = plot.what or ("trace" if traceable else "result")
    if what == "result":
        return sheet.of_result(case, pipeline.run(case, engine), wanted)
    if engine not in ("auto", "numpy"):
        raise UsageError(
            f"--engine {engine}: this engine keeps no steps.", "Leave --engine out, or take --what result."
        )
    return sheet.of_trace(case, pipeline.trace(case), wanted)


def _into_file(sheet: "Sheet", plot: PlotFlags, format: str, size: tuple[float, float] | None) -> list[str]:
    """Draws; what is to be said of letters that no font has."""
    from rnncli.cli import files
    from rnncli.plots import figure
    from rnncli.plots.palette import STYLES

    data = figure.render(sheet, format, STYLES[plot.colours], size)
    files.write(plot.output or "", data)
    letters = figure.undrawable(sheet)
    if not letters:
        return []
    shown = "".join(letters[:10]) + ("…" if len(letters) > 10 else "")
    return [f"no installed font has {shown}: names that hold them are replaced by feature 0, 1, ..."]


def _in_terminal(sheet: "Sheet", plot: PlotFlags) -> str:
    from rnncli.cli import terminal
    from rnncli.page import View
    from rnncli.plots.palette import STYLES
    from rnncli.plots.terminal import render

    stdout, environment = sys.stdout, os.environ
    if stdout is None:
        raise UsageError("standard output is closed.", "Draw into a file: --output FILE.png")
    view = View(
        width=plot.width or terminal.columns(stdout, environment),
        ascii=not terminal.encodes(stdout, "▀░▒▓█→"),
    )
    depth = terminal.depth(environment) if terminal.has_colour(stdout, environment) else "none"
    return render(sheet, STYLES[plot.colours], view, depth)


def _format(plot: PlotFlags, *reading: ReadingFlags) -> str | None:
    """png, svg or pdf; None for the terminal.  UsageError before anything is computed."""
    if plot.terminal:
        if plot.output or plot.size:
            name = "--output" if plot.output else "--size"
            raise UsageError(f"--terminal and {name} do not go together.", "Leave out one of them.")
        return None
    if plot.output is None:
        raise UsageError("plot wants a file to draw into.", "Name one, -o FILE.png, or draw here: --terminal")
    if plot.output == "-":
        raise UsageError("-o -: a picture goes to a file.", "Name one, -o FILE.png, or draw here: --terminal")
    from rnncli.cli.files import demand_place
    from rnncli.cli.sources import read_by

    demand_place(plot.output, read_by(*reading))
    suffix = Path(plot.output).suffix.lstrip(".").casefold()
    if suffix not in SUFFIXES:
        came = f"the suffix .{suffix}" if suffix else "no suffix"
        raise UsageError(f"{plot.output} has {came}, and plot draws no such file.", "Use .png, .svg or .pdf.")
    return suffix


def _size(plot: PlotFlags) -> tuple[float, float] | None:
    """Inches, width and height; pixels are those of a png."""
    if plot.size is None:
        return None
    found = re.fullmatch(r"(\d+\.?\d*)x(\d+\.?\d*)(px)?", plot.size.strip().casefold().replace("×", "x"))
    if found is None:
        raise UsageError(f"--size {plot.size}: that is no width and height.", "Write 7x4, or 1600x900px.")
    from rnncli.plots.layout import DPI

    sides = [float(text) / (DPI if found[3] else 1) for text in found.groups()[:2]]
    if not all(0 < side <= LARGEST for side in sides):
        raise UsageError(
            f"--size {plot.size}: a side is longer than {LARGEST:g} inches, or nothing at all.",
            "Sizes are in inches, or with px in pixels: 1600x900px",
        )
    return sides[0], sides[1]
