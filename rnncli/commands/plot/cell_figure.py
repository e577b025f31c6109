"""Draw the diagrams of cells with matplotlib, in their units: pixels for letters of 12."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Any

from rnncli.cells.diagram.wires import Shape
from rnncli.commands.plot.cells import CellSheet, DrawnCell
from rnncli.commands.plot.palette import Style
from rnncli.show.visible import width_of

MARGIN, TITLE, HEADING, ROW = 18, 56, 26, 24
"""Around everything; the heights of the title with its note, of the heading of a diagram, and of a number."""
PER_INCH, LETTER = 96, 7.2
"""Units of an inch, and width of a letter."""


def draw(sheet: CellSheet, style: Style, size: tuple[float, float] | None, dpi: int) -> Any:
    """Return the matplotlib Figure.  size: width and height in inches; None for the size of the diagrams."""
    from matplotlib.figure import Figure

    tops, high = [], TITLE - (0 if sheet.note else 20)
    for panel in sheet.panels:
        tops.append(high + HEADING * bool(panel.title))
        high = tops[-1] + panel.diagram.high + MARGIN
    texts = LETTER * max(1.25 * width_of(sheet.title), width_of(sheet.note))
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
        x, y = _free_place(panel, shape, LETTER * len(text) + 4)
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
        size = min(12.0, 12 * (right - left - 12) / (LETTER * width_of(f"{name} {function}")))
        y = top + 14 if has_numbers else shape.y
        pen.text(left + 6, y, name, size=size, align="left")
        pen.text(right - 6, y, function, size=size, align="right", color=color)
    elif not has_numbers and LETTER * width_of(label) < right - left:
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
