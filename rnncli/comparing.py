"""Whether two engines agree, tensor by tensor."""

from __future__ import annotations

import dataclasses

from rnncli import pipeline
from rnncli.case import Case
from rnncli.result import Result


def held(case: Case, result: Result, atol: float = 1e-6, rtol: float = 1e-5) -> tuple[Result, list[str]]:
    """`result` with each tensor's largest difference from Keras itself, and the tensors that are too far."""
    other = result if result.engine == "tensorflow" else pipeline.run(case, "tensorflow")
    compared = dataclasses.replace(result, differences=differences(result, other))
    return compared, disagreeing(result, other, atol, rtol)


def differences(result: Result, other: Result) -> dict[str, float]:
    """Per tensor the largest absolute difference; two NaN are the same, one is an infinite difference."""
    import numpy as np

    found: dict[str, float] = {}
    for mine, theirs in zip(result.outputs, other.outputs, strict=True):
        first, second = (tensor.values.astype(np.float64) for tensor in (mine, theirs))
        with np.errstate(invalid="ignore"):
            gap = np.where((first == second) | (np.isnan(first) & np.isnan(second)), 0.0, abs(first - second))
        found[mine.name] = float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0))
    return found


def disagreeing(result: Result, other: Result, atol: float, rtol: float) -> list[str]:
    """The names of the tensors that differ by more than atol + rtol * |other|."""
    import numpy as np

    pairs = zip(result.outputs, other.outputs, strict=True)
    return [
        mine.name
        for mine, theirs in pairs
        if not np.allclose(
            mine.values.astype(np.float64), theirs.values.astype(np.float64), rtol, atol, equal_nan=True
        )
    ]
