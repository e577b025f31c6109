"""`rnncli plot`."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.errors import Flag, Message, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rnncli.ask import Ask, Remarks
    from rnncli.ask.subject import Parts
    from rnncli.commands.plot.palette import Style
    from rnncli.commands.plot.sheet import Sheet
    from rnncli.values import Spec

EXAMPLES = """\
rnncli plot --layer lstm --seed 42 -o gates.svg
rnncli plot data.csv --layer bilstm --gate forget --gate cell -o cells.png
rnncli plot --layer gru --layer lstm --size 7x5 --style grey -o stack.pdf
rnncli plot --layer gru --seed 42 --terminal
rnncli plot --diagram --layer lstm --seed 42 --step 3 -o cell.svg
"""

SUFFIXES = ("png", "svg", "pdf")
LARGEST = 100.0


class PlotFlags(NamedTuple):
    """What to draw, and how."""

    diagram: bool = False
    unit: int | None = None
    what: str | None = None
    gate: list[str] | None = None
    state: str | None = None
    head: str | None = None
    batch: int = 0
    steps: str | None = None
    output: str | None = None
    terminal: bool = False
    size: str | None = None
    style: str | None = None
    theme: str | None = None
    scale: str = "fixed"
    width: int | None = None
    lang: str | None = None
    quiet: bool = False


class Plot(NamedTuple):
    """What is drawn, and how.

    sheet: returns the Sheet, given a language and the characters that no font has; a feature whose name
        contains such a character is numbered.
    size: width and height in inches; None for a size that suits the sheet.
    agrees: whether a live object's framework returned the same numbers; None if nothing was compared.
    """

    sheet: Callable[[str, frozenset[str]], Any]
    style: Style
    size: tuple[float, float] | None
    specs: tuple[Spec, ...]
    remarks: Remarks
    agrees: bool | None = None


def plot(ask: Ask, **flags: Any) -> None:
    """A picture of every gate and state, or of the cell: png, svg, pdf; or in the terminal.

    Heat maps of one sequence, time from left to right. Gates share one color scale from 0 to 1, states
    one from -1 to 1, wider if values exceed it; masked steps are hatched.

    With --diagram the cell is drawn from its equations: the path of each state, and what acts on it.
    """
    from rnncli.cli import terminal

    plot_flags = PlotFlags(**flags)
    format_name = _format(plot_flags, ask)
    drawing = drawing_of(ask, plot_flags)
    lang = terminal.displayable_language(plot_flags.lang)
    if format_name is None:
        from rnncli.commands.plot.terminal import render

        sheet = drawing.sheet(lang, frozenset())
        terminal.require_stdout(Message("Write to a file: {--output FILE.png}"))
        text = render(
            sheet, drawing.style, *terminal.drawing_view(plot_flags.lang, plot_flags.width, "▀░▒▓█→←")
        )
        terminal.remark(drawing.remarks, plot_flags.quiet)
        terminal.write(text)
    else:
        from rnncli.commands.plot import fonts

        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        sheet, names, missing = fonts.fit_fonts(drawing.sheet, lang)
        write_picture(plot_flags.output or "", sheet, drawing.style, drawing.size, names)
        terminal.remark([*drawing.remarks, *missing], plot_flags.quiet)


def drawing_of(ask: Ask, plot_flags: PlotFlags) -> Plot:
    """Compute what is drawn.  Raises UsageError for flags that do not fit."""
    from rnncli.addresses import parse_steps
    from rnncli.ask import subject_of
    from rnncli.commands.plot.palette import STYLES

    if plot_flags.style and plot_flags.theme and plot_flags.style != plot_flags.theme:
        what = "{--style:style} and {--theme:theme} cannot be combined."
        raise UsageError(what, "Leave out one of them.", style=plot_flags.style, theme=plot_flags.theme)
    size, style = _size(plot_flags), STYLES[plot_flags.style or plot_flags.theme or "light"]
    if plot_flags.diagram:
        from rnncli.commands.plot.cells import CellSelection, choose_cells

        _refuse_with_diagram(plot_flags)
        chosen = CellSelection(plot_flags.batch, plot_flags.steps, plot_flags.unit, plot_flags.head)
        drawn, specs, remarks, agrees = choose_cells(ask, chosen)
        return Plot(drawn, style, size, specs, remarks, agrees)
    if plot_flags.unit is not None:
        raise UsageError("{--unit} applies only to a diagram.", "Add {--diagram}.")
    steps = slice(None) if plot_flags.steps is None else parse_steps(plot_flags.steps)
    parts = subject_of(ask).parts()
    if (plot_flags.state or plot_flags.head) and not any(use.case.stack.has_axes for use in parts.uses):
        what, flag = (
            "{flag} is for cells whose states have other shapes.",
            "--state" if plot_flags.state else "--head",
        )
        raise UsageError(what, "Use {--gate}.", flag=Flag(flag))
    sheet = _draw(parts, ask.engine, plot_flags, steps)
    specs = tuple(spec for use in parts.uses for spec in use.case.stack)
    agreement = parts.uses[0].case.agreement
    return Plot(sheet, style, size, specs, tuple(parts.remarks), agreement and agreement.agrees)


def _refuse_with_diagram(flags: PlotFlags) -> None:
    """Raise UsageError for a flag of heat maps."""
    given = {
        "--what": flags.what, "--gate": flags.gate, "--state": flags.state, "--terminal": flags.terminal,
        "--scale": flags.scale != "fixed",
    }  # fmt: skip
    if name := next(filter(given.get, given), None):
        raise UsageError(
            "{--diagram} and {name} cannot be combined.", "Leave out one of them.", name=Flag(name)
        )


def _draw(
    parts: Parts, engine: str, flags: PlotFlags, steps: slice
) -> Callable[[str, frozenset[str]], Sheet]:
    """Compute what is drawn; return the `sheet` of a Plot."""
    from rnncli import compute
    from rnncli.commands.plot import sheet
    from rnncli.compute import engines
    from rnncli.compute import trace as tracing
    from rnncli.layers import is_stepped

    traceable = all(
        any(map(is_stepped, use.case.stack)) and engines.reason_not_traced(use.case) is None
        for use in parts.uses
    )
    what = flags.what or ("trace" if traceable else "result")
    if what == "trace" and engine not in ("auto", engines.STEPWISE):
        advice = "Leave {--engine} out, or use {--what result}."
        raise UsageError("{--engine:engine}: this engine does not record steps.", advice, engine=engine)
    traced, drawn = what == "trace", []
    for use in parts.uses:
        result = tracing.trace(use.case) if traced else compute.run(use.case, engine)
        drawn.append((use.layer if parts.head else "", use.case, result))
    gates = (*(flags.gate or ()), *([flags.state] if flags.state else []))
    selection = sheet.SheetSelection(flags.batch, steps, gates, flags.head, flags.scale)
    model = parts.head.file if parts.head else ""
    return lambda lang, undrawable: sheet.draw(
        drawn, selection._replace(lang=lang, undrawable=undrawable), traced=traced, model=model
    )


def _format(flags: PlotFlags, ask: Ask) -> str | None:
    if flags.terminal:
        if flags.output or flags.size:
            name = "--output" if flags.output else "--size"
            advice = "Leave out one of them."
            raise UsageError("{--terminal} and {name} cannot be combined.", advice, name=name)
        return None
    if flags.output is None or flags.output == "-":
        what = Message("-o -: plot needs a file.") if flags.output else Message("plot needs an output file.")
        raise UsageError(what, "Name one, -o FILE.png, or draw here: {--terminal}")
    from rnncli.cli.files import require_place
    from rnncli.inputs.source import words_of

    require_place(flags.output, words_of(ask.files))
    return format_of(flags.output)


def write_picture(
    path: str, sheet: Any, style: Style, size: tuple[float, float] | None, fonts: Sequence[str]
) -> None:
    """Write a .png, .svg or .pdf file.  Raises UsageError for another suffix."""
    from rnncli.cli import files
    from rnncli.commands.plot.figure import render

    files.write(path, render(sheet, format_of(path), style, size, fonts))


def format_of(path: str) -> str:
    """Return png, svg or pdf, by the suffix.  Raises UsageError for another suffix."""
    suffix = Path(path).suffix.lstrip(".").casefold()
    if suffix not in SUFFIXES:
        what = "{output}: plot cannot write .{suffix}."
        unknown = "{output}: it has no suffix, so its format is not known."
        raise UsageError(what if suffix else unknown, "Use .png, .svg or .pdf.", output=path, suffix=suffix)
    return suffix


def _size(flags: PlotFlags) -> tuple[float, float] | None:
    """Return width and height in inches; only a png has a size in pixels."""
    if flags.size is None:
        return None
    match = re.fullmatch(r"(?a)(\d+\.?\d*)x(\d+\.?\d*)(px)?", flags.size.strip().casefold().replace("×", "x"))
    if match is None:
        advice = "Write 7x4, or 1600x900px."
        raise UsageError("{--size:size}: this is not a width and height.", advice, size=flags.size)
    from rnncli.commands.plot.figure import DPI

    sides = [float(text) / (DPI if match[3] else 1) for text in match.groups()[:2]]
    if not all(0 < side <= LARGEST for side in sides):
        what = "{--size:size}: each side must be above 0 and at most {largest:g} inches."
        advice = "Sizes are in inches, or in pixels with px: 1600x900px"
        raise UsageError(what, advice, size=flags.size, largest=LARGEST)
    return sides[0], sides[1]
