"""Draw a Sheet as a figure: png, svg or pdf with matplotlib.

Resets everything that a user's matplotlibrc could change, and writes no date into the file, so
that the same sheet gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from typing import Any

from rnncli.commands.plot.fonts import choose_fonts, load_matplotlib, replace_names
from rnncli.commands.plot.layout import (
    DPI,
    EDGE,
    LETTER,
    Box,
    Layout,
    arrange,
    is_lowest,
    label_ends,
    row_distance,
    shorten_exponent,
    shown_name,
    shows_ticks,
)
from rnncli.commands.plot.palette import Style, is_dark
from rnncli.commands.plot.sheet import MapRow, Panel, Scale, Sheet
from rnncli.renderers.width import width_of

MIN_EDGED_CELL = 0.06
"""Minimum cell size, in inches, for edges between cells."""
TICK_HIGH, TICK_WIDE = 0.14, 0.22
"""Size of a tick label, in inches."""
READABLE = 0.17
"""Minimum cell height for a readable number, in inches; the width must be twice that."""
DIGIT = 0.057
"""Width of one digit, in inches."""
MAX_VECTOR_CELLS = 4096
"""Up to this many cells are drawn one by one; larger heat maps become an image in the svg or pdf."""

UNDATED = {
    "svg": {"Date": None, "Creator": "rnncli"},
    "pdf": {"CreationDate": None, "Creator": "rnncli", "Producer": None},
    "png": {"Software": "rnncli"},
}
FONT = 8
"""Size of most letters, in points; LETTER is the width of one."""
SETTINGS = {
    "text.parse_math": False,
    "font.size": FONT,
    "axes.titlesize": 8.5,
    "axes.titlepad": 4,
    "axes.labelsize": FONT,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "rnncli",
    "pdf.fonttype": 42,
    "savefig.facecolor": "auto",
}


def render(sheet: Sheet, format_name: str, style: Style, size: tuple[float, float] | None) -> bytes:
    """Return the file.  format_name: png, svg, pdf; size: inches, None for one that suits the sheet.

    Raises EngineError if matplotlib is missing.
    """
    matplotlib = load_matplotlib()
    fonts = choose_fonts(sheet)
    sheet = replace_names(sheet, fonts.missing)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**SETTINGS, **_colors(style), "font.family": fonts.names})
        file = BytesIO()
        figure(sheet, style, size).savefig(file, format=format_name, dpi=DPI, metadata=UNDATED[format_name])
    return file.getvalue()


def figure(sheet: Sheet, style: Style, size: tuple[float, float] | None = None) -> Any:
    """Return the matplotlib Figure; uses the caller's matplotlib settings."""
    from matplotlib.figure import Figure

    layout = arrange(sheet, size)
    drawing = Figure(figsize=(layout.width, layout.height))
    corner = EDGE / layout.width, 1 - EDGE / layout.height
    drawing.text(*corner, "\n".join(layout.heading), va="top", fontsize=9.5, linespacing=1.3)
    for down, (row, boxes) in enumerate(zip(sheet.rows, layout.panels, strict=True)):
        for across, (panel, box) in enumerate(zip(row.panels, boxes, strict=True)):
            axes = _add_axes(drawing, layout, box)
            mesh = _heat_map(axes, panel, sheet.scale(panel), style, box)
            _label_rows(axes, panel, row, box, row_distance(sheet, down, box) if across == 0 else 0)
            named = sheet.time_axis if is_lowest(sheet, down, across) else ""
            _label_time(axes, panel, box, named, ticks=shows_ticks(sheet, down))
            if _readable(panel, box):
                _write_numbers(axes, panel, mesh, box)
    _legend([_add_axes(drawing, layout, box) for box in layout.legend], sheet, style)
    return drawing


def _add_axes(drawing: Any, layout: Layout, box: Box) -> Any:
    """Add axes at a box, in inches from the upper left corner; matplotlib counts from the lower one."""
    wide, high = layout.width, layout.height
    bottom = high - box.top - box.height
    return drawing.add_axes((box.left / wide, bottom / high, box.width / wide, box.height / high))


def _colors(style: Style) -> dict[str, str]:
    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor")
    faint = ("axes.edgecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(inked, style.ink),
        **dict.fromkeys(faint, style.faint),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor"), style.paper),
        "hatch.color": style.ink,
    }


def _heat_map(axes: Any, panel: Panel, scale: Scale, style: Style, box: Box) -> Any:
    """Draw the cells, and hatching over the masked steps."""
    import numpy as np

    values = np.ma.masked_invalid(panel.values.astype(np.float64).clip(scale.low, scale.high))
    rows, columns = values.shape
    has_edges = min(box.height / rows, box.width / columns) > MIN_EDGED_CELL
    mesh = axes.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        values,
        cmap=_map(scale, style),
        vmin=scale.low,
        vmax=scale.high,
        edgecolors=style.paper if has_edges else "none",
        linewidth=0.5 if has_edges else 0,
        rasterized=rows * columns > MAX_VECTOR_CELLS,
    )
    axes.invert_yaxis()
    for start, stop in _runs(panel.masked_steps):
        axes.add_patch(_hatch(style, (start - 0.5, -0.5), stop - start, rows))
    return mesh


def _map(scale: Scale, style: Style) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    found = LinearSegmentedColormap.from_list("rnncli", style.choose_ramp(scale), N=512)
    return found.with_extremes(bad=style.bad)


def _hatch(style: Style, corner: tuple[float, float], width: float, height: float) -> Any:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    veil = to_rgba(style.paper, 0.55)
    return Rectangle(corner, width, height, facecolor=veil, edgecolor=style.ink, linewidth=0, hatch="/////")


def _runs(skipped: tuple[bool, ...]) -> Iterator[tuple[int, int]]:
    """Yield the start and end (exclusive) of each run of masked columns."""
    start = 0
    for skip, run in groupby(skipped):
        stop = start + len(list(run))
        if skip:
            yield start, stop
        start = stop


def _label_rows(axes: Any, panel: Panel, row: MapRow, box: Box, room: float) -> None:
    """Draw the title and, on the first heat map of a row, the row labels.

    room: inches for the names beside the row, which get smaller letters if they are longer; 0 for none.
    """
    alone = len(row.panels) == 1 and row.label
    axes.set_title(f"{row.label}: {panel.title}" if alone else panel.title, loc="left")
    count = len(panel.values)
    places = _ticks(count, int(box.height / TICK_HIGH))
    axes.set_yticks(places, [shown_name(panel.names[i]) if panel.names else str(i) for i in places])
    if not room:
        axes.tick_params(labelleft=False)
        return
    names = [row.label, panel.axis] if row.label and not alone else [panel.axis]
    fitting = FONT * room / (LETTER * (max(map(width_of, names)) + 1))
    axes.set_ylabel("\n".join(names), fontsize=min(FONT, fitting))


def _label_time(axes: Any, panel: Panel, box: Box, named: str, *, ticks: bool) -> None:
    columns = _ticks(len(panel.times), int(box.width / TICK_WIDE))
    axes.set_xticks(columns, [str(panel.times[place]) for place in columns])
    axes.tick_params(labelbottom=ticks)
    if named and panel.times:
        axes.set_xlabel(named, labelpad=2)


def _ticks(count: int, most: int) -> list[int]:
    """Return at most `most` tick places, spaced at a round number."""
    most = max(most, 1)
    steps = (step * 10**power for power in range(9) for step in (1, 2, 5))
    spacing = next(step for step in steps if step * most >= count)
    return list(range(0, count, spacing))


def _readable(panel: Panel, box: Box) -> bool:
    rows, columns = panel.values.shape
    return bool(box.height / rows >= READABLE and box.width / columns >= 2 * READABLE)


def _write_numbers(axes: Any, panel: Panel, mesh: Any, box: Box) -> None:
    """Write the number into every unmasked cell, if it fits."""
    import numpy as np

    letters = int(box.width / panel.values.shape[1] / DIGIT)
    for (row, column), value in np.ndenumerate(panel.values):
        text = _format_short(value)
        if len(text) > letters or (panel.masked_steps and panel.masked_steps[column]):
            continue
        red, green, blue, _ = (255 * part for part in mesh.to_rgba(float(value)))
        ink = "#ffffff" if is_dark((red, green, blue)) else "#000000"
        axes.text(column, row, text, ha="center", va="center_baseline", fontsize=6.5, color=ink)


def _format_short(value: float) -> str:
    """Format a value in about four characters."""
    return shorten_exponent(value, f"{value:.2f}" if abs(value) < 100 else f"{value:.3g}")


def _legend(axes: list[Any], sheet: Sheet, style: Style) -> None:
    """Draw one bar per scale, with the meaning of its ends, and the meaning of hatching."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    for place, scale in zip(axes, sheet.scales, strict=False):
        colors = ScalarMappable(Normalize(scale.low, scale.high), _map(scale, style))
        bar = place.figure.colorbar(colors, cax=place, orientation="horizontal")
        bar.outline.set_linewidth(0.4)
        marks = label_ends(scale)
        bar.set_ticks(list(marks), labels=list(marks.values()))
        place.set_title(scale.label, fontsize=7.5, pad=3, loc="left")
    if sheet.masked:
        axes[-1].add_patch(_hatch(style, (0, 0), 1, 1))
        axes[-1].set(xticks=[], yticks=[])
        axes[-1].set_title(sheet.masked, fontsize=7.5, pad=3, loc="left")
