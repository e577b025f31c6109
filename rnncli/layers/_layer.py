"""The contract of a layer: options, shapes, seeds and weights, claims, and one way to compute."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from rnncli.case import Shape, Spec
from rnncli.layers._equations import Sum
from rnncli.result import TensorInfo

if TYPE_CHECKING:
    from rnncli.case import Array

Kind = Literal[
    "size", "sizes", "flag", "rate", "number", "seed", "dtype",
    "activation", "initializer", "choice", "layer", "cells", "backward", "text",
]  # fmt: skip


class Option(NamedTuple):
    """One argument of a layer: what it may hold and what Keras takes when it is left out.

    required: it has no default; choices: of the kind `choice` alone.
    """

    kind: Kind
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()


INERT = frozenset(
    {
        "name",
        "trainable",
        "activity_regularizer",
        "autocast",
        "use_cudnn",
        "input_dim",
        "input_shape",
        "batch_input_shape",
        "quantization_config",
    }
    | {f"{part}_{what}" for part in ("kernel", "recurrent", "bias") for what in ("regularizer", "constraint")}
)
"""Arguments that Keras takes and that change nothing in what a layer returns."""

Draw = Callable[[], int]
"""Takes the next random number of the Keras script, as `random.randint(1, 10**9)` would."""


class Place(NamedTuple):
    """Where a layer stands: in which layer of the stack, under which path, and for which direction.

    direction: of a part of Bidirectional; "" elsewhere, where the layer itself knows.
    """

    layer: int = 0
    direction: str = ""
    path: str = ""

    def inside(self, path: str, direction: str = "") -> Place:
        """The place of a part of this layer."""
        return Place(self.layer, direction or self.direction, f"{self.path}{path}/")


class Call(NamedTuple):
    """What a layer gets.

    inputs: (batch, timesteps, features).  mask: (batch, timesteps) of bool.
    initial_state: in Keras's order, each (batch, units).  weights: by their names in this layer.
    """

    inputs: Array
    weights: Mapping[str, Array]
    place: Place = Place()
    mask: Array | None = None
    initial_state: tuple[Array, ...] | None = None


class Returned(NamedTuple):
    """What a layer returns, in Keras's order, and the mask that the next layer gets."""

    tensors: tuple[Array, ...]
    mask: Array | None = None


class Run(Protocol):
    """What an engine lends to a layer while it computes: the loop over time and what stays between calls."""

    def loop(self, layer: Any, call: Call) -> tuple[Array, tuple[Array, ...]]:
        """Outputs, (batch, timesteps, units) or (batch, units), and the last states, of a recurrent layer."""
        ...


class Layer(ABC):
    """A layer as it is asked for by a Spec whose options have been checked.

    recurrent: it steps through time, and has return_sequences and return_state, itself or inside.
    takes_sequence: False where it takes (batch, features) as well.
    makes_mask: True where the layers after it get a mask of its making.
    takes_mask: False where a script cannot call it with one, so that the next layer gets it.
    without_keras: False where only Keras computes it, because there is no step of ours.
    trains_without_keras: False where that is so while it trains.
    unsaved: options that Keras leaves out of the layer's config, so that a copy does not have them.
    """

    options: ClassVar[Mapping[str, Option]]
    input_rank: ClassVar[int] = 3
    recurrent: ClassVar[bool] = False
    takes_sequence: ClassVar[bool] = True
    makes_mask: ClassVar[bool] = False
    without_keras: ClassVar[bool] = True
    trains_without_keras: ClassVar[bool] = True
    takes_mask: ClassVar[bool] = True
    unsaved: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.config = spec.config

    @property
    def turns(self) -> bool:
        """Whether the rows of the sequence that it returns stand in the reverse order of its input's."""
        return bool(self.config.get("go_backwards"))

    @property
    def loops(self) -> Mapping[str, Layer]:
        """What steps through time in it, by direction: itself under "", or both parts of Bidirectional."""
        return {"": self} if self.recurrent else {}

    @abstractmethod
    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Every weight's shape by its name, in Keras's order."""

    @abstractmethod
    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Every tensor that the layer returns, in Keras's order; the first is its output."""

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """What an initial state consists of, in Keras's order, under the names of the results."""
        return ()

    def demand_start(self) -> None:
        """Raises LayerError where Keras could not start it from a given state."""
        return

    def claims(self) -> dict[str, tuple[str, ...]]:
        """By name of a returned tensor, what ought to be the same numbers: `hidden_states[:, -1, :]`."""
        return {}

    def initializers(self) -> dict[str, Any]:
        """What fills each weight, by its name."""
        return {}

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """The seeds that Keras takes when it makes this layer, by the weight (or `dropout`) they are for."""
        return {}

    def draw_weights(self, input_shape: Shape, seeds: Mapping[str, int], dtype: str) -> dict[str, Array]:
        """Every weight as Keras draws it for these seeds."""
        return {}

    def with_returns(self, **returns: bool) -> Spec:
        """The same layer with this return_sequences or return_state, as far as it has them."""
        own = {name: value for name, value in returns.items() if name in self.options}
        return replace(self.spec, config={**self.config, **own})

    def equation(self, name: str, index: tuple[int, ...], input_shape: tuple[int, ...]) -> Sum:
        """Where one number of the returned tensor `name` comes from; index: none of it negative."""
        raise NotImplementedError(f"{self.spec.class_name} is computed by Keras alone")

    def call(self, run: Run, call: Call) -> Returned:
        """Everything the layer returns for `call`; not where only Keras computes it."""
        raise NotImplementedError(f"{self.spec.class_name} is computed by Keras alone")


def within(weights: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The entries below `part/`, without that prefix."""
    return {path[len(part) + 1 :]: value for path, value in weights.items() if path.startswith(f"{part}/")}


def by_part(weights: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All the parts of `within` at once: those of a deep stack one by one would take its depth squared."""
    found: dict[str, dict[str, Any]] = {}
    for path, value in weights.items():
        part, _, rest = path.partition("/")
        found.setdefault(part, {})[rest] = value
    return found


def prefixed(part: str, weights: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The entries with `part/` in front."""
    return ((f"{part}/{name}", value) for name, value in weights.items())
