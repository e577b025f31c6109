"""A small input on which several explanations predict different numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.port.hypothesis import ForeignRun, compute, expected_in_file_form, inputs_of
from rnncli.commands.port.search import Finding

SIZES = ((1, 2), (1, 3), (2, 3), (3, 5))
"""Batch and time steps of the inputs to try, the smallest first."""
VISIBLE_DIFFERENCE = 1e-3
"""The minimum difference between two predictions that a reader can see."""


class Probe(NamedTuple):
    """An input, (batch, timesteps, features), and what each explanation predicts for it, by tensor."""

    inputs: Array
    predictions: tuple[Mapping[str, Array], ...]


def make_probe(run: ForeignRun, findings: Sequence[Finding]) -> Probe | None:
    """Return the smallest input that tells all explanations apart; None if none of those tried does."""
    features = run.inputs.shape[-1]
    for batch, steps in SIZES:
        for scale in (1.0, 3.0):
            random = np.random.default_rng(0)
            inputs = np.round(random.normal(0, scale, (batch, steps, features)), 3)
            predictions = _predict(run._replace(inputs=inputs, initial_state=(), mask=None), findings)
            if _all_differ(predictions):
                return Probe(inputs, predictions)
    return None


def _predict(run: ForeignRun, findings: Sequence[Finding]) -> tuple[Mapping[str, Array], ...]:
    found = []
    for finding in findings:
        batch, steps, _ = inputs_of(run, finding.hypothesis).shape
        computed = compute(run, finding.hypothesis, batch, steps)
        found.append(expected_in_file_form(run, finding.hypothesis, computed))
    return tuple(found)


def _all_differ(predictions: Sequence[Mapping[str, Array]]) -> bool:
    return all(
        any(_measure_gap(one[key], other[key]) > VISIBLE_DIFFERENCE for key in one)
        for place, one in enumerate(predictions)
        for other in predictions[:place]
    )


def _measure_gap(one: Array, other: Array) -> float:
    """Return the largest difference; infinity if the shapes differ."""
    return float(np.abs(one - other).max()) if one.shape == other.shape else np.inf
