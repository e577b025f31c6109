"""RNN: one cell, or several stacked cells, run over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, ClassVar

from rnncli import layers
from rnncli.cells.program import BoundCell, DropoutMasks, Gate
from rnncli.errors import LayerError
from rnncli.layers.layer import Draw, join_parts, within
from rnncli.layers.recurrent import LOOP_OPTIONS, Cell, RecurrentLayer, State
from rnncli.result import Label
from rnncli.values import Array, Option, Shape, Spec


class StackedCells:
    """Several cells that act as a single Cell; each gets the previous cell's output.

    Names of weights start with `0/`, `1/`, ..., as in Keras.
    """

    def __init__(self, specs: tuple[Spec, ...]) -> None:
        self.cells: dict[str, Cell] = {str(i): layers.make_cell(spec) for i, spec in enumerate(specs)}
        for spec in specs[1:]:
            if spec.equations is not None and spec.equations.inputs:
                what = "{name} takes {inputs} by name, so it must be the first cell."
                inputs = ", ".join(spec.equations.inputs)
                raise LayerError(what, "Put it first.", name=spec.title, inputs=inputs)
        self.units = self.cells[str(len(specs) - 1)].units
        self.output_state = Label("hidden", last=True, cell=len(specs) - 1)
        self.state_labels = [
            label._replace(cell=int(key)) for key, cell in self.cells.items() for label in cell.state_labels
        ]

    def state_shapes(self, features: int | None) -> dict[Label, tuple[tuple[str, ...], Shape]]:
        shapes: list[tuple[tuple[str, ...], Shape]] = []
        for cell in self.cells.values():
            shapes += cell.state_shapes(features).values()
            features = cell.units
        return dict(zip(self.state_labels, shapes, strict=True))

    @property
    def by_index(self) -> dict[int, Cell]:
        return dict(enumerate(self.cells.values()))

    def widest(self, features: int | None) -> int:
        widths = []
        for cell in self.cells.values():
            widths.append(cell.widest(features))
            features = cell.units
        return max(widths)

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Every cell but the first has as many features as the previous cell has units."""
        shapes: dict[str, dict[str, Shape]] = {}
        for key, cell in self.cells.items():
            shapes[key] = cell.weight_shapes(input_shape)
            input_shape = (*input_shape[:-1], cell.units)
        return join_parts(shapes)

    def initializers(self) -> dict[str, Any]:
        return join_parts({key: cell.initializers() for key, cell in self.cells.items()})

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return join_parts({key: cell.take_seeds(draw) for key, cell in self.cells.items()})

    def start(self, batch: int, dtype: Any, features: int | None = None) -> State:
        started = []
        for cell in self.cells.values():
            started.append(cell.start(batch, dtype, features))
            features = cell.units
        return tuple(started)

    def pack(self, parts: tuple[Array, ...]) -> State:
        packed = []
        for cell in self.cells.values():
            count = len(cell.states)
            packed.append(cell.pack(parts[:count]))
            parts = parts[count:]
        return tuple(packed)

    def unpack(self, state: State) -> tuple[Array, ...]:
        return tuple(chain.from_iterable(state))

    def output(self, state: State) -> Array:
        return state[-1][0]  # type: ignore[no-any-return]

    def bind(
        self, weights: Mapping[str, Array], dropout: Mapping[str, DropoutMasks], features: int | None = None,
        dtype: Any = None, *, holds: bool = False,
    ) -> BoundCell:  # fmt: skip
        """Return the projection of the first cell, and one step of all cells."""
        bound = []
        for key, cell in self.cells.items():
            bound.append(cell.bind(within(weights, key), dropout[key], features, dtype, holds=holds))
            features = cell.units

        def step(
            projected: Any, state: State, holds: Mapping[int, Any] | None = None
        ) -> tuple[State, Callable[[], tuple[Gate, ...]]]:
            """Compute one time step; `projected` is for the first cell.  holds: by index of the cell."""
            states: list[Any] = []
            gates_of: list[Callable[[], tuple[Gate, ...]]] = []
            for index, ((project, cell_step), before) in enumerate(zip(bound, state, strict=True)):
                inputs = project(states[-1][0]) if states else projected
                after, gates = cell_step(inputs, before, holds.get(index) if holds else None)
                states.append(after)
                gates_of.append(gates)
            return tuple(states), lambda: tuple(gate for gates in gates_of for gate in gates())

        return BoundCell(bound[0][0], step)

    def no_dropout(self) -> dict[str, DropoutMasks]:
        return {key: cell.no_dropout() for key, cell in self.cells.items()}

    def dropout_of(
        self, shape: tuple[int, int], dtype: str, path: str, seeds: Mapping[str, int], drawn: dict[str, int]
    ) -> dict[str, DropoutMasks]:
        masks: dict[str, DropoutMasks] = {}
        for key, cell in self.cells.items():
            masks[key] = cell.dropout_of(shape, dtype, f"{path}{key}/", seeds, drawn)
            shape = (shape[0], cell.units)
        return masks


class RNN(RecurrentLayer):
    """A cell, or a list of cells, run over time; returns output[, the states of all cells]."""

    options: ClassVar[Mapping[str, Option]] = {
        "cell": Option("cells", required=True),
        **LOOP_OPTIONS,
        "dtype": Option("dtype", "float32"),
    }

    def make_cell(self, spec: Spec) -> Any:
        cell = spec.config["cell"]
        return layers.make_cell(cell) if isinstance(cell, Spec) else StackedCells(tuple(cell))
