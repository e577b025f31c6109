"""`plot --diagram`: the diagrams of cells, without numbers or with those of one time step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.addresses import parse_head, parse_steps
from rnncli.cells.diagram import lay_out, mirror, straighten
from rnncli.cells.diagram.wires import Diagram, Shape
from rnncli.cells.sizes import Axes, lower_part
from rnncli.commands.plot.sheet import SheetSelection, list_notes, short_name
from rnncli.errors import LayerError, UsageError, format_indices
from rnncli.layers.recurrent import Cell, RecurrentLayer
from rnncli.layers.stack import Stack
from rnncli.result import Label
from rnncli.show.visible import visible
from rnncli.show.wording import GATES, name_layer, say
from rnncli.specs import expressions_of
from rnncli.values import Array, Spec

if TYPE_CHECKING:
    from rnncli.ask import Ask, Remarks
    from rnncli.compute.derivation.locate import CaseTrace, TraceNode
    from rnncli.layers.case import Case
    from rnncli.result import Result


@dataclass(frozen=True)
class DrawnCell:
    """One diagram.

    numbers: by the index of a shape, its numbers for all units or features; empty without numbers.
    colors, labels: of each shape: its kind (`gate`, `candidate`, `cell`, `hidden`, `input`, or ""), and text.
    bounds: by line, the range of its values.  names: of the features, () for their numbers.
    first_state: the state that the layer returns.
    unit: the chosen unit.  chosen: by the index of a shape, the index of the number that is marked, or that
        stands beside an operator.
    widths: by line, the size of its last axis.
    """

    title: str
    diagram: Diagram
    numbers: Mapping[int, Array]
    colors: tuple[str, ...]
    labels: tuple[str, ...]
    bounds: Mapping[str, tuple[float, float] | None]
    names: tuple[str, ...]
    first_state: str
    unit: int
    chosen: Mapping[int, int]
    widths: Mapping[str, int]


@dataclass(frozen=True)
class CellSheet:
    """A picture of diagrams, one below the other."""

    title: str
    note: str
    panels: tuple[DrawnCell, ...]

    @property
    def labels(self) -> list[str]:
        """Every text but the title and the names of features."""
        return [self.note, *(text for panel in self.panels for text in (panel.title, *panel.labels))]


class CellSelection(NamedTuple):
    """Which numbers are shown: of a sequence, a time step (`3`, `-1`), a unit, a head (`1,0`)."""

    batch: int
    step: str | None
    unit: int | None
    head: str | None = None


class _PlacedCell(NamedTuple):
    """A cell, and where it is: see compute.derivation.locate.TraceNode.  name: of its layer in a model."""

    name: str
    stack: Stack
    layer: int
    direction: str
    key: int | None
    cell: Cell
    features: int
    is_backward: bool


class _Step(NamedTuple):
    """The numbers of a time step.  result: the trace they are from."""

    source: CaseTrace
    result: Result
    batch: int
    time: int


def choose_cells(
    ask: Ask, chosen: CellSelection
) -> tuple[Callable[[str, frozenset[str]], CellSheet], tuple[Spec, ...], Remarks, bool | None]:
    """Compute what is drawn: names alone if neither an input nor a step is given.

    Return the `sheet`, specs, remarks and `agrees` of a Plot.
    """
    from rnncli.ask import subject_of

    subject = subject_of(ask)
    cases: list[Case] = []
    file, agrees = "", None
    if not ask.is_bare or ask.hold or chosen.step is not None or chosen.unit is not None:
        parts = subject.parts()
        cases, remarks = [use.case for use in parts.uses], parts.remarks
        layers = [(use.layer, use.case.stack, use.case.inputs.shape) for use in parts.uses]
        file = parts.head.file if parts.head else ""
        agrees = parts.case.agreement and parts.case.agreement.agrees
    elif summary := subject.summary():
        rows = [row for row in summary.layers if row.spec and row.input_shape]
        layers = [(row.name, Stack((row.spec,)), row.input_shape or ()) for row in rows if row.spec]
        file, remarks = summary.file, summary.remarks
    else:
        outline = subject.outline()
        layers, remarks = [("", outline.stack, outline.shape)], ()
    places = [
        list(_places(name if file else "", stack, shape, ask.all_layers)) for name, stack, shape in layers
    ]
    _check([placed for of_layer in places for placed in of_layer], chosen)
    steps: list[_Step | None] = [_step(case, chosen) for case in cases]
    steps = steps or [None] * len(layers)
    drawn = [(placed, step) for of_layer, step in zip(places, steps, strict=True) for placed in of_layer]
    specs = tuple(spec for _, stack, _ in layers for spec in stack)
    return partial(_draw, drawn, file, chosen), specs, tuple(remarks), agrees


def _check(places: Sequence[_PlacedCell], chosen: CellSelection) -> None:
    if not places:
        raise LayerError("no layer here has a cell to draw.", "Name a recurrent layer, such as -l lstm.")
    for placed in places:
        units, unit = placed.cell.units, chosen.unit or 0
        if not -units <= unit < units:
            what = "{--unit:unit}: there is no such unit."
            raise UsageError(what, format_indices("units", units), unit=unit)
        if chosen.head is not None:
            parse_head(chosen.head, placed.cell.heads(placed.features))


def _places(name: str, stack: Stack, shape: Sequence[Any], all_layers: bool) -> Iterator[_PlacedCell]:
    """Yield the cells of the last recurrent layer of a stack, or of all."""
    recurrent = [index for index, layer in enumerate(stack.layers) if layer.recurrent]
    shapes = [inputs for _, inputs in stack.input_shapes(tuple(shape))]
    for index in recurrent if all_layers else recurrent[-1:]:
        layer: Any = stack.layers[index]
        for direction, loop in layer.loops.items():
            cells: Mapping[Any, Any] = (
                loop.cell.by_index if isinstance(loop, RecurrentLayer) else {None: None}
            )
            features: Any = shapes[index][-1]
            for key, cell in cells.items():
                if not isinstance(cell, Cell):
                    what = "{--diagram} draws cells of equations, which {name} has not."
                    raise LayerError(what, "Leave {--diagram} out.", name=layer.spec.title)
                backward = bool(loop.config["go_backwards"])
                yield _PlacedCell(name, stack, index, direction, key, cell, features, backward)
                features = cell.units


def _step(case: Case, chosen: CellSelection) -> _Step:
    """Compute the numbers of the chosen step; without one, of the last."""
    from rnncli.compute import engines
    from rnncli.compute import trace as tracing
    from rnncli.compute.derivation.locate import CaseTrace

    if reason := engines.reason_not_traced(case):
        what = "{--diagram} shows no numbers here: {reason}."
        raise LayerError(what, "Leave out the input, {--step} and {--unit}.", reason=reason)
    batch, timesteps = case.inputs.shape[:2]
    if not -batch <= chosen.batch < batch:
        known = format_indices("sequences", batch)
        raise UsageError("{--batch:batch}: there is no such sequence.", known, batch=chosen.batch)
    times = range(timesteps)[slice(-1, None) if chosen.step is None else parse_steps(chosen.step)]
    if len(times) != 1:
        known = format_indices("time steps", timesteps)
        if not times:
            raise UsageError("no time step is selected.", known)
        raise UsageError("{--diagram} shows one time step, not {count}.", known, count=len(times))
    result = tracing.trace(tracing.with_all_outputs(case))
    return _Step(CaseTrace(case, result), result, chosen.batch % batch, times[0])


def _draw(
    cells: Sequence[tuple[_PlacedCell, _Step | None]], file: str, chosen: CellSelection, lang: str,
    undrawable: frozenset[str],
) -> CellSheet:  # fmt: skip
    panels = tuple(_draw_cell(placed, step, chosen, lang, undrawable) for placed, step in cells)
    (first, step), note = cells[0], ""
    if step:
        selection = SheetSelection(chosen.batch, lang=lang, undrawable=undrawable)
        notes = list_notes(step.source.case, step.result, selection)
        word = visible(step.source.case.names.step(step.batch, step.time))
        time = f"t={step.time} {'' if undrawable & set(word) else word}".rstrip()
        unit = say("unit {index}", lang, index=panels[0].unit)
        head = say("head {index}", lang, index=chosen.head) if chosen.head else ""
        note = ", ".join(filter(None, (time, unit, head, *notes)))
    names = ", ".join(dict.fromkeys(placed.name for placed, _ in cells))
    return CellSheet(
        visible(f"{file}: {names}" if file else " → ".join(expressions_of(first.stack))), note, panels
    )


def _draw_cell(
    placed: _PlacedCell, step: _Step | None, chosen: CellSelection, lang: str, undrawable: frozenset[str]
) -> DrawnCell:
    cell = placed.cell
    measured, sizes = cell.sizes(placed.features), cell.line_sizes(placed.features)
    sizes = sizes if step else dict.fromkeys(sizes, 1)
    diagram = lay_out(
        cell.written, cell.states, cell.function, sizes=sizes, features=placed.features,
        inputs=cell.text.inputs,
    )  # fmt: skip
    numbers: dict[int, Array] = {}
    names: tuple[str, ...] = ()
    indices: dict[str, int] = {"units": (chosen.unit or 0) % cell.units}
    if chosen.head is not None:
        indices |= parse_head(chosen.head, cell.heads(placed.features))
    places: dict[int, int] = {}
    if step:
        diagram, numbers, axes = _number(placed, diagram, step)
        given = step.source.case.names.features if placed.layer == 0 and not placed.key else ()
        names = tuple("" if undrawable & set(name) else short_name(name) for name in given)
        flat = {index: measured.place(each, indices) for index, each in axes.items()}
        places = {index: min(place, len(numbers[index]) - 1) for index, place in flat.items()}
    if placed.is_backward:
        diagram = mirror(diagram)
    arrow = "← {}" if placed.is_backward else "{} →"
    words = (
        placed.name,
        name_layer(placed.layer, lang) if len(placed.stack) > 1 else "",
        arrow.format(say(placed.direction, lang)) if placed.direction else "",
        f"cell_{placed.key}" if placed.key is not None else "",
        say("masked, carried", lang) if step and not any(s.kind == "card" for s in diagram.shapes) else "",
    )
    other = "t+1" if placed.is_backward else "t−1"
    shapes = diagram.shapes
    return DrawnCell(
        title=visible(", ".join(filter(None, words))),
        diagram=diagram,
        numbers=numbers,
        colors=tuple(_color(shape, cell) for shape in shapes),
        labels=tuple(_label(shape, lang, other) for shape in shapes),
        bounds=cell.bounds,
        names=names,
        first_state=cell.states[0],
        unit=indices["units"],
        chosen=places,
        widths={line: measured.shape(axes)[-1] for line, axes in measured.axes.items()},
    )


def _color(shape: Shape, cell: Cell) -> str:
    """Return what kind of number a shape has."""
    if shape.kind in ("start", "end") or (shape.kind == "card" and shape.line in cell.states):
        return "hidden" if shape.line == cell.states[0] else "cell"
    if shape.kind == "card":
        return "gate" if cell.bounds[shape.line] == (0.0, 1.0) else "candidate"
    return "input" if shape.kind == "input" else ""


def _label(shape: Shape, lang: str, other: str) -> str:
    short = {"hidden": "h", "cell": "c"}.get(shape.line, short_name(shape.line))
    if shape.kind == "card":
        gate = say(GATES[shape.line], lang) if lang == "ko" and shape.line in GATES else shape.line
        return f"{gate}\n{shape.label}"
    texts = {"start": f"{short}[{other}]", "end": f"{short}[t]", "input": "x[t]"}
    return texts.get(shape.kind, shape.label)


def _number(
    placed: _PlacedCell, diagram: Diagram, step: _Step
) -> tuple[Diagram, dict[int, Array], dict[int, Axes]]:
    """Return the diagram of a step, and the numbers of its shapes with their axes.

    A masked step has the rails alone.
    """
    from rnncli.compute.derivation.locate import TraceNode

    source, cell = step.source, placed.cell
    loop, measured = source.loops[placed.layer, placed.direction], cell.sizes(placed.features)
    position = loop.times.tolist().index(step.time)

    def node(line: str) -> TraceNode:
        label = Label(line, cell=placed.key, kind="activation" if line in cell.gates else "")
        return TraceNode(placed.layer, placed.direction, position, label, step.batch, 0)

    if source.status(node(cell.states[0])) != "computed":
        diagram = straighten(diagram)
    numbers, axes = {}, {}
    for index, shape in enumerate(diagram.shapes):
        if shape.kind == "input":
            numbers[index] = source.input_row(node(cell.states[0]))
            continue
        axes[index] = measured.axes[shape.line] if cell.text.has_axes else ("units",)
        if shape.kind == "start":
            numbers[index] = source.row_before(node(shape.line))
        elif shape.kind in ("end", "card"):
            numbers[index] = source.row(node(shape.line))
        elif shape.tree is not None:
            numbers[index] = source.evaluate(node(shape.line), shape.tree)
            if cell.text.has_axes:
                axes[index] = lower_part(shape.tree, cell.text, cell.config, measured, shape.line)[1]
    return diagram, numbers, axes
