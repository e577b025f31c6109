"""Whether a match proves anything, and a small input on which several matches would differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from rnncli.cli import files
from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis, is_sequence
from rnncli.errors import Message
from rnncli.values import Array

LEAST = 4
"""The minimum number of distinct numbers for a match to count."""
LOG_CERTAINTY = -9.0
"""Base-10 logarithm of the highest probability of a chance match at which a match counts."""

SIZES = ((1, 2), (1, 3), (2, 3), (3, 5))
"""Batch and time steps of the inputs to try, the smallest first."""
VISIBLE_DIFFERENCE = 1e-3
"""The minimum difference between two predictions that a reader can see."""


class Evidence(NamedTuple):
    """How much a match proves.

    numbers: how many are expected.  different: how many of them differ by more than the tolerances.
    highest: the largest absolute value.
    doubts: why nothing is proved; empty if a match is a proof.
    """

    numbers: int
    different: int
    highest: float
    doubts: tuple[Message, ...]


def assess(run: ForeignRun, hypothesis_count: int) -> Evidence:
    """Return the evidence.  hypothesis_count: the number of hypotheses that were compared."""
    compared = []
    for key, array in run.expected.items():
        mask = run.mask if is_sequence(key) else None  # masked steps are not compared
        if mask is not None:
            array = array[mask if mask.shape == array.shape[:2] else mask.T]
        compared.append(array.ravel())
    numbers = np.concatenate(compared)
    different, digits = _count_distinct(numbers, run)
    digits -= math.log10(max(hypothesis_count, 1))
    doubts = list(_find_constants(run))
    if different < LEAST:
        doubts.append(
            Message(
                "the expected tensors hold too few different numbers to rule out chance: {different}",
                different=different,
            )
        )
    elif digits < -LOG_CERTAINTY:
        doubts.append(
            Message("the tolerances are as wide as the numbers are spread, so unrelated numbers would match")
        )
    return Evidence(numbers.size, different, float(np.abs(numbers).max()), tuple(doubts))


def _count_distinct(numbers: Array, run: ForeignRun) -> tuple[int, float]:
    """Return how many numbers are distinct, and by how many digits they narrow the hypotheses down.

    An unrelated number in this range is within the tolerance of a given one with probability
    2 * tolerance / spread.
    """
    ordered = np.unique(numbers)
    spread = float(ordered[-1] - ordered[0])
    if spread <= 0:
        return 1, 0.0
    widths = 2 * (run.atol + run.rtol * np.abs(ordered))
    kept, last = [], -math.inf
    for number, width in zip(ordered.tolist(), widths.tolist(), strict=True):
        if number - last > width:
            kept.append(width)
            last = number
    shares = np.minimum(np.maximum(np.array(kept), 1e-15) / spread, 1.0)
    return len(kept), float(-np.log10(shares).sum())


def _find_constants(run: ForeignRun) -> Iterator[Message]:
    names: Mapping[str, Sequence[Array]] = {
        "kernel": [cell.kernel for cell in run.layer.cells],
        "recurrent kernel": [cell.recurrent for cell in run.layer.cells],
    }
    for name, arrays in names.items():
        if all(array.size > 1 and np.ptp(array) == 0 for array in arrays):
            yield Message(
                "all weights of the {name} are equal, which hides the order of gates and axes", name=name
            )
    if run.inputs.size > 1 and np.ptp(run.inputs) == 0:
        yield Message("all numbers of the input are equal, which hides the order of axes, time and features")


def write_probe(run: ForeignRun, findings: Sequence[Hypothesis], path: str) -> list[dict[str, Array]]:
    """Write the smallest input that tells all explanations apart; return the numbers that each predicts.

    Writes and returns nothing if there is only one explanation, or if no input tells them apart.
    """
    for (batch, steps), scale in product(SIZES, (1.0, 3.0)) if len(findings) > 1 else ():
        random = np.random.default_rng(0)
        inputs = np.round(random.normal(0, scale, (batch, steps, run.inputs.shape[-1])), 3)
        probed = run._replace(inputs=inputs, initial_state=(), mask=None)
        tried = [Hypothesis(probed, finding.differences) for finding in findings]
        predictions = [hypothesis.in_file_form(hypothesis.compute()) for hypothesis in tried]
        if any(
            all(
                array.shape == other[key].shape and np.abs(array - other[key]).max() <= VISIBLE_DIFFERENCE
                for key, array in prediction.items()
            )
            for prediction, other in combinations(predictions, 2)
        ):
            continue
        if path.casefold().endswith(".json"):
            files.write(path, json.dumps(inputs.tolist()) + "\n")
        else:
            with files.open_output(path) as file:
                np.save(file, inputs.astype(np.float32))
        return predictions
    return []
