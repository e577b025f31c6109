"""Questions about a graph that are answered without computing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli import layers
from rnncli.errors import InputError, Message, Text, UsageError, did_you_mean
from rnncli.models import operations, trees
from rnncli.models.graph import Graph, Node, Ref
from rnncli.models.operations import KERAS_2, KERAS_3_0, TODAY, UnknownLayerError

if TYPE_CHECKING:
    from rnncli.models import LayerUse

INPUT = "InputLayer"


def recurrent_nodes(graph: Graph) -> tuple[Node, ...]:
    """Return every use of a recurrent layer, in the order of the graph."""
    return tuple(node for node in graph.nodes if is_recurrent(node))


def is_recurrent(node: Node) -> bool:
    """Return whether the node is a recurrent layer of Keras, or has one inside TimeDistributed."""
    class_name: str | None = node.class_name
    module: str | None = node.module
    config = node.config
    while class_name == "TimeDistributed" and operations.from_keras(module):
        inner = config.get("layer") or {}
        class_name, module, config = inner.get("class_name"), inner.get("module"), inner.get("config") or {}
    if not class_name or not operations.from_keras(module):
        return False
    return _is_recurrent_class(class_name)


def require_one_use(graph: Graph, node: Node) -> None:
    """Raise UnknownLayerError for a stateful layer that is used more than once."""
    if is_shared_state(graph, node):
        raise UnknownLayerError(
            node.name,
            Message(
                "the layer {name} ({class_name}) is stateful and used more than once.",
                name=node.name,
                class_name=node.class_name,
            ),
        )


def is_shared_state(graph: Graph, node: Node) -> bool:
    """Return whether the states after one use of the layer are those before the next."""
    return bool(node.config.get("stateful")) and sum(node.layer == one.layer for one in graph.nodes) > 1


def layer_inside(node: Node) -> dict[str, Any]:
    """Return the fields that make the layer inside TimeDistributed a node of its own."""
    inner = node.config["layer"]
    return {
        "class_name": str(inner.get("class_name")),
        "module": str(inner.get("module") or "keras.layers"),
        "config": inner.get("config") or {},
        "weights": {path.removeprefix("layer/"): array for path, array in node.weights.items()},
    }


def note_containers(graph: Graph) -> tuple[Text, ...]:
    """Return one note for each layer that contains recurrent layers without being one."""
    return tuple(
        Message(
            "{name} ({class_name}) contains recurrent layers that are not shown.",
            name=node.name,
            class_name=node.class_name,
        )
        for node in graph.nodes
        if _is_container(node)
    )


def explain_hidden(graph: Graph) -> dict[str, Text]:
    """Return the layers of Keras that have or may have recurrent weights but are not recurrent, and why."""
    hidden: dict[str, Text] = {}
    for node in graph.nodes if graph.kind == "keras" else ():
        if _is_container(node):
            hidden[node.layer] = Message("recurrent layers inside another layer are not read")
        elif node.weights and not operations.keras_may_know(node.class_name, node.module):
            hidden[node.layer] = Message(
                "{class_name} is not a class of Keras; it may have recurrent weights",
                class_name=node.class_name,
            )
    return hidden


def _is_container(node: Node) -> bool:
    return not is_recurrent(node) and any(map(_is_recurrent_entry, trees.mappings(node.config)))


def _is_recurrent_entry(entry: Mapping[str, Any]) -> bool:
    """Return whether this is the class and the config of a recurrent layer."""
    name = entry.get("class_name")
    return isinstance(name, str) and "config" in entry and _is_recurrent_class(name)


def _is_recurrent_class(name: str) -> bool:
    return layers.find_name(name) == name and layers.class_of(name).recurrent


def choose_nodes(graph: Graph, names: Sequence[str]) -> tuple[Node, ...]:
    """Return the recurrent nodes with these names; the name of a shared layer selects every use of it."""
    nodes = recurrent_nodes(graph)
    if not nodes:
        raise InputError(
            "the model has no recurrent layer.",
            "rnncli supports SimpleRNN, LSTM, GRU, Bidirectional, RNN and ConvLSTM layers.",
        )
    there = {name: node for node in nodes for name in (node.name, _strip_call_number(node.name))}
    for name in names:
        if name not in there:
            _refuse_name(graph, name, there)
    return tuple(
        node for node in nodes if not names or node.name in names or _strip_call_number(node.name) in names
    )


def _refuse_name(graph: Graph, name: str, there: Mapping[str, Node]) -> None:
    other = next((node for node in graph.nodes if name in (node.name, _strip_call_number(node.name))), None)
    what = (
        Message("the layer {name} ({class_name}) is not recurrent", name=name, class_name=other.class_name)
        if other
        else Message("there is no layer {name}", name=name)
    )
    raise UsageError("{what}.", did_you_mean(name, there), what=what)


def _strip_call_number(name: str) -> str:
    """Return the name of the layer: `inside/lstm@1` -> `inside/lstm`."""
    return re.sub(r"@\d+", "", name)


def rules_of(origin: str) -> str:
    """Return the rules about masks for a model saved by `origin`, such as `Keras 2.4.0`."""
    version = re.search(r"(\d+)(?:\.(\d+))?", origin)
    if not version:
        return KERAS_2  # as the reader assumes, and says
    major, minor = int(version[1]), int(version[2] or 0)
    if major < 3:
        return KERAS_2
    return KERAS_3_0 if (major, minor) < (3, 4) else TODAY


def iterate_refs(tree: Any) -> Iterator[Ref]:
    """Yield every Ref in nested lists and mappings."""
    return (leaf for leaf in trees.leaves(tree) if isinstance(leaf, Ref))


def with_modules(graph: Graph) -> Graph:
    """Return the graph with the modules of operations, which `.h5` files do not save."""
    from rnncli.models.operations.ops import NAMES

    nodes = tuple(
        replace(node, module="keras.src.ops")
        if node.class_name in NAMES and node.module in ("", "keras.layers") and "trainable" not in node.config
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def refs_of(node: Node) -> Iterator[Ref]:
    """Yield every Ref in the arguments of a node: what it depends on."""
    return iterate_refs([node.args, node.kwargs])


def find_dependencies(graph: Graph, names: set[str]) -> set[str]:
    """Return the names of these nodes and of all nodes that they depend on."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.name in names or node.name in found:
            found.add(node.name)
            found.update(ref.node for ref in refs_of(node))
    return found


def names_of(graph: Graph) -> tuple[str, ...]:
    """Return the names of all nodes, first to last."""
    return tuple(node.name for node in graph.nodes)


def masking_layers(graph: Graph, parts: Sequence[LayerUse]) -> tuple[str, ...]:
    """Return the layers that make the masks of these parts."""
    if all(part.case.mask is None for part in parts):
        return ()
    return tuple(
        node.name
        for node in graph.nodes
        if node.class_name == "Masking" or (node.class_name == "Embedding" and node.config.get("mask_zero"))
    )
