"""The Result: everything that came back, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Array, Shape, Spec

if TYPE_CHECKING:
    from rnncli.arrays import Growing
    from rnncli.layers.stack import Stack


class Label(NamedTuple):
    """What a tensor is.  Its text is its name, and no other place makes one: `0/forward_last_hidden_state`.

    part: `hidden`, `cell`, `output` or a gate.  sequence: it has a row a time step.  last: of a last state.
    cell: which one of RNN's list.  layer, call: where all of them are shown.
    traced: a number inside of the loop, `forward/cell_0/forget`, and no returned tensor.
    """

    part: str
    sequence: bool = False
    last: bool = False
    cell: int | None = None
    direction: str = ""
    layer: int | None = None
    call: int | None = None
    traced: bool = False

    def __str__(self) -> str:
        call = "" if self.call is None else f"call {self.call}/"
        layer = "" if self.layer is None else f"{self.layer}/"
        direction = self.direction and f"{self.direction}{'/' if self.traced else '_'}"
        cell = "" if self.cell is None else f"cell_{self.cell}/"
        part = self.part
        if part in ("hidden", "cell") and not self.traced:
            part = f"{'last_' if self.last else ''}{part}_state{'s' if self.sequence else ''}"
        return f"{call}{layer}{direction}{cell}{part}"

    @property
    def in_call(self) -> Label:
        """The same where no other call is shown."""
        return self._replace(call=None)

    @property
    def in_layer(self) -> Label:
        """The same where no other layer is shown."""
        return self._replace(layer=None)

    @property
    def in_trace(self) -> Label:
        """What a trace calls the part of the state: `cell_0/hidden`."""
        return Label(self.part, cell=self.cell, direction=self.direction, layer=self.layer, traced=True)


class TensorInfo(NamedTuple):
    """What a returned tensor is before anything is computed: `hidden_states`, (batch, timesteps, units)."""

    label: Label
    axes: tuple[str, ...]
    shape: Shape

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)

    def placed(self, **place: Any) -> TensorInfo:
        """The same with another call, layer, direction or cell."""
        return self._replace(label=self.label._replace(**place))


class NamedTensor(NamedTuple):
    """A returned tensor.  `equals`: claims that were checked, e.g. `hidden_states[:, -1, :]`.

    time: the input's index of each row of a sequence, where that is not the row's own; else empty.
    """

    label: Label
    axes: tuple[str, ...]
    values: Array
    equals: tuple[str, ...] = ()
    time: Sequence[int] = ()

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)


class GrowingTensor(NamedTuple):
    """A returned tensor whose values come part after part."""

    label: Label
    axes: tuple[str, ...]
    values: Growing
    time: Sequence[int] = ()

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)


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
    stack: Stack
    input_shape: tuple[int, ...]
    input_dtype: str
    outputs: tuple[NamedTensor, ...]
    trace: tuple[LoopTrace, ...] = ()
    differences: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    conditions: Mapping[str, int] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[Spec, ...]:
        """First to last."""
        return self.stack.specs


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

    stack: Stack
    input_shape: Shape
    input_dtype: str
    layers: tuple[LayerShapes, ...]
    outputs: tuple[TensorInfo, ...]
    claims: Mapping[str, tuple[str, ...]]


class Matrix(NamedTuple):
    """return_sequences x return_state: the four results, keyed by (return_sequences, return_state)."""

    results: Mapping[tuple[bool, bool], Result]
