"""RNN: any cell, or several cells one on the other, under one loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rnncli import layers
from rnncli.case import Shape, Spec
from rnncli.layers._cell import Cell, Dropout, State
from rnncli.layers._layer import Draw, Layer, Option, prefixed, within
from rnncli.layers._recurrent import LOOP_OPTIONS, Recurrent

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.layers._cell import Gates
    from rnncli.result import Gate


class StackedCells:
    """Cells of which each gets the output of the one before it.

    States and gates begin with `cell_0/`, `cell_1/`, ..., so that in a stack nobody takes a cell for a layer;
    weights with `0/`, `1/`, ..., as in Keras.
    """

    def __init__(self, specs: tuple[Spec, ...]) -> None:
        self.cells: dict[str, Cell] = {str(i): layers.make_cell(spec) for i, spec in enumerate(specs)}
        self.units = self.cells[str(len(specs) - 1)].units
        self.output_state = f"cell_{len(specs) - 1}/last_hidden_state"
        self.state_sizes = {
            name: units
            for key, cell in self.cells.items()
            for name, units in prefixed(f"cell_{key}", cell.state_sizes)
        }

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Every cell's; from the second on, the features are the units of the one before."""
        shapes: dict[str, Shape] = {}
        for key, cell in self.cells.items():
            shapes.update(prefixed(key, cell.weight_shapes(input_shape)))
            input_shape = (*input_shape[:-1], cell.units)
        return shapes

    def initializers(self) -> dict[str, Any]:
        """Every cell's."""
        return {
            name: value
            for key, cell in self.cells.items()
            for name, value in prefixed(key, cell.initializers())
        }

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """Every cell's, in order."""
        return {
            name: s for key, cell in self.cells.items() for name, s in prefixed(key, cell.take_seeds(draw))
        }

    def draw_weights(self, input_shape: Shape, seeds: Mapping[str, int], dtype: str) -> dict[str, Array]:
        """Every cell's."""
        drawn: dict[str, Array] = {}
        for key, cell in self.cells.items():
            drawn.update(prefixed(key, cell.draw_weights(input_shape, within(seeds, key), dtype)))
            input_shape = (*input_shape[:-1], cell.units)
        return drawn

    def start(self, batch: int, dtype: Any) -> State:
        """Every cell's start state."""
        return tuple(cell.start(batch, dtype) for cell in self.cells.values())

    def pack(self, parts: tuple[Array, ...]) -> State:
        """Arrays in Keras's order as the states of the cells."""
        packed = []
        for cell in self.cells.values():
            count = len(cell.State._fields)
            packed.append(cell.pack(parts[:count]))
            parts = parts[count:]
        return tuple(packed)

    def unpack(self, state: State) -> dict[str, Array]:
        """Every part of the state by its name, `cell_0/hidden`."""
        pairs = zip(self.cells.items(), state, strict=True)
        return {
            name: part
            for (key, cell), own in pairs
            for name, part in prefixed(f"cell_{key}", cell.unpack(own))
        }

    def output(self, state: State) -> Array:
        """The last cell's hidden state."""
        *_, last = self.cells.values()
        return last.output(state[-1])

    def project(self, inputs: Array, weights: Mapping[str, Array], dropout: Mapping[str, Dropout]) -> Array:
        """What the first cell's gates get from the inputs."""
        return self.cells["0"].project(inputs, within(weights, "0"), dropout["0"])

    def step(
        self, projected: Array, state: State, weights: Mapping[str, Array], dropout: Mapping[str, Dropout]
    ) -> tuple[State, Gates]:
        """One time step of every cell, the first from what it was projected."""
        states: list[Any] = []
        gates_of: dict[str, Gates] = {}
        for (key, cell), before in zip(self.cells.items(), state, strict=True):
            own = within(weights, key)
            if states:
                projected = cell.project(self.cells[str(int(key) - 1)].output(states[-1]), own, dropout[key])
            after, gates_of[key] = cell.step(projected, before, own, dropout[key])
            states.append(after)

        def gates() -> dict[str, Gate]:
            pairs = (prefixed(f"cell_{key}", own()) for key, own in gates_of.items())
            return {name: gate for own in pairs for name, gate in own}

        return tuple(states), gates

    def no_dropout(self) -> dict[str, Dropout]:
        """What a call that does not train gets."""
        return {key: cell.no_dropout() for key, cell in self.cells.items()}

    def dropout_of(
        self, shape: tuple[int, int], dtype: str, seeds: Mapping[str, int], drawn: dict[str, int]
    ) -> dict[str, Dropout]:
        """Each cell's masks, by its own generator."""
        masks: dict[str, Dropout] = {}
        for key, cell in self.cells.items():
            counts = within(drawn, key)
            masks[key] = cell.dropout_of(shape, dtype, within(seeds, key), counts)
            drawn.update(prefixed(key, counts))
            shape = (shape[0], cell.units)
        return masks


class RNN(Recurrent):
    """A cell, or a list of cells, under a loop; returns output[, every cell's states]."""

    options: ClassVar[Mapping[str, Option]] = {
        "cell": Option("cells", required=True),
        **LOOP_OPTIONS,
        "dtype": Option("dtype"),
    }

    def make_cell(self, spec: Spec) -> Any:
        """One cell alone keeps its own names."""
        cell = spec.config["cell"]
        return layers.make_cell(cell) if isinstance(cell, Spec) else StackedCells(tuple(cell))


LAYERS: dict[str, type[Layer]] = {"RNN": RNN}
