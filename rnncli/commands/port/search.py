"""Search the known differences, singly and in pairs, for those that explain every expected number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.port import differences
from rnncli.commands.port.hypothesis import (
    Difference,
    ForeignRun,
    Hypothesis,
    compute,
    expected_of,
    initial_state_of,
    inputs_of,
    spec_of,
    weights_of,
)
from rnncli.errors import LayerError

PART_SEQUENCES, PART_STEPS = 2, 8
"""How much of a long input decides, before all of it confirms."""


class Tolerances(NamedTuple):
    """Absolute and relative tolerance: |expected - computed| <= atol + rtol * |expected|."""

    atol: float
    rtol: float


class Finding(NamedTuple):
    """A hypothesis and how near it comes.

    differences: from Keras; none if the numbers match as they are.
    remaining: the largest absolute difference of any number.
    excess: the largest difference in units of what the tolerances allow; at most 1 for a match.
    """

    differences: tuple[Difference, ...]
    hypothesis: Hypothesis
    remaining: float
    excess: float

    @property
    def matches(self) -> bool:
        """Whether every number is within the tolerances."""
        return self.excess <= 1


class SearchResult(NamedTuple):
    """What was found.

    findings: the hypotheses with the fewest differences that explain every number.
    nearest: where there are none, the one that comes nearest; None if no hypothesis fits the shapes.
    tried: the number of hypotheses that were computed.
    """

    findings: tuple[Finding, ...]
    nearest: Finding | None
    tried: int


def search(run: ForeignRun, tolerances: Tolerances) -> SearchResult:
    """Return the explanations with the fewest differences: none, one or two."""
    known = tuple(differences.list_known(run))
    nearest: Finding | None = None
    tried = 0
    for count in (0, 1, 2):
        found: list[Finding] = []
        for chosen in _combine(known, count):
            finding = measure(run, chosen, tolerances)
            if finding is None:
                continue
            tried += 1
            if nearest is None or finding.remaining < nearest.remaining:
                nearest = finding
            if finding.matches:
                found.append(finding)
        if found:
            return SearchResult(tuple(_drop_equivalent(run, found)), None, tried)
    return SearchResult((), nearest, tried)


def _combine(known: Sequence[Difference], count: int) -> Iterator[tuple[Difference, ...]]:
    """Yield the combinations of so many differences, none of which set the same field."""
    for chosen in combinations(known, count):
        fields = [field for one in chosen for field in one.changes]
        if len(fields) == len(set(fields)):
            yield chosen


def hypothesis_of(chosen: Iterable[Difference]) -> Hypothesis:
    """Return the hypothesis that these differences make together."""
    changes = {field: value for one in chosen for field, value in one.changes.items()}
    return Hypothesis(**changes)


def measure(run: ForeignRun, chosen: tuple[Difference, ...], tolerances: Tolerances) -> Finding | None:
    """Return how near a hypothesis comes, on a part and, if that matches, on all; None if it does not fit."""
    hypothesis = hypothesis_of(chosen)
    expected = expected_of(run, hypothesis)
    shape = inputs_of(run, hypothesis).shape
    if expected is None or not _fits(run, expected, shape):
        return None
    sequences, steps = min(shape[0], PART_SEQUENCES), shape[1]
    wanted = expected
    if len(run.cells) == 1 and "sequence" in expected:
        wanted, steps = {"sequence": expected["sequence"]}, min(steps, PART_STEPS)
    found = _measure(run, chosen, wanted, (sequences, steps), tolerances)
    if found is None or not found.matches or ((sequences, steps) == shape[:2] and wanted is expected):
        return found
    return _measure(run, chosen, expected, (shape[0], shape[1]), tolerances)


def _fits(run: ForeignRun, expected: Mapping[str, Array], shape: tuple[int, ...]) -> bool:
    """Return whether the shapes of the expected tensors are those that the hypothesis gives."""
    batch, steps, _ = shape
    if any(len(state) != batch for state in run.initial_state):
        return False
    if any(key.startswith("cell") for key in expected) and run.class_name != "LSTM":
        return False
    return all(
        array.shape[:2] == (batch, steps) if key.startswith("sequence") else len(array) == batch
        for key, array in expected.items()
    )


def _measure(
    run: ForeignRun,
    chosen: tuple[Difference, ...],
    expected: Mapping[str, Array],
    part: tuple[int, int],
    tolerances: Tolerances,
) -> Finding | None:
    """Compare on the first sequences and steps; None if Keras would reject the layer or a shape differs."""
    hypothesis = hypothesis_of(chosen)
    sequences, steps = part
    try:
        computed = compute(run, hypothesis, sequences, steps)
    except (LayerError, ValueError):  # a transposed or exchanged kernel that fits no layer
        return None
    remaining = excess = 0.0
    for key, array in expected.items():
        theirs = array[:sequences, :steps] if key.startswith("sequence") else array[:sequences]
        ours = computed[key]
        if ours.shape != theirs.shape:
            return None
        gap = np.abs(ours - theirs)
        gap = np.where(np.isfinite(gap), gap, np.inf)
        remaining = max(remaining, float(gap.max()))
        excess = max(excess, float((gap / _tolerance_of(theirs, tolerances)).max()))
    return Finding(chosen, hypothesis, remaining, excess)


def _tolerance_of(expected: Array, tolerances: Tolerances) -> Array:
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.maximum(tolerances.atol + tolerances.rtol * np.abs(expected), tiny))


def _drop_equivalent(run: ForeignRun, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield each finding but those that are the same layer, weights and tensors as an earlier one."""
    seen: list[tuple[object, tuple[Array, ...]]] = []
    for finding in found:
        form, arrays = _identity(run, finding.hypothesis)
        if not any(form == other and _equal(arrays, others) for other, others in seen):
            seen.append((form, arrays))
            yield finding


def _identity(run: ForeignRun, hypothesis: Hypothesis) -> tuple[object, tuple[Array, ...]]:
    expected = expected_of(run, hypothesis) or {}
    weights = weights_of(run, hypothesis)
    states = initial_state_of(run, hypothesis) or ()
    arrays = (*weights.values(), *expected.values(), inputs_of(run, hypothesis), *states)
    spec = spec_of(run, hypothesis)
    return (spec, tuple(expected), tuple(weights)), arrays


def _equal(first: Sequence[Array], second: Sequence[Array]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))
