"""Search the known differences, alone and in pairs: which of them explain every expected number?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations, product
from operator import attrgetter

import numpy as np

from rnncli.commands.port.differences import list_known
from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis, is_sequence
from rnncli.known import Known
from rnncli.values import Array

PART_SEQUENCES, PART_STEPS = 2, 8
"""Sequences and steps of a long input that are compared before all of it."""
REMAINING = attrgetter("remaining")
ROUNDING = 1e-9
"""Larger than the difference between two float64 computations in different order."""


def search(run: ForeignRun) -> tuple[list[Hypothesis], int]:
    """Return the explanations with the fewest differences; and how many hypotheses were compared.

    An explanation has at most two differences, or three if two of them are about axes and padding, or if one
    is that a GRU with one bias resets after the matrix product; besides the order of gates that the names of
    the weights imply.
    Without an explanation, return the nearest hypothesis, or nothing if no hypothesis fits the shapes.
    """
    known = tuple(list_known(run))
    nearest: list[Hypothesis] = []
    hypothesis_count = 0
    implied = tuple(
        each for each in known if run.layer.gates and each.changes.get("gates") == run.layer.gates
    )
    more = chain(_list_calls(known), _list_resets(run, known))
    for sets in (*(combinations(known, count) for count in (0, 1, 2)), more):
        candidates = []
        tried = ((few, (*implied, *few)) if implied else (few,) for few in sets)
        for differences in chain.from_iterable(tried):
            changes = [name for difference in differences for name in difference.changes]
            if len(changes) == len(set(changes)) and _fits(hypothesis := Hypothesis(run, differences)):
                candidates.append(hypothesis)
        hypothesis_count += len(candidates)
        measured = _screen(candidates)
        for hypothesis in measured:  # on all numbers, and each by itself
            _measure(hypothesis, hypothesis.compute(), hypothesis.inputs.shape[:2], run.atol, run.rtol)
        matching = [hypothesis for hypothesis in measured if hypothesis.matches]
        if matching:
            return list(_drop_equivalent(matching)), hypothesis_count
        nearest = sorted([*nearest, *measured], key=REMAINING)[:1]
    return nearest, hypothesis_count


def _list_calls(known: Sequence[Known]) -> Iterator[tuple[Known, ...]]:
    """Yield sets of three differences: of the axes, of padding, and any other.

    The first two are about how the layer was called: PyTorch packs sequences with the time first.
    """
    axes = [difference for difference in known if {"swap_inputs", "swap_outputs"} & difference.changes.keys()]
    padding = [difference for difference in known if "padded" in difference.changes]
    for pair in product(axes, padding):
        yield from ((*pair, other) for other in known if other not in pair)


def _list_resets(run: ForeignRun, known: Sequence[Known]) -> Iterator[tuple[Known, ...]]:
    """Yield sets of three differences: of a GRU with one bias reset_after=True, and any two others.

    One bias leaves open which it is: reset_after=False is taken for granted, and costs no difference.
    """
    if all(len(cell.biases) == 1 for cell in run.layer.cells):
        resets = [difference for difference in known if difference.changes.get("reset_after")]
        others = [difference for difference in known if difference not in resets]
        yield from ((*resets, *pair) for pair in combinations(others, 2) if resets)


def _fits(hypothesis: Hypothesis) -> bool:
    run, expected = hypothesis.run, hypothesis.expected
    batch, steps, _ = hypothesis.inputs.shape
    if len(expected) < len(run.expected) or any(len(state) != batch for state in run.initial_state):
        return False
    if hypothesis.padding is not None:
        mask = hypothesis.mask
        if mask is None or mask.all():
            return False
    if run.layer.class_name != "LSTM" and any(key.startswith("cell") for key in expected):
        return False
    return all(
        array.shape[:2] == (batch, steps) if is_sequence(key) else len(array) == batch
        for key, array in expected.items()
    )


def _screen(candidates: list[Hypothesis]) -> list[Hypothesis]:
    """Return the candidates that a part of the numbers does not rule out; if there are none, the nearest.

    The part is the first time step, then the first few, where sequences of one direction are expected;
    otherwise all steps of one sequence of the batch.
    """
    if not candidates:
        return []
    run = candidates[0].run
    sequence = (
        len(run.layer.cells) == 1 and not run.options.get("go_backwards") and "sequence" in run.expected
    )
    parts = ((PART_SEQUENCES, 1), (PART_SEQUENCES, PART_STEPS)) if sequence else ((1, max(run.inputs.shape)),)
    for part in parts:
        computations: dict[object, list[Hypothesis]] = {}
        for candidate in candidates:
            computations.setdefault(candidate.computation, []).append(candidate)
        for group in computations.values():
            tensors = group[0].compute(*part)
            for candidate in group:
                _measure(candidate, tensors, part, 2 * run.atol + ROUNDING, 2 * run.rtol)
        kept = [candidate for candidate in candidates if candidate.matches]
        if not kept:
            return sorted(candidates, key=REMAINING)[:1]
        candidates = kept
    return candidates


def _measure(
    candidate: Hypothesis, computed: Mapping[str, Array], part: tuple[int, ...], atol: float, rtol: float
) -> None:
    """Set how near the candidate comes in the first sequences and steps.

    If steps are left out, only tensors with an axis of time are compared.  In a masked step the output may
    repeat the step before, as in Keras, or be zeros, as in other frameworks.
    """
    sequences, steps = part
    mask = candidate.mask
    whole = steps >= candidate.inputs.shape[1]
    candidate.remaining = candidate.excess = 0.0
    for key, array in candidate.expected.items():
        sequence = is_sequence(key)
        if not (sequence or whole):
            continue
        theirs, ours = array[:sequences, :steps] if sequence else array[:sequences], computed[key]
        if ours.shape != theirs.shape:
            candidate.remaining = candidate.excess = np.inf
            return
        gap = np.abs(ours - theirs)
        gap = np.where(np.isfinite(gap), gap, np.inf)
        if sequence and mask is not None and candidate.padding is None and not candidate.padded:
            zeros = np.where(mask[:sequences, :steps, None], np.inf, np.abs(theirs))
            gap = np.minimum(gap, zeros)
        allowed = np.maximum(atol + rtol * np.abs(theirs), np.finfo(np.float64).tiny)
        candidate.remaining = max(candidate.remaining, float(gap.max()))
        candidate.excess = max(candidate.excess, float((gap / allowed).max()))


def _drop_equivalent(hypotheses: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
    """Yield the hypotheses; of several with the same layer, weights and tensors, only the first."""
    seen: list[tuple[object, tuple[Array, ...]]] = []
    for hypothesis in hypotheses:
        weights, expected = hypothesis.weights, hypothesis.expected
        form = (hypothesis.spec(), tuple(expected), tuple(weights), hypothesis.padded)
        mask = np.zeros(0) if hypothesis.mask is None else hypothesis.mask
        arrays = (*weights.values(), *expected.values(), hypothesis.inputs, *hypothesis.initial_state, mask)
        if not any(form == other and all(map(np.array_equal, arrays, same)) for other, same in seen):
            seen.append((form, arrays))
            yield hypothesis
