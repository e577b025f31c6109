"""A recurrent layer: a cell run over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from rnncli.case import Array, Option, Shape, Spec
from rnncli.layers.equations import Entry, Sum, times
from rnncli.layers.layer import Call, Draw, Layer, LayerOutput, LoopRunner
from rnncli.result import OUTPUT, Claim, Label, TensorInfo

if TYPE_CHECKING:
    from rnncli.layers.cell import Cell

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
            output = TensorInfo(label, ("batch", "units"), (batch, units))
        return (output, *(self.states(input_shape) if self.returns_state else ()))

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return last_hidden_state, and any other state of the cell."""
        sizes = self.cell.state_sizes.items()
        return tuple(TensorInfo(label, ("batch", "units"), (input_shape[0], units)) for label, units in sizes)

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
