"""The Result: everything that came back, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Shape, Spec

if TYPE_CHECKING:
    from rnncli.case import Array


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


class Gate(NamedTuple):
    """One gate at one time step, arrays of (batch, units).

    recurrent: of a GRU's candidate with reset_after, its recurrent part before the reset gate.
    """

    preactivation: Array
    activation: Array
    recurrent: Array | None = None


class Step(NamedTuple):
    """One time step, in the order in which the layer processed it.

    timestep: the input's own index.  direction: forward or backward.
    status: per batch entry `computed`, `held` (masked: state and output of before) or `zeroed`.
    state: by name, `hidden` and `cell`; output: (batch, units).
    before: the state before the step.
    dropout: the masks of the call, as the cell takes them, see layers._cell.Dropout.
    """

    layer: int
    direction: str
    timestep: int
    status: tuple[str, ...]
    gates: Mapping[str, Gate]
    state: Mapping[str, Array]
    output: Array
    before: Mapping[str, Array] = MappingProxyType({})
    dropout: Any = None


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
    trace: Sequence[Step] = ()
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
