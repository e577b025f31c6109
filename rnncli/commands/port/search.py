"""Search the known differences, singly and in pairs, for those that explain every expected number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.port import differences
from rnncli.commands.port.expected_tensors import is_cell_state, is_sequence
from rnncli.commands.port.hypothesis import (
    Difference,
    ForeignRun,
    Hypothesis,
    compute,
    expected_in_keras,
    initial_state_of,
    inputs_of,
    mask_of,
    spec_of,
    weights_of,
)
from rnncli.commands.port.vectorized import compute_all
from rnncli.errors import LayerError

PART_SEQUENCES, PART_STEPS = 2, 8
"""Sequences and steps of a long input that are compared before all of it."""
ROUNDING = 1e-9
"""Larger than the difference between two float64 computations in different order."""


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
    hypothesis_count: the number of hypotheses that were computed.
    """

    findings: tuple[Finding, ...]
    nearest: Finding | None
    hypothesis_count: int

    @property
    def distance(self) -> float:
        """The largest difference that remains; infinity if no hypothesis fits the shapes."""
        near = self.findings[0] if self.findings else self.nearest
        return np.inf if near is None else near.remaining


def search(run: ForeignRun, tolerances: Tolerances) -> SearchResult:
    """Return the explanations with the fewest differences: none, one or two."""
    known = tuple(differences.list_known(run))
    nearest: Finding | None = None
    hypothesis_count = 0
    for count in (0, 1, 2):
        candidates = [
            candidate for chosen in _combine(known, count) if (candidate := _candidate(run, chosen))
        ]
        hypothesis_count += len(candidates)
        left = _screen(run, candidates, tolerances)
        measured = [finding for candidate in left if (finding := _confirm(run, candidate, tolerances))]
        matching = [finding for finding in measured if finding.matches]
        if matching:
            return SearchResult(tuple(_drop_equivalent(run, matching)), None, hypothesis_count)
        near = min(measured, key=lambda finding: finding.remaining, default=None)
        if nearest is None or (near is not None and near.remaining < nearest.remaining):
            nearest = near
    return SearchResult((), nearest, hypothesis_count)


class Candidate(NamedTuple):
    """Differences whose shapes fit.  expected: the tensors as Keras would return them."""

    differences: tuple[Difference, ...]
    hypothesis: Hypothesis
    expected: Mapping[str, Array]


def _combine(known: Sequence[Difference], count: int) -> Iterator[tuple[Difference, ...]]:
    """Yield the combinations of `count` differences that set different fields."""
    for combination in combinations(known, count):
        fields = [field for one in combination for field in one.changes]
        if len(fields) == len(set(fields)):
            yield combination


def hypothesis_of(combination: Iterable[Difference]) -> Hypothesis:
    """Return the hypothesis that these differences make together."""
    changes = {field: value for one in combination for field, value in one.changes.items()}
    return Hypothesis(**changes)


def _candidate(run: ForeignRun, combination: tuple[Difference, ...]) -> Candidate | None:
    hypothesis = hypothesis_of(combination)
    expected = expected_in_keras(run, hypothesis)
    if expected is None or not _fits(run, expected, inputs_of(run, hypothesis).shape):
        return None
    return Candidate(combination, hypothesis, expected)


def _screen(run: ForeignRun, candidates: Sequence[Candidate], tolerances: Tolerances) -> list[Candidate]:
    """Return the candidates that a part of the numbers does not rule out; if there are none, the nearest.

    The part is the first time step, then the first few, where sequences of one direction are expected;
    otherwise all steps of one sequence of the batch.
    """
    wide = Tolerances(2 * tolerances.atol + ROUNDING, 2 * tolerances.rtol)
    sequence = len(run.cells) == 1 and not run.options.get("go_backwards") and "sequence" in run.expected
    parts = ((PART_SEQUENCES, 1), (PART_SEQUENCES, PART_STEPS)) if sequence else ((1, max(run.inputs.shape)),)
    left = list(candidates)
    for sequences, steps in parts:
        computed = compute_all(run, [candidate.hypothesis for candidate in left], sequences, steps)
        findings = [
            _compare(run, candidate, tensors, (sequences, steps), wide)
            for candidate, tensors in zip(left, computed, strict=True)
        ]
        kept = [candidate for candidate, finding in zip(left, findings, strict=True) if finding.matches]
        if not kept:
            ranked = sorted(zip(findings, left, strict=True), key=lambda pair: pair[0].remaining)
            return [candidate for _, candidate in ranked[:1]]
        left = kept
    return left


def _confirm(run: ForeignRun, candidate: Candidate, tolerances: Tolerances) -> Finding | None:
    """Return how near the numpy engine comes on all numbers; None if Keras would reject the layer."""
    batch, steps, _ = inputs_of(run, candidate.hypothesis).shape
    try:
        computed = compute(run, candidate.hypothesis, batch, steps)
    except (LayerError, ValueError):
        return None
    return _compare(run, candidate, computed, (batch, steps), tolerances)


def _fits(run: ForeignRun, expected: Mapping[str, Array], shape: tuple[int, ...]) -> bool:
    """Return whether the shapes of the expected tensors are those that the hypothesis gives."""
    batch, steps, _ = shape
    if any(len(state) != batch for state in run.initial_state):
        return False
    if any(map(is_cell_state, expected)) and run.class_name != "LSTM":
        return False
    return all(
        array.shape[:2] == (batch, steps) if is_sequence(key) else len(array) == batch
        for key, array in expected.items()
    )


def _compare(
    run: ForeignRun,
    candidate: Candidate,
    computed: Mapping[str, Array],
    part: tuple[int, int],
    tolerances: Tolerances,
) -> Finding:
    """Compare on the first sequences and steps; where steps are left out, sequences alone."""
    sequences, steps = part
    mask = mask_of(run, candidate.hypothesis)
    whole = steps >= inputs_of(run, candidate.hypothesis).shape[1]
    remaining = excess = 0.0
    for key, array in candidate.expected.items():
        sequence = is_sequence(key)
        if not (sequence or whole):
            continue
        theirs, ours = array[:sequences, :steps] if sequence else array[:sequences], computed[key]
        if ours.shape != theirs.shape:
            return Finding(candidate.differences, candidate.hypothesis, np.inf, np.inf)
        gap = np.abs(ours - theirs)
        gap = np.where(np.isfinite(gap), gap, np.inf)
        if sequence and mask is not None:
            gap = np.where(mask[:sequences, :steps, None], gap, 0)
        remaining = max(remaining, float(gap.max()))
        allowed = np.maximum(tolerances.atol + tolerances.rtol * np.abs(theirs), np.finfo(np.float64).tiny)
        excess = max(excess, float((gap / allowed).max()))
    return Finding(candidate.differences, candidate.hypothesis, remaining, excess)


def _drop_equivalent(run: ForeignRun, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield each finding but those that are the same layer, weights and tensors as an earlier one."""
    seen: list[tuple[object, tuple[Array, ...]]] = []
    for finding in found:
        form, arrays = _identity(run, finding.hypothesis)
        if not any(form == other and all(map(np.array_equal, arrays, same)) for other, same in seen):
            seen.append((form, arrays))
            yield finding


def _identity(run: ForeignRun, hypothesis: Hypothesis) -> tuple[object, tuple[Array, ...]]:
    expected = expected_in_keras(run, hypothesis) or {}
    weights = weights_of(run, hypothesis)
    states = initial_state_of(run, hypothesis) or ()
    arrays = (*weights.values(), *expected.values(), inputs_of(run, hypothesis), *states)
    spec = spec_of(run, hypothesis)
    return (spec, tuple(expected), tuple(weights)), arrays
