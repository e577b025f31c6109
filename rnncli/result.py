"""The Result: everything that came back, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Array, Shape, Spec

if TYPE_CHECKING:
    from rnncli.arrays import Growing


class TensorInfo(NamedTuple):
    """What a returned tensor is before anything is computed: `hidden_states`, (batch, timesteps, units)."""

    name: str
    axes: tuple[str, ...]
    shape: Shape


class NamedTensor(NamedTuple):
    """A returned tensor.  `equals`: claims that were checked, e.g. `hidden_states[:, -1, :]`.

    time: the input's index of each row of a sequence, where that is not the row's own; else empty.
    """

    name: str
    axes: tuple[str, ...]
    values: Array
    equals: tuple[str, ...] = ()
    time: Sequence[int] = ()


class GrowingTensor(NamedTuple):
    """A returned tensor whose values come part after part."""

    name: str
    axes: tuple[str, ...]
    values: Growing
    time: Sequence[int] = ()


class Gate(NamedTuple):
    """One gate at one time step, arrays of (batch, units).

    recurrent: of a GRU's candidate with reset_after, its recurrent part before the reset gate.
    """

    preactivation: Array
    activation: Array
    recurrent: Array | None = None


STATUSES = ("computed", "held", "zeroed")
"""What a step's status may be; in arrays it is the index here.  held: masked, state and output of before."""


class LoopTrace(NamedTuple):
    """One layer in one direction over its time steps, in the order of processing.

    direction: forward or backward.
    path: prefix of its names, `0/` in a stack, `forward/` inside Bidirectional, "" elsewhere.
    cells: the configs of its cells by the prefix of their parts: "", or `cell_0/`, ... of RNN.
    times: (steps,), the input's own index of each step.  status: int8 of (batch, steps), see STATUSES.
    parts: (batch, steps, units) by name: `input.preactivation`, `candidate.recurrent`,
    `input.activation`, ..., then the states `hidden` and `cell`, then `output`.
    start: the states before the first step, (batch, units).
    dropout: the masks of the call, as the cell takes them, see layers._cell.Dropout.
    batch, units: the indices that are left of the input's sequences and the layer's units; None for all.
    """

    layer: int
    direction: str
    path: str
    cells: Mapping[str, Mapping[str, Any]]
    times: Array
    status: Array
    parts: Mapping[str, Array]
    start: Mapping[str, Array] = MappingProxyType({})
    dropout: Any = None
    batch: tuple[int, ...] | None = None
    units: tuple[int, ...] | None = None

    @property
    def gates(self) -> dict[str, list[str]]:
        """By gate the names of its parts: `preactivation`, `activation`."""
        found: dict[str, list[str]] = {}
        for name in self.parts:
            gate, _, part = name.rpartition(".")
            if gate:
                found.setdefault(gate, []).append(part)
        return found

    @property
    def states(self) -> list[str]:
        """The names of the states."""
        return [name for name in self.parts if "." not in name and name != "output"]

    @property
    def is_half(self) -> bool:
        """Whether Bidirectional runs another loop in the other direction."""
        return self.path.endswith(f"{self.direction}/")

    def entry(self, place: int) -> int:
        """The input's own index of the sequence at `place`."""
        return self.batch[place] if self.batch is not None else place

    def unit(self, place: int) -> int:
        """The layer's own index of the unit at `place`."""
        return self.units[place] if self.units is not None else place


@dataclass(frozen=True, eq=False)
class Result:
    """What an engine returned for a Case; `differences` is filled by --check: per tensor the largest one.

    conditions: what was asked for beside layers and inputs, such as `training`, or `calls` with their number.
    """

    engine: str
    seed: int | None
    layers: tuple[Spec, ...]
    input_shape: tuple[int, ...]
    input_dtype: str
    outputs: tuple[NamedTensor, ...]
    trace: tuple[LoopTrace, ...] = ()
    differences: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    conditions: Mapping[str, int] = field(default_factory=dict)


class LayerShapes(NamedTuple):
    """One layer, in shapes alone.

    path: "" for the only layer, else its place in the stack, `0`, `1`, ...
    weights: by name, in Keras's order.  parameters: None where the features are not a number.
    outputs: what this layer returns.
    """

    path: str
    spec: Spec
    weights: Mapping[str, Shape]
    parameters: int | None
    outputs: tuple[TensorInfo, ...]


class ShapeReport(NamedTuple):
    """What `shape` answers: every layer's weights, and the tensors that come back in the end.

    claims: by tensor name, what holds of it whatever the numbers are.
    """

    input_shape: Shape
    input_dtype: str
    layers: tuple[LayerShapes, ...]
    outputs: tuple[TensorInfo, ...]
    claims: Mapping[str, tuple[str, ...]]


class Matrix(NamedTuple):
    """return_sequences x return_state: the four results, keyed by (return_sequences, return_state)."""

    results: Mapping[tuple[bool, bool], Result]
