"""trace: every gate and state at every time step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any, NamedTuple

from rnncli.addresses import parse_head
from rnncli.commands.trace.page import dead_units, page, saturated_units
from rnncli.compute.trace import LoopAxes, TraceSelection, axes_of, narrow
from rnncli.errors import UsageError, did_you_mean
from rnncli.layers.case import Case
from rnncli.result import OUTPUT, Label, LoopTrace, NamedTensor, Result
from rnncli.show import statistics
from rnncli.show.answer import (
    DIFFERENCES,
    HEAD,
    Field,
    Listing,
    NestedNumbers,
    NestedTexts,
    Records,
    head,
    results,
)
from rnncli.show.page import Page, PagePart, View, line
from rnncli.show.result_answer import (
    TENSORS,
    ResultAnswer,
    answers_of,
    differences_document,
    head_of,
    notes_of,
    records_of,
    tensor_listing,
    title_of,
)
from rnncli.show.statistics import Stats
from rnncli.values import STATUSES, Array

STEP = {
    "layer": int | str,
    "direction": ("forward", "backward"),
    "timestep": int,
    "batch?": list[int | str],
    "units?": list[int],
    "status": [STATUSES],
    "gates": {str: {"held?": list[bool], str: NestedNumbers}},
    "state": dict[str, NestedNumbers],
    "output": NestedNumbers,
    "answers?": NestedTexts,
}
UNITS = {"saturated_units": dict[str, list[float | None]], "dead_units": list[int | str]}
STATISTICS = {"stats": {str: statistics.StatsDocument}} | UNITS
BODY = {"trace": [STEP]} | DIFFERENCES


class HeadRow(NamedTuple):
    """A matrix of a state after one step, and the mean of each line of its cell over its head.

    state: the name of the state, as in the trace: `memory`, `forward/memory`, `cell_0/memory`.
    rank: the exponential of the entropy of the singular values over their sum; 0 of zeros.
    kept: the cosine with the matrix before the step; 0 if one of them is 0.
    """

    state: str
    batch: int
    timestep: int
    head: str
    norm: float
    largest: float
    rank: float
    kept: float
    lines: Mapping[str, float]


HEADS = {"trace": [TENSORS], "heads": [HeadRow]} | DIFFERENCES
DOCUMENTS = (*results(BODY), *results(BODY | STATISTICS), HEAD | STEP, HEAD | STATISTICS, *results(HEADS))


@dataclass(frozen=True)
class TraceAnswer(ResultAnswer):
    """Every loop of a trace, with its steps in the order of the rows that `run` returns.

    loops: the traces of `result`, in processing order, possibly narrowed.  stats: empty if not requested.
    """

    few = 1000
    result: Result
    loops: tuple[LoopTrace, ...]
    stats: Mapping[Label, Stats] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[LoopTrace, ...]:
        """The loops with their steps in the order of the rows that `run` returns."""
        return tuple(loop.as_rows() for loop in self.loops)

    @property
    def timesteps(self) -> dict[str, list[int]]:
        """The time steps that each loop read, in order: `{"forward": [0, 1], "backward": [1, 0]}`."""
        return {
            (f"{loop.layer}/" if loop.in_stack else "") + loop.direction: loop.times.tolist()
            for loop in self.loops
        }

    def document(self, view: View) -> dict[str, Any]:
        """Return the documented object; `differences`, `stats` and the like only if requested."""
        document = {**head_of(self.result), "trace": list(self._steps())}
        document |= differences_document(self.result)
        return {**document, **self._stats()}

    def lines(self, view: View) -> Iterator[dict[str, Any]]:
        """Yield one step per line, and the stats on another."""
        for step in self._steps():
            yield {**head(), **step}
        if self.stats:
            yield {**head(), **self._stats()}

    def page(self, view: View) -> Page:
        """Return one table per loop, one row per step."""
        from rnncli.commands.trace.page import page

        return page(self.result, self.rows, self.stats, view)

    def records(self, view: View) -> Records:
        """Return one number per row; a step's status is repeated in each of its rows.

        With --hold, a column `held` is 1 in the rows of a gate that is held at a value, else 0.
        With names of time steps, a column `step` stands after `timestep`.
        """
        marked = bool(self.result.hold)
        held = ("held",) if marked else ()
        step = ("step",) if self.result.names.steps else ()
        header = (
            "layer", "direction", "timestep", *step, "batch", "status", "unit", "quantity", *held, "value"
        )  # fmt: skip
        return header, (row for loop in self.rows for row in _rows(loop, view.precision, marked=marked))

    def named_tensors(self) -> tuple[NamedTensor, ...]:
        """`input/activation`, (batch, steps, units), ..., `timestep`, (steps,), and `status`, (batch, steps).

        For a gate of --hold also `forget/held`, (steps, units): 1 where it is held at a value, else 0.
        With prefixes `0/` and `forward/` if there are several loops.
        """
        return tuple(
            NamedTensor(loop.label(part), axes, values, (), tuple(loop.times.tolist()))
            for loop in self.rows
            for part, axes, values in _list_parts(loop)
        )

    def first_nan(self) -> str | None:
        """Return the first NaN of a computed step, in processing order; None if there is none."""
        for loop in self.loops:
            counted = (loop.status.T == 0)[..., None]
            indices = {
                part: statistics.first_nan(values.swapaxes(0, 1), counted)
                for part, values in loop.parts.items()
            }
            hits = [(index, part) for part, index in indices.items() if index is not None]
            if hits:
                (step, entry, unit), part = min(hits, key=lambda pair: pair[0][0])
                at = f"timestep {loop.times[step]}, batch {loop.entry(entry)}, unit {loop.unit(unit)}"
                return f"{loop.label(part).dotted} at {at}"
        return None

    def _steps(self) -> Iterator[dict[str, Any]]:
        return (step for loop in self.rows for step in _steps(loop, self.result))

    def _stats(self) -> dict[str, Any]:
        if not self.stats:
            return {}
        axes = ["batch", "timestep", "unit"]
        return {
            "stats": {part.dotted: statistics.document(stats, axes) for part, stats in self.stats.items()},
            "saturated_units": saturated_units(self.loops),
            "dead_units": dead_units(self.loops),
        }


def _list_parts(loop: LoopTrace) -> Iterator[tuple[Label, tuple[str, ...], Array]]:
    for part, values in loop.parts.items():
        yield part, ("batch", "timesteps", "units"), values
    yield Label("timestep", kind=""), ("timesteps",), loop.times
    yield Label("status", kind=""), ("batch", "timesteps"), loop.status
    for gate, entries in loop.hold_masks.items():
        yield gate._replace(kind="held"), ("timesteps", "units"), entries.astype("int8")


def _steps(loop: LoopTrace, result: Result) -> Iterator[dict[str, Any]]:
    """Yield the steps; `batch` and `units` give the indices in the arrays if these are not complete."""
    kept = {"batch": loop.batch, "units": loop.units}
    left: dict[str, list[Any]] = {
        name: list(indices) for name, indices in kept.items() if indices is not None
    }
    if loop.names.sequences:
        left["batch"] = [loop.sequence(row) for row in range(len(loop.status))]
    gates = [(part, str(part._replace(kind=""))) for part in loop.parts if part.kind]
    masks = [(str(gate.short), entries) for gate, entries in loop.hold_masks.items()]
    for step, (time, status) in enumerate(zip(loop.times.tolist(), loop.status.T.tolist(), strict=True)):
        by_gate: dict[str, dict[str, Any]] = {}
        for part, gate in gates:
            by_gate.setdefault(gate, {})[str(part.kind)] = loop.parts[part][:, step]
        for gate, entries in masks:
            by_gate[gate]["held"] = entries[step].tolist()
        output = loop.parts[OUTPUT][:, step]
        says = loop.names.answers and (not isinstance(loop.layer, int) or loop.layer == len(result.specs) - 1)
        yield {
            "layer": loop.layer,
            "direction": loop.direction,
            "timestep": time,
            **left,
            "status": [STATUSES[code] for code in status],
            "gates": by_gate,
            "state": {str(state): loop.parts[state][:, step] for state in loop.states},
            "output": output,
            **({"answers": answers_of(loop.names, output, loop.status[:, step] > 0)} if says else {}),
        }


def _rows(loop: LoopTrace, decimals: int | None, *, marked: bool) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a loop.  marked: with a column that says whether the number is held."""
    from rnncli.show.digits import format_exactly

    names = {part: part.dotted for part in loop.parts}
    for step, (time, status) in enumerate(zip(loop.times.tolist(), loop.status.T.tolist(), strict=True)):
        for part, name in names.items():
            values, held = loop.parts[part][:, step], loop.hold_masks.get(part)
            for (row, column), number in zip(
                product(*map(range, values.shape)), format_exactly(values, decimals), strict=True
            ):
                word = (loop.word(row, step),) if loop.names.steps else ()
                index = *word, loop.sequence(row), STATUSES[status[row]], loop.unit(column)
                mark = (0 if held is None else int(held[step, column]),) if marked else ()
                yield loop.layer, loop.direction, time, *index, name, *mark, number


def stats_of(loops: Sequence[LoopTrace]) -> dict[Label, Stats]:
    """Return the statistics of every part of every loop; masked steps are not counted.

    Indices are (batch, timestep, unit), in terms of the input and the layer.
    """
    by_part = {}
    for loop in loops:
        counted = (loop.status == 0)[..., None]
        for part, values in loop.parts.items():
            stats = statistics.summarize(values, loop.bounds.get(part), counted)
            by_part[loop.label(part)] = _convert_indices(stats, loop)
    return by_part


def _convert_indices(stats: Stats, loop: LoopTrace) -> Stats:
    def convert(index: tuple[int, ...]) -> tuple[int, ...]:
        entry, step, unit = index
        return loop.entry(entry), int(loop.times[step]), loop.unit(unit)

    return replace(
        stats,
        min=stats.min and replace(stats.min, index=convert(stats.min.index)),
        max=stats.max and replace(stats.max, index=convert(stats.max.index)),
    )


TAKEN, COLUMN = 72, 12
"""The width of the first columns of the table, and of the mean of each line."""


@dataclass(frozen=True)
class HeadsAnswer(TraceAnswer):
    """Every line and state of a trace with its axes; or, with --state, the numbers of that state alone."""

    parts: tuple[NamedTensor, ...] = ()
    heads: tuple[HeadRow, ...] = ()
    shows_numbers: bool = False

    def document(self, view: View) -> dict[str, Any]:
        """Return every part with its axes, and the rows of heads; `differences` only if requested."""
        document = {**head_of(self.result), "trace": tensor_listing(self.parts, view).objects()}
        document |= {"heads": [row._asdict() for row in self.heads]}
        return {**document, **differences_document(self.result)}

    def lines(self, view: View) -> Iterator[dict[str, Any]]:
        """Yield the whole document."""
        yield self.document(view)

    def page(self, view: View) -> Page:
        """Return the vectors by step, and a row for each step and head; or the numbers of a state."""
        if self.shows_numbers or not self.heads:
            table = tensor_listing(self.parts, view, columns=("name", "shape", "values")).table(view)
            return Page(title_of(self.result, view), notes_of(self.result, view), (table,))
        vectors = page(self.result, self.rows, {}, view, "--full shows all")
        names = list(dict.fromkeys(name for row in self.heads for name in row.lines))
        columns = ("state", "batch", "timestep", *(["head"] if self.heads[0].head else ()))
        fields = [Field(name, heading=name) for name in columns]
        figures = ("norm", "largest", "rank", "kept")
        fields += [Field(name, heading=name, show=_show(name)) for name in figures]
        room = max(0, (view.width or 10**6) - TAKEN) // COLUMN
        fields += [Field(name, _mean(name), name, _show_mean(name)) for name in names[:room]]
        parts: list[PagePart] = [*vectors.parts, Listing(fields, self.heads).table(view)]
        if hidden := names[room:]:
            wider = view.say("means of a head not shown: {names}; wider, or -f json", names=", ".join(hidden))
            parts.append(line(wider, "dim"))
        return vectors._replace(parts=tuple(parts))

    def records(self, view: View) -> Records:
        """Return name, batch, timestep, a column for each axis, value."""
        return records_of([((), self.parts)], view)

    def named_tensors(self) -> tuple[NamedTensor, ...]:
        """Return every part with its axes."""
        return self.parts

    def first_nan(self) -> str | None:
        """Return the location of the first NaN; None if there is none."""
        from rnncli.show import statistics

        for tensor in self.parts:
            if (place := statistics.first_nan(tensor.values)) is not None:
                return f"{tensor.name}{list(place)}"
        return None


def _show(name: str) -> Any:
    return lambda row, _: f"{getattr(row, name):.4f}"


def _mean(name: str) -> Any:
    return lambda row: row.lines.get(name)


def _show_mean(name: str) -> Any:
    return lambda row, _: f"{row.lines[name]:.4f}" if name in row.lines else ""


def answer_of_axes(
    result: Result, case: Case, selection: TraceSelection, state: str | None, head: str | None
) -> HeadsAnswer:
    """Return the answer of a trace.  Raises UsageError for a state or a head that is not there."""
    kept, parts, rows = narrow(result.trace, selection), list[NamedTensor](), list[HeadRow]()
    vectors, has_heads = list[LoopTrace](), False
    for whole, loop in zip(result.trace, kept, strict=True):
        axes = axes_of(case, whole)
        chosen = parse_head(head, axes.head_sizes) if head is not None and axes.head_sizes else None
        has_heads |= chosen is not None
        for part, values in loop.as_rows().parts.items():
            parts.append(_shaped(loop, part, values, axes, chosen))
        flat = {part: values for part, values in loop.parts.items() if axes.is_vector(part)}
        vectors.append(
            loop._replace(
                parts=flat,
                hold_masks={gate: held for gate, held in loop.hold_masks.items() if axes.is_vector(gate)},
            )
        )
        every = _head_rows(whole, axes)
        wanted = {*loop.times.tolist()}, None if loop.batch is None else {*loop.batch}
        rows += [
            row
            for row in every
            if row.timestep in wanted[0]
            and (wanted[1] is None or row.batch in wanted[1])
            and (chosen is None or row.head == ",".join(map(str, chosen.values())))
        ]
    if head is not None and not has_heads:
        parse_head(head, {})  # raises: there are none
    if state is not None:
        names = [part.label.part for part in parts]
        parts = [part for part in parts if state in (part.label.part, str(part.label.short))]
        if not parts:
            what = "{--state:state}: there is no such state or line."
            raise UsageError(what, did_you_mean(state, dict.fromkeys(names)), state=state)
        rows = [row for row in rows if state in (row.state, row.state.split("/")[-1])]
    return HeadsAnswer(result, tuple(vectors), {}, tuple(parts), tuple(rows), state is not None)


def _shaped(
    loop: LoopTrace, part: Label, values: Array, axes: LoopAxes, chosen: Mapping[str, int] | None
) -> NamedTensor:
    """Return a part with its axes, without those of a chosen head."""
    names = axes.axes.get(part, ("units",))
    shaped = values.reshape(*values.shape[:2], *axes.shapes.get(part, values.shape[2:]))
    if chosen:
        shaped = shaped[(..., *(chosen.get(axis, slice(None)) for axis in names))]
        names = tuple(axis for axis in names if axis not in chosen)
    times = tuple(loop.as_rows().times.tolist())
    return NamedTensor(loop.label(part), ("batch", "timesteps", *names), shaped, (), times)


def _head_rows(loop: LoopTrace, axes: LoopAxes) -> Iterator[HeadRow]:
    """Yield a row for each matrix of a state, in the order of processing."""
    import numpy as np

    for state in loop.states:
        names, shape = axes.axes[state], axes.shapes[state]
        means = {
            part.part: (part, values)
            for part, values in loop.parts.items()
            if part.kind == "activation" and part.cell == state.cell and {*axes.axes[part]} & {*axes.heads}
        }
        heads = [axis for axis in names if axis in axes.heads]
        if len(names) - len(heads) < 2:
            continue
        order = [names.index(axis) for axis in (*heads, *(axis for axis in names if axis not in heads))]
        values = np.concatenate([loop.start[state][:, None], loop.parts[state]], axis=1)
        moved = values.reshape(*values.shape[:2], *shape).transpose(0, 1, *(2 + axis for axis in order))
        counts = [shape[names.index(axis)] for axis in heads]
        rows = shape[order[len(heads)]]
        matrices = moved.reshape(*values.shape[:2], prod(counts), rows, -1).astype(np.float64)
        flat = matrices.reshape(*matrices.shape[:3], -1)
        norms, largest = np.linalg.norm(flat, axis=-1), np.abs(flat).max(axis=-1)
        both = norms[:, 1:] * norms[:, :-1]
        kept = np.divide((flat[:, 1:] * flat[:, :-1]).sum(-1), both, out=np.zeros_like(both), where=both > 0)
        ranks = _ranks(matrices)
        for entry, step, index in np.ndindex(*kept.shape):
            place = dict(zip(heads, map(int, np.unravel_index(index, counts or [1])), strict=False))
            lines = {
                name: _mean_of(part, line[entry, step], axes, place) for name, (part, line) in means.items()
            }
            yield HeadRow(
                str(loop.label(state)), loop.entry(entry), int(loop.times[step]),
                ",".join(map(str, place.values())), float(norms[entry, step + 1, index]),
                float(largest[entry, step + 1, index]), float(ranks[entry, step + 1, index]),
                float(kept[entry, step, index]),
                lines,
            )  # fmt: skip


def _ranks(matrices: Array) -> Array:
    """Return the exponential of the entropy of the singular values over their sum; 0 of zeros or NaN."""
    import numpy as np

    finite = np.isfinite(matrices).all(axis=(-1, -2), keepdims=True)
    values = np.linalg.svd(np.where(finite, matrices, 0), compute_uv=False)
    total = values.sum(axis=-1, keepdims=True)
    shares = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.where(total[..., 0] > 0, np.exp(-(shares * logs).sum(axis=-1)), 0)


def _mean_of(part: Label, values: Array, axes: LoopAxes, place: Mapping[str, int]) -> float:
    shaped = values.reshape(axes.shapes[part])
    return float(shaped[tuple(place.get(axis, slice(None)) for axis in axes.axes[part])].mean())
