"""Locate every number of a traced result: what it is, and which cell or layer computed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.case import Array, Case
from rnncli.cells import activations
from rnncli.cells.evaluate import columns_of, evaluate
from rnncli.cells.tree import FUNCTIONS, Name, Node
from rnncli.compute.derivation.explanation import NumberLocation, Target
from rnncli.compute.trace import list_loop_parts
from rnncli.layers.layer import Entry, LayerEquation, within
from rnncli.layers.stack import Stack
from rnncli.result import OUTPUT, STATUSES, Label, LoopTrace, Result


class OutputEntry(NamedTuple):
    """An entry of a tensor that a layer returned, under the layer's own label."""

    layer: int
    label: Label
    indices: tuple[int, ...]


class Inner(NamedTuple):
    """A number in a loop over time: a gate, a part of the state, or the output, of one unit.

    direction: of Bidirectional, else "".  position: of the step, in processing order.
    part: in the trace of the loop; OUTPUT is the hidden state, or the output of a masked step.
    unit: of several numbers; 0 of a single one.
    piece: a part of the equation of `part` whose number this is; None for the number of the whole.
    name: of the piece, its text.
    """

    layer: int
    direction: str
    position: int
    part: Label
    batch: int
    unit: int
    piece: Node | None = None
    name: str = ""

    @property
    def label(self) -> Label:
        """`forget`, `cell_0/cell`, `candidate/recurrent`; `returned`, as `output` is a gate of an LSTM."""
        return Label("returned", kind="") if self.part == OUTPUT else self.part.short

    @property
    def title(self) -> str:
        """`forget`, `candidate.recurrent`, or the text of a piece."""
        return self.name or self.label.dotted


TraceNode = OutputEntry | Inner


class CaseTrace:
    """A case and its trace, with every layer's outputs and states."""

    def __init__(self, case: Case, result: Result) -> None:
        self.case, self.weights, self.stack = case, result.weights, Stack(result.specs)
        self.shapes: list[Any] = [shape for _, shape in self.stack.input_shapes(result.input_shape)]
        self.tensors = {tensor.label: tensor.values for tensor in result.outputs}
        self.loops = {(loop.layer, loop.direction if loop.is_half else ""): loop for loop in result.trace}
        self._rows: dict[tuple[TraceNode, Node], Array] = {}

    def node(self, target: Target) -> TraceNode:
        """Return the number that `target` names; a gate without a time is of the last processed step."""
        label, indices = target
        last = len(self.stack.layers) - 1
        if label in {info.label for info in self.stack.layers[last].outputs(self.shapes[last])}:
            return OutputEntry(last, label, indices)
        part = list_loop_parts(self.stack, self.case.inputs.shape).get(label)
        if part is None:
            return OutputEntry(int(label.layer or 0), label.without_layer, indices)
        times = self.loops[part.layer, part.direction].times.tolist()
        position = times.index(indices[1]) if len(indices) == 3 else len(times) - 1
        return Inner(part.layer, part.direction, position, part.label, indices[0], indices[-1])

    def follow_copies(self, node: TraceNode) -> TraceNode:
        """Return the node where this number was computed, following nodes that only pass it on."""
        if isinstance(node, OutputEntry):
            match self.layer_equation(node):
                case (Name(name), entries) if name in entries:
                    node = self.at(node, entries[name])
        if isinstance(node, Inner) and node.part == OUTPUT and self.status(node) == "computed":
            return node._replace(part=self.output_of(node))
        return node

    def at(self, node: OutputEntry, entry: Entry) -> Inner:
        """Return the number in the node's loop that this entry was taken from."""
        return Inner(node.layer, entry.direction, entry.position, entry.part, node.indices[0], entry.unit)

    def output_of(self, node: Inner) -> Label:
        """Return the state that the loop outputs: `hidden`, of the last cell if there are several."""
        return [state for state in self.loop(node).states if state.part == "hidden"][-1]

    def loop(self, node: Inner) -> LoopTrace:
        """Return the trace of the node's loop."""
        return self.loops[node.layer, node.direction]

    def timestep(self, node: Inner) -> int:
        """Return the input's index of the node's step."""
        return int(self.loop(node).times[node.position])

    def status(self, node: Inner) -> str:
        """Return whether the node's step was computed, held or zeroed."""
        return STATUSES[self.loop(node).status[node.batch, node.position]]

    def is_carried(self, node: Inner) -> bool:
        """Return whether the number is a state that a masked step did not change."""
        return not node.part.kind and self.status(node) != "computed"

    def row_before(self, node: Inner) -> Array:
        """Return the numbers of the node's state before its step."""
        if node.position:
            return self.row(node._replace(position=node.position - 1))
        found: Array = self.loop(node).start[node.part][node.batch]
        return found

    def value(self, node: TraceNode) -> float:
        """Return the layer's own number."""
        if isinstance(node, OutputEntry):
            return float(self.tensors[self.stack.label(node.layer, node.label)][node.indices])
        return float(self.row(node)[node.unit])

    def row(self, node: Inner) -> Array:
        """Return the numbers of all units, (units,)."""
        if node.piece is not None:
            return self.evaluate(node, node.piece)
        found: Array = self.loop(node).parts[node.part][node.batch, node.position]
        return found

    def evaluate(self, node: TraceNode, piece: Node) -> Array:
        """Return the numbers of a part of the node's equation, from those of the trace, in float64."""
        import numpy as np

        place: TraceNode
        if isinstance(node, OutputEntry):
            place = node._replace(indices=node.indices[:-1])
        else:
            place = node._replace(unit=0, piece=None, name="")
        if (place, piece) not in self._rows:
            with np.errstate(all="ignore"):
                found = evaluate(
                    piece,
                    lambda name: self._read(node, name),
                    lambda function, given: self.apply(node, function, *given),
                    lambda _, values, weight: self._multiply(node, values, weight.name),
                )
            self._rows[place, piece] = np.atleast_1d(np.asarray(found, np.float64))
        return self._rows[place, piece]

    def apply(self, node: TraceNode, function: str, *given: Any) -> Array:
        """Return a function of an equation, of the numbers of all units."""
        import numpy as np

        if function in FUNCTIONS:
            return np.asarray(activations.array_functions(np)[function](*given))
        row = np.atleast_1d(np.asarray(given[0], np.float64))
        found: Array = activations.get(self.function(node, function))(row[None])[0]
        return found

    def function(self, node: TraceNode, name: str) -> str:
        """Return the function that a name in the node's equation is: an activation by an option's name."""
        maker = self.maker(node)
        return str(maker.config[name] if isinstance(node, OutputEntry) else maker.function(name))

    def _read(self, node: Any, name: Name) -> Array:
        import numpy as np

        if name.kind == "before":
            return np.asarray(self.row_before(self.beside(node, name.name)), np.float64)
        if name.kind:
            other = self.beside(node, name.name)
            if self.is_carried(other):  # the line was computed from the state that the mask then discarded
                return self.evaluate(other, self.maker(node).written[name.name])
            return np.asarray(self.row(other), np.float64)
        if name.name == "x":
            row, mask = np.asarray(self.input_row(node), np.float64), self.mask(node, "inputs")
            return row if mask is None else row * mask
        return np.asarray(self.weight(node, name.name), np.float64)

    def _multiply(self, node: TraceNode, values: Any, weight: str) -> Array:
        mask = self.mask(node, "recurrent") if weight == "recurrent_kernel" else None
        product: Array = (values if mask is None else values * mask) @ self._read(node, Name(weight))
        return product

    def weight(self, node: TraceNode, name: str) -> Array:
        """Return a weight as the node's equation means it: of a packed one, the columns of its line."""
        weights, maker = self.weights_of(node), self.maker(node)
        if isinstance(node, OutputEntry):
            return weights[name]
        found: Array = columns_of(maker.text, name, node.part.part, weights, maker.units)
        return found

    def input_row(self, node: TraceNode) -> Array:
        """Return the input of the node's cell or layer, (features,)."""
        if isinstance(node, OutputEntry):
            found: Array = self.inputs(node.layer)[node.indices[:-1]]
        elif node.part.cell:
            found = self.row(self.below(node))
        else:
            found = self.inputs(node.layer)[node.batch, self.timestep(node)]
        return found

    def below(self, node: Inner) -> Inner:
        """Return the output of the cell whose output is the input of the node's cell."""
        part = Label("hidden", cell=int(node.part.cell or 0) - 1, kind="")
        return node._replace(part=part, piece=None, name="")

    def mask(self, node: TraceNode, which: str) -> Array | None:
        """Return the dropout mask of `inputs` or of what is `recurrent`, (n,); None without dropout."""
        if isinstance(node, OutputEntry):
            return None
        dropout = self.loop(node).dropout
        dropout = dropout if node.part.cell is None else dropout[str(node.part.cell)]
        masks: tuple[Array, ...] = getattr(dropout, which)
        if not masks:
            return None
        found: Array = masks[self.maker(node).gates.index(node.part.part) if len(masks) > 1 else 0]
        return found[node.batch]  # type: ignore[no-any-return]

    def key(self, node: TraceNode) -> str:
        """Return a unique name for the node."""
        if isinstance(node, OutputEntry):
            return f"{self.stack.label(node.layer, node.label)}{list(node.indices)}"
        line = self.loop(node).label(node.label).dotted
        name = f"{line}: {node.name}" if node.name else line
        return f"{name}[t={self.timestep(node)}, {node.batch}, {node.unit}]"

    def place(self, node: TraceNode) -> NumberLocation:
        """Return where the node is, in the terms of a trace."""
        if isinstance(node, Inner):
            time = self.timestep(node), node.position
            return NumberLocation(node.layer, self.loop(node).direction, *time, node.batch, node.unit)
        timestep = node.indices[1] if len(node.indices) == 3 else None
        return NumberLocation(node.layer, "", timestep, None, node.indices[0], node.indices[-1])

    def maker(self, node: TraceNode) -> Any:
        """Return the cell that computed the node, or the layer if it has no cell."""
        layer: Any = self.stack.layers[node.layer]
        return layer.loops[node.direction].cell.by_index[node.part.cell] if isinstance(node, Inner) else layer

    def weights_of(self, node: TraceNode) -> Mapping[str, Array]:
        """Return the weights of the node's cell or layer, by their own names."""
        parts = [str(node.layer)] if len(self.stack.layers) > 1 else []
        if isinstance(node, Inner):
            parts += [node.direction] if node.direction else []
            parts += [] if node.part.cell is None else [str(node.part.cell)]
        found: Mapping[str, Array] = self.weights
        for part in parts:
            found = within(found, part)
        return found

    def input_label(self, layer: int) -> Label:
        """Return the label of the tensor that the layer below passes on to this one."""
        return self.stack.layers[layer - 1].outputs(self.shapes[layer - 1])[0].label

    def inputs(self, layer: int) -> Array:
        """Return the layer's input."""
        if not layer:
            return self.case.inputs
        found: Array = self.tensors[self.stack.label(layer - 1, self.input_label(layer))]
        return found

    def layer_equation(self, node: OutputEntry) -> LayerEquation:
        """Return the equation of a number that a layer returned."""
        layer = self.stack.layers[node.layer]
        return layer.equation(node.label, node.indices, self.shapes[node.layer])

    def equation(self, node: TraceNode) -> tuple[Node, TraceNode]:
        """Return the node's equation and the node it computes; SimpleRNN's hidden state is its candidate."""
        if isinstance(node, OutputEntry):
            return self.layer_equation(node).node, node
        if node.piece is not None:
            return node.piece, node
        cell = self.maker(node)
        lines = cell.recurrent_parts(cell.written) if node.part.kind == "recurrent" else cell.written
        match lines[node.part.part]:
            case Name(same, "line" | "free"):
                return self.equation(self.beside(node, same))
            case found:
                return found, node

    def beside(self, node: Inner, name: str, kind: str = "") -> Inner:
        """Return the number of a line in the same cell.  kind: of a gate, if not its activation."""
        kind = kind or ("activation" if name in self.maker(node).gates else "")
        return node._replace(part=Label(name, cell=node.part.cell, kind=kind), piece=None, name="")
