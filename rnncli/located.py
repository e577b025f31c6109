"""Every number of a traced result by where it stands: what it is, and which cell or layer computed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Case
from rnncli.explanation import Place, Target
from rnncli.layers._equations import Entry, Now, Product, Sum
from rnncli.layers._layer import within
from rnncli.layers.stack import Stack
from rnncli.recorded import Recorded, runs
from rnncli.result import Step, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnncli.case import Array
    from rnncli.result import Result

RETURNED = "returned"
"""The output of a step: the hidden state, or what a masked step puts out; `output` is a gate of an LSTM."""


class Returned(NamedTuple):
    """An entry of a tensor that a layer returned, by the layer's own name for it."""

    layer: int
    name: str
    indices: tuple[int, ...]


class Inner(NamedTuple):
    """A number of a loop over time: a gate, a part of the state, or the output, of one unit.

    direction: of Bidirectional, else "".  position: of the step, in the order of processing.
    name: `forget`, `0/cell`, `candidate.recurrent`, RETURNED.
    """

    layer: int
    direction: str
    position: int
    name: str
    batch: int
    unit: int

    @property
    def cell(self) -> str:
        """`0/` in front of what belongs to one of RNN's cells, else ""."""
        return "".join(self.name.rpartition("/")[:2])


Node = Returned | Inner


def infos(stack: Stack, input_shape: tuple[int, ...]) -> tuple[TensorInfo, ...]:
    """What may be named: the last layer's tensors, then every layer's with its number in front."""
    named = {info.name: info for info in stack.outputs(input_shape, all_layers=True)}
    return tuple(({info.name: info for info in stack.outputs(input_shape)} | named).values())


class Source:
    """A case and its trace, with every layer's outputs and states in it."""

    def __init__(self, case: Case, result: Result) -> None:
        self.case, self.weights = case, result.weights
        self.stack = Stack(result.layers)
        self.shapes: list[Any] = [shape for _, shape in self.stack.input_shapes(result.input_shape)]
        self.tensors = {tensor.name: tensor.values for tensor in result.outputs}
        self.loops: dict[tuple[int, str], Recorded] = {}
        for steps in runs(result.trace):
            layer, direction = steps[0].layer, steps[0].direction
            both = len(self.stack.layers[layer].loops) > 1
            self.loops[layer, direction if both else ""] = steps

    def node(self, target: Target) -> Node:
        """The number that `target` names."""
        last = len(self.stack.layers) - 1
        own = {info.name for info in self.stack.layers[last].outputs(self.shapes[last])}
        if target.name in own:
            return Returned(last, target.name, target.indices)
        layer, _, name = target.name.partition("/")
        return Returned(int(layer), name, target.indices)

    def settled(self, node: Node) -> Node:
        """The same number where it was computed, as far as it was only handed on."""
        if isinstance(node, Returned):
            equation = self.stack.layers[node.layer].equation(
                node.name, node.indices, self.shapes[node.layer]
            )
            match equation.terms:
                case (Product((Entry() as entry,)),):
                    node = self.at(node, entry)
        if isinstance(node, Inner) and node.name == RETURNED and self.status(node) == "computed":
            return node._replace(name=self.output_of(node))
        return node

    def at(self, node: Returned, entry: Entry) -> Inner:
        """A number that a loop of the node's layer left behind."""
        name = entry.part or RETURNED
        return Inner(node.layer, entry.direction, entry.position, name, node.indices[0], entry.unit)

    def output_of(self, node: Inner) -> str:
        """The state that the loop puts out: `hidden`, of the last of several cells."""
        *_, name = (part for part in self.step(node).state if part.rpartition("/")[2] == "hidden")
        return name

    def steps(self, node: Inner) -> Recorded:
        """Of the node's loop, in the order of processing."""
        return self.loops[node.layer, node.direction]

    def step(self, node: Inner) -> Step:
        """The node's own."""
        return self.steps(node)[node.position]

    def status(self, node: Inner) -> str:
        """Whether its step was computed, held or zeroed."""
        return self.step(node).status[node.batch]

    def value(self, node: Node) -> float:
        """The layer's own number."""
        if isinstance(node, Returned):
            return float(self.tensors[self.stack.prefix(node.layer) + node.name][node.indices])
        return float(self.row(node)[node.unit])

    def row(self, node: Inner) -> Array:
        """The numbers of all units, (units,)."""
        step = self.step(node)
        if node.name == RETURNED:
            found: Array = step.output
        elif node.name in step.state:
            found = step.state[node.name]
        else:
            name, _, recurrent = node.name.partition(".")
            gate = step.gates[name]
            found = gate.recurrent if recurrent and gate.recurrent is not None else gate.activation
        return found[node.batch]  # type: ignore[no-any-return]

    def key(self, node: Node) -> str:
        """A name for the node and for no other one."""
        prefix = self.stack.prefix(node.layer)
        if isinstance(node, Returned):
            return f"{prefix}{node.name}{list(node.indices)}"
        path = f"{prefix}{node.direction}/" if node.direction else prefix
        return f"{path}{node.name}[t={self.step(node).timestep}, {node.batch}, {node.unit}]"

    def place(self, node: Node) -> Place:
        """Where it stands, in the words of a trace."""
        if isinstance(node, Inner):
            step = self.step(node)
            return Place(node.layer, step.direction, step.timestep, node.position, node.batch, node.unit)
        timestep = node.indices[1] if len(node.indices) == 3 else None
        return Place(node.layer, "", timestep, None, node.indices[0], node.indices[-1])

    def layer_of(self, node: Node) -> Any:
        """The layer, of Bidirectional the one of the node's direction."""
        layer: Any = self.stack.layers[node.layer]
        return layer.loops[node.direction] if isinstance(node, Inner) and node.direction else layer

    def maker(self, node: Node) -> Any:
        """The cell that computed the node, or the layer that has no cell."""
        layer = self.layer_of(node)
        if not isinstance(node, Inner):
            return layer
        return layer.cell.cells[node.cell.rstrip("/")] if node.cell else layer.cell

    def weights_of(self, node: Node) -> Mapping[str, Array]:
        """Of its cell or layer, by their own names."""
        parts = [self.stack.prefix(node.layer)]
        if isinstance(node, Inner):
            parts += [f"{node.direction}/" if node.direction else "", node.cell]
        found: Mapping[str, Array] = self.weights
        for part in filter(None, parts):
            found = within(found, part.rstrip("/"))
        return found

    def dropout(self, node: Inner, row: str) -> tuple[Array, ...]:
        """The masks of its cell for the `inputs`, or for the state."""
        masks = self.step(node).dropout
        masks = masks[node.cell.rstrip("/")] if node.cell else masks
        found: tuple[Array, ...] = masks.inputs if row == "inputs" else masks.recurrent
        return found

    def inputs(self, layer: int) -> Array:
        """What the layer got."""
        found: Array = self.tensors[self.below(layer)] if layer else self.case.inputs
        return found

    def below(self, layer: int) -> str:
        """The tensor that the layer under this one hands on, with its number in front."""
        name = self.stack.layers[layer - 1].outputs(self.shapes[layer - 1])[0].name
        return self.stack.prefix(layer - 1) + name

    def equation(self, node: Node) -> tuple[Sum, str]:
        """What its cell or layer says of it, and the gate that it is in truth: SimpleRNN's hidden state."""
        if isinstance(node, Returned):
            said = self.stack.layers[node.layer].equation(node.name, node.indices, self.shapes[node.layer])
            return said, ""
        known: dict[str, Sum] = self.maker(node).equations()
        base = node.name.removeprefix(node.cell)
        while (alias := _alias(known[base])) is not None:
            base = alias
        return known[base], base


def _alias(said: Sum) -> str | None:
    """`candidate` where the equation says that it is the candidate, and no more."""
    match said.terms:
        case (Product((Now(name, "", False),)),) if not said.function:
            return name
    return None
