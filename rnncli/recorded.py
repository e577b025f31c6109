"""The steps of a trace, packed: a million of them take the room of their numbers, not of as many objects."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from rnncli.result import Gate, Step

if TYPE_CHECKING:
    from rnncli.case import Array

TOGETHER = 1024
"""So many steps are packed in one go."""
STATUSES = ("computed", "held", "zeroed")
"""What a step's status may be; its place here is its number where only numbers can be stored."""


def quantities(step: Step) -> Iterator[tuple[str, Array]]:
    """`input.preactivation`, `input.activation`, ..., `hidden`, `cell`, `output`, each (batch, units)."""
    for name, gate in step.gates.items():
        yield f"{name}.preactivation", gate.preactivation
        if gate.recurrent is not None:
            yield f"{name}.recurrent", gate.recurrent
        yield f"{name}.activation", gate.activation
    yield from step.state.items()
    yield "output", step.output


class _Block(NamedTuple):
    """columns: by the name of a quantity, (steps, batch, units).  status: (steps, batch)."""

    columns: dict[str, Array]
    status: Array
    timesteps: tuple[int, ...]
    before: Mapping[str, Array]


class Recorded(Sequence[Step]):
    """The steps of one layer in one direction, in the order of processing.

    A step is made when it is asked for; its arrays are views of what is kept.
    """

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._together = TOGETHER
        self._blocks: list[_Block] = []
        self._pending: list[Step] = []
        self._first: Step | None = None
        for step in steps:
            self.append(step)

    def append(self, step: Step) -> None:
        """One step more; of the same gates and states as those before."""
        self._first = self._first or step
        self._pending.append(step)
        if len(self._pending) == self._together:
            self._pack()

    def __len__(self) -> int:
        return len(self._blocks) * self._together + len(self._pending)

    @overload
    def __getitem__(self, place: int) -> Step: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Step, ...]: ...

    def __getitem__(self, place: int | slice) -> Step | tuple[Step, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        block, offset = divmod(place % len(self), self._together)
        if block == len(self._blocks):
            return self._pending[offset]
        return self._step(self._blocks[block], offset)

    def __iter__(self) -> Iterator[Step]:
        for block in self._blocks:
            yield from (self._step(block, offset) for offset in range(self._together))
        yield from self._pending

    @property
    def timesteps(self) -> list[int]:
        """The input's own index of every step."""
        packed = [time for block in self._blocks for time in block.timesteps]
        return packed + [step.timestep for step in self._pending]

    def names(self) -> list[str]:
        """Of every quantity, as `column` takes them."""
        return [] if self._first is None else [name for name, _ in quantities(self._first)]

    def column(self, name: str) -> Array:
        """All numbers of one quantity, (batch, steps, units)."""
        import numpy as np

        parts = [block.columns[name] for block in self._blocks]
        if self._pending:
            parts.append(_joined([dict(quantities(step))[name] for step in self._pending]))
        return np.concatenate(parts).swapaxes(0, 1)

    def status(self) -> Array:
        """Each step's place in STATUSES, (batch, steps)."""
        import numpy as np

        parts = [block.status for block in self._blocks]
        return np.concatenate([*parts, *([_status(self._pending)] if self._pending else [])]).T

    def only(self, timesteps: Container[int]) -> Recorded:
        """The same with these steps alone."""
        return Recorded(self[place] for place, time in enumerate(self.timesteps) if time in timesteps)

    def cut(
        self, batch: Sequence[int] | None, units: Sequence[int] | None, gates: Container[str] | None
    ) -> Recorded:
        """The same with these batch entries, units and gates alone, None for all; without states before."""
        if self._first is None or (batch is None and units is None and gates is None):
            return self
        made = Recorded()
        made._together = self._together
        made._first = _cut_step(self._first, batch, units, gates)
        names = made.names()
        for block in self._blocks:
            columns = {name: _cut(block.columns[name], batch, units) for name in names}
            status = block.status if batch is None else block.status[:, list(batch)]
            made._blocks.append(_Block(columns, status, block.timesteps, {}))
        made._pending = [_cut_step(step, batch, units, gates) for step in self._pending]
        return made

    def _pack(self) -> None:
        found: dict[str, list[Array]] = {}
        for step in self._pending:
            for name, values in quantities(step):
                found.setdefault(name, []).append(values)
        columns = {name: _joined(parts) for name, parts in found.items()}
        times = tuple(step.timestep for step in self._pending)
        self._blocks.append(_Block(columns, _status(self._pending), times, self._pending[0].before))
        self._pending = []

    def _step(self, block: _Block, offset: int) -> Step:
        first = self._first
        assert first is not None
        values = {name: column[offset] for name, column in block.columns.items()}
        before = {name: block.columns[name][offset - 1] for name in first.state} if offset else block.before
        return first._replace(
            timestep=block.timesteps[offset],
            status=tuple(STATUSES[number] for number in block.status[offset].tolist()),
            gates={name: _gate(name, values) for name in first.gates},
            state={name: values[name] for name in first.state},
            output=values["output"],
            before=before if first.before else first.before,
        )


class Recording(Sequence[Step]):
    """The steps of a whole call, loop after loop."""

    def __init__(self) -> None:
        self._of: dict[tuple[int, str], Recorded] = {}

    def of(self, layer: int, direction: str) -> Recorded:
        """Where the steps of this loop go."""
        return self._of.setdefault((layer, direction), Recorded())

    @property
    def runs(self) -> list[Recorded]:
        """The steps of each loop, first to last."""
        return [run for run in self._of.values() if run]

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def __iter__(self) -> Iterator[Step]:
        return (step for run in self.runs for step in run)

    @overload
    def __getitem__(self, place: int) -> Step: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Step, ...]: ...

    def __getitem__(self, place: int | slice) -> Step | tuple[Step, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        for run in self.runs:
            if place < len(run):
                return run[place]
            place -= len(run)
        raise IndexError(place)


def runs(steps: Sequence[Step]) -> list[Recorded]:
    """The steps of each loop, first to last."""
    if isinstance(steps, Recording):
        return steps.runs
    found = Recording()
    for step in steps:
        found.of(step.layer, step.direction).append(step)
    return found.runs


def _cut(values: Array, batch: Sequence[int] | None, units: Sequence[int] | None) -> Array:
    """values: (..., batch, units)."""
    values = values if batch is None else values[..., list(batch), :]
    return values if units is None else values[..., list(units)]


def _cut_step(
    step: Step, batch: Sequence[int] | None, units: Sequence[int] | None, gates: Container[str] | None
) -> Step:
    def cut(values: Any) -> Any:
        return None if values is None else _cut(values, batch, units)

    return step._replace(
        status=step.status if batch is None else tuple(step.status[index] for index in batch),
        gates={
            name: Gate(cut(gate.preactivation), cut(gate.activation), cut(gate.recurrent))
            for name, gate in step.gates.items()
            if gates is None or name in gates
        },
        state={name: cut(values) for name, values in step.state.items()},
        output=cut(step.output),
        before={},
    )


def _joined(parts: Sequence[Array]) -> Array:
    """(steps, batch, units); joining along the batch is several times sooner than stacking."""
    import numpy as np

    return np.concatenate(parts).reshape(len(parts), *parts[0].shape)


def _status(steps: Sequence[Step]) -> Array:
    import numpy as np

    known = {status: [STATUSES.index(each) for each in status] for status in {step.status for step in steps}}
    return np.array([known[step.status] for step in steps], np.uint8)


def _gate(name: str, values: Mapping[str, Any]) -> Gate:
    return Gate(
        values[f"{name}.preactivation"], values[f"{name}.activation"], values.get(f"{name}.recurrent")
    )
