"""Draw a Sheet as a figure: png, svg or pdf with matplotlib.

Resets everything that a user's matplotlibrc could change, and writes no date into the file, so
that the same sheet gives the same bytes.  matplotlib's constrained layout finds the space that texts
need; the sizes here, in inches, are those of heat maps and bars alone, for letters of the usual size.
With --size, letters grow and shrink with the picture.  Below, the diagrams of cells, in their units: pixels
for letters of 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from math import isfinite
from threading import Lock
from typing import Any

from rnncli.cells.diagram.wires import Shape
from rnncli.commands.plot.cells import CellSheet, DrawnCell
from rnncli.commands.plot.fonts import DEFAULT_FONT
from rnncli.commands.plot.palette import Style, is_dark
from rnncli.commands.plot.sheet import Hatching, Panel, Scale, Sheet
from rnncli.errors import UsageError
from rnncli.show.visible import width_of

DPI = 200
"""Dots per inch of a png."""
LETTER = 0.066
"""Width of one letter."""
PADDING = 0.06
"""Space around everything."""
LEGEND = 0.55
"""Height of the legend, with the words above its bars and the numbers below."""
BAR, LEAST_BAR, USUAL_BAR = 0.1, 0.8, 1.3
"""Height of a legend bar, its minimum length, and its length where there is room for it."""
LARGEST = 7.6
"""Height shared by heat maps that are alone in their rows."""
VISIBLE = 0.07
"""Minimum size of a heat map, if --size gives the size of the picture."""
MIN_EDGED_CELL = 0.06
"""Minimum cell size for edges between cells."""
TICK_HIGH, TICK_WIDE = 0.14, 0.22
"""Size of a tick label."""
READABLE = 0.14
"""Minimum cell height for a readable number."""
DIGIT, LETTERS = 0.057, 5
"""Width of one digit, and how many a cell must have room for."""
NUMBER, SMALLEST_NUMBER = 6.5, 5.5
"""Sizes of the numbers in cells, in points: the usual one, and the smallest."""
SMALLEST_SCALE = 0.75
"""How far letters shrink to fit --size."""
MAX_VECTOR_CELLS = 4096
"""Up to this many cells are drawn one by one; larger heat maps become an image in the svg or pdf."""

HATCHES = {True: "xx", False: "/////"}
"""HATCHES[is_unused]: the pattern over masked steps, of gates and the input, or of a state."""

UNDATED = {
    "svg": {"Date": None, "Creator": "rnncli"},
    "pdf": {"CreationDate": None, "Creator": "rnncli", "Producer": None},
    "png": {"Software": "rnncli"},
}
ONE_AT_A_TIME = Lock()
"""Settings of matplotlib apply to the whole process."""
FONT = 8.0
"""Size of most letters, in points; LETTER is the width of one."""
SETTINGS: dict[str, Any] = {
    "text.parse_math": False,
    "font.size": FONT,
    "axes.titlesize": 8.5,
    "axes.titlepad": 4.0,
    "axes.labelsize": FONT,
    "axes.labelpad": 4.0,
    "xtick.major.pad": 3.5,
    "ytick.major.pad": 3.5,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "rnncli",
    "pdf.fonttype": 42,
    "savefig.facecolor": "auto",
    "figure.constrained_layout.w_pad": PADDING,
    "figure.constrained_layout.h_pad": PADDING / 2,
    "figure.constrained_layout.wspace": 0.0,
    "figure.constrained_layout.hspace": 0.0,
}


def render(
    sheet: Sheet | CellSheet,
    format_name: str,
    style: Style,
    size: tuple[float, float] | None,
    fonts: Sequence[str] = (DEFAULT_FONT,),
) -> bytes:
    """Return the file.  format_name: png, svg, pdf; size: inches, None for a size that suits the sheet."""
    import matplotlib

    with ONE_AT_A_TIME, matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings: Any = settings_of(style, fonts)
        matplotlib.rcParams.update(settings)
        file = BytesIO()
        figure(sheet, style, size).savefig(file, format=format_name, dpi=DPI, metadata=UNDATED[format_name])
    return file.getvalue()


def settings_of(style: Style, fonts: Sequence[str]) -> dict[str, Any]:
    """Return the settings of matplotlib for a picture in this style."""
    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor")
    return {
        **SETTINGS,
        **dict.fromkeys(inked, style.ink),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), style.faint),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor"), style.paper),
        "hatch.color": style.ink,
        "font.family": list(fonts),
    }


def figure(sheet: Sheet | CellSheet, style: Style, size: tuple[float, float] | None = None) -> Any:
    """Return the matplotlib Figure; uses the caller's matplotlib settings."""
    from matplotlib import rc_context

    if isinstance(sheet, CellSheet):
        return draw_cells(sheet, style, size, DPI)
    drawing = _draw(sheet, style, None)
    if size is None:
        return drawing
    scale = min(size / drawing.get_size_inches())
    if scale > SMALLEST_SCALE:
        with suppress(UsageError), rc_context(_scaled_letters(scale)):
            return _draw(sheet, style, size)
    with rc_context(_scaled_letters(SMALLEST_SCALE)):
        return _draw(sheet, style, size)


def _scaled_letters(scale: float) -> Any:
    """Return the settings of letters and lines `scale` times as large."""
    return {name: scale * value for name, value in SETTINGS.items() if isinstance(value, float)}


def _unit() -> float:
    """Return how many dots an inch of this file's sizes has: with larger letters, it is longer."""
    from matplotlib import rcParams

    return DPI * float(rcParams["font.size"]) / FONT


def _draw(sheet: Sheet, style: Style, size: tuple[float, float] | None) -> Any:
    from matplotlib.figure import Figure

    drawing, widths = Figure(dpi=DPI, layout="constrained"), _widths(sheet)
    most = min(max(LARGEST / len(sheet.rows), 0.45), 1.5) if len(widths) == 1 else 1.6
    counts = [max(len(panel.values) for panel in row.panels) for row in sheet.rows]
    heights = [*(min(max(0.21 * units, 0.24), most) for units in counts), LEGEND]
    grid = drawing.add_gridspec(len(heights), len(widths), width_ratios=widths, height_ratios=heights)
    maps = []
    for down, row in enumerate(sheet.rows):
        below = sheet.rows[down + 1 :]
        for across, panel in enumerate(row.panels):
            axes = drawing.add_subplot(grid[down, across])
            maps.append((axes, panel, _heat_map(axes, panel, sheet.scale(panel), style)))
            alone = row.label if len(row.panels) == 1 else ""
            axes.set_title(f"{alone}: {panel.title}" if alone else panel.title, loc="left")
            left, bottom = not across or not panel.times, len(widths) > 1 or not below
            axes.tick_params(labelleft=left, labelbottom=bottom)
            if not across:
                axes.set_ylabel(f"{row.label}\n{panel.axis}" if row.label and not alone else panel.axis)
            under = next((other.panels[across] for other in below if across < len(other.panels)), None)
            repeated = not panel.times or (under and panel.reading in ("", under.reading))
            # An arrow in the direction in which the layer reads.
            time = {"forward": "{} →", "backward": "← {}"}.get(panel.reading, "{}").format(sheet.time_axis)
            words = [panel.across or ("" if repeated else time), panel.equals]
            axes.set_xlabel("\n".join(filter(None, words)), labelpad=2 * _unit() / DPI)
    legend = drawing.add_subplot(grid[-1, :])
    legend.axis("off")
    _fit(drawing, legend, sheet, size)
    for axes, panel, mesh in maps:
        _mark(axes, panel, mesh, style)
    _fill_legend(legend, sheet, style)
    return drawing


def _widths(sheet: Sheet) -> list[float]:
    """Return the column widths; a heat map alone in its row is about as wide as a page of text."""
    count = max(len(row.panels) for row in sheet.rows)
    columns = [[row.panels[i] for row in sheet.rows if i < len(row.panels)] for i in range(count)]
    longest = [max(panel.values.shape[1] for panel in column) for column in columns]
    step = max(0.4, min(0.8, max(map(_name_width, sheet.panels))))
    if count == 1:
        return [min(max((0.02 + step) * longest[0], 3.4), 6.2)]
    texts = [[text for panel in column for text in (panel.title, panel.equals)] for column in columns]
    titles = [max(map(width_of, column)) * LETTER * 1.15 for column in texts]
    least, most = (1.1, 1.9) if count > 3 else (0.6, 3.0)
    most = 3.0 if any(panel.steps for panel in sheet.panels) else most
    return [max(min(step * steps, most), title, least) for steps, title in zip(longest, titles, strict=True)]


def _fit(drawing: Any, legend: Any, sheet: Sheet, size: tuple[float, float] | None) -> None:
    """Size the figure so that heat maps get their widths and heights, or share what `size` leaves."""
    grid, unit = legend.get_gridspec(), _unit()
    enlarged = unit / DPI
    asked = size and (size[0] / enlarged, size[1] / enlarged)
    widths, heights = grid.get_width_ratios(), grid.get_height_ratios()[:-1]
    wide, high = sum(widths) + 6.0, sum(heights) + 2.0 * len(heights) + 4.0
    _resize(drawing, wide, high)
    beside = round(wide - sum(widths) * drawing.axes[0].bbox.width / unit / widths[0], 2)
    lengths, gap = _bars(sheet)
    below = round(wide - legend.bbox.width / unit, 2) + sum(lengths) + gap * (len(lengths) - 0.5)
    width = max(asked[0] if asked else beside + sum(widths), beside + _least(widths), below)
    style = {"ha": "left", "fontsize": 9.5 * enlarged, "linespacing": 1.3, "wrap": True}
    heading = drawing.suptitle(f"{sheet.title}\n{sheet.note}", x=PADDING / width, **style)
    _resize(drawing, width, high)
    around = round(high + LEGEND - (sum(heights) + LEGEND) * legend.bbox.height / unit / LEGEND, 2)
    height = max(asked[1] if asked else around + sum(heights), around + _least(heights))
    if size and (width, height) != asked:
        least = (math.ceil(10 * side * enlarged) / 10 for side in (width, height))
        wide, high = map(max, least, size)
        what = "{--size} {width:g}x{height:g} inches is too small for this picture."
        advice = (
            "It needs at least {wide:g}x{high:g}; or show less with {--steps}, or of a trace with {--gate}."
        )
        raise UsageError(what, advice, width=size[0], height=size[1], wide=wide, high=high)
    grid.set_height_ratios([*(each * (height - around) / sum(heights) for each in heights), LEGEND])
    _resize(drawing, width, height)
    drawing.set_layout_engine("none")
    drawing.set_size_inches(size or drawing.get_size_inches())  # without errors of rounding
    heading.set_y(round(heading.get_position()[1], 5))  # the solver is not exact: round its results
    for axes in drawing.axes:
        axes.set_position([round(side, 5) for side in axes.get_position().bounds])


def _resize(drawing: Any, width: float, height: float) -> None:
    drawing.set_size_inches(width * _unit() / DPI, height * _unit() / DPI)
    drawing.get_layout_engine().execute(drawing)


def _least(lengths: Sequence[float]) -> float:
    return VISIBLE * sum(lengths) / min(lengths)


def _heat_map(axes: Any, panel: Panel, scale: Scale, style: Style) -> Any:
    """Draw the cells, and hatching over the masked steps.

    The longest label is the only one at first: it claims the space that all of them will need.
    """
    import numpy as np

    values = np.ma.masked_invalid(panel.values.astype(np.float64).clip(scale.low, scale.high))
    rows, columns = values.shape
    mesh = axes.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        values,
        cmap=_map(scale, style),
        vmin=scale.low,
        vmax=scale.high,
        linewidth=0,
        rasterized=rows * columns > MAX_VECTOR_CELLS,
    )
    axes.invert_yaxis()
    axes.set_xticks([0], [_tick(panel, 0)] if panel.times else [""])
    axes.set_yticks([0], [max(_row_names(panel), key=width_of)])
    ends = np.flatnonzero(np.diff((False, *panel.masked_steps, False)))
    for start, stop in ends.reshape(-1, 2):  # each run of masked columns
        corner = start - 0.5, -0.5
        axes.add_patch(_hatch(style, corner, stop - start, rows, panel.is_unused_where_masked, panel.is_gate))
    return mesh


def _row_names(panel: Panel) -> list[str]:
    return list(panel.names) or list(map(str, range(len(panel.values))))


def _map(scale: Scale, style: Style) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("rnncli", style.choose_ramp(scale), N=512)
    return colors.with_extremes(bad=style.bad)


def _hatch(
    style: Style, corner: tuple[float, float], width: float, height: float, is_unused: bool, is_opaque: bool
) -> Any:
    """Return the hatching of masked steps.  is_opaque: whether it hides the colors below it."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    veil, hatch = to_rgba(style.paper, 1 if is_opaque else 0.55), HATCHES[is_unused]
    return Rectangle(corner, width, height, facecolor=veil, edgecolor=style.faint, linewidth=0, hatch=hatch)


def _mark(axes: Any, panel: Panel, mesh: Any, style: Style) -> None:
    rows, columns = panel.values.shape
    width, height = axes.bbox.width / _unit(), axes.bbox.height / _unit()
    ticks, names = _ticks(rows, int(height / TICK_HIGH)), _row_names(panel)
    axes.set_yticks(ticks, [names[row] for row in ticks])
    ticks = _ticks(len(panel.times), int(width / max(TICK_WIDE, _name_width(panel))))
    axes.set_xticks(ticks, [_tick(panel, column) for column in ticks])
    room = height + 0.4  # a name may also stand beside the title and the ticks
    longest = max(map(width_of, axes.get_ylabel().split("\n")))
    axes.yaxis.label.set_fontsize(FONT * min(1, room / (LETTER * (longest + 1))) * _unit() / DPI)
    if min(height / rows, width / columns) > MIN_EDGED_CELL:
        mesh.set(edgecolor=style.paper, linewidth=0.5)
    fitting = min(NUMBER, NUMBER * width / columns / (DIGIT * LETTERS))
    if height / rows >= READABLE and fitting >= SMALLEST_NUMBER:
        letters = int(width / columns / (DIGIT * fitting / NUMBER) + 1e-6)
        _write_numbers(axes, panel, mesh, letters, fitting * _unit() / DPI, style)


def _tick(panel: Panel, column: int) -> str:
    """Return the number of a time step, and its name below it."""
    return "\n".join(map(str, (panel.times[column], *panel.steps[column : column + 1])))


def _name_width(panel: Panel) -> float:
    """Return the width of the longest name of a time step, with a gap; 0 without names."""
    return (max(map(width_of, panel.steps)) + 1) * LETTER if any(panel.steps) else 0.0


def _ticks(count: int, most: int) -> list[int]:
    """Return the indices of at most `most` ticks, spaced at a round number."""
    most = max(most, 1)
    steps = (step * 10**power for power in range(9) for step in (1, 2, 5))
    spacing = next(step for step in steps if step * most >= count)
    return list(range(0, count, spacing))


def _write_numbers(axes: Any, panel: Panel, mesh: Any, letters: int, fontsize: float, style: Style) -> None:
    """Write its number into every cell that has room for as many letters; a star marks a held number."""
    import numpy as np
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=fontsize / 3, foreground=style.paper)]

    for (row, column), value in np.ndenumerate(panel.values):
        hatched = panel.masked_steps and panel.masked_steps[column]
        if hatched and panel.is_gate:
            continue
        text = _shorten_exponent(value, f"{value:.2f}" if abs(value) < 100 else f"{value:.3g}")
        text += "*" if panel.held is not None and panel.held[row, column] else ""
        if len(text) > letters:
            continue
        red, green, blue, _ = (255 * part for part in mesh.to_rgba(float(value)))
        ink = style.ink if hatched else "#ffffff" if is_dark((red, green, blue)) else "#000000"
        number = axes.text(column, row, text, ha="center", va="center_baseline", fontsize=fontsize, color=ink)
        number.set_path_effects(halo if hatched else [])


def _shorten_exponent(value: float, text: str) -> str:
    """Return `text`, or a short form: 1e30 instead of 1.05e+30."""
    if "e" not in text:
        return text
    digits, _, power = f"{value:.2g}".partition("e")
    return f"{digits}e{int(power)}"


def _ends(scale: Scale) -> dict[float, str]:
    values = (scale.low, (scale.low + scale.high) / 2, scale.high)
    return {value: _shorten_exponent(value, f"{value:.3g}") for value in values}


def _bars(sheet: Sheet) -> tuple[list[float], float]:
    words = [scale.label for scale in sheet.scales] + [hatching.label for hatching in sheet.hatchings]
    numbers = (text for scale in sheet.scales for text in _ends(scale).values())
    gap = max(0.35, max(map(len, numbers)) * LETTER + 0.05)
    return [max(width_of(text) * LETTER, LEAST_BAR) for text in words], gap


def _fill_legend(legend: Any, sheet: Sheet, style: Style) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    lengths, gap = _bars(sheet)
    inch = _unit() / legend.bbox.width
    spare = (1 / inch - sum(lengths)) / len(lengths) - gap
    start = 0.0
    entries: list[Scale | Hatching] = [*sheet.scales, *sheet.hatchings]
    for length, entry in zip(lengths, entries, strict=True):
        length = max(length, min(length + spare, USUAL_BAR))
        axes = legend.inset_axes((start * inch, 0.34, length * inch, BAR / LEGEND))
        start += length + gap
        if isinstance(entry, Hatching):
            axes.add_patch(_hatch(style, (0, 0), 1, 1, entry.is_unused, is_opaque=True))
            axes.set(xticks=[], yticks=[])
        else:
            colors = ScalarMappable(Normalize(entry.low, entry.high), _map(entry, style))
            bar = legend.figure.colorbar(colors, cax=axes, orientation="horizontal")
            bar.outline.set_linewidth(0.4)
            bar.set_ticks(list(_ends(entry)), labels=list(_ends(entry).values()))
        letters = 7.5 * _unit() / DPI
        axes.set_title(entry.label, fontsize=letters, pad=0.4 * letters, loc="left")


MARGIN, TITLE, HEADING, ROW = 18, 56, 26, 24
"""Around everything; the heights of the title with its note, of the heading of a diagram, and of a number."""
PER_INCH, WIDE_LETTER = 96, 7.2
"""Units of an inch in the diagram of a cell, and the width of a letter there."""


def draw_cells(sheet: CellSheet, style: Style, size: tuple[float, float] | None, dpi: int) -> Any:
    """Return the matplotlib Figure.  size: width and height in inches; None for the size of the diagrams."""
    from matplotlib.figure import Figure

    tops, high = [], TITLE - (0 if sheet.note else 20)
    for panel in sheet.panels:
        tops.append(high + HEADING * bool(panel.title))
        high = tops[-1] + panel.diagram.high + MARGIN
    texts = WIDE_LETTER * max(1.25 * width_of(sheet.title), width_of(sheet.note))
    room = max(520, *(panel.diagram.wide for panel in sheet.panels))
    wide = room + 2 * MARGIN
    inches = size or (wide / PER_INCH, high / PER_INCH)
    scale = min(inches[0] / wide, inches[1] / high)
    figure = Figure(figsize=inches, dpi=dpi)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, inches[0] / scale)
    axes.set_ylim(inches[1] / scale, 0)
    axes.set_axis_off()
    pen = _Pen(axes, style, 72 * scale)
    fitting = min(1.0, room / texts)  # a title of many options
    pen.text(MARGIN, 22, sheet.title, size=14 * fitting, align="left", weight="bold")
    pen.text(MARGIN, 42, sheet.note, size=12 * fitting, align="left")
    for panel, top in zip(sheet.panels, tops, strict=True):
        pen.text(MARGIN, top - HEADING / 2, panel.title, size=13, align="left")
        _draw_cell(pen.moved((wide - panel.diagram.wide) / 2, top), panel)
    return figure


class _Pen:
    """Draws at an offset.  points: of a unit, for the sizes of letters and lines."""

    def __init__(self, axes: Any, style: Style, points: float, left: float = 0, top: float = 0) -> None:
        self.axes, self.style, self.points, self.left, self.top = axes, style, points, left, top

    def moved(self, left: float, top: float) -> _Pen:
        return _Pen(self.axes, self.style, self.points, left, top)

    def text(
        self, x: float, y: float, text: str, size: float = 12, align: str = "center", **more: Any
    ) -> None:
        self.axes.text(
            x + self.left, y + self.top, text, fontsize=size * self.points, ha=align, va="center_baseline",
            **{"color": self.style.ink, **more},
        )  # fmt: skip

    def line(self, points: Any, color: str, width: float) -> None:
        xs, ys = zip(*points, strict=True)
        self.axes.plot(
            [x + self.left for x in xs], [y + self.top for y in ys], color=color, lw=width * self.points,
            solid_joinstyle="round", solid_capstyle="butt",
        )  # fmt: skip

    def circle(self, x: float, y: float, radius: float, fill: str, edge: str = "none") -> None:
        from matplotlib.patches import Circle

        center = x + self.left, y + self.top
        width = 1.2 * self.points
        self.axes.add_patch(Circle(center, radius, facecolor=fill, edgecolor=edge, linewidth=width, zorder=3))

    def box(self, box: Any, fill: str, edge: str = "none", radius: float = 4, **more: Any) -> None:
        from matplotlib.patches import FancyBboxPatch

        left, top, right, bottom = box
        where, wide, high = (left + self.left, top + self.top), right - left, bottom - top
        style = f"round,pad=0,rounding_size={min(radius, wide / 2, high / 2)}"
        given = {"facecolor": fill, "edgecolor": edge, "linewidth": 1.2 * self.points, "zorder": 2, **more}
        self.axes.add_patch(FancyBboxPatch(where, wide, high, boxstyle=style, **given))

    def arrow(self, before: Any, tip: Any, color: str, width: float) -> None:
        from matplotlib.patches import Polygon

        (x1, y1), (x2, y2) = before, tip
        dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        length, half = 5 + width, 2.5 + width / 2
        x, y = x2 + self.left, y2 + self.top
        foot = [(x - length * dx + side * half * dy, y - length * dy + side * half * dx) for side in (1, -1)]
        self.axes.add_patch(Polygon([(x, y), *foot], facecolor=color, edgecolor="none"))


def _draw_cell(pen: _Pen, panel: DrawnCell) -> None:
    shapes, style = panel.diagram.shapes, pen.style
    for wire in sorted(panel.diagram.wires, key=lambda wire: bool(wire.rail)):
        source = panel.colors[wire.source]
        color = style.kinds.get(source, style.faint)
        if wire.rail:
            color = style.kinds["hidden" if wire.rail == panel.first_state else "cell"]
        width = 3 if wire.rail else 1.6
        last, tip = wire.points[-2:]
        pen.line([*wire.points[:-1], _short(last, tip, 4)], color, width)
        pen.arrow(last, tip, color, width)
        left, top, right, bottom = shapes[wire.source].box
        x, y = wire.points[0]
        if not (x in (left, right) or y in (top, bottom)):  # it begins on another wire
            pen.circle(x, y, 3.2, color)
    for index, shape in enumerate(shapes):
        (_draw_operator if shape.kind in ("operator", "function") else _draw_values)(pen, panel, index, shape)


def _short(before: Any, tip: Any, by: float) -> tuple[float, float]:
    """Return a point a little before the tip, so that the end of a line stays under its arrow."""
    (x1, y1), (x2, y2) = before, tip
    return x2 - by * ((x2 > x1) - (x2 < x1)), y2 - by * ((y2 > y1) - (y2 < y1))


def _draw_operator(pen: _Pen, panel: DrawnCell, index: int, shape: Shape) -> None:
    if shape.kind == "operator":
        pen.circle(shape.x, shape.y, shape.wide / 2, pen.style.paper, pen.style.ink)
    else:
        pen.box(shape.box, pen.style.paper, pen.style.ink, radius=12)
    pen.text(shape.x, shape.y, panel.labels[index], size=15 if shape.kind == "operator" else 12)
    if index in panel.numbers:
        text = _digits(float(panel.numbers[index][panel.chosen[index]]))
        x, y = _free_place(panel, shape, WIDE_LETTER * len(text) + 4)
        pen.text(x, y, text, size=11.5, weight="bold")


def _free_place(panel: DrawnCell, shape: Shape, wide: float) -> tuple[float, float]:
    """Return the center of a place beside an operator on which no wire lies, and no shape."""
    left, top, right, bottom = shape.box
    lines = [
        (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        for wire in panel.diagram.wires
        for (x1, y1), (x2, y2) in pairwise(wire.points)
    ]
    taken = [*lines, *(other.box for other in panel.diagram.shapes)]
    places = [(x, y) for y in (top - 1, bottom + 4) for x in (right + 2 + wide / 2, left - 2 - wide / 2)]
    places.insert(1, (shape.x, top - 8))
    for x, y in places:
        box = x - wide / 2, y - 6, x + wide / 2, y + 6
        if not any(all(box[k] < other[k + 2] and other[k] < box[k + 2] for k in (0, 1)) for other in taken):
            return x, y
    return places[0]


def _draw_values(pen: _Pen, panel: DrawnCell, index: int, shape: Shape) -> None:
    """Draw a card, a state or the input, with its numbers as bars."""
    left, top, right, bottom = shape.box
    color, label = pen.style.kinds[panel.colors[index]], panel.labels[index]
    pen.box(shape.box, pen.style.paper, color)
    has_numbers = index in panel.numbers
    if shape.kind == "card":
        name, _, function = label.partition("\n")
        size = min(12.0, 12 * (right - left - 12) / (WIDE_LETTER * width_of(f"{name} {function}")))
        y = top + 14 if has_numbers else shape.y
        pen.text(left + 6, y, name, size=size, align="left")
        pen.text(right - 6, y, function, size=size, align="right", color=color)
    elif not has_numbers and WIDE_LETTER * width_of(label) < right - left:
        pen.text(shape.x, shape.y, label, color=color)
    elif shape.kind == "input":
        pen.text(left - 6, shape.y, label, align="right", color=color)
    else:
        align, x = ("left", left) if shape.x < panel.diagram.wide / 2 else ("right", right)
        pen.text(x, top - 9, label, align=align, color=color)
    if not has_numbers:
        return
    numbers = [float(number) for number in panel.numbers[index]]
    chosen = panel.chosen.get(index, 0)
    first = max(0, min(chosen - shape.rows // 2, len(numbers) - shape.rows))
    shown = range(first, min(first + shape.rows, len(numbers)))
    if shape.kind == "input" and len(numbers) > len(shown):
        pen.text(right + 6, shape.y, f"… {len(numbers)}", align="left", color=color)
    for row, number in enumerate(shown):
        if shape.kind == "input":
            step = shape.wide / shape.rows
            box = left + row * step, top, left + (row + 1) * step, bottom
            name = panel.names[number] if number < len(panel.names) else ""
            pen.text((box[0] + box[2]) / 2, bottom + 9, name[:8] or str(number), size=10)
        else:
            y = bottom - (len(shown) - row) * ROW - (2 if shape.kind == "card" else 0)
            box = left, y, right, y + ROW
        is_part = len(numbers) > len(shown) and shape.kind == "card"
        index_text = str(number % panel.widths[shape.line]) if is_part else ""
        _draw_number(pen, panel, shape, box, numbers[number], index_text, is_chosen=number == chosen)


def _draw_number(
    pen: _Pen, panel: DrawnCell, shape: Shape, box: Any, value: float, unit: str, *, is_chosen: bool
) -> None:
    """Draw a number: of a card over a bar, which is full beyond its range; of a state on a tint."""
    left, top, right, bottom = box[0] + 3, box[1] + 2, box[2] - 3, box[3] - 2
    low, high = panel.bounds.get(shape.line) or (-1.0, 1.0)
    color = pen.style.kinds[panel.colors[panel.diagram.shapes.index(shape)]]
    if isfinite(value) and shape.kind == "card":
        ends = sorted((min(max(each, low), high) - low) / (high - low) for each in (0.0, value))
        start, end = (left + share * (right - left) for share in ends)
        if end > start:
            pen.box((start, top, end, bottom), color, radius=2, alpha=0.35)
    elif isfinite(value) and shape.kind != "input":
        pen.box((left, top, right, bottom), color, radius=2, alpha=0.5 * min(abs(value), 1.0))
    if is_chosen and shape.kind != "input":
        pen.line([(left, top), (left, bottom)], pen.style.ink, 2.5)
    middle, weight = (top + bottom) / 2, "bold" if is_chosen and shape.kind != "input" else "normal"
    align, x = ("right", right - 3) if unit or shape.kind == "card" else ("center", (left + right) / 2)
    pen.text(x, middle, _digits(value), size=11.5, align=align, weight=weight)
    pen.text(left + 4, middle, unit, size=8.5, align="left")


def _digits(value: float) -> str:
    text = f"{value:.2f}" if abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")
