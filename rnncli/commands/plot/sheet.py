"""Convert a Result, or its trace, to a Sheet: the heat maps, their steps, their scales and their labels.

Nothing is drawn here.  Time is always the input's, so that both directions of Bidirectional
align; a layer in a stack counts the steps of its own input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rnncli.addresses import parse_head
from rnncli.compute.trace import LoopAxes, axes_of
from rnncli.errors import Message, Text, UsageError, did_you_mean, format_indices, shorten
from rnncli.layers import runs_a_cell
from rnncli.layers.case import Case
from rnncli.result import OUTPUT, Label, LoopTrace, NamedTensor, Result
from rnncli.show.result_answer import agreement_texts, assumed_text, held_text
from rnncli.show.visible import visible
from rnncli.show.wording import GATES, name_layer, new_state, say
from rnncli.specs import expressions_of
from rnncli.values import STATUSES, Array, InputNames

LONG = 24
"""With this many time steps or more, every heat map has its own row."""
NARROW = 24
MOST_MAPS = 12
"""Time steps of which a matrix has a map each."""
SHORT_STEP = 12
"""Number of characters shown of the name of a feature or of a sequence."""

RANGES = {(0.0, 1.0): "gate", (-1.0, 1.0): "candidate"}
"""The kind of a heat map by the range of its values, for parts that are not Keras's."""
MASKED: dict[Collection[str], Text] = {
    frozenset({"held"}): Message("masked, carried"),
    frozenset({"zeroed"}): Message("masked, zeroed"),
    frozenset({"held", "zeroed"}): Message("masked, carried or zeroed"),
    frozenset({"masked"}): "masked",
}
"""What the legend calls masked steps of a state, by their statuses; `masked` for a result without a trace."""


class Hatching(NamedTuple):
    """How masked steps are hatched.

    label: what the legend says.
    is_unused: whether a masked step does not use the numbers; so it is for gates and the input, while a state
        is carried over.
    """

    label: str
    is_unused: bool


class SheetSelection(NamedTuple):
    """Which part to draw.

    batch: the index of the sequence; -1 is the last.  steps: the time steps of the input.
    gates: names of gates and states, empty for all.
    head: of a cell with matrices, such as `1,0`; None for all, and the first one of a matrix.
    scale: `fixed`, or `auto`: the colors span the range of the values.  lang: the language of the labels.
    undrawable: characters that no font has; a feature or a sequence whose name contains such a character is
        numbered.
    """

    batch: int = 0
    steps: slice = slice(None)
    gates: tuple[str, ...] = ()
    head: str | None = None
    scale: str = "fixed"
    lang: str = "en"
    undrawable: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Panel:
    """One heat map.

    kind: selects the scale: `input`, `gate`, `state`, `cell`, `candidate` (with the scale of `state`), `line`
        (of a cell's equations, if no activation limits its values), or `matrix NAME`.
    values: (rows, columns).  axis: what a row is, `unit` or `feature`.
    names: the names of the rows, () to show their numbers.
    times: the time step of each column in the input, () for a single column without a time axis.
    steps: the names of these time steps; () if they have none.
    masked_steps: per column, whether the step is masked.
    held: per cell, whether --hold set the value; None if --hold set no value of this heat map.
    reading: `forward` if the layer reads the columns from left to right, `backward` if from right to left,
        "" if the layer reads in both directions, or does not step through time.
    across: of a matrix, its axes, `keys x values`; its columns have the numbers `times`.
    equals: which returned tensor holds the same numbers: `= hidden_states[:, -1, :]`.
    is_gate: whether the values are of a gate, which has no color and no number at a masked step.
    """

    title: str
    kind: str
    values: Array
    axis: str
    names: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    steps: tuple[str, ...] = ()
    masked_steps: tuple[bool, ...] = ()
    held: Array | None = None
    reading: str = ""
    across: str = ""
    equals: str = ""
    is_gate: bool = False

    @property
    def is_unused_where_masked(self) -> bool:
        """Whether masked steps do not use the values; so it is for gates and the input, not for states."""
        return self.is_gate or self.kind == "input"

    @property
    def drawn_values(self) -> Array:
        """The values that have a color: all but the values of a gate at masked steps."""
        kept = [not (self.is_gate and masked) for masked in self.masked_steps]
        return self.values[:, kept] if kept else self.values


@dataclass(frozen=True)
class MapRow:
    """Heat maps side by side, of one layer and direction."""

    label: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Scale:
    """Values at the two ends of the colors.  diverging: the middle is zero.  kinds: which panels use it."""

    label: str
    kinds: tuple[str, ...]
    low: float
    high: float
    diverging: bool


@dataclass(frozen=True)
class Sheet:
    """A whole picture.

    hatchings: the kinds of hatching in the heat maps, for the legend.  time_axis: the label of the columns.
    """

    title: str
    note: str
    rows: tuple[MapRow, ...]
    scales: tuple[Scale, ...]
    time_axis: str
    hatchings: tuple[Hatching, ...] = ()

    def scale(self, panel: Panel) -> Scale:
        """Return the scale that colors `panel`."""
        return next(scale for scale in self.scales if panel.kind in scale.kinds)

    @property
    def panels(self) -> list[Panel]:
        """Every heat map."""
        return [panel for row in self.rows for panel in row.panels]

    @property
    def labels(self) -> list[str]:
        """Every text but the title and the names of features."""
        return [
            *(self.note, self.time_axis),
            *(hatching.label for hatching in self.hatchings),
            *(scale.label for scale in self.scales),
            *(row.label for row in self.rows),
            *(text for panel in self.panels for text in (panel.title, panel.axis)),
        ]


DrawnRows = tuple[list[MapRow], tuple[bool, ...], set[str]]
"""The rows; which of the input's selected steps are masked; the statuses of the masked steps, see MASKED."""


def draw(
    parts: Sequence[tuple[str, Case, Result]], selection: SheetSelection, *, traced: bool, model: str = ""
) -> Sheet:
    """Return a picture of one sequence: one row per layer; with a trace, one per layer and direction.

    parts: layers with their Case and result, by their name in a model that has several, else "".
    model: the name of the file of several parts.
    """
    lang, (_, first_case, first_result) = selection.lang, parts[0]
    rows: list[MapRow] = []
    statuses: set[str] = set()
    if selection.gates and not traced:
        raise UsageError("{--gate} applies only to a trace.", "Leave out {--gate}, or use {--what trace}.")
    if traced:
        loops = [loop for *_, result in parts for loop in result.trace]
        if not loops:
            raise UsageError("there is no trace: no layer steps through time.", "Use {--what result}.")
        known = dict.fromkeys(str(part.short) for loop in loops for part in (*loop.gates, *loop.states))
        for name in selection.gates:
            if name not in known:
                what = "there is no gate or state {name!r} here."
                raise UsageError(what, did_you_mean(name, known), name=name)
    for name, case, result in parts:
        chosen = _entry(case, selection)
        layer_rows, masked_steps, skipped = (_draw_trace if traced else _draw_result)(case, result, chosen)
        statuses |= skipped
        drawn = [panel for row in layer_rows for panel in row.panels]
        if case.inputs.ndim == 3 and not (drawn and all(panel.across for panel in drawn)):
            axis, times = say("feature", lang), tuple(_times(case, chosen))
            shorts = list(map(short_name, case.names.features))
            undrawn = [bool(selection.undrawable & set(short)) for short in shorts]
            names = tuple(f"{axis} {i}" if undrawn[i] else short for i, short in enumerate(shorts))
            values = case.inputs[chosen.batch, list(times)].T
            panel = Panel(say("input", lang), "input", values, axis, names, times, (), masked_steps)
            layer_rows = [_name_steps(MapRow("", (panel,)), case.names, chosen), *layer_rows]
        named = (MapRow(", ".join(filter(None, (name, row.label))), row.panels) for row in layer_rows)
        rows += [row if traced else _name_steps(row, case.names, chosen) for row in named if row.panels]
    if any(len(panel.times) > LONG for row in rows for panel in row.panels):
        rows = [MapRow(row.label, (panel,)) for row in rows for panel in row.panels]
    shown = ", ".join(name for name, *_ in parts)
    hatchings: list[Hatching] = []
    hatched = [panel for row in rows for panel in row.panels if any(panel.masked_steps)]
    if any(panel.is_unused_where_masked for panel in hatched):
        hatchings.append(Hatching(say("masked: not used", lang), is_unused=True))
    if not all(panel.is_unused_where_masked for panel in hatched):
        hatchings.append(Hatching(say(MASKED.get(frozenset(statuses), ""), lang), is_unused=False))
    return Sheet(
        title=visible(f"{model}: {shown}" if model else " → ".join(expressions_of(first_case.stack))),
        note=", ".join(list_notes(first_case, first_result, selection)),
        rows=tuple(rows),
        scales=_scales([panel for row in rows for panel in row.panels], selection),
        time_axis=say("time step", lang),
        hatchings=tuple(hatchings),
    )


def _name_steps(row: MapRow, names: InputNames, selection: SheetSelection) -> MapRow:
    """Return the row with the names of its time steps; a name that no font can draw is left out."""
    if not names.steps:
        return row
    shown = [shorten(visible(name), SHORT_STEP) for name in names.steps[selection.batch]]
    shown = ["" if selection.undrawable & set(name) else name for name in shown]
    panels = (
        panel if panel.across else replace(panel, steps=tuple(shown[time] for time in panel.times))
        for panel in row.panels
    )  # fmt: skip
    return replace(row, panels=tuple(panels))


def list_notes(case: Case, result: Result, selection: SheetSelection) -> Iterator[str]:
    """Yield what stands below the title: the sequence, the seed, the engine and so on."""
    lang, last = selection.lang, len(case.inputs) - 1
    batch = selection.batch % len(case.inputs)
    name = short_name(case.names.sequences[batch]) if case.names.sequences else ""
    if selection.undrawable & set(name):
        name = ""
    if last or name:
        text = say("batch {batch} of 0..{last}", lang, batch=batch, last=last)
        yield f"{text} ({name})" if name else text
    if case.weights is None and result.seed is not None:
        yield say("seed {seed}", lang, seed=result.seed)
    yield say("engine {name}", lang, name=result.engine)
    if result.hold:
        yield say(held_text(result), lang)
    if result.assumed is not None:
        yield visible(say(assumed_text(result.assumed), lang))
    yield from (visible(say(text, lang)) for text in agreement_texts(result.agreement))


def _draw_trace(case: Case, result: Result, selection: SheetSelection) -> DrawnRows:
    """Return every gate, candidate and state: one row per layer and direction."""
    rows: list[MapRow] = []
    skipped: set[str] = set()
    for loop in result.trace:
        indices = _loop_indices(case, loop, selection)
        layer = name_layer(loop.layer, selection.lang) if len(case.stack) > 1 else ""
        direction = say(loop.direction, selection.lang) if loop.shows_direction else ""
        label = ", ".join(filter(None, (layer, direction)))
        axes = axes_of(case, loop) if case.stack.has_axes else None
        rows.append(
            _name_steps(
                MapRow(label, tuple(_draw_loop(loop, indices, selection, axes))), loop.names, selection
            )
        )
        if axes:
            rows.append(MapRow(label, tuple(_draw_matrices(loop, indices, selection, axes))))
        statuses = loop.status[selection.batch, indices].tolist()
        skipped.update(STATUSES[status] for status in statuses if status)
    loop = result.trace[0]
    return rows, _masked_in(loop, _loop_indices(case, loop, selection), selection), skipped


def _draw_result(case: Case, result: Result, selection: SheetSelection) -> DrawnRows:
    """Return every returned tensor: one row per layer."""
    tensors: dict[str, list[Panel]] = {}
    for tensor in result.outputs:
        layer = tensor.label.layer
        label = "" if layer is None else name_layer(layer, selection.lang)
        tensors.setdefault(label, []).append(_draw_tensor(case, tensor, selection))
    rows = [MapRow(label, tuple(panels)) for label, panels in tensors.items()]
    mask = _masked(case, _times(case, selection), selection)
    return rows, mask, {"masked"} if any(mask) else set()


def _entry(case: Case, selection: SheetSelection) -> SheetSelection:
    """Return `selection` with a non-negative batch index."""
    count = len(case.inputs)
    if not -count <= selection.batch < count:
        known = format_indices("sequences", count)
        raise UsageError("{--batch:batch}: there is no such sequence.", known, batch=selection.batch)
    if not _times(case, selection):
        known = format_indices("time steps", case.inputs.shape[1])
        raise UsageError("no time step is selected.", known)
    return selection._replace(batch=selection.batch % count)


def _times(case: Case, selection: SheetSelection) -> range:
    return range(case.inputs.shape[1])[selection.steps]


def _masked(case: Case, times: Sequence[int], selection: SheetSelection) -> tuple[bool, ...]:
    return () if case.mask is None else tuple(not case.mask[selection.batch, time] for time in times)


def _loop_indices(case: Case, loop: LoopTrace, selection: SheetSelection) -> list[int]:
    times = _times(case, selection)
    return [index for index in loop.times.argsort().tolist() if loop.times[index] in times]


def _draw_loop(
    loop: LoopTrace, indices: Sequence[int], selection: SheetSelection, axes: LoopAxes | None
) -> Iterator[Panel]:
    """Yield the heat maps of one loop over time.

    indices: the selected steps, as `_loop_indices` returns them.  axes: of a cell with matrices, which are
        left out.
    """
    times = tuple(loop.times[indices].tolist())
    skipped = _masked_in(loop, indices, selection)
    chosen = parse_head(selection.head, axes.head_sizes) if axes and selection.head is not None else {}

    def panel(title: str, kind: str, part: Label) -> Panel:
        values = loop.parts[part][selection.batch, indices].T
        held = loop.hold_masks[part][indices].T if part in loop.hold_masks else None
        axis, names = say("unit", selection.lang), tuple[str, ...]()
        if axes and axes.axes.get(part, ("units",)) != ("units",):
            kept = axes.kept(part, chosen)
            left = [index for index, name in enumerate(axes.axes[part]) if name not in chosen]
            names = tuple(",".join(str(place[index]) for index in left) for _, place in kept)
            rows = [row for row, _ in kept]
            values, held = values[rows], None if held is None else held[rows]
            axis = ", ".join(axes.axes[part][index] for index in left)
        return Panel(
            title, kind, values, axis, names, times, (), skipped, held, loop.direction,
            is_gate=bool(part.kind),
        )  # fmt: skip

    every = [part for part in (*loop.gates, *reversed(loop.states)) if not axes or len(axes.own(part)) < 2]
    for part in sorted(every, key=lambda part: part.cell or 0):  # cell by cell
        name = str(part.short)
        if selection.gates and name not in selection.gates:
            continue
        prefix = name.removesuffix(part.part)
        if part.kind and part.part in GATES:
            kind = "candidate" if part.part == "candidate" else "gate"
        elif not part.kind and part.part in ("hidden", "cell"):  # a cell state may exceed 1
            kind = "cell" if part.part == "cell" else "state"
        else:
            kind = RANGES.get(loop.bounds.get(part, (0.0, 0.0)), "line")
        if part.kind:
            gate = say(GATES[part.part], selection.lang) if part.part in GATES else part.part
            if part in loop.new_states:
                gate += f" ({say(new_state(loop.new_states[part].part), selection.lang)})"
            yield panel(prefix + gate, kind, part)
        elif part.part in ("hidden", "cell"):
            yield panel(prefix + say(f"{part.part} state", selection.lang), kind, part)
        else:
            yield panel(say("{name} state", selection.lang, name=name), kind, part)
    if (loop.status[:, indices] == STATUSES.index("zeroed")).any() and not selection.gates:
        yield panel("output", "state", OUTPUT)


def _draw_matrices(
    loop: LoopTrace, indices: Sequence[int], selection: SheetSelection, axes: LoopAxes
) -> Iterator[Panel]:
    """Yield the heat maps of matrices: of one head, after the last selected step; of --gate after each."""
    heads = dict.fromkeys(axes.head_sizes, 0)
    if selection.head is not None:
        heads = parse_head(selection.head, axes.head_sizes)
    for part in (*loop.gates, *reversed(loop.states)):
        own = axes.own(part)
        is_named = str(part.short) in selection.gates
        if len(own) < 2 or not (is_named or (part in loop.states and not selection.gates)):
            continue
        shown = indices if is_named and selection.steps != slice(None) else indices[-1:]
        if len(shown) > MOST_MAPS:
            what = "{--steps}: a map for each of {count} time steps is too much."
            raise UsageError(what, "Choose at most {most}.", count=len(shown), most=MOST_MAPS)
        here = {axis: index for axis, index in heads.items() if axis in axes.axes[part]}
        rows = [row for row, _ in axes.kept(part, here)]
        shape = dict(zip(axes.axes[part], axes.shapes[part], strict=True))
        for index in shown:
            values = loop.parts[part][selection.batch, index, rows].reshape(shape[own[0]], -1)
            words = (
                str(part.short),
                *(f"{axis} {at}" for axis, at in here.items()),
                f"t={loop.times[index]}",
            )
            yield Panel(
                ", ".join(words), f"matrix {part.part}", values, "", (), tuple(range(values.shape[1])),
                across=" x ".join(own),
            )  # fmt: skip


def _masked_in(loop: LoopTrace, indices: Sequence[int], selection: SheetSelection) -> tuple[bool, ...]:
    return tuple((loop.status[selection.batch, indices] != 0).tolist())


def _draw_tensor(case: Case, tensor: NamedTensor, selection: SheetSelection) -> Panel:
    """Return the heat map of one tensor; a sequence keeps the order in which the layer returned it."""
    if tensor.axes[:1] != ("batch",) or tensor.values.ndim not in (2, 3) or "inner_timesteps" in tensor.axes:
        what = "{name} has the axes {axes}, but a heat map has two."
        advice = "plot draws tensors of (batch, timesteps, units) or (batch, units)."
        raise UsageError(what, advice, name=tensor.name, axes=", ".join(tensor.axes))
    values, name = tensor.values[selection.batch], str(tensor.label.without_layer)
    kind, axis = "cell" if tensor.label.part == "cell" else "state", say("unit", selection.lang)
    equals = "".join(f"= {claim}" for claim in tensor.equals[:1])
    if values.ndim == 1:
        return Panel(name, kind, values[:, None], axis, equals=equals)
    wanted = _times(case, selection)
    kept = [row for row, time in enumerate(tensor.time or range(len(values))) if time in wanted]
    times = tuple(tensor.time[row] for row in kept) if tensor.time else tuple(kept)
    masked = _masked(case, times, selection)
    layer = case.stack[tensor.label.layer if isinstance(tensor.label.layer, int) else -1]
    reading = tensor.label.direction or ("forward" if runs_a_cell(layer) else "")
    return Panel(name, kind, values[kept].T, axis, (), times, (), masked, reading=reading, equals=equals)


def short_name(name: str) -> str:
    """Return the name of a feature or of a sequence, shortened."""
    shown = visible(name)
    return shown if len(shown) <= NARROW else f"{shown[: NARROW - 1].rstrip()}…"


def _scales(panels: Sequence[Panel], selection: SheetSelection) -> tuple[Scale, ...]:
    """Scale gates from 0 to 1, states from -1 to 1, or wider if values exceed that; merge equal scales.

    With `auto`, each kind goes from its lowest value to its highest, with zero in the middle for states.
    """
    values: dict[str, list[Array]] = {}
    for panel in panels:
        values.setdefault("state" if panel.kind == "candidate" else panel.kind, []).append(panel.drawn_values)
    labels = {
        "input": say("input", selection.lang),
        "gate": say("gates", selection.lang),
        "state": say(_label_states(panels, apart=True), selection.lang),
        "cell": say("cell state", selection.lang),
        "line": say("other lines", selection.lang),
    }
    auto = selection.scale == "auto"
    scales = {
        kind: _scale(kind, labels.get(kind, kind.removeprefix("matrix ")), arrays, auto=auto)
        for kind, arrays in values.items()
    }
    if "cell" not in scales or "state" not in scales or scales["state"].high == scales["cell"].high:
        label = say(_label_states(panels, apart=False), selection.lang)
        merged = scales.pop("cell", scales.get("state"))
        if merged is not None:
            scales["state"] = replace(merged, label=label, kinds=("state", "cell"))
    if "state" in scales:
        scales["state"] = replace(scales["state"], kinds=(*scales["state"].kinds, "candidate"))
    return tuple(scales.values())


def _label_states(panels: Sequence[Panel], *, apart: bool) -> str:
    """Return what the scale of states is called.  apart: whether the cell state has its own scale."""
    kinds = {panel.kind for panel in panels} & {"candidate", "state"}
    if apart and kinds == {"candidate"}:
        return "candidate"
    if "candidate" in kinds:
        return "candidate and hidden" if apart else "candidate and states"
    return "hidden state" if apart else "states"


def _scale(kind: str, label: str, arrays: Sequence[Array], *, auto: bool) -> Scale:
    """Scale one kind; the scale of a gate, and of the input, begins at 0 if no value is negative."""
    import numpy as np

    every = np.concatenate([array.ravel() for array in arrays]).astype(np.float64)
    finite = every[np.isfinite(every)]
    if auto and kind == "gate" and finite.size and finite.min() < finite.max():
        return Scale(label, (kind,), float(finite.min()), float(finite.max()), diverging=False)
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    is_matrix = kind.startswith("matrix ")  # a memory of small numbers has its own colors
    least = 0.0 if kind in ("input", "line") or is_matrix or auto else 1.0
    furthest = max(-low, high, least) or 1.0
    diverging = kind in ("state", "cell") or is_matrix or low < 0
    return Scale(label, (kind,), -furthest if diverging else 0.0, furthest, diverging)
