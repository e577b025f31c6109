"""The Result: everything that an engine returned, frozen."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.errors import Text
from rnncli.values import NO_NAMES, Agreement, Array, Assumed, InputNames, Shape, Spec

if TYPE_CHECKING:
    from rnncli.arrays import ChunkedArray


class Label(NamedTuple):
    """Identity of a tensor.  Its text is the tensor's name, made only here: `0/forward_last_hidden_state`.

    part: `hidden`, `cell`, `output` or a gate; in a trace also `timestep` and `status`.
    sequence: whether it has one row per time step.
    last: whether it is a last state.  cell: index in RNN's list of cells.
    layer: index in a stack, if all layers are shown; or the name of a saved model's layer.
    call: set if all calls are shown.
    kind: None for a returned tensor.  Inside a loop over time: `preactivation`, `recurrent`, `activation` or
        (with --hold) `held` for an array of a gate; "" for a state, `forward/cell_0/hidden`, and for a gate
        as users name it, `forget`.
    """

    part: str
    sequence: bool = False
    last: bool = False
    cell: int | None = None
    direction: str = ""
    layer: int | str | None = None
    call: int | None = None
    kind: str | None = None

    def __str__(self) -> str:
        call = "" if self.call is None else f"call {self.call}/"
        layer = "" if self.layer is None else f"{self.layer}/"
        direction = self.direction and f"{self.direction}{'_' if self.kind is None else '/'}"
        cell = "" if self.cell is None else f"cell_{self.cell}/"
        part = f"{self.part}/{self.kind}" if self.kind else self.part
        if (self.last or part in ("hidden", "cell")) and self.kind is None:
            part = f"{'last_' if self.last else ''}{part}_state{'s' if self.sequence else ''}"
        return f"{call}{layer}{direction}{cell}{part}"

    @property
    def dotted(self) -> str:
        """The name with a dot before the kind, `cell_0/forget.activation`, as in CSV."""
        return f"{self._replace(kind='')}.{self.kind}" if self.kind else str(self)

    @property
    def short(self) -> "Label":
        """The label in tables and in --hold: a gate without `activation`, `cell_0/forget`."""
        return self._replace(kind="") if self.kind == "activation" else self

    @property
    def is_shown(self) -> bool:
        """Whether tables show this part of a loop: a gate after its activation, or a state."""
        return self.kind == "activation" or (not self.kind and self.part != "output")

    @property
    def without_call(self) -> "Label":
        """The label without the call."""
        return self._replace(call=None)

    @property
    def without_layer(self) -> "Label":
        """The label without the layer."""
        return self._replace(layer=None)

    @property
    def in_loop(self) -> "Label":
        """The same part of the state inside a loop over time: `cell_0/hidden`."""
        return Label(self.part, cell=self.cell, kind="")


OUTPUT = Label("output", kind="")
"""The output of a loop over time; the output gate of an LSTM has a kind."""


Index = tuple[int | slice, ...]
"""A NumPy index, one item per axis; omitted trailing axes are taken in full."""


class Claim(NamedTuple):
    """A tensor, or a part of it, with the same numbers as another tensor.

    slices: the part; empty for the whole tensor.
    Its text is made only here: `hidden_states[:, -1, 3:]`.
    """

    label: Label
    slices: Index = ()

    def __str__(self) -> str:
        return f"{self.label}[{', '.join(map(_axis_text, self.slices))}]" if self.slices else str(self.label)

    def with_place(self, **fields: Any) -> "Claim":
        """Return a copy about the tensor of another call or layer."""
        return self._replace(label=self.label._replace(**fields))


def _axis_text(item: int | slice) -> str:
    if isinstance(item, int):
        return str(item)
    start, stop = ("" if bound is None else bound for bound in (item.start, item.stop))
    return f"{start}:{stop}"


def select_true(
    claims: Mapping[Label, tuple[Claim, ...]], tensors: Mapping[Label, Array]
) -> dict[Label, tuple[Claim, ...]]:
    """Return the claims about each tensor that are exactly true of these values."""
    return {
        label: tuple(claim for claim in claims.get(label, ()) if _same(values, evaluate(claim, tensors)))
        for label, values in tensors.items()
    }


def evaluate(claim: Claim, tensors: Mapping[Label, Array]) -> Array | None:
    """Return the part of a tensor that the claim names; None if the tensor does not exist."""
    values = tensors.get(claim.label)
    return None if values is None else values[claim.slices]


def _same(values: Array, other: Array | None) -> bool:
    import numpy as np

    if other is None or values.shape != other.shape:
        return False
    # First without NaN, which is rare and slow to check for.
    return bool((values == other).all()) or np.array_equal(values, other, equal_nan=values.dtype.kind == "f")


class TensorInfo(NamedTuple):
    """Description of a returned tensor before computation: `hidden_states`, (batch, timesteps, units).

    ends: the time step that its layer reads last, `last` or `first`; two of them for two merged layers.
    """

    label: Label
    axes: tuple[str, ...]
    shape: Shape
    ends: tuple[str, ...] = ("last",)

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)

    def with_place(self, **fields: Any) -> "TensorInfo":
        """Return a copy with another call, layer, direction or cell."""
        return self._replace(label=self.label._replace(**fields))


class NamedTensor(NamedTuple):
    """A returned tensor.  `equals`: verified equalities.

    time: input index of each row of a sequence, if it differs from the index of the row; else empty.
    masked: which rows of a sequence are masked steps, (batch, timesteps) of bool; None without a mask.
    half: the unit at which the backward half of a concatenated output begins; 0 if there are no halves.
    names: of the input's whole batch.
    ends: as in TensorInfo; with a mask, in a Bidirectional, `last real` or `first real`.
    has_guessed_axes: whether the axes are named by their number alone, so that time may be another one.
    """

    label: Label
    axes: tuple[str, ...]
    values: Array
    equals: tuple[Claim, ...] = ()
    time: Sequence[int] = ()
    masked: Array | None = None
    half: int = 0
    ends: tuple[str, ...] = ("last",)
    names: InputNames = NO_NAMES
    has_guessed_axes: bool = False

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)


class ChunkedTensor(NamedTuple):
    """A returned tensor whose values arrive in parts."""

    label: Label
    axes: tuple[str, ...]
    values: "ChunkedArray"
    time: Sequence[int] = ()
    ends: tuple[str, ...] = ("last",)
    names: InputNames = NO_NAMES

    @property
    def name(self) -> str:
        """The label's text."""
        return str(self.label)


class LoopTrace(NamedTuple):
    """Trace of one layer in one direction over its time steps, in the order of processing.

    layer: index in a stack; or the name of a saved model's layer, if several are traced.
    direction: forward or backward.
    columns: for each cell, by its index in RNN's list (None without a list), the lines whose columns each
        weight has, in order: `{None: {"kernel": ("input", "forget", "candidate", "output")}}`.
    times: shape (steps,), the input index of each step.  status: shape (batch, steps), int8, in STATUSES.
    parts: arrays of shape (batch, steps, units) by label, without layer and direction: the kinds of each
        gate, then the states, then OUTPUT.
    bounds: the ranges of the parts that activations limit.
    start: the states before the first step, shape (batch, units).
    dropout: the dropout masks of the call, in the form the cell takes, see cells.program.DropoutMasks.
    names: of the input.
    batch, units: the selected indices of the sequences and of the units; None for all.
    hold_masks: by gate, shape (steps, units), bool: the numbers held at a value instead of computed.
    new_states: by the label of a gate that equals a state after the step, the label of that state: `hidden`
        by SimpleRNN's `candidate`.
    in_stack: whether there are several layers.
    is_half: whether Bidirectional runs another loop in the other direction.
    """

    layer: int | str
    direction: str
    columns: Mapping[int | None, Mapping[str, tuple[str, ...]]]
    times: Array
    status: Array
    parts: Mapping[Label, Array]
    bounds: Mapping[Label, tuple[float, float]] = MappingProxyType({})
    start: Mapping[Label, Array] = MappingProxyType({})
    dropout: Any = None
    batch: tuple[int, ...] | None = None
    units: tuple[int, ...] | None = None
    hold_masks: Mapping[Label, Array] = MappingProxyType({})
    new_states: Mapping[Label, Label] = MappingProxyType({})
    in_stack: bool = False
    is_half: bool = False
    names: InputNames = NO_NAMES

    @property
    def gates(self) -> list[Label]:
        """The gates after their activation."""
        return [part for part in self.parts if part.kind == "activation"]

    @property
    def states(self) -> list[Label]:
        """The parts of the state."""
        return [part for part in self.parts if not part.kind and part != OUTPUT]

    @property
    def path(self) -> str:
        """Prefix of its names: `0/` in a stack, `forward/` inside Bidirectional, "" elsewhere."""
        return str(self.label(Label("", kind="")))

    @property
    def is_turned(self) -> bool:
        """Whether Bidirectional turns what this loop returns: its last step read is the first row."""
        return self.is_half and self.direction == "backward"

    @property
    def shows_direction(self) -> bool:
        """Whether to show the direction: it is backward, or there are two."""
        return self.direction == "backward" or self.is_half

    def label(self, part: Label) -> Label:
        """Return the label of a part among the parts of all loops."""
        return part._replace(
            layer=self.layer if self.in_stack else None, direction=self.direction if self.is_half else ""
        )

    def as_rows(self) -> "LoopTrace":
        """Return the trace with its steps in the order of the rows that the layer returns."""
        if not self.is_turned:
            return self
        return self._replace(
            times=self.times[::-1],
            status=self.status[:, ::-1],
            parts={part: values[:, ::-1] for part, values in self.parts.items()},
            hold_masks={gate: held[::-1] for gate, held in self.hold_masks.items()},
        )

    def in_model(self, layer: str) -> "LoopTrace":
        """Return the trace under the name of its layer in a model."""
        return self._replace(layer=f"{layer}/{self.layer}" if self.in_stack else layer, in_stack=True)

    def entry(self, row: int) -> int:
        """Return the index in the input of the sequence in this row of the trace."""
        return self.batch[row] if self.batch is not None else row

    def sequence(self, row: int) -> int | str:
        """Return the name of the sequence in this row of the trace; without names, its index in the input."""
        entry = self.entry(row)
        return self.names.sequences[entry] if self.names.sequences else entry

    def word(self, row: int, step: int) -> str:
        """Return the name of the time step at this place in the trace; "" if it has none."""
        return self.names.step(self.entry(row), int(self.times[step]))

    def unit(self, column: int) -> int:
        """Return the index in the layer of the unit in this column of the trace."""
        return self.units[column] if self.units is not None else column


class ModelHead(NamedTuple):
    """What the head of an answer says of a saved model.

    file, origin: its name, and the framework and version that saved it.
    inputs: shape and dtype of each input, by name.
    layers: the recurrent layers that are shown, by name.
    masks: the layers that make their masks.
    zeroes_empty: whether the state of a sequence without steps is 0, as ONNX Runtime computes it.
    agreement: of a live object; None for a file.
    """

    file: str
    origin: str
    inputs: Mapping[str, tuple[tuple[int, ...], str]]
    layers: Mapping[str, Spec]
    masks: tuple[str, ...] = ()
    zeroes_empty: bool = False
    agreement: Agreement | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """The result of an engine for a Case.

    engines: several if chunks, or layers of a saved model, were computed by different engines.
    differences: set by --check: the largest difference of each tensor from the reference.
    ulps: of these differences, as the number of floats between the two numbers, where it can be counted.
    reference: the name of the framework that --check compares with.
    disagreeing: the names of the tensors beyond the tolerances of --check.
    assumed: what was assumed about the file of the layers; None if nothing was.
    agreement: of a live object with its framework; else None.
    model: the saved model, if the tensors have their names in it, `gru/hidden_state`; else None.
    hold: the gates held at a value, as given: `forget[:, 1]=1@2:`.
    conditions: settings besides layers and inputs, such as `training`, or `calls` with their number.
    all_layers: whether the outputs of every layer are here, not only of the last.
    names: of the input.
    """

    engines: tuple[str, ...]
    seed: int | None
    specs: tuple[Spec, ...]
    input_shape: tuple[int, ...]
    input_dtype: str
    outputs: tuple[NamedTensor, ...]
    trace: tuple[LoopTrace, ...] = ()
    differences: Mapping[str, float] = field(default_factory=dict)
    ulps: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    conditions: Mapping[str, int] = field(default_factory=dict)
    reference: Text = "TensorFlow"
    disagreeing: tuple[str, ...] = ()
    assumed: Assumed | None = None
    agreement: Agreement | None = None
    model: ModelHead | None = None
    hold: tuple[str, ...] = ()
    all_layers: bool = False
    names: InputNames = NO_NAMES

    @property
    def agrees(self) -> bool | None:
        """Whether a live object's framework returned the same numbers; None if nothing was compared."""
        return None if self.agreement is None else self.agreement.agrees

    @property
    def engine(self) -> str:
        """The engines as text, `numpy` or `onnx, numpy`."""
        return ", ".join(self.engines)


def join_layers(results: Mapping[str, Result], model: ModelHead) -> Result:
    """Return the results of a model's recurrent layers as one, with the layers' names in every name."""
    shape, dtype = next(iter(model.inputs.values()))
    part = next(iter(results.values()), None)
    # A model with a graph makes its masks and states itself, so they are no conditions of its result.
    given = {} if part is None or part.assumed is None else part.conditions
    return Result(
        engines=tuple(dict.fromkeys(name for result in results.values() for name in result.engines)),
        seed=None,
        specs=tuple(spec for result in results.values() for spec in result.specs),
        input_shape=shape,
        input_dtype=dtype,
        outputs=tuple(
            tensor._replace(
                label=tensor.label._replace(layer=layer),
                equals=tuple(claim.with_place(layer=layer) for claim in tensor.equals),
            )
            for layer, result in results.items()
            for tensor in result.outputs
        ),
        trace=tuple(loop.in_model(layer) for layer, result in results.items() for loop in result.trace),
        conditions={name: given[name] for name in ("mask", "initial_state") if name in given},
        assumed=part.assumed if part else None,
        agreement=model.agreement,
        model=model,
    )


class LayerShapes(NamedTuple):
    """Shapes of one layer.

    path: "" for a single layer, else its index in the stack, `0`, `1`, ...
    weights: by name, in Keras's order.  parameters: None if the number of features is unknown.
    outputs: the tensors that this layer returns.
    """

    path: str
    spec: Spec
    weights: Mapping[str, Shape]
    parameters: int | None
    outputs: tuple[TensorInfo, ...]


class ShapeReport(NamedTuple):
    """Answer of `shape`: the weights of every layer, and the tensors that the stack returns.

    claims: the equalities that hold for any numbers.
    state_size: how many numbers all states of one sequence have, where a cell's axes have names.
    """

    specs: tuple[Spec, ...]
    input_shape: Shape
    input_dtype: str
    layers: tuple[LayerShapes, ...]
    outputs: tuple[TensorInfo, ...]
    claims: Mapping[Label, tuple[Claim, ...]]
    state_size: int | None = None

    @property
    def parameters(self) -> int | None:
        """The number of all parameters; None if it depends on an unknown size."""
        counts = [layer.parameters for layer in self.layers]
        return None if None in counts else sum(count for count in counts if count is not None)


class Matrix(NamedTuple):
    """The four results of return_sequences x return_state, keyed by (return_sequences, return_state)."""

    results: Mapping[tuple[bool, bool], Result]
