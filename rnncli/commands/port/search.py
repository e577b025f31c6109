"""Search the known differences, singly and in pairs, for those that explain every expected number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.port.differences import Difference, list_known
from rnncli.commands.port.hypothesis import (
    ForeignRun,
    Hypothesis,
    compute,
    expected_in_keras,
    initial_state_of,
    inputs_of,
    is_sequence,
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
        Both are infinite until they are measured.
    """

    differences: tuple[Difference, ...]
    hypothesis: Hypothesis
    remaining: float = np.inf
    excess: float = np.inf

    @property
    def matches(self) -> bool:
        """Whether every number is within the tolerances."""
        return self.excess <= 1


def search_readings(
    runs: Sequence[ForeignRun], tolerances: Tolerances
) -> tuple[ForeignRun, list[Finding], int]:
    """Search in every reading of the expected tensors; return the one that matches, or the nearest.

    With it come what `search` found in it, and the number of hypotheses in all readings.
    """
    found = [(run, *search(run, tolerances)) for run in runs]
    best = min(found, key=lambda one: _rank(one[1]))
    return *best[:2], sum(count for *_, count in found)


def _rank(findings: Sequence[Finding]) -> tuple[bool, float]:
    return (not findings[0].matches, findings[0].remaining) if findings else (True, np.inf)


def search(run: ForeignRun, tolerances: Tolerances) -> tuple[list[Finding], int]:
    """Return the explanations with the fewest differences: none, one or two; and how many were compared.

    If nothing matches, that is the hypothesis that comes nearest; nothing if no hypothesis fits the shapes.
    """
    known = tuple(list_known(run))
    nearest: list[Finding] = []
    hypothesis_count = 0
    for count in (0, 1, 2):
        candidates = [
            Finding(chosen, hypothesis)
            for chosen in _combine(known, count)
            if _fits(run, hypothesis := hypothesis_of(chosen))
        ]
        hypothesis_count += len(candidates)
        left = _screen(run, candidates, tolerances)
        measured = [finding for candidate in left if (finding := _confirm(run, candidate, tolerances))]
        matching = [finding for finding in measured if finding.matches]
        if matching:
            return list(_drop_equivalent(run, matching)), hypothesis_count
        nearest = sorted([*nearest, *measured], key=lambda finding: finding.remaining)[:1]
    return nearest, hypothesis_count


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


def _screen(run: ForeignRun, candidates: Sequence[Finding], tolerances: Tolerances) -> list[Finding]:
    """Return the candidates that a part of the numbers does not rule out; if there are none, the nearest.

    The part is the first time step, then the first few, where sequences of one direction are expected;
    otherwise all steps of one sequence of the batch.
    """
    wide = Tolerances(2 * tolerances.atol + ROUNDING, 2 * tolerances.rtol)
    sequence = (
        len(run.layer.cells) == 1 and not run.options.get("go_backwards") and "sequence" in run.expected
    )
    parts = ((PART_SEQUENCES, 1), (PART_SEQUENCES, PART_STEPS)) if sequence else ((1, max(run.inputs.shape)),)
    left = list(candidates)
    for sequences, steps in parts:
        computed = compute_all(run, [candidate.hypothesis for candidate in left], sequences, steps)
        findings = [
            _compare(run, candidate, tensors, (sequences, steps), wide)
            for candidate, tensors in zip(left, computed, strict=True)
        ]
        kept = [finding for finding in findings if finding.matches]
        if not kept:
            return sorted(findings, key=lambda finding: finding.remaining)[:1]
        left = kept
    return left


def _confirm(run: ForeignRun, candidate: Finding, tolerances: Tolerances) -> Finding | None:
    """Return how near the numpy engine comes on all numbers; None if Keras would reject the layer."""
    batch, steps, _ = inputs_of(run, candidate.hypothesis).shape
    try:
        computed = compute(run, candidate.hypothesis, batch, steps)
    except (LayerError, ValueError):
        return None
    return _compare(run, candidate, computed, (batch, steps), tolerances)


def _fits(run: ForeignRun, hypothesis: Hypothesis) -> bool:
    """Return whether the shapes of the expected tensors are those that the hypothesis gives."""
    batch, steps, _ = inputs_of(run, hypothesis).shape
    expected = expected_in_keras(run, hypothesis)
    if len(expected) < len(run.expected) or any(len(state) != batch for state in run.initial_state):
        return False
    if run.layer.class_name != "LSTM" and any(key.startswith("cell") for key in expected):
        return False
    return all(
        array.shape[:2] == (batch, steps) if is_sequence(key) else len(array) == batch
        for key, array in expected.items()
    )


def _compare(
    run: ForeignRun,
    candidate: Finding,
    computed: Mapping[str, Array],
    part: tuple[int, int],
    tolerances: Tolerances,
) -> Finding:
    """Compare on the first sequences and steps; where steps are left out, sequences alone."""
    sequences, steps = part
    mask = mask_of(run, candidate.hypothesis)
    whole = steps >= inputs_of(run, candidate.hypothesis).shape[1]
    remaining = excess = 0.0
    for key, array in expected_in_keras(run, candidate.hypothesis).items():
        sequence = is_sequence(key)
        if not (sequence or whole):
            continue
        theirs, ours = array[:sequences, :steps] if sequence else array[:sequences], computed[key]
        if ours.shape != theirs.shape:
            return candidate._replace(remaining=np.inf, excess=np.inf)
        gap = np.abs(ours - theirs)
        gap = np.where(np.isfinite(gap), gap, np.inf)
        if sequence and mask is not None:
            gap = np.where(mask[:sequences, :steps, None], gap, 0)
        remaining = max(remaining, float(gap.max()))
        allowed = np.maximum(tolerances.atol + tolerances.rtol * np.abs(theirs), np.finfo(np.float64).tiny)
        excess = max(excess, float((gap / allowed).max()))
    return candidate._replace(remaining=remaining, excess=excess)


def _drop_equivalent(run: ForeignRun, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield each finding but those that are the same layer, weights and tensors as an earlier one."""
    seen: list[tuple[object, tuple[Array, ...]]] = []
    for finding in found:
        form, arrays = _identity(run, finding.hypothesis)
        if not any(form == other and all(map(np.array_equal, arrays, same)) for other, same in seen):
            seen.append((form, arrays))
            yield finding


def _identity(run: ForeignRun, hypothesis: Hypothesis) -> tuple[object, tuple[Array, ...]]:
    expected = expected_in_keras(run, hypothesis)
    weights = weights_of(run, hypothesis)
    states = initial_state_of(run, hypothesis) or ()
    arrays = (*weights.values(), *expected.values(), inputs_of(run, hypothesis), *states)
    spec = spec_of(run, hypothesis)
    return (spec, tuple(expected), tuple(weights)), arrays
