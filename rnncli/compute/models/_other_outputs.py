"""The outputs of the layers of a graph that are not recurrent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnncli.case import Array
from rnncli.compute import operations
from rnncli.compute.models._arguments import Value
from rnncli.compute.models._graph import INPUT, is_recurrent, iterate_refs
from rnncli.compute.models._layer_calls import name_outputs
from rnncli.model import PLACED_MASK, Graph


def other_outputs(graph: Graph, values: Mapping[str, Value]) -> Iterator[tuple[str, Array]]:
    """Yield the outputs of the layers that are not recurrent, without nodes that only make masks."""
    hidden = _hidden_nodes(graph)
    for node in graph.nodes:
        if node.name in values and node.name not in hidden and not is_recurrent(node):
            tensors = values[node.name].tensors
            yield from zip(name_outputs(node.name, len(tensors)), tensors, strict=True)


def _hidden_nodes(graph: Graph) -> set[str]:
    """Return inputs, and operations that are used only for masks and by other hidden nodes."""
    visible = {ref.node for ref in graph.outputs}
    hidden: set[str] = set()
    for node in reversed(graph.nodes):
        operation = operations.is_operation(node.module) or node.class_name.endswith("OpLambda")
        if node.class_name == INPUT or (operation and node.name not in visible):
            hidden.add(node.name)
            continue
        if node.class_name == "Identity" and "trainable" not in node.config:
            hidden.add(node.name)  # the reader's own, for a mask that a model in the model is given
        kwargs = {name: arg for name, arg in node.kwargs.items() if name not in ("mask", PLACED_MASK)}
        visible.update(ref.node for ref in iterate_refs([node.args, kwargs]))
    return hidden
