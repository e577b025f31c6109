"""Whether a match proves anything: how many numbers agree, and what cannot show a difference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.port.expected_tensors import is_sequence
from rnncli.commands.port.hypothesis import ForeignRun
from rnncli.commands.port.search import Tolerances
from rnncli.renderers.wording import Bilingual

LEAST = 4
"""The minimum number of distinct numbers for a match to count."""
LOG_CERTAINTY = -9.0
"""Base-10 logarithm of the highest probability of a chance match at which a match counts."""

FEW = Bilingual(
    "the expected tensors hold too few different numbers to rule out chance: {}",
    "기대 텐서의 서로 다른 값이 {}개뿐이라 우연일 수 있음",
)
WIDE = Bilingual(
    "the tolerances are as wide as the numbers are spread, so unrelated numbers would match",
    "허용 오차가 값의 폭만큼 커서 관계없는 값도 일치함",
)
CONSTANT = Bilingual(
    "all weights of the {} are equal, which hides the order of gates and axes",
    "{} 가중치가 모두 같아 게이트와 축의 순서가 드러나지 않음",
)
STILL = Bilingual(
    "all numbers of the input are equal, which hides the order of axes, time and features",
    "입력의 값이 모두 같아 축, 시간, 특성의 순서가 드러나지 않음",
)


class Evidence(NamedTuple):
    """How much a match proves.

    numbers: how many are expected.  different: of them, those that differ by more than the tolerances.
    highest: the largest absolute value.
    doubts: why nothing is proved; empty if a match is a proof.
    """

    numbers: int
    different: int
    highest: float
    doubts: tuple[Bilingual, ...]


def assess(run: ForeignRun, tolerances: Tolerances, hypothesis_count: int) -> Evidence:
    """Return the evidence.  hypothesis_count: the number of hypotheses that were compared."""
    numbers = np.concatenate([_unmasked_numbers(run, key, array) for key, array in run.expected.items()])
    different, digits = _count_distinct(numbers, tolerances)
    digits -= math.log10(max(hypothesis_count, 1))
    doubts = list(_find_constants(run))
    if different < LEAST:
        doubts.append(FEW.format(different))
    elif digits < -LOG_CERTAINTY:
        doubts.append(WIDE)
    return Evidence(numbers.size, different, float(np.abs(numbers).max()), tuple(doubts))


def _unmasked_numbers(run: ForeignRun, key: str, array: Array) -> Array:
    """Return the numbers of an expected tensor that are compared: those of masked steps are not."""
    if run.mask is None or not is_sequence(key):
        return array.ravel()
    mask = run.mask if run.mask.shape == array.shape[:2] else run.mask.T
    return np.asarray(array[mask]).ravel()


def _count_distinct(numbers: Array, tolerances: Tolerances) -> tuple[int, float]:
    """Return how many numbers are distinct, and by how many digits they narrow the hypotheses down.

    An unrelated number in this range is within the tolerance of a given one with probability
    2 * tolerance / spread.
    """
    ordered = np.unique(numbers)
    spread = float(ordered[-1] - ordered[0])
    if spread <= 0:
        return 1, 0.0
    widths = 2 * (tolerances.atol + tolerances.rtol * np.abs(ordered))
    kept, last = [], -math.inf
    for number, width in zip(ordered.tolist(), widths.tolist(), strict=True):
        if number - last > width:
            kept.append(width)
            last = number
    shares = np.minimum(np.maximum(np.array(kept), 1e-15) / spread, 1.0)
    return len(kept), float(-np.log10(shares).sum())


def _find_constants(run: ForeignRun) -> Iterator[Bilingual]:
    names: Mapping[str, Sequence[Array]] = {
        "kernel": [cell.kernel for cell in run.cells],
        "recurrent kernel": [cell.recurrent for cell in run.cells],
    }
    for name, arrays in names.items():
        if all(array.size > 1 and np.ptp(array) == 0 for array in arrays):
            yield CONSTANT.format(name)
    if run.inputs.size > 1 and np.ptp(run.inputs) == 0:
        yield STILL
