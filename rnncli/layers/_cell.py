"""A cell is two things: a start state and one step.  The loop over time lives in the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rnncli import initializers
from rnncli.case import Array, Shape, Spec
from rnncli.layers import _activations
from rnncli.layers._equations import Sum
from rnncli.layers._layer import Draw, Option
from rnncli.result import Gate, Label

if TYPE_CHECKING:
    from collections.abc import Callable

    Gates = Callable[[], dict[str, Gate]]
    """The gates of a step by name; most runs never ask for them."""

State = tuple[Any, ...]
"""A named tuple of (batch, units) arrays: `hidden`, and what else the cell keeps."""

CELL_OPTIONS: Mapping[str, Option] = {
    "units": Option("size", required=True),
    "activation": Option("activation", "tanh"),
    "use_bias": Option("flag", True),
    "kernel_initializer": Option("initializer", "glorot_uniform"),
    "recurrent_initializer": Option("initializer", "orthogonal"),
    "bias_initializer": Option("initializer", "zeros"),
    "dropout": Option("rate", 0.0),
    "recurrent_dropout": Option("rate", 0.0),
    "seed": Option("seed"),
    "dtype": Option("dtype"),
}

_FILLED = {
    "kernel": "kernel_initializer",
    "recurrent_kernel": "recurrent_initializer",
    "bias": "bias_initializer",
}


MANY = 2**14
"""An activation of more numbers takes longer than calling it."""


class Dropout(NamedTuple):
    """The dropout masks of one call: none, one for all gates, or one a gate.

    inputs: each (batch, features); recurrent: each (batch, units).
    """

    inputs: tuple[Array, ...] = ()
    recurrent: tuple[Array, ...] = ()


class Cell(ABC):
    """What one recurrent cell is.  `gates` in the order in which Keras packs them into a kernel.

    seed_order: in which order Keras takes seeds when it makes the cell.
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
        """The function of the candidate, and of an LSTM's output."""
        return _activations.unguarded(self.config["activation"])

    @cached_property
    def recurrent_activation(self) -> Callable[[Array], Array]:
        """The function of the gates."""
        return _activations.unguarded(self.config["recurrent_activation"])

    @property
    def state_sizes(self) -> dict[Label, int]:
        """Units of every part of the state, by its label in a result."""
        return {Label(part, last=True): self.units for part in self.State._fields}

    def bias_shape(self) -> tuple[int, ...]:
        """(gates * units,) unless the cell keeps two."""
        return (len(self.gates) * self.units,)

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """kernel (features, gates * units), recurrent_kernel (units, gates * units), bias."""
        width = len(self.gates) * self.units
        shapes: dict[str, Shape] = {
            "kernel": (input_shape[-1], width),
            "recurrent_kernel": (self.units, width),
        }
        return {**shapes, "bias": self.bias_shape()} if self.config["use_bias"] else shapes

    def initializers(self) -> dict[str, Any]:
        """What fills each weight, by its name."""
        return initializers_in(self.config)

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """See Layer.take_seeds; the generator of the dropout masks takes one where it has no own seed."""
        own = self.config["seed"]
        drawing = self.seed_order if own is None else [part for part in self.seed_order if part != "dropout"]
        return {"dropout": own, **take_seeds(self.config, drawing, draw)}

    def draw_weights(self, input_shape: Shape, seeds: Mapping[str, int], dtype: str) -> dict[str, Array]:
        """Every weight as Keras draws it for these seeds."""
        return {
            name: self.draw_weight(name, sizes(shape), seeds.get(name), dtype)
            for name, shape in self.weight_shapes(input_shape).items()
        }

    def draw_weight(self, name: str, shape: tuple[int, ...], seed: int | None, dtype: str) -> Array:
        """One weight."""
        return initializers.make(self.initializers()[name], shape, dtype, seed)

    def start(self, batch: int, dtype: Any) -> Any:
        """The state before the first step: zeros."""
        import numpy as np

        parts = (np.zeros((batch, units), dtype) for units in self.state_sizes.values())
        return self.State(*parts)

    @abstractmethod
    def project(self, inputs: Array, weights: Mapping[str, Array], dropout: Dropout) -> Array:
        """What the gates get from the inputs alone.

        inputs: (timesteps, batch, features) or (batch, features).
        Returns (..., gates * units), the bias of the inputs added.
        """

    @abstractmethod
    def step(
        self, projected: Array, state: Any, weights: Mapping[str, Array], dropout: Dropout
    ) -> tuple[Any, Gates]:
        """One time step, with `np.errstate(all="ignore")` around it.

        projected: (batch, gates * units), of `project`.  state: before the step.
        Returns the state after the step, whose `hidden` is the output, and what gives the gates.
        """

    @abstractmethod
    def equations(self) -> dict[str, Sum]:
        """What `step` computes, number by number: the state's parts, the gates, and `candidate.recurrent`."""

    def pack(self, parts: tuple[Array, ...]) -> Any:
        """Arrays in Keras's order as a state."""
        return self.State(*parts)

    def unpack(self, state: Any) -> dict[str, Array]:
        """Every part of the state by its name: `hidden`, `cell`."""
        return state._asdict()  # type: ignore[no-any-return]

    def output(self, state: Any) -> Array:
        """What the cell puts out: its hidden state."""
        return state.hidden  # type: ignore[no-any-return]

    def no_dropout(self) -> Dropout:
        """What a call that does not train gets."""
        return Dropout()

    def dropout_of(
        self, shape: tuple[int, int], dtype: str, seeds: Mapping[str, int], drawn: dict[str, int]
    ) -> Dropout:
        """The masks that Keras draws for one call on inputs of (batch, features).

        Each gate gets its own masks where the states are dropped too; SimpleRNN always takes one.
        seeds: `dropout` seeds the generator.  drawn: how often it has been used, counted on here.
        """
        rates = self.config["dropout"], self.config["recurrent_dropout"]
        copies = len(self.gates) if rates[1] > 0 else 1
        used = drawn.get("dropout", 0)
        made: list[tuple[Array, ...]] = []
        for rate, size in zip(rates, (shape[1], self.units), strict=True):
            count = copies if rate > 0 else 0
            masks = (
                initializers.dropout_mask((shape[0], size), rate, dtype, seeds["dropout"], used + k)
                for k in range(count)
            )
            made.append(tuple(masks))
            used += count
        drawn["dropout"] = used
        return Dropout(*made)


def product(values: Array, kernel: Array, masks: tuple[Array, ...]) -> Array:
    """values @ kernel, with each gate's columns behind that gate's own dropout mask.

    values: (..., batch, n); kernel: (n, gates * units); masks: none, one, or one a gate, (batch, n).
    """
    if len(masks) < 2:
        return _product(values * masks[0] if masks else values, kernel)
    import numpy as np

    parts = np.split(kernel, len(masks), axis=-1)
    return np.concatenate(
        [_product(values * mask, part) for mask, part in zip(masks, parts, strict=True)], axis=-1
    )


def _product(values: Array, kernel: Array) -> Array:
    """One product of all rows: NumPy would take matrix after matrix, packing the kernel each time."""
    rows: Array = values if values.ndim == 2 else values.reshape(-1, values.shape[-1])
    found: Array = rows.dot(kernel)  # on few numbers several times sooner than @
    return found.reshape(*values.shape[:-1], -1) if values.ndim > 2 else found


def split(packed: Array, units: int) -> list[Array]:
    """The gates of a packed (..., gates * units) array, each (..., units)."""
    return [packed[..., start : start + units] for start in range(0, packed.shape[-1], units)]


def together(
    activation: Callable[[Array], Array], packed: Array, units: int, gates: Sequence[int]
) -> list[Array]:
    """An activation of these gates of (batch, all gates * units), each (batch, units).

    One call for all gates is the fastest; of few numbers even where it includes some that nobody asks for.
    """
    if packed.size > MANY and len(gates) * units < packed.shape[-1]:
        return [activation(packed[:, gate * units : (gate + 1) * units]) for gate in gates]
    activated = activation(packed.reshape(len(packed), -1, units))
    return [activated[:, gate] for gate in gates]


def initializers_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """The initializers among the options, by the weight that each fills."""
    return {name: config[option] for name, option in _FILLED.items() if option in config}


def take_seeds(config: Mapping[str, Any], drawing: Sequence[str], draw: Draw) -> dict[str, int]:
    """Seeds by weight: initializers made before the layer come first, in the order they were written.

    drawing: the weights, and `dropout`, in the order in which Keras makes what fills them.
    """
    values = initializers_in(config)
    random = [name for name, value in values.items() if initializers.takes_seed(value)]
    written = {option: place for place, option in enumerate(config)}
    before = [name for name in random if isinstance(values[name], Spec) and not values[name].deferred]
    before.sort(key=lambda name: written[_FILLED[name]])
    order = before + [name for name in drawing if name not in before]
    return {name: draw() for name in order if name in random or name == "dropout"}


def sizes(shape: Shape) -> tuple[int, ...]:
    """A shape in which every dimension is known."""
    return tuple(size for size in shape if isinstance(size, int))
