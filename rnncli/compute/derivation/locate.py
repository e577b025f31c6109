"""Locate every number of a traced result: what it is, and which cell or layer computed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.cells import activations
from rnncli.cells.evaluate import columns_of, evaluate
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
    unit: the index on the last axis; 0 if the gate has a single number.
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


def returned(layer: int, label: Label, indices: tuple[int, ...]) -> TraceNode:
    """Return a number of a tensor that a layer returned, under the layer's own label."""
    return TraceNode(layer, None, indices[1] if len(indices) > 2 else None, label, indices[0], indices[-1])


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
            return returned(last, label, indices)
        part = list_loop_parts(self.stack, self.case.inputs.shape).get(label)
        if part is None:
            return returned(int(label.layer or 0), label.without_layer, indices)
        times = self.loops[part.layer, part.direction].times.tolist()
        position = times.index(indices[1]) if len(indices) == 3 else len(times) - 1
        return TraceNode(part.layer, part.direction, position, part.label, indices[0], indices[-1])

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
            numbers: Array = self.tensors[self.stack.label(node.layer, node.part)][node.row]
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
                    piece,
                    lambda name: self._read(node, name),
                    lambda function, given: self.apply(node, function, *given),
                    multiply,
                )
            self._rows[whole, piece] = np.atleast_1d(np.asarray(numbers, np.float64))
        return self._rows[whole, piece]

    def apply(self, node: TraceNode, function: str, *given: Any) -> Array:
        """Return a function of an equation, applied to the numbers of all units."""
        import numpy as np

        if function in FUNCTIONS:
            return np.asarray(activations.array_functions(np)[function](*given))
        row = np.atleast_1d(np.asarray(given[0], np.float64))
        numbers: Array = activations.get(self.function(node, function))(row[None])[0]
        return numbers

    def function(self, node: TraceNode, name: str) -> str:
        """Return the function for a name in the node's equation; an option's name means its activation."""
        maker = self.maker(node)
        return str(maker.config[name] if node.is_returned else maker.function(name))

    def _read(self, node: TraceNode, name: Name) -> Array:
        import numpy as np

        if name.kind:
            read = self.row_before if name.kind == "before" else self.row
            return np.asarray(read(self.beside(node, name.name)), np.float64)
        if name.name == "x":
            row, mask = np.asarray(self.input_row(node), np.float64), self.mask(node, "inputs")
            return row if mask is None else row * mask
        return np.asarray(self.weight(node, name.name), np.float64)

    def weight(self, node: TraceNode, name: str) -> Array:
        """Return a weight of the node's equation; of a packed weight, the columns of the node's line."""
        weights, maker = self.weights_of(node), self.maker(node)
        if node.is_returned:
            return weights[name]
        columns: Array = columns_of(maker.text, name, node.part.part, weights, maker.sizes(None))
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
            return f"{self.stack.label(node.layer, node.part)}{[*node.row, node.unit]}"
        line = self.loop(node).label(node.label).dotted
        name = f"{line}: {node.name}" if node.name else line
        return f"{name}[t={self.timestep(node)}, {node.batch}, {node.unit}]"

    def location(self, node: TraceNode) -> NumberLocation:
        """Return the location of the node's number in the trace."""
        direction, time = "", (node.position, None)
        if not node.is_returned:
            direction, time = self.loop(node).direction, (self.timestep(node), node.position)
        return NumberLocation(node.layer, direction, *time, node.batch, node.unit)

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
        """Return the number of a line in the same cell.  kind: of a gate, if not its activation."""
        kind = kind or ("activation" if name in self.maker(node).gates else "")
        return node._replace(part=Label(name, cell=node.part.cell, kind=kind), piece=None, name="")
