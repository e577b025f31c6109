"""trace: every gate and state at every time step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rnncli.answers import _statistics
from rnncli.answers._parts import head, head_of
from rnncli.page import Page, Records, View
from rnncli.recorded import quantities
from rnncli.result import Gate, Result, Step
from rnncli.tracing import Loop, Trace

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.stats import Stats


@dataclass(frozen=True)
class TraceAnswer:
    """The steps of every loop, in the order in which they were processed.

    trace: of `result`, narrowed or not.  stats: by path and name, `0/forward/input.activation`; empty
    where they were not asked for.
    """

    result: Result
    trace: Trace
    stats: dict[str, Stats] = field(default_factory=dict)

    def document(self, view: View) -> dict[str, Any]:
        """The contract's object; `differences` and `stats` only where they were asked for."""
        document = {**head_of(self.result), "trace": [self._step(step) for step in self._steps()]}
        if self.result.differences:
            document["differences"] = dict(self.result.differences)
        return {**document, **self._stats()}

    def lines(self, view: View) -> Iterator[dict[str, Any]]:
        """A step a line, and the stats on one more."""
        for step in self._steps():
            yield {**head(), **self._step(step)}
        if self.stats:
            yield {**head(), **self._stats()}

    def page(self, view: View) -> Page:
        """A table a loop, a row a step."""
        from rnncli.answers._trace_page import page

        return page(self, view)

    def records(self, view: View) -> Records:
        """One number a row; a step's status stands in each of its rows."""
        header = ("layer", "direction", "timestep", "batch", "status", "unit", "quantity", "value")
        return header, (row for step in self._steps() for row in self._rows(step, view.precision))

    def tensors(self) -> dict[str, Array]:
        """`input/activation`, (batch, steps, units), ..., `timestep`, (steps,), and `status`, (batch, steps).

        In the order of processing, with `0/` and `forward/` in front where there are several loops.
        """
        import numpy as np

        found: dict[str, Array] = {}
        for loop in self.trace.loops:
            for name, values in loop.stacked().items():
                found[loop.path + name.replace(".", "/")] = values
            found[f"{loop.path}timestep"] = np.array([step.timestep for step in loop.steps])
            found[f"{loop.path}status"] = loop.status()
        return found

    def _steps(self) -> Iterator[Step]:
        return (step for loop in self.trace.loops for step in loop.steps)

    def _step(self, step: Step) -> dict[str, Any]:
        """One step; `batch` and `units` say which indices its arrays hold where they do not hold all."""
        left = {"batch": self.trace.batch, "units": self.trace.units}
        return {
            "layer": step.layer,
            "direction": step.direction,
            "timestep": step.timestep,
            **{name: list(indices) for name, indices in left.items() if indices is not None},
            "status": list(step.status),
            "gates": {name: _gate(gate) for name, gate in step.gates.items()},
            "state": dict(step.state),
            "output": step.output,
        }

    def _stats(self) -> dict[str, Any]:
        if not self.stats:
            return {}
        axes = ["batch", "timestep", "unit"]
        return {"stats": {name: _statistics.document(stats, axes) for name, stats in self.stats.items()}}

    def _rows(self, step: Step, decimals: int | None) -> Iterable[tuple[Any, ...]]:
        from rnncli.numerals import exact

        for name, values in quantities(step):
            for (row, column), number in zip(_places(*values.shape), exact(values, decimals), strict=True):
                place = (self.trace.entry(row), step.status[row], self.trace.unit(column))
                yield step.layer, step.direction, step.timestep, *place, name, number


def _places(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    return ((row, column) for row in range(rows) for column in range(columns))


def _gate(gate: Gate) -> dict[str, Array]:
    parts = {
        "preactivation": gate.preactivation,
        "recurrent": gate.recurrent,
        "activation": gate.activation,
    }
    return {name: values for name, values in parts.items() if values is not None}


def stats_of(trace: Trace) -> dict[str, Stats]:
    """The figures of every quantity of every loop; a step that was held or zeroed does not count.

    Indices are (batch, timestep, unit), the input's and the layer's own.
    """
    return {
        loop.path + name: _placed(stats, loop, trace)
        for loop in trace.loops
        for name, stats in _of_loop(loop)
    }


def _of_loop(loop: Loop) -> Iterator[tuple[str, Stats]]:
    from rnncli import stats

    counted = (loop.status() == 0)[..., None]
    for name, values in loop.stacked().items():
        yield name, stats.of(values, loop.bounds(name), counted)


def _placed(stats: Stats, loop: Loop, trace: Trace) -> Stats:
    def own(index: tuple[int, ...]) -> tuple[int, ...]:
        entry, step, unit = index
        return trace.entry(entry), loop.steps[step].timestep, trace.unit(unit)

    return replace(
        stats,
        min=stats.min and replace(stats.min, index=own(stats.min.index)),
        max=stats.max and replace(stats.max, index=own(stats.max.index)),
    )


def first_nan(trace: Trace) -> str | None:
    """Where the first NaN of a computed step stands, in the order of processing; None without one."""
    steps = ((step, loop) for loop in trace.loops for step in loop.steps)
    return next((place for step, loop in steps for place in _nans(step, loop, trace)), None)


def _nans(step: Step, loop: Loop, trace: Trace) -> Iterator[str]:
    import numpy as np

    from rnncli import stats

    counted = np.array([status == "computed" for status in step.status])[:, None]
    for name, values in quantities(step):
        place = stats.first_nan(values, counted)
        if place is not None:
            entry, unit = trace.entry(place[0]), trace.unit(place[1])
            yield f"{loop.path}{name} at timestep {step.timestep}, batch {entry}, unit {unit}"
