"""Advice for a model that cannot be computed: which of its layers can."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rnncli.compute import operations
from rnncli.compute.models._graph import (
    INPUT,
    find_dependencies,
    is_recurrent,
    recurrent_nodes,
    with_modules,
)
from rnncli.compute.operations import UnknownLayerError

if TYPE_CHECKING:
    from rnncli.model import Graph, Node

REBUILD = "Rebuild the model without it, copy the weights, and save it again."


def independent_layers(graph: Graph, unknown: Iterable[str]) -> list[str]:
    """Return the recurrent layers that depend neither on these nodes nor on other unknown layers."""
    return _layers_without(graph, {*unknown, *(node.name for node in _unknown_nodes(graph))})


def runnable_layers(graph: Graph) -> list[str]:
    """Return the recurrent layers that depend on no layer which neither NumPy nor Keras can compute."""
    graph = with_modules(graph)
    unknown = [
        node.name
        for node in _unknown_nodes(graph)
        if not operations.keras_may_know(node.class_name, node.module)
    ]
    return _layers_without(graph, set(unknown))


def advise_free(graph: Graph, unknown: Iterable[str]) -> str:
    """Return which layers can be run although NumPy and Keras cannot run the model.

    unknown: nodes that NumPy does not compute, beside those of an unknown class.
    """
    if free := independent_layers(graph, unknown):
        return f"To run the layers that NumPy can compute: {model_option(graph.file, free)}"
    return REBUILD.replace("it,", "the layers that it does not know,")


def _unknown_nodes(graph: Graph) -> Iterator[Node]:
    """Yield the layers that NumPy does not know."""
    for node in graph.nodes:
        plain = is_recurrent(node) or node.class_name == INPUT
        if not plain and not operations.is_known(node.class_name, node.module):
            yield node


def _layers_without(graph: Graph, broken: set[str]) -> list[str]:
    return [one.name for one in recurrent_nodes(graph) if not broken & find_dependencies(graph, {one.name})]


def model_option(file: str, names: Sequence[str]) -> str:
    """Return `--model FILE#a,b`, quoted where a shell needs it."""
    text = f"{file}#{','.join(names)}"
    bare = text.replace("#", "")
    return f"--model {text if shlex.quote(bare) == bare else shlex.quote(text)}"


def name_cause(graph: Graph, node: Node, error: UnknownLayerError) -> UnknownLayerError:
    """Return the error about an unknown layer as one about a node, with the layers that can still be run."""
    needs = f"{node.name} ({node.class_name}) depends on a layer that rnncli cannot compute: "
    what = f"{graph.file}: {'' if error.layer == node.name else needs}{error.what}"
    free = independent_layers(graph, {error.layer})
    advice = error.advice or REBUILD
    if free:
        advice = f"To run the layers that do not depend on it: {model_option(graph.file, free)}"
    return UnknownLayerError(error.layer, what, advice)
