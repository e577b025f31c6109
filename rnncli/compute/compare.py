"""Compare results tensor by tensor: two engines, or a result and stored numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rnncli import compute
from rnncli.compute import engines
from rnncli.errors import Text, UsageError, did_you_mean
from rnncli.layers.case import Case
from rnncli.result import NamedTensor, Result
from rnncli.values import ATOL, RTOL, Array

Tolerance = float | Mapping[str, float]
"""One tolerance for all tensors; or tolerances by tensor name, with "" for all other tensors."""
TolerancePair = tuple[Tolerance, Tolerance]
"""Absolute and relative tolerance."""


class Mismatch(NamedTuple):
    """The numbers of a tensor that are beyond the tolerance.

    indices, first, second: of the first of them in the order of the array, and its two values.
    number: how many numbers.
    """

    indices: tuple[int, ...]
    first: float
    second: float
    number: int


class TensorDifference(NamedTuple):
    """How far a tensor differs between two sides, for example two engines.

    shapes: the shapes on both sides; if they differ, nothing else is known.
    absolute: largest absolute difference; infinite if a number differs from NaN or from an infinity.
    relative: largest difference relative to the second side, where that is not 0.
    indices: the index of the largest absolute difference; None if all numbers are equal.
    ulps: number of floats between the two numbers there, in the narrower dtype; None for NaN and infinities.
    step: input index of the first time step with a mismatch; None without time steps or mismatches.
    mismatch: the numbers beyond atol + rtol * |second|; None if there are none.
    missing: whether the first side has no such tensor; then its shape is ().
    """

    name: str
    sides: tuple[Text, Text]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    atol: float
    rtol: float
    absolute: float = 0.0
    relative: float = 0.0
    indices: tuple[int, ...] | None = None
    ulps: int | None = None
    step: int | None = None
    mismatch: Mismatch | None = None
    missing: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the shapes are the same and every number is within the tolerance."""
        return self.mismatch is None and self.shapes[0] == self.shapes[1] and not self.missing

    @property
    def size(self) -> int:
        """Count of numbers of the tensor on the first side."""
        return math.prod(self.shapes[0])


def measure(
    tensor: NamedTensor, other: Array, sides: tuple[Text, Text], atol: Tolerance, rtol: Tolerance
) -> TensorDifference:
    """Compare the numbers of `tensor`, the first side, with `other`, the second side; two NaN are equal."""
    import numpy as np

    from rnncli import arrays

    values, shape = tensor.values, tuple(tensor.values.shape)
    limits = tolerance_of(atol, tensor.name), tolerance_of(rtol, tensor.name)
    difference = TensorDifference(tensor.name, sides, (shape, tuple(other.shape)), *limits)
    if shape != other.shape:
        return difference
    absolute, relative, largest, ends = 0.0, 0.0, 0, (0.0, 0.0)
    mismatch, step, done = None, None, 0
    for first, second in zip(arrays.blocks(values), arrays.blocks(other), strict=True):
        first, second = (block.astype(np.float64).ravel() for block in (first, second))
        with np.errstate(invalid="ignore", over="ignore"):
            same = (first == second) | (np.isnan(first) & np.isnan(second))
            gap, size = np.where(same, 0.0, abs(first - second)), abs(second)
            gap = np.where(np.isnan(gap), np.inf, gap)  # only one of the two is NaN
            nonzero, top = size > 0, int(gap.argmax()) if gap.size else 0
            ratios = gap[nonzero] / np.where(np.isfinite(size), size, 1.0)[nonzero]
            beyond = ~np.isclose(first, second, difference.rtol, difference.atol, equal_nan=True)
        if gap.size and gap[top] > absolute:
            absolute, largest, ends = float(gap[top]), done + top, (first[top], second[top])
        relative = max(relative, float(ratios.max(initial=0.0)))
        wrong = np.flatnonzero(beyond)
        if len(wrong):
            start = int(wrong[0])
            mismatch = mismatch or Mismatch(
                arrays.index_of(done + start, shape), float(first[start]), float(second[start]), 0
            )
            mismatch = mismatch._replace(number=mismatch.number + len(wrong))
            if "timesteps" in tensor.axes and not tensor.has_guessed_axes:
                row = int(np.unravel_index(done + wrong, shape)[tensor.axes.index("timesteps")].min())
                step = row if step is None else min(step, row)
        done += gap.size
    if not absolute:
        return difference
    floats = [array.dtype for array in (values, other) if array.dtype.kind not in "iub"]
    return difference._replace(
        absolute=absolute,
        relative=relative or math.inf,  # all differ from 0
        indices=arrays.index_of(largest, shape),
        ulps=count_ulps(*ends, min(floats, key=lambda dtype: dtype.itemsize, default=values.dtype)),
        step=step if step is None or not len(tensor.time) else int(tensor.time[step]),
        mismatch=mismatch,
    )


def missing(
    name: str, other: Array, sides: tuple[Text, Text], atol: Tolerance, rtol: Tolerance
) -> TensorDifference:
    """Return the difference for a tensor that only the second side has."""
    limits = tolerance_of(atol, name), tolerance_of(rtol, name)
    return TensorDifference(name, sides, ((), tuple(other.shape)), *limits, missing=True)


def tolerance_of(tolerance: Tolerance, name: str) -> float:
    """Return the tolerance of the tensor `name`."""
    return tolerance.get(name, tolerance[""]) if isinstance(tolerance, Mapping) else tolerance


def count_ulps(first: float, second: float, dtype: Any) -> int | None:
    """Return the number of steps from one float of `dtype` to the next between the numbers.

    None if the dtype has no such steps, or a number is not finite.
    """
    import numpy as np

    words: dict[int, Any] = {2: np.int16, 4: np.int32, 8: np.int64}
    bits = words.get(np.dtype(dtype).itemsize)
    with np.errstate(over="ignore"):
        both = np.array([first, second], np.float64).astype(dtype)
    if np.dtype(dtype).kind in "iub" or bits is None or not np.isfinite(both.astype(np.float64)).all():
        return None
    # Without the sign bit, the bits of a float count the floats from 0 up to it.
    start = np.iinfo(bits).max
    low, high = (int(word) if word >= 0 else -(int(word) & start) for word in both.view(bits))
    return abs(low - high)


def compare_results(result: Result, other: Result, atol: Tolerance = 0.0, rtol: Tolerance = 0.0) -> Result:
    """Compare all tensors with the tensors of `other`, which are in the same order.

    Returns `result` with each tensor's largest absolute difference, and the names of the tensors that differ
    by more than atol + rtol * |other|.
    """
    measured = [
        measure(tensor, reference.values, ("", ""), atol, rtol)
        for tensor, reference in zip(result.outputs, other.outputs, strict=True)
    ]
    return with_differences(result, measured)


def with_differences(result: Result, measured: Sequence[TensorDifference]) -> Result:
    """Return `result` with these differences, and the names of the tensors that disagree."""
    differences = {difference.name: difference.absolute for difference in measured}
    ulps = {difference.name: difference.ulps for difference in measured if difference.ulps is not None}
    beyond = tuple(difference.name for difference in measured if not difference.agrees)
    return dataclasses.replace(result, differences=differences, ulps=ulps, disagreeing=beyond)


def compare_with_keras(
    case: Case, result: Result, atol: Tolerance = ATOL, rtol: Tolerance = RTOL, budget: int | None = None
) -> Result:
    """Compare `result` with Keras, unless Keras computed it; see `compare_results`.

    budget: see compute.run.
    """
    if result.engines == (engines.REFERENCE,):
        return result
    return compare_results(result, compute.run(case, engines.REFERENCE, budget), atol, rtol)


def require_known(tolerances: Sequence[Tolerance], names: Sequence[str]) -> None:
    """Raise UsageError if --atol or --rtol names a tensor that is not there."""
    for flag, tolerance in zip(("--atol", "--rtol"), tolerances, strict=True):
        for name in tolerance if isinstance(tolerance, Mapping) else ():
            if name and name not in names:
                raise UsageError(
                    "{flag}: there is no tensor {name!r}.", did_you_mean(name, names), flag=flag, name=name
                )
