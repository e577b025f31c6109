"""trace: every gate and state at every time step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from rnncli.addresses import parse_part_name
from rnncli.case import Array
from rnncli.compute.trace import bounds
from rnncli.renderers import statistics
from rnncli.renderers.page import Answer, Page, Records, View
from rnncli.renderers.parts import head, head_of
from rnncli.renderers.statistics import Stats
from rnncli.result import STATUSES, Label, LoopTrace, NamedTensor, Result


@dataclass(frozen=True)
class TraceAnswer(Answer):
    """Every loop of a trace, with its steps in processing order.

    loops: of `result`, possibly narrowed.  stats: by path and name, `0/forward/input.activation`; empty
    if not requested.
    """

    result: Result
    loops: tuple[LoopTrace, ...]
    stats: dict[str, Stats] = field(default_factory=dict)

    def document(self, view: View) -> dict[str, Any]:
        """Return the documented object; `differences` and `stats` only if requested."""
        document = {**head_of(self.result), "trace": list(self._steps())}
        if self.result.differences:
            document["differences"] = dict(self.result.differences)
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

        return page(self.result, self.loops, self.stats, view)

    def records(self, view: View) -> Records:
        """Return one number per row; a step's status is repeated in each of its rows.

        With --hold, a column `held` is 1 in the rows of a gate that is held at a value, else 0.
        """
        marked = bool(self.result.hold)
        held = ("held",) if marked else ()
        header = ("layer", "direction", "timestep", "batch", "status", "unit", "quantity", *held, "value")
        return header, (row for loop in self.loops for row in _rows(loop, view.precision, marked=marked))

    def tensors(self) -> dict[str, Array]:
        """`input/activation`, (batch, steps, units), ..., `timestep`, (steps,), and `status`, (batch, steps).

        For a gate of --hold also `forget/held`, (steps, units): 1 where it is held at a value, else 0.
        In processing order, with prefixes `0/` and `forward/` if there are several loops.
        """
        found: dict[str, Array] = {}
        for loop in self.loops:
            found.update({loop.path + name: values for name, _, values in _list_parts(loop)})
        return found

    def named_tensors(self) -> tuple[NamedTensor, ...]:
        """Return the same with the names of their axes and the input index of each step."""
        return tuple(
            NamedTensor(
                Label(loop.path + name, is_trace_part=True), axes, values, (), tuple(loop.times.tolist())
            )
            for loop in self.loops
            for name, axes, values in _list_parts(loop)
        )

    def first_nan(self) -> str | None:
        """Return the first NaN of a computed step, in processing order; None if there is none."""
        for loop in self.loops:
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

    def _steps(self) -> Iterator[dict[str, Any]]:
        return (step for loop in self.loops for step in _steps(loop))

    def _stats(self) -> dict[str, Any]:
        if not self.stats:
            return {}
        axes = ["batch", "timestep", "unit"]
        return {"stats": {name: statistics.document(stats, axes) for name, stats in self.stats.items()}}


def _list_parts(loop: LoopTrace) -> Iterator[tuple[str, tuple[str, ...], Array]]:
    """Yield the name, the axes and the values of each part of a loop."""
    for name, values in loop.parts.items():
        yield name.replace(".", "/"), ("batch", "timesteps", "units"), values
    yield "timestep", ("timesteps",), loop.times
    yield "status", ("batch", "timesteps"), loop.status
    for gate, entries in loop.hold_masks.items():
        yield f"{gate}/held", ("timesteps", "units"), entries.astype("int8")


def _steps(loop: LoopTrace) -> Iterator[dict[str, Any]]:
    """Yield the steps; `batch` and `units` give the indices in the arrays if these are not complete."""
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
                gate: {part: values[f"{gate}.{part}"] for part in parts} | _describe_holds(loop, gate, place)
                for gate, parts in gates.items()
            },
            "state": {name: values[name] for name in states},
            "output": values["output"],
        }


def _describe_holds(loop: LoopTrace, gate: str, place: int) -> dict[str, list[bool]]:
    """Return `held`, which units are held at a value in this step; nothing if --hold names no such gate."""
    return {"held": loop.hold_masks[gate][place].tolist()} if gate in loop.hold_masks else {}


def _rows(loop: LoopTrace, decimals: int | None, *, marked: bool) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a loop.  marked: with a column that says whether the number is held."""
    from rnncli.renderers.numerals import format_exactly

    for place, (time, status) in enumerate(zip(loop.times.tolist(), loop.status.T.tolist(), strict=True)):
        for name, part in loop.parts.items():
            values = part[:, place]
            held = loop.hold_masks.get(parse_part_name(name).short)
            for (row, column), number in zip(
                product(*map(range, values.shape)), format_exactly(values, decimals), strict=True
            ):
                index = loop.entry(row), STATUSES[status[row]], loop.unit(column)
                mark = (0 if held is None else int(held[place, column]),) if marked else ()
                yield loop.layer, loop.direction, time, *index, name, *mark, number


def stats_of(loops: Sequence[LoopTrace]) -> dict[str, Stats]:
    """Return the statistics of every part of every loop; held and zeroed steps are not counted.

    Indices are (batch, timestep, unit), in terms of the input and the layer.
    """
    found = {}
    for loop in loops:
        counted = (loop.status == 0)[..., None]
        for name, values in loop.parts.items():
            found[loop.path + name] = _convert_indices(
                statistics.summarize(values, bounds(loop, name), counted), loop
            )
    return found


def _convert_indices(stats: Stats, loop: LoopTrace) -> Stats:
    """Convert indices to those of the input and the layer."""

    def convert(index: tuple[int, ...]) -> tuple[int, ...]:
        entry, step, unit = index
        return loop.entry(entry), int(loop.times[step]), loop.unit(unit)

    return replace(
        stats,
        min=stats.min and replace(stats.min, index=convert(stats.min.index)),
        max=stats.max and replace(stats.max, index=convert(stats.max.index)),
    )
