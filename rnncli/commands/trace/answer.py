"""trace: every gate and state at every time step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from rnncli.commands.trace.units import dead_units, saturated_units
from rnncli.result import OUTPUT, Label, LoopTrace, NamedTensor, Result
from rnncli.show import statistics
from rnncli.show.answer import DIFFERENCES, HEAD, NestedNumbers, NestedTexts, Records, head, results
from rnncli.show.page import Page, View
from rnncli.show.result_answer import ResultAnswer, answers_of, differences_document, head_of
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
DOCUMENTS = (*results(BODY), *results(BODY | STATISTICS), HEAD | STEP, HEAD | STATISTICS)


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
