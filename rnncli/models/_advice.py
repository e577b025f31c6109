"""Advice for a model that cannot be computed: which of its layers can."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rnncli.errors import Flag, Message
from rnncli.models import operations
from rnncli.models.keras._graph import (
    INPUT,
    find_dependencies,
    is_recurrent,
    is_shared_state,
    recurrent_nodes,
    with_modules,
)
from rnncli.models.operations import UnknownLayerError

if TYPE_CHECKING:
    from rnncli.models.graph import Graph, Node

REBUILD = Message("Rebuild the model without it, copy the weights, and save it again.")


def independent_layers(graph: Graph, unknown: Iterable[str], wanted: Collection[str] = ()) -> list[str]:
    """Return the recurrent layers that depend neither on these nodes nor on other unknown layers.

    wanted: the requested layers; others are returned only if none of these can be computed, as they may have
        been refused before for an option that only a run finds.
    """
    free = _layers_without(graph, {*unknown, *(node.name for node in _unknown_nodes(graph))})
    return [name for name in free if name in wanted] or free


def runnable_layers(graph: Graph) -> list[str]:
    """Return the recurrent layers that depend on no layer which neither NumPy nor Keras can compute."""
    graph = with_modules(graph)
    unknown = [
        node.name
        for node in _unknown_nodes(graph)
        if not operations.keras_may_know(node.class_name, node.module)
    ]
    unknown += [node.name for node in recurrent_nodes(graph) if not computes_here(node)]
    return _layers_without(graph, set(unknown))


def computes_here(node: Node) -> bool:
    """Return whether a recurrent layer computes in float32 or float64, so that its numbers are known here."""
    dtypes = (config.get("dtype") or "float32" for config in (node.config, node.core_config))
    return all(operations.dtype_of(dtype) is not None for dtype in dtypes)


def _unknown_nodes(graph: Graph) -> Iterator[Node]:
    """Yield the layers that NumPy does not know, or not as they are used."""
    for node in graph.nodes:
        if is_shared_state(graph, node):
            yield node
        plain = is_recurrent(node) or node.class_name == INPUT
        if not plain and not operations.is_known(node.class_name, node.module):
            yield node


def _layers_without(graph: Graph, broken: set[str]) -> list[str]:
    return [one.name for one in recurrent_nodes(graph) if not broken & find_dependencies(graph, {one.name})]


def model_option(file: str, names: Sequence[str]) -> Flag:
    """Return `--model FILE#a,b`, quoted where a shell needs it."""
    text = f"{file}#{','.join(names)}"
    bare = text.replace("#", "")
    return Flag("--model", text if shlex.quote(bare) == bare else shlex.quote(text))


def name_cause(
    graph: Graph, node: Node, error: UnknownLayerError, wanted: Collection[str] = ()
) -> UnknownLayerError:
    """Return the error about an unknown layer as one about a node, with the layers that can still be run.

    wanted: the requested layers.
    """
    what = error.sentence
    if error.layer != node.name:
        what = Message(
            "{name} ({class_name}) depends on a layer that rnncli cannot compute: {reason}",
            name=node.name,
            class_name=node.class_name,
            reason=what,
        )
    free = independent_layers(graph, {error.layer}, wanted)
    advice = error.advice or REBUILD
    if free:
        advice = Message(
            "To run the layers that do not depend on it: {option}", option=model_option(graph.file, free)
        )
    return UnknownLayerError(error.layer, what, advice)
