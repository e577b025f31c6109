"""Locate every number of a traced result: what it is, and which cell or layer computed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.case import Array, Case
from rnncli.compute.derivation.explanation import NumberLocation, Target
from rnncli.compute.trace import list_loop_parts
from rnncli.layers.equations import Current, Entry, Product, Sum
from rnncli.layers.layer import within
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
    """

    layer: int
    direction: str
    position: int
    part: Label
    batch: int
    unit: int

    @property
    def label(self) -> Label:
        """`forget`, `cell_0/cell`, `candidate/recurrent`; `returned`, as `output` is a gate of an LSTM."""
        return Label("returned", kind="") if self.part == OUTPUT else self.part.short


TraceNode = OutputEntry | Inner


class CaseTrace:
    """A case and its trace, with every layer's outputs and states."""

    def __init__(self, case: Case, result: Result) -> None:
        self.case, self.weights, self.stack = case, result.weights, Stack(result.specs)
        self.shapes: list[Any] = [shape for _, shape in self.stack.input_shapes(result.input_shape)]
        self.tensors = {tensor.label: tensor.values for tensor in result.outputs}
        self.loops = {(loop.layer, loop.direction if loop.is_half else ""): loop for loop in result.trace}

    def node(self, target: Target) -> TraceNode:
        """Return the number that `target` names; a gate without a time is of the last processed step."""
        label, indices = target
        last = len(self.stack.layers) - 1
        if label in {info.label for info in self.stack.layers[last].outputs(self.shapes[last])}:
            return OutputEntry(last, label, indices)
        part = list_loop_parts(self.stack).get(label)
        if part is None:
            return OutputEntry(int(label.layer or 0), label.without_layer, indices)
        times = self.loops[part.layer, part.direction].times.tolist()
        position = times.index(indices[1]) if len(indices) == 3 else len(times) - 1
        return Inner(part.layer, part.direction, position, part.label, indices[0], indices[-1])

    def follow_copies(self, node: TraceNode) -> TraceNode:
        """Return the node where this number was computed, following nodes that only pass it on."""
        if isinstance(node, OutputEntry):
            match self.equation(node)[0].terms:
                case (Product((Entry() as entry,)),):
                    node = self.at(node, entry)
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

    def state_before(self, node: Inner) -> float:
        """Return the number of the node's state before its step."""
        if node.position:
            return self.value(node._replace(position=node.position - 1))
        return float(self.loop(node).start[node.part][node.batch, node.unit])

    def value(self, node: TraceNode) -> float:
        """Return the layer's own number."""
        if isinstance(node, OutputEntry):
            return float(self.tensors[self.stack.label(node.layer, node.label)][node.indices])
        return float(self.row(node)[node.unit])

    def row(self, node: Inner) -> Array:
        """Return the numbers of all units, (units,)."""
        found: Array = self.loop(node).parts[node.part][node.batch, node.position]
        return found

    def key(self, node: TraceNode) -> str:
        """Return a unique name for the node."""
        if isinstance(node, OutputEntry):
            return f"{self.stack.label(node.layer, node.label)}{list(node.indices)}"
        name = self.loop(node).label(node.label).dotted
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

    def equation(self, node: TraceNode) -> tuple[Sum, TraceNode]:
        """Return the node's equation and the node it computes; SimpleRNN's hidden state is its candidate."""
        if isinstance(node, OutputEntry):
            layer = self.stack.layers[node.layer]
            return layer.equation(node.label, node.indices, self.shapes[node.layer]), node
        found: Sum = self.maker(node).equations()[node.part._replace(cell=None).short.dotted]
        match found.terms:
            case (Product((Current(function="", complement=False) as same,)),) if not found.function:
                return self.equation(self.beside(node, same.name, same.kind))
        return found, node

    def beside(self, node: Inner, name: str, kind: str = "") -> Inner:
        """Return the number of a gate or state in the same cell.  kind: of a gate, if not its activation."""
        kind = kind or ("activation" if name in self.maker(node).gates else "")
        return node._replace(part=Label(name, cell=node.part.cell, kind=kind))
