"""The interface of a layer: options, shapes, seeds, weights, claims and computation."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from rnncli.cells.tree import Node
from rnncli.errors import Message, Text
from rnncli.result import Claim, Label, TensorInfo
from rnncli.values import Array, Option, Shape, Spec

INERT = frozenset(
    {"name", "trainable", "activity_regularizer", "autocast", "use_cudnn", "quantization_config"}
    | {"input_dim", "input_shape", "batch_input_shape"}
    | {f"{part}_{what}" for part in ("kernel", "recurrent", "bias") for what in ("regularizer", "constraint")}
)
"""Arguments that Keras accepts, but that do not change what a layer returns."""

INITIALIZED_BY = {
    "kernel": "kernel_initializer",
    "recurrent_kernel": "recurrent_initializer",
    "bias": "bias_initializer",
}
"""The option that initializes a weight, by the name of the weight."""

RATES = ("dropout", "recurrent_dropout", "rate")
"""Options that make a layer draw random numbers in training, unless they are 0."""

Draw = Callable[[], int]
"""Returns the next random number of the Keras script, as `random.randint(1, 10**9)` would."""


class Place(NamedTuple):
    """Where a layer is: its index in the stack, its direction and its path.

    direction: `forward` or `backward` for the layers inside a Bidirectional; else "".
    path: what stands in front of the names of its weights, `0/forward/`.
    """

    layer: int = 0
    direction: str = ""
    path: str = ""

    def inside(self, path: str, direction: str = "") -> "Place":
        """Return the place of a layer inside this layer."""
        return Place(self.layer, direction or self.direction, f"{self.path}{path}/")


class LayerCall(NamedTuple):
    """The arguments of one call of a layer.

    inputs: (batch, timesteps, features).  mask: bool, (batch, timesteps).
    initial_state: in Keras's order, each (batch, units).  weights: by their names in this layer.
    """

    inputs: Array
    weights: Mapping[str, Array]
    place: Place = Place()
    mask: Array | None = None
    initial_state: tuple[Array, ...] | None = None


class LayerOutput(NamedTuple):
    """The tensors that a layer returns, in Keras's order, and the mask for the next layer."""

    tensors: tuple[Array, ...]
    mask: Array | None = None


class LoopEntry(NamedTuple):
    """A number computed by a loop over time.

    direction: which loop of a Bidirectional, else "".  position: the step, in processing order.
    part: the part of the state after that step, or OUTPUT.
    """

    direction: str
    position: int
    part: Label
    unit: int


class LayerEquation(NamedTuple):
    """How a number is computed.

    node: its names are weights, keys of `entries`, and `x`, the layer's input at the index of the number.
    """

    node: Node
    entries: Mapping[str, LoopEntry] = MappingProxyType({})


class LoopRunner(Protocol):
    """What an engine provides to a layer during a call: the loop over time, and data kept between calls."""

    def loop(self, layer: Any, call: LayerCall) -> tuple[Array, tuple[Array, ...]]:
        """Run a recurrent layer over time.

        Returns the outputs, (batch, timesteps, units) or (batch, units), and the last states.
        """


class Layer(ABC):
    """A layer, created from a Spec whose options have been checked.

    options: its arguments, by Keras's names.
    input_rank: the number of axes of its input; 0 if it takes any.
    recurrent: it runs over time, and it or its inner layers have return_sequences and return_state.
    runs_a_cell: it loops over time itself; a Bidirectional does not, but its inner layers do.
    takes_sequence: False if it also accepts (batch, features).
    makes_mask: True if it creates a mask for the next layer.
    takes_mask: False if it has no mask argument, so that the next layer gets the mask.
    mask_ranks: numbers of axes that its mask can have; 2 is (batch, timesteps).
    without_keras: False if only Keras can compute it.
    trains_without_keras: False if only Keras can compute it in training mode.
    is_opaque: it calls a layer inside, into which traces, explanations and NumPy's gradients do not look.
    unsaved: options that Keras omits from the layer's config, so that a copy does not have them.
    forward_units: where the backward half of a concatenated output begins; None if there are no halves.
    in_keras: whether Keras has the layer; without, no script or config for Keras can have it.
    """

    options: ClassVar[Mapping[str, Option]]
    input_rank: int = 3
    recurrent: ClassVar[bool] = False
    runs_a_cell: ClassVar[bool] = False
    takes_sequence: ClassVar[bool] = True
    makes_mask: ClassVar[bool] = False
    without_keras: bool = True
    trains_without_keras: bool = True
    is_opaque: ClassVar[bool] = False
    takes_mask: ClassVar[bool] = True
    mask_ranks: tuple[int, ...] = (2,)
    unsaved: ClassVar[frozenset[str]] = frozenset()
    forward_units: int | None = None
    in_keras: ClassVar[bool] = True

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.config = spec.config

    @property
    def is_reversed(self) -> bool:
        """Whether the returned sequence is in reverse time order, compared with the input."""
        return bool(self.config.get("go_backwards") and not self.config.get("input_order"))

    @property
    def ends(self) -> tuple[str, ...]:
        """The time step that the layer reads last: `last`, or `first` with go_backwards."""
        return ("first" if self.config.get("go_backwards") else "last",)

    @property
    def loops(self) -> "Mapping[str, Layer]":
        """The layers that run over time, by direction: itself under "", or both parts of a Bidirectional."""
        return {"": self} if self.recurrent else {}

    def next_mask(self, inputs: Array | None, mask: Array | None) -> Array | None:
        """Return the mask for the next layer; None if it has none.  inputs: None if they are not known."""
        return mask

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return the shape of each weight by name, in Keras's order."""
        return {}

    @abstractmethod
    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return every tensor that the layer returns, in Keras's order; the first is its output."""

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return the parts of an initial state, in Keras's order, named as in results."""
        return ()

    def require_start(self) -> None:
        """Raise LayerError if Keras cannot start the layer from a supplied initial state."""
        return

    def claims(self) -> dict[Label, tuple[Claim, ...]]:
        """Return the tensors that each returned tensor should equal."""
        return {}

    def arrange(self, output: Any) -> Any:
        """Return the output of a loop over time, or of Keras, in the time order of this layer."""
        return output

    def initializers(self) -> dict[str, Any]:
        """Return the initializer of each weight by its name, or a function (shape, dtype, seeds) -> array."""
        return {name: self.config[option] for name, option in INITIALIZED_BY.items() if option in self.config}

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """Return the seeds that Keras takes when it creates this layer, by weight name or `dropout`."""
        return {}

    def with_returns(self, **returns: bool) -> Spec:
        """Return the Spec with these values of return_sequences or return_state, if the layer has them."""
        options = {name: value for name, value in returns.items() if name in self.options}
        return replace(self.spec, config={**self.config, **options})

    def reason_for_keras(self, training: bool) -> Text | None:
        """Return, as a clause, why only Keras can compute the layer; None if rnncli can."""
        name = self.spec.class_name
        if not self.without_keras:
            return Message("only Keras computes {class_name}", class_name=name)
        if self.trains_without_keras or not training:
            return None
        return Message("only Keras can draw the random numbers of {class_name} in training", class_name=name)

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        """Return the equation of one number of a returned tensor.

        label: as in `outputs`.  index: without negative entries.
        Raises NotImplementedError if only Keras can compute the layer.
        """
        raise NotImplementedError(self.spec.class_name)

    def pull_back(self, vectors: Any, inputs: Array, weights: Mapping[str, Array]) -> Any:
        """Return gradients with respect to the input, from gradients with respect to the output.

        vectors: (count, ...), each of the shape of one sequence's output.  inputs: that sequence, (1, ...).
        Raises NotImplementedError if the layer, which is not recurrent, has no rule: gradients refuse it.
        """
        raise NotImplementedError(self.spec.class_name)

    def call(self, runner: LoopRunner, call: LayerCall) -> LayerOutput:
        """Return all that the layer computes.  Raises NotImplementedError if only Keras can compute it."""
        raise NotImplementedError(self.spec.class_name)


def within(weights: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Return the entries whose path starts with `part/`, without that prefix."""
    return {path[len(part) + 1 :]: value for path, value in weights.items() if path.startswith(f"{part}/")}


def join_parts(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entries of all parts by path: `forward/kernel`."""
    return {f"{part}/{name}": value for part, entries in parts.items() for name, value in entries.items()}
