"""Compare the results of two engines, tensor by tensor."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from rnncli import compute
from rnncli.case import Array, Case
from rnncli.result import Result


def compare_with_keras(
    case: Case, result: Result, atol: float = 1e-6, rtol: float = 1e-5, budget: int | None = None
) -> tuple[Result, list[str]]:
    """Compare `result` with Keras.

    Returns `result` with each tensor's largest difference from Keras, and the names of the tensors that
    differ by more than the tolerances.
    budget: see compute.run.
    """
    other = result if result.engine == "tensorflow" else compute.run(case, "tensorflow", budget)
    compared = dataclasses.replace(result, differences=differences(result, other))
    return compared, find_disagreements(result, other, atol, rtol)


def differences(result: Result, other: Result) -> dict[str, float]:
    """Return the largest absolute difference by tensor name.

    Two NaN are equal; NaN and a number differ by infinity.
    """
    import numpy as np

    def largest(both: tuple[Array, Array]) -> float:
        mine, theirs = both
        with np.errstate(invalid="ignore"):
            same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
            gap = np.where(same, 0.0, abs(mine - theirs))
        return float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0))

    return {name: max(map(largest, pairs), default=0.0) for name, pairs in _in_blocks(result, other)}


def find_disagreements(result: Result, other: Result, atol: float, rtol: float) -> list[str]:
    """Return the names of the tensors that differ by more than atol + rtol * |other|; two NaN are equal."""
    import numpy as np

    return [
        name
        for name, pairs in _in_blocks(result, other)
        if not all(np.allclose(*both, rtol, atol, equal_nan=True) for both in pairs)
    ]


def _in_blocks(result: Result, other: Result) -> Iterator[tuple[str, Iterator[tuple[Array, Array]]]]:
    """Yield each tensor's name, and pairs of blocks of its numbers in both results, as float64."""
    import numpy as np

    from rnncli import arrays

    for mine, theirs in zip(result.outputs, other.outputs, strict=True):
        first, second = (
            (block.astype(np.float64) for block in arrays.blocks(tensor.values)) for tensor in (mine, theirs)
        )
        yield mine.name, zip(first, second, strict=True)
