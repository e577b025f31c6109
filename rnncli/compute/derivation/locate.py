"""Locate every number of a traced result: what it is, and which cell or layer computed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli import addresses
from rnncli.case import Array, Case
from rnncli.compute.derivation.explanation import NumberLocation, Target
from rnncli.compute.loop_parts import LoopPart, parts
from rnncli.layers import Current, Entry, Product, Sum, within
from rnncli.layers.stack import Stack
from rnncli.result import STATUSES, LoopTrace, Result, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

RETURNED = "returned"
"""Output of a step: the hidden state, or the output of a masked step; `output` is a gate of an LSTM."""


class OutputEntry(NamedTuple):
    """An entry of a tensor that a layer returned, under the layer's own tensor name."""

    layer: int
    name: str
    indices: tuple[int, ...]


class Inner(NamedTuple):
    """A number in a loop over time: a gate, a part of the state, or the output, of one unit.

    direction: of Bidirectional, else "".  position: of the step, in processing order.
    name: `forget`, `cell_0/cell`, `candidate.recurrent`, RETURNED.
    """

    layer: int
    direction: str
    position: int
    name: str
    batch: int
    unit: int

    @property
    def cell(self) -> str:
        """Prefix `cell_0/` if it belongs to one of RNN's cells, else ""."""
        return addresses.parse_part_name(self.name).prefix

    @property
    def in_cell(self) -> str:
        """Its name in its cell, `cell`."""
        return self.name.removeprefix(self.cell)

    @property
    def cell_key(self) -> str:
        """`0`: the cell's name among the cells and the prefix of its weights, else ""."""
        return str(addresses.cell_number(self.name)) if self.cell else ""


TraceNode = OutputEntry | Inner


def infos(stack: Stack, input_shape: tuple[int, ...]) -> tuple[TensorInfo, ...]:
    """Return the tensors a user may name: the last layer's, then every layer's with its number as prefix."""
    named = {info.name: info for info in stack.outputs(input_shape, all_layers=True)}
    return tuple(({info.name: info for info in stack.outputs(input_shape)} | named).values())


class CaseTrace:
    """A case and its trace, with every layer's outputs and states."""

    def __init__(self, case: Case, result: Result) -> None:
        self.case, self.weights = case, result.weights
        self.stack = result.stack
        self.shapes: list[Any] = [shape for _, shape in self.stack.input_shapes(result.input_shape)]
        self.tensors = {tensor.name: tensor.values for tensor in result.outputs}
        self.loops = {(loop.layer, loop.direction if loop.is_half else ""): loop for loop in result.trace}

    def node(self, target: Target) -> TraceNode:
        """Return the number that `target` names."""
        last = len(self.stack.layers) - 1
        own = {info.name for info in self.stack.layers[last].outputs(self.shapes[last])}
        if target.name in own:
            return OutputEntry(last, target.name, target.indices)
        part = parts(self.stack).get(target.name)
        if part is not None and target.name not in self.tensors:
            return self._inner(part, target.indices)
        label = addresses.label(target.name)
        return OutputEntry(int(label.layer or 0), str(label.in_layer), target.indices)

    def _inner(self, part: LoopPart, indices: tuple[int, ...]) -> Inner:
        """Return a number of a gate: at the input's time, or without a time at the last processed step."""
        times = self.loops[part.layer, part.direction].times.tolist()
        position = times.index(indices[1]) if len(indices) == 3 else len(times) - 1
        return Inner(part.layer, part.direction, position, part.name, indices[0], indices[-1])

    def follow_copies(self, node: TraceNode) -> TraceNode:
        """Return the node where this number was computed, following nodes that only pass it on."""
        if isinstance(node, OutputEntry):
            match self._layer_equation(node).terms:
                case (Product((Entry() as entry,)),):
                    node = self.at(node, entry)
        if isinstance(node, Inner) and node.name == RETURNED and self.status(node) == "computed":
            return node._replace(name=self.output_of(node))
        return node

    def at(self, node: OutputEntry, entry: Entry) -> Inner:
        """Return the number in the node's loop that this entry was taken from."""
        name = entry.part or RETURNED
        return Inner(node.layer, entry.direction, entry.position, name, node.indices[0], entry.unit)

    def output_of(self, node: Inner) -> str:
        """Return the state that the loop outputs: `hidden`, of the last cell if there are several."""
        states = self.loop(node).states
        return [name for name in states if addresses.parse_part_name(name).quantity == "hidden"][-1]

    def loop(self, node: Inner) -> LoopTrace:
        """Return the trace of the node's loop."""
        return self.loops[node.layer, node.direction]

    def timestep(self, node: Inner) -> int:
        """Return the input's index of the node's step."""
        return int(self.loop(node).times[node.position])

    def status(self, node: Inner) -> str:
        """Return whether the node's step was computed, held or zeroed."""
        return STATUSES[self.loop(node).status[node.batch, node.position]]

    def is_held(self, node: Inner, gate: str) -> bool:
        """Return whether --hold sets this gate at the node's step and unit."""
        entries = self.loop(node).hold_masks.get(node.cell + gate)
        return entries is not None and bool(entries[node.position, node.unit])

    def state_before(self, node: Inner, state: str, unit: int) -> float:
        """Return a number of a state before the node's step."""
        loop = self.loop(node)
        if node.position:
            return float(loop.parts[state][node.batch, node.position - 1, unit])
        return float(loop.start[state][node.batch, unit])

    def value(self, node: TraceNode) -> float:
        """Return the layer's own number."""
        if isinstance(node, OutputEntry):
            return float(self.tensors[self.stack.prefix(node.layer) + node.name][node.indices])
        return float(self.row(node)[node.unit])

    def row(self, node: Inner, part: str = "activation") -> Array:
        """Return the numbers of all units, (units,).  part: which part of a gate."""
        loop, name = self.loop(node), node.name
        if name == RETURNED:
            name = "output"
        elif name in loop.gates:
            name = f"{name}.{part}"
        found: Array = loop.parts[name][node.batch, node.position]
        return found

    def key(self, node: TraceNode) -> str:
        """Return a unique name for the node."""
        prefix = self.stack.prefix(node.layer)
        if isinstance(node, OutputEntry):
            return f"{prefix}{node.name}{list(node.indices)}"
        path = f"{prefix}{node.direction}/" if node.direction else prefix
        return f"{path}{node.name}[t={self.timestep(node)}, {node.batch}, {node.unit}]"

    def place(self, node: TraceNode) -> NumberLocation:
        """Return where the node is, in the terms of a trace."""
        if isinstance(node, Inner):
            direction = self.loop(node).direction
            return NumberLocation(
                node.layer, direction, self.timestep(node), node.position, node.batch, node.unit
            )
        timestep = node.indices[1] if len(node.indices) == 3 else None
        return NumberLocation(node.layer, "", timestep, None, node.indices[0], node.indices[-1])

    def maker(self, node: TraceNode) -> Any:
        """Return the cell that computed the node, or the layer if it has no cell."""
        layer: Any = self.stack.layers[node.layer]
        if not isinstance(node, Inner):
            return layer
        cell = layer.loops[node.direction].cell
        return cell.cells[node.cell_key] if node.cell else cell

    def weights_of(self, node: TraceNode) -> Mapping[str, Array]:
        """Return the weights of the node's cell or layer, by their own names."""
        parts = [self.stack.prefix(node.layer)]
        if isinstance(node, Inner):
            parts += [f"{node.direction}/" if node.direction else "", node.cell_key]
        found: Mapping[str, Array] = self.weights
        for part in filter(None, parts):
            found = within(found, part.rstrip("/"))
        return found

    def dropout(self, node: Inner, row: str) -> tuple[Array, ...]:
        """Return the dropout masks of the node's cell for the `inputs`, or for the state."""
        masks = self.loop(node).dropout
        masks = masks[node.cell_key] if node.cell else masks
        found: tuple[Array, ...] = masks.inputs if row == "inputs" else masks.recurrent
        return found

    def inputs(self, layer: int) -> Array:
        """Return the layer's input."""
        found: Array = (
            self.tensors[f"{layer - 1}/{self.layer_input(layer).name}"] if layer else self.case.inputs
        )
        return found

    def layer_input(self, layer: int) -> TensorInfo:
        """Return the tensor that the layer below passes on."""
        return self.stack.layers[layer - 1].outputs(self.shapes[layer - 1])[0]

    def equation(self, node: TraceNode) -> tuple[Sum, str]:
        """Return the node's equation and its gate or state; SimpleRNN's hidden state is its candidate."""
        if isinstance(node, OutputEntry):
            return self._layer_equation(node), ""
        known: dict[str, Sum] = self.maker(node).equations()
        base = node.in_cell
        while (alias := _alias(known[base])) is not None:
            base = alias
        return known[base], base

    def _layer_equation(self, node: OutputEntry) -> Sum:
        return self.stack.layers[node.layer].equation(node.name, node.indices, self.shapes[node.layer])


def _alias(equation: Sum) -> str | None:
    """Return `candidate` if the equation is only that the number equals the candidate."""
    match equation.terms:
        case (Product((Current(name, "", False),)),) if not equation.function:
            return name
    return None
