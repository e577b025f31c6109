"""Convert a Result, or its trace, to a Sheet: the heat maps, their steps and their scales.

Nothing is drawn here.  Time is always the input's, so that both directions of Bidirectional
align; a layer in a stack counts the steps of its own input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rnncli.case import Array, Case
from rnncli.errors import UsageError, did_you_mean, format_indices
from rnncli.result import OUTPUT, STATUSES, Label, LoopTrace, NamedTensor, Result
from rnncli.show.visible import visible
from rnncli.specs import expressions_of

LONG = 24
"""With this many time steps or more, every heat map gets a row of its own."""

OF_STATE = {"hidden": "state", "cell": "cell", "output": "state"}
"""Values between -1 and 1; a cell state may exceed that, so it has its own scale."""

IN_LEGEND = ("", "carried", "zeroed")
"""What the legend calls a masked step, by its status in STATUSES."""

LABELS = {"input": "input", "gate": "gates", "state": "states", "cell": "cell state"}


class SheetSelection(NamedTuple):
    """Which part to draw.

    batch: index in the input; -1 is the last.  steps: of the input's time.  gates: names of gates and
    states, empty for all.  scale: `fixed`, or `auto`: the colors span the range of the values.
    """

    batch: int = 0
    steps: slice = slice(None)
    gates: tuple[str, ...] = ()
    scale: str = "fixed"


@dataclass(frozen=True)
class Panel:
    """One heat map.

    kind: selects the scale: `input`, `gate`, `state`, `cell`, or `candidate`, which has the scale of `state`.
    values: (rows, columns), one row per unit or feature.  names: of the rows, () to show their numbers.
    times: the input's index of each column, () for a single column without a time axis.
    masked_steps: per column, whether the step is masked.
    """

    title: str
    kind: str
    values: Array
    axis: str = "unit"
    names: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    masked_steps: tuple[bool, ...] = ()


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

    masked: legend text for hatching, "" if nothing is hatched.  time_axis: what the columns are.
    """

    title: str
    note: str
    rows: tuple[MapRow, ...]
    scales: tuple[Scale, ...]
    masked: str = ""
    time_axis: str = "time step"

    def scale(self, panel: Panel) -> Scale:
        """Return the scale that colors `panel`."""
        return next(scale for scale in self.scales if panel.kind in scale.kinds)


def draw_trace(case: Case, result: Result, selection: SheetSelection) -> Sheet:
    """Return every gate, candidate and state of one sequence: one row per layer and direction."""
    selection = _entry(case, selection)
    if not result.trace:
        raise UsageError("there is no trace: no layer steps through time.", "Use {--what result}.")
    _require(selection.gates, result.trace)
    rows, skipped = [], set()
    for loop in result.trace:
        places = _places(case, loop, selection)
        rows.append(MapRow(_label(case, loop), tuple(_draw_loop(loop, places, selection))))
        skipped.update(loop.status[selection.batch, places].tolist())
    masked = " or ".join(sorted(IN_LEGEND[status] for status in skipped if status))
    loop = result.trace[0]
    first = _find_masked_steps(loop, _places(case, loop, selection), selection)
    return _sheet(case, result, selection, rows, first, masked and f"masked, {masked}")


def draw_result(case: Case, result: Result, selection: SheetSelection) -> Sheet:
    """Return every returned tensor of one sequence: one row per layer."""
    selection = _entry(case, selection)
    if selection.gates:
        raise UsageError("{--gate} applies only to a trace.", "Leave out {--gate}, or use {--what trace}.")
    tensors: dict[int | str | None, list[Panel]] = {}
    for tensor in result.outputs:
        panel = _draw_tensor(case, tensor, str(tensor.label.without_layer), selection)
        tensors.setdefault(tensor.label.layer, []).append(panel)
    rows = [
        MapRow("" if layer is None else f"layer {layer}", tuple(panels)) for layer, panels in tensors.items()
    ]
    times = _times(case, selection)
    mask = () if case.mask is None else tuple(not case.mask[selection.batch, time] for time in times)
    return _sheet(case, result, selection, rows, mask, "masked" if any(mask) else "")


def _entry(case: Case, selection: SheetSelection) -> SheetSelection:
    """Return `selection` with a non-negative batch index."""
    count = len(case.inputs)
    if not -count <= selection.batch < count:
        raise UsageError(
            "{--batch:batch}: there is no such sequence.",
            format_indices("sequences", count),
            batch=selection.batch,
        )
    if not _times(case, selection):
        raise UsageError(
            "{--steps}: no time step is selected.", format_indices("time steps", case.inputs.shape[1])
        )
    return selection._replace(batch=selection.batch % count)


def _times(case: Case, selection: SheetSelection) -> range:
    return range(case.inputs.shape[1])[selection.steps]


def _places(case: Case, loop: LoopTrace, selection: SheetSelection) -> list[int]:
    """Return the loop indices of the selected steps, in the order of the input's time."""
    times = _times(case, selection)
    return [place for place in loop.times.argsort().tolist() if loop.times[place] in times]


def _require(gates: Sequence[str], loops: Sequence[LoopTrace]) -> None:
    parts = (str(part.short) for loop in loops for part in (*loop.gates, *loop.states))
    known = list(dict.fromkeys(parts))
    for name in gates:
        if name not in known:
            raise UsageError("{--gate}: there is no {name!r} here.", did_you_mean(name, known), name=name)


def _label(case: Case, loop: LoopTrace) -> str:
    """Return `layer 1, backward`; "" if there is one layer and one direction."""
    layer = f"layer {loop.layer}" if len(case.specs) > 1 else ""
    return ", ".join(filter(None, (layer, loop.direction if loop.shows_direction else "")))


def _draw_loop(loop: LoopTrace, places: Sequence[int], selection: SheetSelection) -> Iterator[Panel]:
    """Yield the heat maps of one loop, for the steps at `places`."""
    times = tuple(loop.times[places].tolist())
    skipped = _find_masked_steps(loop, places, selection)

    def panel(title: str, kind: str, part: Label) -> Panel:
        return Panel(
            title, kind, loop.parts[part][selection.batch, places].T, times=times, masked_steps=skipped
        )

    every = (*loop.gates, *reversed(loop.states))
    for part in sorted(every, key=lambda part: part.cell or 0):  # cell by cell
        name = str(part.short)
        if selection.gates and name not in selection.gates:
            continue
        if not part.kind:
            yield panel(f"{name} state", OF_STATE[part.part], part)
        elif part.part == "candidate":
            yield panel(name, "candidate", part)
        else:
            yield panel(f"{name} gate", "gate", part)
    if (loop.status[:, places] == STATUSES.index("zeroed")).any() and not selection.gates:
        yield panel("output", "state", OUTPUT)


def _find_masked_steps(loop: LoopTrace, places: Sequence[int], selection: SheetSelection) -> tuple[bool, ...]:
    return tuple((loop.status[selection.batch, places] != 0).tolist())


def _draw_tensor(case: Case, tensor: NamedTensor, name: str, selection: SheetSelection) -> Panel:
    """Return the heat map of one tensor; a sequence keeps the order in which the layer returned it."""
    if tensor.axes[:1] != ("batch",) or tensor.values.ndim not in (2, 3) or "inner_timesteps" in tensor.axes:
        raise UsageError(
            "{name} has the axes {axes}, but a heat map has two.",
            "plot draws tensors of (batch, timesteps, units) or (batch, units).",
            name=tensor.name,
            axes=", ".join(tensor.axes),
        )
    values = tensor.values[selection.batch]
    kind = "cell" if tensor.label.part == "cell" else "state"
    if values.ndim == 1:
        return Panel(name, kind, values[:, None])
    times = tensor.time or range(len(values))
    kept = [place for place, time in enumerate(times) if time in _times(case, selection)]
    mask = case.mask
    skipped = () if mask is None else tuple(not mask[selection.batch, times[place]] for place in kept)
    return Panel(
        name, kind, values[kept].T, times=tuple(times[place] for place in kept), masked_steps=skipped
    )


def _sheet(
    case: Case,
    result: Result,
    selection: SheetSelection,
    rows: list[MapRow],
    skipped: tuple[bool, ...],
    masked: str,
) -> Sheet:
    if case.inputs.ndim == 3:
        times = tuple(_times(case, selection))
        values = case.inputs[selection.batch, list(times)].T
        names = tuple(map(visible, case.feature_names))
        rows = [MapRow("", (Panel("input", "input", values, "feature", names, times, skipped),)), *rows]
    if any(len(panel.times) > LONG for row in rows for panel in row.panels):
        rows = [MapRow(row.label, (panel,)) for row in rows for panel in row.panels]
    return Sheet(
        title=visible(" → ".join(expressions_of(case.specs))),
        note=_note(case, result, selection),
        rows=tuple(rows),
        scales=_scales([panel for row in rows for panel in row.panels], selection.scale == "auto"),
        masked=masked,
    )


def _note(case: Case, result: Result, selection: SheetSelection) -> str:
    pieces = [f"batch {selection.batch} of 0..{len(case.inputs) - 1}"] if len(case.inputs) > 1 else []
    if case.weights is None and result.seed is not None:
        pieces.append(f"seed {result.seed}")
    pieces.append(f"engine {result.engine}")
    return ", ".join(pieces)


def _scales(panels: Sequence[Panel], auto: bool) -> tuple[Scale, ...]:
    """Scale gates from 0 to 1, states from -1 to 1, or wider if values exceed that; merge equal scales.

    auto: scale each kind from its lowest value to its highest, with zero in the middle for states.
    """
    values: dict[str, list[Array]] = {}
    for panel in panels:
        values.setdefault("state" if panel.kind == "candidate" else panel.kind, []).append(panel.values)
    scales = {kind: _scale(kind, arrays, auto) for kind, arrays in values.items()}
    if "cell" in scales and ("state" not in scales or scales["state"].high == scales["cell"].high):
        scales["state"] = replace(scales.pop("cell"), kinds=("state", "cell"))
    if "state" in scales:
        has_candidate = any(panel.kind == "candidate" for panel in panels)
        label = "candidate and states" if has_candidate else "states"
        scales["state"] = replace(scales["state"], label=label, kinds=(*scales["state"].kinds, "candidate"))
    return tuple(scales.values())


def _scale(kind: str, arrays: Sequence[Array], auto: bool) -> Scale:
    """Scale one kind; a non-negative input begins at 0, and so does a gate unless it goes below."""
    import numpy as np

    every = np.concatenate([array.ravel() for array in arrays]).astype(np.float64)
    finite = every[np.isfinite(every)]
    if auto and kind == "gate" and finite.size and finite.min() < finite.max():
        return Scale(LABELS[kind], (kind,), float(finite.min()), float(finite.max()), diverging=False)
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    least = 0.0 if kind == "input" or auto else 1.0
    furthest = max(-low, high, least) or 1.0
    diverging = kind in ("state", "cell") or low < 0
    return Scale(LABELS[kind], (kind,), -furthest if diverging else 0.0, furthest, diverging)
