"""A Result, or its trace, as a Sheet: which heat maps there are, over which steps, and on which scales.

Nothing is drawn here.  Time is the input's own everywhere, so that both directions of Bidirectional
stand under each other; a layer in a stack counts the steps of what it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rnncli.case import Case
from rnncli.errors import UsageError, did_you_mean
from rnncli.page import cell_number
from rnncli.specs import describe
from rnncli.visible import visible

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.result import NamedTensor, Result, Step

LONG = 24
"""From so many time steps on, every heat map gets a row of its own."""

OF_STATE = {"hidden": "state", "cell": "cell", "output": "state"}
"""What lies between -1 and 1; a cell may grow beyond, and then has a scale to itself."""


LABELS = {"input": "input", "gate": "gates", "state": "states", "cell": "cell state"}


class Wanted(NamedTuple):
    """Which part of it.

    batch: of the input, -1 is the last.  steps: of the input's time.  gates: names of gates and states,
    none for all.  scale: `fixed`, or `auto`: the colours span what the values do.
    """

    batch: int = 0
    steps: slice = slice(None)
    gates: tuple[str, ...] = ()
    scale: str = "fixed"


@dataclass(frozen=True)
class Panel:
    """One heat map.

    kind: whose scale it has: `input`, `gate`, `state` or `cell`.
    values: (rows, columns), a row a unit or a feature.  names: of the rows, () for their numbers.
    times: the input's index of each column, () for a single column without time.
    skipped: per column, whether the mask left it out.
    """

    title: str
    kind: str
    values: Array
    axis: str = "unit"
    names: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    skipped: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Row:
    """Heat maps side by side; of one layer and one direction."""

    label: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Scale:
    """What the two ends of the colours stand for.  diverging: the middle is zero.  kinds: who has it."""

    label: str
    kinds: tuple[str, ...]
    low: float
    high: float
    diverging: bool


@dataclass(frozen=True)
class Sheet:
    """A whole picture.  masked: what hatching says, "" where nothing is hatched."""

    title: str
    note: str
    rows: tuple[Row, ...]
    scales: tuple[Scale, ...]
    masked: str = ""

    def scale(self, panel: Panel) -> Scale:
        """The one that `panel` is coloured by."""
        return next(scale for scale in self.scales if panel.kind in scale.kinds)


def of_trace(case: Case, result: Result, wanted: Wanted) -> Sheet:
    """Every gate, candidate and state of one sequence: a row a layer and direction."""
    wanted = _entry(case, wanted)
    steps = [step for step in result.trace if step.timestep in _times(case, wanted)]
    if not steps:
        raise UsageError("there is no trace: no layer goes through time.", "Take --what result.")
    groups = [list(group) for _, group in groupby(steps, key=lambda step: (step.layer, step.direction))]
    _demand(wanted.gates, groups)
    rows = [
        Row(_label(case, group), tuple(_traced(sorted(group, key=lambda step: step.timestep), wanted)))
        for group in groups
    ]
    skipped = {step.status[wanted.batch] for step in steps} - {"computed"}
    first = sorted(groups[0], key=lambda step: step.timestep)
    masked = f"masked, {' or '.join(sorted(skipped))}" if skipped else ""
    return _sheet(case, result, wanted, rows, _skipped(first, wanted), masked)


def of_result(case: Case, result: Result, wanted: Wanted) -> Sheet:
    """Every returned tensor of one sequence: a row a layer."""
    wanted = _entry(case, wanted)
    if wanted.gates:
        raise UsageError("--gate is for a trace.", "Leave out --gate, or take --what trace.")
    tensors: dict[str, list[Panel]] = {}
    for tensor in result.outputs:
        path = tensor.name.partition("/")[0]
        path = path if path.isdigit() else ""
        name = tensor.name.removeprefix(f"{path}/")
        tensors.setdefault(path, []).append(_returned(case, tensor, name, wanted))
    rows = [Row(f"layer {path}" if path else "", tuple(panels)) for path, panels in tensors.items()]
    times = _times(case, wanted)
    mask = () if case.mask is None else tuple(not case.mask[wanted.batch, time] for time in times)
    return _sheet(case, result, wanted, rows, mask, "masked" if any(mask) else "")


def _entry(case: Case, wanted: Wanted) -> Wanted:
    """`wanted` with its sequence counted from the first one."""
    count = len(case.inputs)
    if not -count <= wanted.batch < count:
        raise UsageError(
            f"--batch {wanted.batch}: there is no such sequence.",
            f"How many the input has: {count}, from 0; -1 is the last.",
        )
    if not _times(case, wanted):
        steps = case.inputs.shape[1]
        raise UsageError("--steps: no time step is left.", f"How many the input has: {steps}, from 0.")
    return wanted._replace(batch=wanted.batch % count)


def _times(case: Case, wanted: Wanted) -> range:
    return range(case.inputs.shape[1])[wanted.steps]


def _demand(gates: Sequence[str], groups: Iterable[Sequence[Step]]) -> None:
    known = list(dict.fromkeys(name for group in groups for name in (*group[0].gates, *group[0].state)))
    for name in gates:
        if name not in known:
            raise UsageError(f"--gate: there is no {name!r} here.", did_you_mean(name, known))


def _label(case: Case, group: Sequence[Step]) -> str:
    """`layer 1, backward`; "" where there is one layer and one direction."""
    step = group[0]
    layer = f"layer {step.layer}" if len(case.layers) > 1 else ""
    both = case.layers[step.layer].class_name == "Bidirectional"
    return ", ".join(filter(None, (layer, step.direction if both or step.direction == "backward" else "")))


def _traced(steps: Sequence[Step], wanted: Wanted) -> Iterator[Panel]:
    """The heat maps of one layer and direction, the steps in the order of time."""
    import numpy as np

    def panel(title: str, kind: str, values: Iterable[Array]) -> Panel:
        columns = np.stack([array[wanted.batch] for array in values], axis=-1)
        return Panel(title, kind, columns, times=times, skipped=_skipped(steps, wanted))

    times = tuple(step.timestep for step in steps)
    first = steps[0]
    names = [name for name in (*first.gates, *reversed(tuple(first.state))) if _asked(name, wanted)]
    for name in sorted(names, key=cell_number):  # cell by cell
        if name in first.state:
            kind = OF_STATE[name.rpartition("/")[2]]
            yield panel(f"{name} state", kind, (step.state[name] for step in steps))
        else:
            candidate = name.endswith("candidate")
            title, kind = (name, "state") if candidate else (f"{name} gate", "gate")
            yield panel(title, kind, (step.gates[name].activation for step in steps))
    if any("zeroed" in step.status for step in steps) and not wanted.gates:
        yield panel("output", "state", (step.output for step in steps))


def _asked(name: str, wanted: Wanted) -> bool:
    return not wanted.gates or name in wanted.gates


def _skipped(steps: Iterable[Step], wanted: Wanted) -> tuple[bool, ...]:
    return tuple(step.status[wanted.batch] != "computed" for step in steps)


def _returned(case: Case, tensor: NamedTensor, name: str, wanted: Wanted) -> Panel:
    """One returned tensor; a sequence in the order in which the layer returned it."""
    if tensor.axes[:1] != ("batch",) or tensor.values.ndim not in (2, 3) or "inner" in str(tensor.axes):
        raise UsageError(
            f"{tensor.name} has the axes {', '.join(tensor.axes)}, and a heat map has two.",
            "plot draws what is (batch, timesteps, units) or (batch, units).",
        )
    values = tensor.values[wanted.batch]
    kind = "cell" if "cell_state" in name else "state"
    if values.ndim == 1:
        return Panel(name, kind, values[:, None])
    times = tensor.time or range(len(values))
    kept = [place for place, time in enumerate(times) if time in _times(case, wanted)]
    mask = case.mask
    skipped = () if mask is None else tuple(not mask[wanted.batch, times[place]] for place in kept)
    return Panel(name, kind, values[kept].T, times=tuple(times[place] for place in kept), skipped=skipped)


def _sheet(
    case: Case, result: Result, wanted: Wanted, rows: list[Row], skipped: tuple[bool, ...], masked: str
) -> Sheet:
    if case.inputs.ndim == 3:
        times = tuple(_times(case, wanted))
        values = case.inputs[wanted.batch, list(times)].T
        names = tuple(map(visible, case.feature_names))
        rows = [
            Row("", (Panel("input", "input", values, "feature", names, times, skipped),)),
            *rows,
        ]
    if any(len(panel.times) > LONG for row in rows for panel in row.panels):
        rows = [Row(row.label, (panel,)) for row in rows for panel in row.panels]
    return Sheet(
        title=visible(" → ".join(describe(spec) for spec in case.layers)),
        note=_note(case, result, wanted),
        rows=tuple(rows),
        scales=_scales([panel for row in rows for panel in row.panels], wanted.scale == "auto"),
        masked=masked,
    )


def _note(case: Case, result: Result, wanted: Wanted) -> str:
    pieces = [f"batch {wanted.batch} of 0..{len(case.inputs) - 1}"] if len(case.inputs) > 1 else []
    if case.weights is None and result.seed is not None:
        pieces.append(f"seed {result.seed}")
    return ", ".join(pieces)


def _scales(panels: Sequence[Panel], auto: bool) -> tuple[Scale, ...]:
    """Gates from 0 to 1, states from -1 to 1, and wider where the values are; equal scales are one.

    auto: each kind from its lowest value to its highest one, states with zero in the middle.
    """
    values: dict[str, list[Array]] = {}
    for panel in panels:
        values.setdefault(panel.kind, []).append(panel.values)
    scales = {kind: _scale(kind, arrays, auto) for kind, arrays in values.items()}
    states = "candidate and states" if any("candidate" in panel.title for panel in panels) else "states"
    if "cell" in scales and scales.get("state", scales["cell"]).high == scales["cell"].high:
        scales["state"] = replace(scales.pop("cell"), kinds=("state", "cell"))
    if "state" in scales:
        scales["state"] = replace(scales["state"], label=states)
    return tuple(scales.values())


def _scale(kind: str, arrays: Sequence[Array], auto: bool) -> Scale:
    """An input that is nowhere negative begins at 0; so does a gate, unless it goes below."""
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
