"""Compute many hypotheses at once: each has its own part of the batch of one call of the numpy engine.

Hypotheses share a call as long as their kernels are the same.  Where their biases differ, the kernel gets a
row for the bias of each, and the inputs get a column for each that is 1 in its part of the batch: the product
is then x W + b.  The search confirms its findings one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnncli.case import Array
from rnncli.commands.port.hypothesis import Hypothesis, call_engine, name_tensors

KEPT = 2**24
"""The number of outputs of all steps that are computed at once."""
OF_BATCHES = ("flip_inputs", "initial_exchanged")
OF_BIASES = ("biases", "forget_bias")
"""Attributes in which the hypotheses of one call may differ; OF_BIASES only if each bias is added to x W."""


def compute_all(hypotheses: Sequence[Hypothesis], sequences: int, steps: int) -> list[dict[str, Array]]:
    """Return what `compute` returns for each hypothesis of one run, apart from rounding."""
    if not hypotheses:
        return []
    groups: dict[object, list[Hypothesis]] = {}
    for one in {one.computation: one for one in hypotheses}.values():
        own = OF_BATCHES if one.resets_after else (*OF_BATCHES, *OF_BIASES)
        groups.setdefault(frozenset(item for item in one.computation if item[0] not in own), []).append(one)
    layer, longest = hypotheses[0].run.layer, max(hypotheses[0].run.inputs.shape[:2])
    size = max(1, KEPT // (sequences * min(steps, longest) * layer.units * len(layer.cells)))
    tensors: dict[object, dict[str, Array]] = {}
    for group in groups.values():
        for start in range(0, len(group), size):
            part = group[start : start + size]
            computed = _compute(part, sequences, steps)
            tensors |= {one.computation: found for one, found in zip(part, computed, strict=True)}
    return [tensors[one.computation] for one in hypotheses]


def _compute(group: Sequence[Hypothesis], sequences: int, steps: int) -> Iterator[dict[str, Array]]:
    """Yield the tensors of each hypothesis by name."""
    first, count = group[0], len(group)
    weights, spec = first.weights, first.spec()
    inputs = np.concatenate([one.inputs[:sequences, :steps] for one in group])
    masks = [mask[:sequences, :steps] for one in group if (mask := one.mask) is not None]
    states = [[state[:sequences] for state in one.initial_state] for one in group]
    if not first.resets_after:
        spec = first.spec(use_bias=False)
        for path, cell in first.cells.items():
            weights.pop(f"{path}bias", None)
            biases = [one.bias(cell) for one in group]
            weights[f"{path}kernel"] = np.concatenate([weights[f"{path}kernel"], biases])
        own = np.repeat(np.eye(count), len(inputs) // count, axis=0)[:, None]
        columns = np.broadcast_to(own, (*inputs.shape[:2], count))
        inputs = np.concatenate([inputs, columns], axis=-1)
    mask = np.concatenate(masks) if masks else None
    start = tuple(map(np.concatenate, zip(*states, strict=True)))
    tensors = call_engine(spec, weights, inputs, mask, start)
    parts = (np.split(tensor, count) for tensor in tensors)
    return (name_tensors(first.run, found) for found in zip(*parts, strict=True))
