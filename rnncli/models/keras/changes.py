"""How much today's Keras would differ from the Keras that saved a model, for the given inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, RnncliError, Text
from rnncli.models.operations import TODAY, rules_of
from rnncli.models.trees import map_leaves

if TYPE_CHECKING:
    from rnncli.models import Compute, LayerUse, ModelRun
    from rnncli.models.graph import Graph

    Walk = Callable[[Graph, str], ModelRun]
    """Runs a graph under the rules about masks of one version of Keras."""

SIGMOIDS = {"hard_sigmoid_keras2": "hard_sigmoid"}
"""Today's function, by the name of that of Keras 1 and 2."""


def note_masks(graph: Graph, found: ModelRun, compute: Compute, walk: Walk) -> Iterator[Text]:
    """Yield a note for each layer whose outputs would differ in today's Keras because of other masks."""
    rules = rules_of(graph.origin)
    try:
        today = walk(graph, TODAY)
    except RnncliError:
        yield Message(
            "masks follow {rules}, which saved the model; today's Keras would fail on it.", rules=rules
        )
        return
    for layer, largest in _compare(found, today, compute):
        yield Message(
            "{layer}: masks follow {rules}, which saved the model; today's Keras combines them "
            "differently, and the outputs would differ by up to {largest:.2g}.",
            layer=layer,
            rules=rules,
            largest=largest,
        )


def note_sigmoids(graph: Graph, found: ModelRun, compute: Compute, walk: Walk) -> Iterator[Text]:
    """Yield a note if the outputs would differ in today's Keras because of its different hard_sigmoid."""
    changed = _with_sigmoid_of_today(graph)
    if changed == graph:
        return
    try:
        today = walk(changed, rules_of(graph.origin))
    except RnncliError:
        return  # the note of the reader on the function stands alone
    words = ", ".join(f"{amount:.2g} ({layer})" for layer, amount in _compare(found, today, compute))
    if words:
        yield Message(
            "with the hard_sigmoid of Keras 3, the outputs would differ by up to {words}.", words=words
        )


def _with_sigmoid_of_today(graph: Graph) -> Graph:
    """Return the graph with today's hard_sigmoid in place of the earlier one."""

    def rename(value: Any) -> Any:
        return SIGMOIDS.get(value, value) if isinstance(value, str) else value

    nodes = (
        replace(
            node,
            config=map_leaves(rename, node.config),
            inner=node.inner and _with_sigmoid_of_today(node.inner),
        )
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def _compare(found: ModelRun, today: ModelRun, compute: Compute) -> Iterator[tuple[str, float]]:
    """Yield the layers that differ between two runs, each with its largest difference."""
    import numpy as np

    for mine, theirs in zip(found.parts, today.parts, strict=True):
        if not _is_fed_alike(mine, theirs):
            results = [part.result or compute(part.case) for part in (mine, theirs)]
            pairs = zip(*(result.outputs for result in results), strict=True)
            gaps = (np.nan_to_num(np.abs(one.values - other.values)) for one, other in pairs)
            largest = max(float(gap.max(initial=0)) for gap in gaps)
            if largest:
                yield mine.layer, largest


def _is_fed_alike(mine: LayerUse, theirs: LayerUse) -> bool:
    """Return whether both runs gave the same layer the same input, mask and states."""
    import numpy as np

    one, other = mine.case, theirs.case
    fed = [(case.inputs, case.mask, *(case.initial_state or ())) for case in (one, other)]
    return one.specs == other.specs and all(
        a is b or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in zip(*fed, strict=False)
    )
