"""How much today's Keras would differ from the Keras that saved a model, for the given inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, RnncliError, Text
from rnncli.models.keras._graph import rules_of
from rnncli.models.operations import TODAY
from rnncli.models.trees import map_leaves

if TYPE_CHECKING:
    from rnncli.models import Compute, LayerUse, ModelRun
    from rnncli.models.graph import Graph, Node

    Walk = Callable[[Graph, str], ModelRun]
    """Runs a graph under the rules about masks of one version of Keras."""

SIGMOIDS = {"hard_sigmoid_keras2": "hard_sigmoid"}
"""Today's function, by the name of that of Keras 1 and 2."""


def mask_differences(graph: Graph, found: ModelRun, compute: Compute, walk: Walk) -> Iterator[Text]:
    """Yield a note for each layer whose outputs would differ in today's Keras because of other masks."""
    rules = rules_of(graph.origin)
    try:
        today = walk(graph, TODAY)
    except RnncliError:
        yield Message(
            "masks follow {rules}, which saved the model; today's Keras would fail on it.", rules=rules
        )
        return
    for mine, theirs in zip(found.parts, today.parts, strict=True):
        largest = _largest(mine, theirs, compute)
        if largest:
            yield Message(
                "{layer}: masks follow {rules}, which saved the model; today's Keras combines them "
                "differently, and the outputs would differ by up to {largest:.2g}.",
                layer=mine.layer,
                rules=rules,
                largest=largest,
            )


def sigmoid_differences(graph: Graph, found: ModelRun, compute: Compute, walk: Walk) -> Iterator[Text]:
    """Yield a note if the outputs would differ in today's Keras because of its different hard_sigmoid."""
    changed = _with_sigmoid_of_today(graph)
    if changed is graph:
        return
    try:
        today = walk(changed, rules_of(graph.origin))
    except RnncliError:
        return  # the note of the reader on the function stands alone
    amounts = {
        mine.layer: _largest(mine, theirs, compute)
        for mine, theirs in zip(found.parts, today.parts, strict=True)
    }
    words = ", ".join(f"{amount:.2g} ({layer})" for layer, amount in amounts.items() if amount)
    if words:
        yield Message(
            "with the hard_sigmoid of Keras 3, the outputs would differ by up to {words}.", words=words
        )


def _with_sigmoid_of_today(graph: Graph) -> Graph:
    """Return the graph with today's hard_sigmoid; the same graph if it has none of the earlier one."""
    nodes = tuple(map(_node_of_today, graph.nodes))
    same = all(one is other for one, other in zip(nodes, graph.nodes, strict=True))
    return graph if same else replace(graph, nodes=nodes)


def _node_of_today(node: Node) -> Node:
    config = map_leaves(_name_of_today, node.config)
    inner = node.inner and _with_sigmoid_of_today(node.inner)
    same = config == node.config and inner is node.inner
    return node if same else replace(node, config=config, inner=inner)


def _name_of_today(value: Any) -> Any:
    return SIGMOIDS.get(value, value) if isinstance(value, str) else value


def _largest(mine: LayerUse, theirs: LayerUse, compute: Compute) -> float:
    """Return the largest difference between two runs of one layer."""
    import numpy as np

    one, other = (part.case for part in (mine, theirs))
    pairs = [(case.inputs, case.mask, *(case.initial_state or ())) for case in (one, other)]
    if one.specs == other.specs and all(map(_is_equal, *pairs)):
        return 0.0
    results = [part.result or compute(part.case) for part in (mine, theirs)]
    outputs = zip(*(result.outputs for result in results), strict=True)
    return max(float(np.nan_to_num(np.abs(a.values - b.values)).max(initial=0)) for a, b in outputs)


def _is_equal(one: Any, other: Any) -> bool:
    """Return whether two arrays are equal, or both are None."""
    import numpy as np

    return one is other or (one is not None and other is not None and np.array_equal(one, other))
