"""The Case: the complete, frozen request.  Readers and the command line fill it, engines compute it."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from rnncli.errors import UsageError
from rnncli.values import NO_NAMES, Agreement, Array, Assumed, InputNames

if TYPE_CHECKING:
    from rnncli.layers.stack import Stack


class Hold(NamedTuple):
    """A gate that is held at a value instead of computed: what if the forget gate were 1?

    text: as given, `1/forget[:, 1]=1@2:`.  layer: index in the stack.  direction: of a Bidirectional, or "".
    cell: index in RNN's list of cells, or None.  units, steps: indices; steps are of the layer's input.
    """

    text: str
    layer: int
    direction: str
    cell: int | None
    gate: str
    units: range
    steps: range
    value: float


class Case(NamedTuple):
    """One experiment.

    stack: the layers, checked, first to last.
    inputs: shape (batch, timesteps, features), in the dtype that the first layer computes in; more axes
        for a convolutional layer.
    mask: shape (batch, timesteps), bool, True for the steps to process.
    initial_state: tensors in Keras's order, for the whole stack.
    weights: every weight by its path (`kernel`, `forward/kernel`, `0/forward/kernel`); None to draw
        them from `seed`.
    seed: same as for `keras.utils.set_random_seed`; None where nothing is drawn: with given weights.
    calls: number of times the layers are called with the same inputs.
    hold: the gates to hold at a value; only the numpy engine can.
    all_calls: whether to return the tensors of every call, rather than of the last one.
    names: of the whole batch, also in a chunk.
    consecutive: whether each sequence is the part of one series that follows the sequence before.
    assumed: what was assumed about the file of the layers and weights; None if nothing was.
    agreement: of a layer of a live object, with its framework; else None.
    """

    stack: "Stack"
    inputs: Array
    mask: Array | None = None
    initial_state: tuple[Array, ...] | None = None
    weights: Mapping[str, Array] | None = None
    seed: int | None = 0
    training: bool = False
    calls: int = 1
    all_calls: bool = False
    all_layers: bool = False
    with_trace: bool = False
    names: InputNames = NO_NAMES
    consecutive: bool = False
    hold: tuple[Hold, ...] = ()
    assumed: Assumed | None = None
    agreement: Agreement | None = None

    @property
    def goes_on(self) -> bool:
        """Whether each sequence is a separate call, which starts from the state that the last call left."""
        kept = self.consecutive and self.stack.is_stateful
        return kept and self.calls == 1 and self.initial_state is None

    def require_one_call(self, command: str) -> None:
        """Raise UsageError if each sequence is a separate call, for commands about one call."""
        if self.goes_on:
            raise UsageError(
                "{command} is about one call of the layer, and each of these windows is a call that goes on "
                "from the state before it.",
                "Leave stateful out, or give another {--stride}, with which each window starts anew.",
                command=command,
            )
