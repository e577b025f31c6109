"""Layers that a saved model always calls with training=True, so that their numbers differ between runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rnncli.errors import Message, RnncliError, Text
from rnncli.models._advice import name_cause
from rnncli.models._recurrent_cases import draws
from rnncli.models.graph import Graph, Node
from rnncli.models.keras._graph import choose_nodes, layer_inside, refs_of
from rnncli.models.operations import UnknownLayerError

_RANDOM = ("Random", "RandAugment", "AugMix", "MixUp", "CutMix")


def training_error(node: Node) -> UnknownLayerError | None:
    """Return the error for a node called with training=True if that changes its output; else None."""
    if node.kwargs.get("training") is not True:
        return None
    inner = node
    while inner.class_name == "TimeDistributed" and inner.inner is None:
        inner = replace(inner, **layer_inside(inner))
    if inner.class_name == "BatchNormalization":
        effect = Message("is called with training=True, which takes the statistics of the batch")
    elif inner.class_name.startswith(_RANDOM) or draws(inner.config):
        effect = Message("is called with training=True, which draws random numbers")
    else:
        return None
    return UnknownLayerError(
        node.name,
        Message(
            "the layer {name} ({class_name}) {effect}.",
            name=node.name,
            class_name=node.class_name,
            effect=effect,
        ),
    )


def require_inference(graph: Graph, layers: Sequence[str]) -> None:
    """Raise UnknownLayerError if a requested layer depends on one that training changes.

    layers: names of the requested layers; empty for all.
    """
    wanted, changed = choose_nodes(graph, layers), changed_nodes(graph)
    for node in wanted:
        if node.name in changed:
            raise name_cause(graph, node, changed[node.name], {one.name for one in wanted})


def changed_nodes(graph: Graph) -> dict[str, UnknownLayerError]:
    """Return the nodes that training changes, and those that depend on them, each with the error about it."""
    found: dict[str, UnknownLayerError] = {}
    for node in graph.nodes:
        above = (found[ref.node] for ref in refs_of(node) if ref.node in found)
        error = training_error(node) or next(above, None)
        if error is not None:
            found[node.name] = error
    return found


def note_omissions(causes: Mapping[str, RnncliError]) -> Iterator[Text]:
    """Yield one note for each layer that cannot be shown, with the layers that depend on it.

    causes: by the names of all of these layers.
    """
    for what in dict.fromkeys(error.sentence for error in causes.values()):
        names = [name for name, error in causes.items() if error.sentence == what]
        yield Message("skipped {names}: {what}", names=", ".join(names), what=what)


def for_training(nodes: Iterable[Node], generation: int) -> tuple[Node, ...]:
    """Return the nodes of a model that is called with training=True.

    generation: of Keras; in Keras 2, a node's own training argument takes precedence.
    """
    return tuple(
        replace(node, kwargs={**node.kwargs, "training": True})
        if generation >= 3 or node.kwargs.get("training") is None
        else node
        for node in nodes
    )
