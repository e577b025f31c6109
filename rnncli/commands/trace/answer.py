"""trace: every gate and state at every time step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from rnncli.case import Array
from rnncli.compute.trace import bounds
from rnncli.renderers import statistics
from rnncli.renderers.page import Page, Records, View
from rnncli.renderers.parts import head, head_of
from rnncli.renderers.statistics import Stats
from rnncli.result import STATUSES, LoopTrace, Result


@dataclass(frozen=True)
class TraceAnswer:
    """Every loop of a trace, its steps in the order of processing.

    loops: of `result`, narrowed or not.  stats: by path and name, `0/forward/input.activation`; empty
    where they were not asked for.
    """

    result: Result
    loops: tuple[LoopTrace, ...]
    stats: dict[str, Stats] = field(default_factory=dict)

    def document(self, view: View) -> dict[str, Any]:
        """The contract's object; `differences` and `stats` only where they were asked for."""
        document = {**head_of(self.result), "trace": list(self._steps())}
        if self.result.differences:
            document["differences"] = dict(self.result.differences)
        return {**document, **self._stats()}

    def lines(self, view: View) -> Iterator[dict[str, Any]]:
        """A step a line, and the stats on one more."""
        for step in self._steps():
            yield {**head(), **step}
        if self.stats:
            yield {**head(), **self._stats()}

    def page(self, view: View) -> Page:
        """A table a loop, a row a step."""
        from rnncli.commands.trace.page import page

        return page(self, view)

    def records(self, view: View) -> Records:
        """One number a row; a step's status stands in each of its rows."""
        header = ("layer", "direction", "timestep", "batch", "status", "unit", "quantity", "value")
        return header, (row for loop in self.loops for row in _rows(loop, view.precision))

    def tensors(self) -> dict[str, Array]:
        """`input/activation`, (batch, steps, units), ..., `timestep`, (steps,), and `status`, (batch, steps).

        In the order of processing, with `0/` and `forward/` in front where there are several loops.
        """
        found: dict[str, Array] = {}
        for loop in self.loops:
            parts = {name.replace(".", "/"): values for name, values in loop.parts.items()}
            named = {**parts, "timestep": loop.times, "status": loop.status}
            found.update({loop.path + name: values for name, values in named.items()})
        return found

    def _steps(self) -> Iterator[dict[str, Any]]:
        return (step for loop in self.loops for step in _steps(loop))

    def _stats(self) -> dict[str, Any]:
        if not self.stats:
            return {}
        axes = ["batch", "timestep", "unit"]
        return {"stats": {name: statistics.document(stats, axes) for name, stats in self.stats.items()}}


def _steps(loop: LoopTrace) -> Iterator[dict[str, Any]]:
    """Step by step; `batch` and `units` say which indices the arrays hold where they do not hold all."""
    kept = {"batch": loop.batch, "units": loop.units}
    left = {name: list(indices) for name, indices in kept.items() if indices is not None}
    gates, states = loop.gates, loop.states
    for place, (time, status) in enumerate(zip(loop.times.tolist(), loop.status.T.tolist(), strict=True)):
        values = {name: part[:, place] for name, part in loop.parts.items()}
        yield {
            "layer": loop.layer,
            "direction": loop.direction,
            "timestep": time,
            **left,
            "status": [STATUSES[one] for one in status],
            "gates": {
                gate: {part: values[f"{gate}.{part}"] for part in parts} for gate, parts in gates.items()
            },
            "state": {name: values[name] for name in states},
            "output": values["output"],
        }


def _rows(loop: LoopTrace, decimals: int | None) -> Iterator[tuple[Any, ...]]:
    from rnncli.renderers.numerals import exact

    for place, (time, status) in enumerate(zip(loop.times.tolist(), loop.status.T.tolist(), strict=True)):
        for name, part in loop.parts.items():
            values = part[:, place]
            for (row, column), number in zip(
                product(*map(range, values.shape)), exact(values, decimals), strict=True
            ):
                index = loop.entry(row), STATUSES[status[row]], loop.unit(column)
                yield loop.layer, loop.direction, time, *index, name, number


def stats_of(loops: Sequence[LoopTrace]) -> dict[str, Stats]:
    """The figures of every part of every loop; a step that was held or zeroed does not count.

    Indices are (batch, timestep, unit), the input's and the layer's own.
    """
    found = {}
    for loop in loops:
        counted = (loop.status == 0)[..., None]
        for name, values in loop.parts.items():
            found[loop.path + name] = _in_input(statistics.of(values, bounds(loop, name), counted), loop)
    return found


def _in_input(stats: Stats, loop: LoopTrace) -> Stats:
    """The same with the input's and the layer's own indices."""

    def own(index: tuple[int, ...]) -> tuple[int, ...]:
        entry, step, unit = index
        return loop.entry(entry), int(loop.times[step]), loop.unit(unit)

    return replace(
        stats,
        min=stats.min and replace(stats.min, index=own(stats.min.index)),
        max=stats.max and replace(stats.max, index=own(stats.max.index)),
    )


def first_nan(loops: Sequence[LoopTrace]) -> str | None:
    """Where the first NaN of a computed step is, in the order of processing; None without one."""
    for loop in loops:
        counted = (loop.status.T == 0)[..., None]
        places = {
            name: statistics.first_nan(part.swapaxes(0, 1), counted) for name, part in loop.parts.items()
        }
        found = [(place, name) for name, place in places.items() if place is not None]
        if found:
            (step, entry, unit), name = min(found, key=lambda one: one[0][0])
            at = f"timestep {loop.times[step]}, batch {loop.entry(entry)}, unit {loop.unit(unit)}"
            return f"{loop.path}{name} at {at}"
    return None
