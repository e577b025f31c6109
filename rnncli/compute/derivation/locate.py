"""Locate every number of a traced result: what it is, and which cell or layer computed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.cells import activations
from rnncli.cells.evaluate import columns_of, evaluate, move_array
from rnncli.cells.sizes import CellSizes, axes_of, lower_part
from rnncli.cells.tree import FUNCTIONS, Name, Node
from rnncli.compute.derivation.explanation import NumberLocation, Target
from rnncli.compute.trace import list_loop_parts
from rnncli.layers.case import Case
from rnncli.layers.layer import Layer, LayerEquation, LoopEntry, within
from rnncli.layers.stack import Stack
from rnncli.result import OUTPUT, Label, LoopTrace, Result
from rnncli.values import STATUSES, Array


class TraceNode(NamedTuple):
    """One number: of a gate, a state or the output of a loop over time, or of a returned tensor.

    direction: of a layer in Bidirectional; "" in any other loop, None for a returned tensor.
    position: the step in processing order; of a returned tensor, the row, None without a time axis.
    part: the label in the trace of the loop, where OUTPUT is the hidden state, or the output of a masked
        step; of a returned tensor, the layer's own label.
    unit: the index on the last axis; 0 if the gate has a single number.  Where axes have names, the numbers
        of a step are flat, and this is the index among them.
    piece: the part of the equation that computes the number; None for the whole equation.
    name: the text of `piece`.
    """

    layer: int
    direction: str | None
    position: Any
    part: Label
    batch: int
    unit: int
    piece: Node | None = None
    name: str = ""

    @property
    def is_returned(self) -> bool:
        """Whether the number is of a tensor that a layer returned."""
        return self.direction is None

    @property
    def row(self) -> tuple[int, ...]:
        """The index in a returned tensor, without the last axis."""
        return (self.batch,) if self.position is None else (self.batch, self.position)

    @property
    def title(self) -> str:
        """`forget`, `candidate.recurrent`, or the text of a piece."""
        return self.name or self.label.dotted

    @property
    def label(self) -> Label:
        """`forget`, `cell_0/cell`, `candidate/recurrent`; `returned`, as `output` is a gate of an LSTM."""
        return Label("returned", kind="") if self.part == OUTPUT else self.part.short


class CaseTrace:
    """A case and its trace, with every layer's outputs and states."""

    def __init__(self, case: Case, result: Result) -> None:
        self.case, self.stack = case, Stack(result.specs)
        self.weights = self.stack.split(result.weights)
        self.shapes: list[Any] = [shape for _, shape in self.stack.input_shapes(result.input_shape)]
        self.tensors = {tensor.label: tensor.values for tensor in result.outputs}
        self.loops = {(loop.layer, loop.direction if loop.is_half else ""): loop for loop in result.trace}
        pairs = zip(self.stack.layers, self.shapes, strict=True)
        self.passed_on = [layer.outputs(shape)[0].label for layer, shape in pairs]
        outputs = (self.tensors[self.stack.label(*pair)] for pair in enumerate(self.passed_on))
        self.inputs: list[Any] = [case.inputs, *outputs]
        self._rows: dict[tuple[TraceNode, Node], Array] = {}

    def node(self, target: Target) -> TraceNode:
        """Return the number that `target` names; a gate without a time is of the last processed step."""
        label, indices = target
        last = len(self.stack.layers) - 1
        if label in {info.label for info in self.stack.layers[last].outputs(self.shapes[last])}:
            return self._returned(last, label, indices)
        part = list_loop_parts(self.stack, self.case.inputs.shape).get(label)
        if part is None:
            return self._returned(int(label.layer or 0), label.without_layer, indices)
        times = self.loops[part.layer, part.direction].times.tolist()
        has_time = len(indices) > 1 + len(part.axes)
        position, unit = times.index(indices[1]) if has_time else len(times) - 1, 0
        for index, size in zip(indices[1 + has_time :], part.axes.values(), strict=True):
            unit = unit * size + index
        return TraceNode(part.layer, part.direction, position, part.label, indices[0], unit)

    def _returned(self, layer: int, label: Label, indices: tuple[int, ...]) -> TraceNode:
        """Return a number of a tensor that a layer returned, under the layer's own label."""
        import numpy as np

        position = indices[1] if len(indices) > 2 and not label.last else None
        row = 1 if position is None else 2
        shape = self.tensors[self.stack.label(layer, label)].shape[row:]
        unit = int(np.ravel_multi_index(indices[row:], shape))
        return TraceNode(layer, None, position, label, indices[0], unit)

    def sizes(self, node: TraceNode) -> CellSizes:
        """Return the sizes of the node's cell."""
        loops: Mapping[str, Any] = self.stack.layers[node.layer].loops
        cells: Mapping[int | None, Any] = loops[node.direction or ""].cell.by_index
        below = cells.get((node.part.cell or 0) - 1)
        features = self.shapes[node.layer][-1] if below is None else below.units
        sizes: CellSizes = cells[node.part.cell].sizes(features)
        return sizes

    def has_axes(self, node: TraceNode) -> bool:
        """Return whether a cell computed the node whose axes have names."""
        return not node.is_returned and node.part != OUTPUT and self.maker(node).text.has_axes

    def indices(self, node: TraceNode) -> dict[str, int]:
        """Return the index of the node's number on each of its axes; {} where axes have no names."""
        import numpy as np

        if not self.has_axes(node):
            return {}
        cell, sizes = self.maker(node), self.sizes(node)
        axes = sizes.axes[node.part.part]
        if node.piece is not None:
            axes = axes_of(node.piece, cell.text, cell.config, sizes, node.part.part)
        return dict(zip(axes, map(int, np.unravel_index(node.unit, sizes.shape(axes))), strict=False))

    def follow_copies(self, node: TraceNode) -> TraceNode:
        """Return the node that computed this number, following nodes that only pass a number on."""
        if node.is_returned:
            match self.layer_equation(node):
                case (Name(name), entries) if name in entries:
                    node = self.at(node, entries[name])
        if not node.is_returned and node.part == OUTPUT and self.status(node) == "computed":
            return node._replace(part=self.output_of(node))
        return node

    def at(self, node: TraceNode, entry: LoopEntry) -> TraceNode:
        """Return the number in the node's loop that this entry was taken from."""
        return node._replace(**entry._asdict())

    def output_of(self, node: TraceNode) -> Label:
        """Return the state that the loop outputs: `hidden`, of the last cell if there are several."""
        return [state for state in self.loop(node).states if state.part == "hidden"][-1]

    def loop(self, node: TraceNode) -> LoopTrace:
        """Return the trace of the node's loop."""
        return self.loops[node.layer, node.direction or ""]

    def timestep(self, node: TraceNode) -> int:
        """Return the input's index of the node's step."""
        return int(self.loop(node).times[node.position])

    def status(self, node: TraceNode) -> str:
        """Return whether the node's step was computed, held or zeroed."""
        return STATUSES[self.loop(node).status[node.batch, node.position]]

    def is_unused(self, node: TraceNode) -> bool:
        """Return whether the number is of a gate at a masked step."""
        return not node.is_returned and bool(node.part.kind) and self.status(node) != "computed"

    def kept(self, node: TraceNode) -> list[TraceNode]:
        """Return the states that the node's cell keeps at a masked step, of the node's unit."""
        loop = self.loop(node)
        states = [state for state in reversed(loop.states) if state.cell == node.part.cell]
        if self.has_axes(node):
            return [self.beside(node, state.part) for state in states]
        last = [loop.parts[state].shape[-1] - 1 for state in states]
        pairs = zip(states, last, strict=True)
        return [node._replace(part=state, unit=min(node.unit, largest)) for state, largest in pairs]

    def row_before(self, node: TraceNode) -> Array:
        """Return the numbers of the node's state before its step."""
        if node.position:
            return self.row(node._replace(position=node.position - 1))
        row: Array = self.loop(node).start[node.part][node.batch]
        return row

    def value(self, node: TraceNode) -> float:
        """Return the layer's own number."""
        return float(self.row(node)[node.unit])

    def row(self, node: TraceNode) -> Array:
        """Return the numbers of all units, (units,)."""
        if node.piece is not None:
            return self.evaluate(node, node.piece)
        if node.is_returned:
            numbers: Array = self.tensors[self.stack.label(node.layer, node.part)][node.row].ravel()
        else:
            numbers = self.loop(node).parts[node.part][node.batch, node.position]
        return numbers

    def evaluate(self, node: TraceNode, piece: Node) -> Array:
        """Compute a part of the node's equation in float64, from the numbers of the trace."""
        import numpy as np

        def multiply(_: Node, values: Any, weight: Name) -> Any:
            mask = self.mask(node, "recurrent") if weight.name == "recurrent_kernel" else None
            return (values if mask is None else values * mask) @ self._read(node, Name(weight.name))

        whole = node._replace(unit=0, piece=None, name="")
        if (whole, piece) not in self._rows:
            with np.errstate(all="ignore"):
                numbers = evaluate(
                    self._lowered(node, piece),
                    lambda name: self._read(node, name),
                    lambda function, given: self.apply(node, function, *given),
                    multiply,
                    move_array,
                )
            self._rows[whole, piece] = np.asarray(numbers, np.float64).reshape(-1)
        return self._rows[whole, piece]

    def _lowered(self, node: TraceNode, piece: Node) -> Node:
        if not self.has_axes(node):
            return piece
        cell = self.maker(node)
        return lower_part(piece, cell.text, cell.config, self.sizes(node), node.part.part)[0]

    def apply(self, node: TraceNode, function: str, *given: Any) -> Array:
        """Return a function of an equation, applied to the numbers of all units."""
        import numpy as np

        if function in FUNCTIONS:
            return np.asarray(activations.array_functions(np)[function](*given))
        row = np.asarray(given[0], np.float64)
        numbers: Array = activations.get(self.function(node, function))(np.atleast_1d(row)[None])[0]
        return numbers.reshape(row.shape)

    def function(self, node: TraceNode, name: str) -> str:
        """Return the function for a name in the node's equation; an option's name means its activation."""
        maker = self.maker(node)
        return str(maker.config[name] if node.is_returned else maker.function(name))

    def _read(self, node: TraceNode, name: Name) -> Array:
        import numpy as np

        if name.kind in ("before", "line", "free"):
            read = self.row_before if name.kind == "before" else self.row
            numbers = np.asarray(read(self.beside(node, name.name)), np.float64)
            if not self.has_axes(node):
                return numbers
            sizes = self.sizes(node)
            return numbers.reshape(sizes.shape(sizes.axes[name.name]))
        if name.name == "x" or name.kind == "input":
            row, mask = np.asarray(self.input_row(node), np.float64), self.mask(node, "inputs")
            start, width = self.sizes(node).inputs[name.name] if name.kind else (0, len(row))
            return (row if mask is None else row * mask)[start : start + width]
        return np.asarray(self.weight(node, name.name), np.float64)

    def weight(self, node: TraceNode, name: str) -> Array:
        """Return a weight of the node's equation; of a packed weight, the columns of the node's line."""
        weights, maker = self.weights_of(node), self.maker(node)
        if node.is_returned:
            return weights[name]
        columns: Array = columns_of(maker.text, name, node.part.part, weights, self.sizes(node))
        return columns

    def input_row(self, node: TraceNode) -> Array:
        """Return the input of the node's cell or layer, (features,)."""
        if node.part.cell and not node.is_returned:
            return self.row(self.below(node))
        row = node.row if node.is_returned else (node.batch, self.timestep(node))
        numbers: Array = self.inputs[node.layer][row]
        return numbers

    def below(self, node: TraceNode) -> TraceNode:
        """Return the output of the cell whose output is the input of the node's cell."""
        part = Label("hidden", cell=int(node.part.cell or 0) - 1, kind="")
        return node._replace(part=part, piece=None, name="")

    def mask(self, node: TraceNode, which: str) -> Array | None:
        """Return the dropout mask of the `inputs` or the `recurrent` numbers, (n,); None without dropout."""
        if node.is_returned:
            return None
        dropout = self.loop(node).dropout
        dropout = dropout if node.part.cell is None else dropout[str(node.part.cell)]
        masks: tuple[Array, ...] = getattr(dropout, which)
        if not masks:
            return None
        rows: Array = masks[self.maker(node).gates.index(node.part.part) if len(masks) > 1 else 0]
        return rows[node.batch]  # type: ignore[no-any-return]

    def key(self, node: TraceNode) -> str:
        """Return a unique name for the node."""
        if node.is_returned:
            return f"{self.stack.label(node.layer, node.part)}{[*node.row, *self._index(node)]}"
        line = self.loop(node).label(node.label).dotted
        name = f"{line}: {node.name}" if node.name else line
        index = ", ".join(map(str, self._index(node)))
        return f"{name}[t={self.timestep(node)}, {node.batch}{index and f', {index}'}]"

    def _index(self, node: TraceNode) -> tuple[int, ...]:
        """Return the index on each axis that belongs to a single step."""
        import numpy as np

        if node.is_returned:
            shape = self.tensors[self.stack.label(node.layer, node.part)].shape[len(node.row) :]
            return tuple(map(int, np.unravel_index(node.unit, shape)))
        return (*self.indices(node).values(),) if self.has_axes(node) else (node.unit,)

    def location(self, node: TraceNode) -> NumberLocation:
        """Return the location of the node's number in the trace."""
        direction, time = "", (node.position, None)
        if not node.is_returned:
            direction, time = self.loop(node).direction, (self.timestep(node), node.position)
        axes = self.indices(node)
        named = self.has_axes(node) and [*axes] != ["units"]
        at = (*axes.items(),) if named else None
        return NumberLocation(node.layer, direction, *time, node.batch, node.unit, at)

    def maker(self, node: TraceNode) -> Any:
        """Return the cell that computed the node, or the layer if it has no cell."""
        layer: Any = self.stack.layers[node.layer]
        return layer if node.is_returned else layer.loops[node.direction].cell.by_index[node.part.cell]

    def weights_of(self, node: TraceNode) -> Mapping[str, Array]:
        """Return the weights of the node's cell or layer, by their own names."""
        weights, cell = self.weights[node.layer], None if node.is_returned else node.part.cell
        weights = within(weights, node.direction) if node.direction else weights
        return weights if cell is None else within(weights, str(cell))

    def layer_equation(self, node: TraceNode) -> LayerEquation:
        """Return the equation of a number that a layer returned."""
        layer: Layer = self.stack.layers[node.layer]
        return layer.equation(node.part, (*node.row, node.unit), self.shapes[node.layer])

    def equation(self, node: TraceNode) -> tuple[Node, TraceNode]:
        """Return the node's equation and the node it computes; SimpleRNN's hidden state is its candidate."""
        if node.is_returned:
            return self.layer_equation(node).node, node
        if node.piece is not None:
            return node.piece, node
        cell = self.maker(node)
        lines = cell.recurrent_parts(cell.written) if node.part.kind == "recurrent" else cell.written
        match lines[node.part.part]:
            case Name(same, "line" | "free"):
                return self.equation(self.beside(node, same))
            case line:
                return line, node

    def beside(self, node: TraceNode, name: str, kind: str = "") -> TraceNode:
        """Return the number of a line in the same cell, at the same indices.

        kind: of a gate, if not its activation.
        """
        kind = kind or ("activation" if name in self.maker(node).gates else "")
        other = node._replace(part=Label(name, cell=node.part.cell, kind=kind), piece=None, name="")
        if not self.has_axes(node):
            return other
        sizes = self.sizes(node)
        return other._replace(unit=sizes.place(sizes.axes[name], self.indices(node)))
