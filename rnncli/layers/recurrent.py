"""A recurrent layer, and the cell that it runs over time: the state at the start, and one step.

The engine runs the loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from rnncli import initializers
from rnncli.case import Array, Option, Shape, Spec
from rnncli.layers import activations
from rnncli.layers.equations import Entry, Sum, times
from rnncli.layers.layer import (
    INITIALIZED_BY,
    Call,
    Draw,
    Layer,
    LayerOutput,
    LoopRunner,
    initializers_in,
)
from rnncli.result import OUTPUT, Claim, Gate, Label, TensorInfo

LOOP_OPTIONS: Mapping[str, Option] = {
    "return_sequences": Option("flag", False),
    "return_state": Option("flag", False),
    "go_backwards": Option("flag", False),
    "stateful": Option("flag", False),
    "unroll": Option("flag", False),
    "zero_output_for_mask": Option("flag", False),
}

BEYOND_KERAS = ("cell_activation", "input_order")
"""Settings that only ONNX nodes have.  Keras has no such options, so only readers of saved models set them.

cell_activation: of an LSTM's output, if the candidate has another activation.
input_order: a layer that goes backwards returns its sequence in the order of the input; masked steps are
    zeros only if it returns a sequence.
"""

Gates = Callable[[], tuple[Gate, ...]]
"""Returns the gates of a step, in Keras's order.  A function, because most runs never need them."""

StepHolds = Mapping[str, tuple[Array, Array]]
"""Gates of a cell held in one step, by name: which units, (units,) bool, and their values, (units,)."""

State = tuple[Any, ...]
"""A named tuple of (batch, units) arrays: `hidden`, and any other state of the cell."""

MANY = 2**14
"""Number of elements above which computing an activation takes longer than the call overhead."""


class RecurrentLayer(Layer):
    """Returns its output and, with return_state, each part of its last state, (batch, units)."""

    recurrent = runs_a_cell = True
    cell_class: ClassVar[type[Cell]]

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.cell = self.make_cell(spec)

    @property
    def sequences(self) -> bool:
        """Whether the output of every time step is returned."""
        return bool(self.config["return_sequences"])

    @property
    def is_reversed(self) -> bool:
        return super().is_reversed and not self.config.get("input_order")

    @property
    def returns_state(self) -> bool:
        """Whether the last states are returned."""
        return bool(self.config["return_state"])

    @property
    def _turns_back(self) -> bool:
        return bool(self.config["go_backwards"] and self.config.get("input_order"))

    def arrange(self, output: Any) -> Any:
        return output[:, ::-1] if self.sequences and self._turns_back else output

    def with_returns(self, **returns: bool) -> Spec:
        found = super().with_returns(**returns)
        if "input_order" not in self.config:
            return found
        zeroed = found.config["return_sequences"]
        return replace(found, config={**found.config, "zero_output_for_mask": zeroed})

    def make_cell(self, spec: Spec) -> Any:
        """Create the cell that is run over time."""
        return self.cell_class(spec)

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return self.cell.weight_shapes(input_shape)  # type: ignore[no-any-return]

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return hidden_state or hidden_states; with return_state, also the states."""
        batch, timesteps = input_shape[:2]
        units, label = self.cell.units, Label("hidden", self.sequences)
        if self.sequences:
            output = TensorInfo(label, ("batch", "timesteps", "units"), (batch, timesteps, units))
        else:
            output = TensorInfo(label, ("batch", "units"), (batch, units), self.ends)
        return (output, *(self.states(input_shape) if self.returns_state else ()))

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return last_hidden_state, and any other state of the cell."""
        sizes, axes = self.cell.state_sizes.items(), ("batch", "units")
        return tuple(TensorInfo(label, axes, (input_shape[0], units), self.ends) for label, units in sizes)

    def claims(self) -> dict[Label, tuple[Claim, ...]]:
        """Claim that the last hidden state equals the last row of the sequence, in processing order."""
        row = (slice(None), 0 if self._turns_back else -1, slice(None))
        same = Claim(Label("hidden", self.sequences), row if self.sequences else ())
        return {self.cell.output_state: (same,)} if self.returns_state else {}

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> Sum:
        """Return the equation of an output, at its position in processing order, or of a last state."""
        return Sum((times(self.entry(label, index, input_shape)),))

    def entry(
        self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...], direction: str = ""
    ) -> Entry:
        """Return the term of `equation`.  direction: which loop of a Bidirectional, else ""."""
        last = input_shape[1] - 1
        position = (last - index[1] if self._turns_back else index[1]) if label.sequence else last
        return Entry(direction, position, label.in_loop if label.last else OUTPUT, index[-1])

    def initializers(self) -> dict[str, Any]:
        return self.cell.initializers()  # type: ignore[no-any-return]

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return self.cell.take_seeds(draw)  # type: ignore[no-any-return]

    def call(self, runner: LoopRunner, call: Call) -> LayerOutput:
        """Return the output of the loop and, with return_state, its last states."""
        output, states = runner.loop(self, call)
        output = self.arrange(output)
        mask = self.next_mask(None, call.mask)
        return LayerOutput((output, *states) if self.returns_state else (output,), mask)

    def next_mask(self, inputs: Array | None, mask: Array | None) -> Array | None:
        return mask if self.sequences else None


def cell_options(*, gated: bool = True, **own: Option) -> dict[str, Option]:
    """Return the options of a cell, in Keras's order.

    gated: whether the cell has gates, with an activation of their own.  own: options of this cell only.
    """
    return {
        "units": Option("size", required=True),
        "activation": Option("activation", "tanh"),
        **({"recurrent_activation": Option("activation", "sigmoid")} if gated else {}),
        "use_bias": Option("flag", True),
        "kernel_initializer": Option("initializer", "glorot_uniform"),
        "recurrent_initializer": Option("initializer", "orthogonal"),
        "bias_initializer": Option("initializer", "zeros"),
        **own,
        "dropout": Option("rate", 0.0),
        "recurrent_dropout": Option("rate", 0.0),
        "seed": Option("seed"),
        "dtype": Option("dtype", "float32"),
    }


class DropoutMasks(NamedTuple):
    """The dropout masks of one call: none, one shared by all gates, or one per gate.

    inputs: each (batch, features); recurrent: each (batch, units).
    """

    inputs: tuple[Array, ...] = ()
    recurrent: tuple[Array, ...] = ()


class Cell(ABC):
    """One kind of recurrent cell.

    gates: in the order in which Keras packs them into a kernel.
    seed_order: the order in which Keras takes seeds when it creates the cell.
    """

    State: ClassVar[type[Any]]
    output_state: ClassVar[Label] = Label("hidden", last=True)
    gates: ClassVar[tuple[str, ...]]
    seed_order: ClassVar[tuple[str, ...]] = ("kernel", "recurrent_kernel", "bias", "dropout")
    options: ClassVar[Mapping[str, Option]]

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.config = spec.config
        self.units: int = spec.config["units"]

    @cached_property
    def activation(self) -> Callable[[Array], Array]:
        """Activation of the candidate, and of an LSTM's output."""
        return activations.get_unguarded(self.config["activation"])

    @cached_property
    def recurrent_activation(self) -> Callable[[Array], Array]:
        """Activation of the gates."""
        return activations.get_unguarded(self.config["recurrent_activation"])

    @property
    def by_index(self) -> dict[int | None, Cell]:
        """The cells in it, by their index in RNN's list: itself, without an index."""
        return {None: self}

    @property
    def state_sizes(self) -> dict[Label, int]:
        """Units of each part of the state, by its label in a result."""
        return {Label(part, last=True): self.units for part in self.State._fields}

    def bias_shape(self) -> tuple[int, ...]:
        """(gates * units,) unless the cell has two biases."""
        return (len(self.gates) * self.units,)

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return kernel (features, gates * units), recurrent_kernel (units, gates * units), and bias."""
        width = len(self.gates) * self.units
        shapes: dict[str, Shape] = {
            "kernel": (input_shape[-1], width),
            "recurrent_kernel": (self.units, width),
        }
        return {**shapes, "bias": self.bias_shape()} if self.config["use_bias"] else shapes

    def initializers(self) -> dict[str, Any]:
        """Return the initializer of each weight, by the weight's name."""
        return initializers_in(self.config)

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """Return the seeds by weight.  The dropout masks take one too, unless `seed` is set."""
        own = self.config["seed"]
        drawing = self.seed_order if own is None else [part for part in self.seed_order if part != "dropout"]
        return {"dropout": own, **take_seeds(self.config, drawing, draw)}

    def start(self, batch: int, dtype: Any) -> Any:
        """Return the state before the first step: zeros, (batch, units) each."""
        import numpy as np

        parts = (np.zeros((batch, units), dtype) for units in self.state_sizes.values())
        return self.State(*parts)

    def project(self, inputs: Array, weights: Mapping[str, Array], dropout: DropoutMasks) -> Array:
        """Return x W + b, the part of the gates' inputs that does not depend on the state.

        inputs: (timesteps, batch, features) or (batch, features).
        Returns (..., gates * units), with the first row of the bias if it has two.
        """
        projected = product(inputs, weights["kernel"], dropout.inputs)
        if self.config["use_bias"]:
            bias = weights["bias"]
            projected += bias[0] if bias.ndim == 2 else bias
        return projected

    @abstractmethod
    def step(
        self,
        projected: Array,
        state: Any,
        weights: Mapping[str, Array],
        dropout: DropoutMasks,
        holds: StepHolds | None = None,
    ) -> tuple[Any, Gates]:
        """Compute one time step.  The caller must use `np.errstate(all="ignore")`.

        projected: (batch, gates * units), from `project`.  state: before the step.
        holds: the gates that get a value instead of their activation; None for none.
        Returns the state after the step, whose `hidden` is the output, and a function that returns the gates.
        """

    @abstractmethod
    def equations(self) -> dict[str, Sum]:
        """Return the equations of `step` by name, each for one number.

        The names are the parts of the state, the gates and, for GRU with reset_after, `candidate.recurrent`.
        """

    def pack(self, parts: tuple[Array, ...]) -> Any:
        """Build a state from arrays in Keras's order."""
        return self.State(*parts)

    def unpack(self, state: Any) -> tuple[Array, ...]:
        """Return the arrays of a state, in Keras's order."""
        return tuple(state)

    def output(self, state: Any) -> Array:
        """Return the output of the cell: its hidden state."""
        return state.hidden  # type: ignore[no-any-return]

    def no_dropout(self) -> DropoutMasks:
        """Return the masks for a call outside training: none."""
        return DropoutMasks()

    def dropout_of(
        self, shape: tuple[int, int], dtype: str, path: str, seeds: Mapping[str, int], drawn: dict[str, int]
    ) -> DropoutMasks:
        """Return the masks that Keras draws for one call on inputs of shape (batch, features).

        With recurrent_dropout, each gate gets its own masks; SimpleRNN always uses one.
        path: of the cell, with a slash at the end; "" for none.
        seeds: `dropout` below the path is the seed of the generator.
        drawn: the number of draws so far of each generator, updated in place.
        """
        generator = f"{path}dropout"
        rates = self.config["dropout"], self.config["recurrent_dropout"]
        copies = len(self.gates) if rates[1] > 0 else 1
        used = drawn.get(generator, 0)
        made: list[tuple[Array, ...]] = []
        for rate, size in zip(rates, (shape[1], self.units), strict=True):
            count = copies if rate > 0 else 0
            masks = (
                initializers.dropout_mask((shape[0], size), rate, dtype, seeds[generator], used + k)
                for k in range(count)
            )
            made.append(tuple(masks))
            used += count
        drawn[generator] = used
        return DropoutMasks(*made)


def product(values: Array, kernel: Array, masks: tuple[Array, ...]) -> Array:
    """Return values @ kernel; each gate's columns use `values` times the dropout mask of that gate.

    values: (..., batch, n); kernel: (n, gates * units).
    masks: none, one, or one per gate, each (batch, n).
    """
    if len(masks) < 2:
        return _product(values * masks[0] if masks else values, kernel)
    import numpy as np

    parts = np.split(kernel, len(masks), axis=-1)
    return np.concatenate(
        [_product(values * mask, part) for mask, part in zip(masks, parts, strict=True)], axis=-1
    )


def _product(values: Array, kernel: Array) -> Array:
    """Return values @ kernel as a single 2-D product.

    NumPy would multiply 3-D values one matrix at a time, and pack the kernel again each time.
    """
    rows: Array = values if values.ndim == 2 else values.reshape(-1, values.shape[-1])
    found: Array = rows.dot(kernel)  # several times faster than @ on small arrays
    return found.reshape(*values.shape[:-1], -1) if values.ndim > 2 else found


def split(packed: Array, units: int) -> list[Array]:
    """Split a packed array (..., gates * units) into one array (..., units) per gate."""
    return [packed[..., start : start + units] for start in range(0, packed.shape[-1], units)]


def activate_gates(
    activation: Callable[[Array], Array], packed: Array, units: int, gates: Sequence[int]
) -> list[Array]:
    """Apply an activation to some gates of (batch, all gates * units); returns (batch, units) for each.

    One call for all gates is the fastest; for small arrays, even if it includes gates that are not needed.
    """
    if packed.size > MANY and len(gates) * units < packed.shape[-1]:
        return [activation(packed[:, gate * units : (gate + 1) * units]) for gate in gates]
    activated = activation(packed.reshape(len(packed), -1, units))
    return [activated[:, gate] for gate in gates]


def hold(holds: StepHolds, **gates: Array) -> list[Array]:
    """Return the gates, each (batch, units), with the held entries replaced by their values."""
    import numpy as np

    return [np.where(*holds[name], gate) if name in holds else gate for name, gate in gates.items()]


def take_seeds(config: Mapping[str, Any], drawing: Sequence[str], draw: Draw) -> dict[str, int]:
    """Return the seeds by weight.  Initializers created before the layer take theirs first, in order.

    drawing: the weights, and `dropout`, in the order in which Keras creates their initializers or generator.
    """
    values = initializers_in(config)
    random = [name for name, value in values.items() if initializers.takes_seed(value)]
    order_given = {option: place for place, option in enumerate(config)}
    before = [name for name in random if isinstance(values[name], Spec) and not values[name].deferred]
    before.sort(key=lambda name: order_given[INITIALIZED_BY[name]])
    order = before + [name for name in drawing if name not in before]
    return {name: draw() for name in order if name in random or name == "dropout"}
