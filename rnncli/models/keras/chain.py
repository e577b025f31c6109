"""A model whose layers each read the layer before alone, as the layers of one Case."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rnncli.case import Array
from rnncli.errors import InputError, LayerError
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case
from rnncli.layers.stack import Stack
from rnncli.models.graph import Graph, Ref
from rnncli.models.keras.walk import hidden_nodes
from rnncli.models.layer_cases import spec_of


def chain_layers(
    graph: Graph, inputs: Mapping[str, Array], returns: Mapping[str, bool]
) -> tuple[tuple[str, ...], Case] | None:
    """Return the names of all layers, first to last, and their Case.

    None for any other graph, and for a layer that `--layer` does not know, such as an Embedding.
    returns: the values of return_sequences and return_state that are asked of each recurrent layer; None is
        returned if this would change what a layer passes on.
    """
    hidden = hidden_nodes(graph)
    nodes = [node for node in graph.nodes if node.name not in hidden]
    names = tuple(node.name for node in nodes)
    if len(graph.inputs) != 1 or len(inputs) != 1 or not names or graph.outputs != (Ref(names[-1]),):
        return None
    before = graph.nodes[0].name
    for node in nodes:
        given = {name for name, value in node.kwargs.items() if value not in (None, False)}
        if node.args != (Ref(before),) or given - {"mask"}:
            return None
        before = node.name
    weights = {
        f"{f'{index}/' if len(nodes) > 1 else ''}{re.sub('^(layer/)+', '', path)}": array
        for index, node in enumerate(nodes)
        for path, array in node.weights.items()
    }
    (array,) = inputs.values()
    try:
        layers = Stack(spec_of(node) for node in nodes).layers
        changed = {name: value for name, value in returns.items() if name == "return_sequences"}
        if any(layer.recurrent and layer.with_returns(**changed) != layer.spec for layer in layers):
            return None
        returned = {name: value for name, value in returns.items() if name == "return_state"}
        stack = Stack(layer.with_returns(**returned) if layer.recurrent else layer.spec for layer in layers)
        return names, check_case(Case(stack, array.astype(stack.dtype), weights=weights, seed=None))
    except (InputError, LayerError):
        return None
