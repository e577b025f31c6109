"""Compare results tensor by tensor: those of two engines, or one with stored numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rnncli import compute
from rnncli.case import Array, Case
from rnncli.compute import engines
from rnncli.errors import Text
from rnncli.result import NamedTensor, Result

Tolerance = float | Mapping[str, float]
"""A tolerance of every tensor; or tolerances by tensor name, with that of all others under ""."""
TolerancePair = tuple[Tolerance, Tolerance]
"""Absolute and relative tolerance."""


class Mismatch(NamedTuple):
    """The numbers of a tensor that are beyond the tolerance.

    place, first, second: index and values of the first one, in the order of the array.  number: how many.
    """

    place: tuple[int, ...]
    first: float
    second: float
    number: int


class TensorDifference(NamedTuple):
    """How far a tensor differs between two sides, for example two engines.

    shapes: on each side; if they differ, nothing else is known.
    absolute: largest absolute difference; infinite if a number differs from NaN or from an infinity.
    relative: largest difference relative to the second side, where that is not 0.
    place: index of the largest absolute difference; None if all numbers are equal.
    ulps: number of floats between the two numbers there, in the narrower dtype; None for NaN and infinities.
    step: input index of the first time step with a mismatch; None without time steps or mismatches.
    mismatch: the numbers beyond atol + rtol * |second|; None if there are none.
    """

    name: str
    sides: tuple[Text, Text]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    atol: float
    rtol: float
    absolute: float = 0.0
    relative: float = 0.0
    place: tuple[int, ...] | None = None
    ulps: int | None = None
    step: int | None = None
    mismatch: Mismatch | None = None

    @property
    def agrees(self) -> bool:
        """Whether the shapes are the same and every number is within the tolerance."""
        return self.mismatch is None and self.shapes[0] == self.shapes[1]

    @property
    def size(self) -> int:
        """Count of numbers of the tensor on the first side."""
        return math.prod(self.shapes[0])


def measure(
    tensor: NamedTensor, other: Array, sides: tuple[Text, Text], atol: Tolerance, rtol: Tolerance
) -> TensorDifference:
    """Compare the numbers of `tensor`, the first side, with `other`, the second side; two NaN are equal."""
    import numpy as np

    first, second = np.asarray(tensor.values), np.asarray(other)
    limits = tolerance_of(atol, tensor.name), tolerance_of(rtol, tensor.name)
    difference = TensorDifference(tensor.name, sides, (first.shape, second.shape), *limits)
    if first.shape != second.shape or not first.size:
        return difference
    floats = [one.dtype for one in (first, second) if one.dtype.kind not in "iub"]
    dtype = min(floats, key=lambda one: one.itemsize, default=first.dtype)
    first, second = first.astype(np.float64), second.astype(np.float64)
    gap = _absolute_difference(first, second)
    largest = _unravel(gap.argmax(), gap)
    if gap[largest] == 0:
        return difference
    size = abs(second)
    nonzero = size > 0
    gaps = np.where(np.isfinite(gap), gap, np.inf)[nonzero]
    sizes = np.where(np.isfinite(size), size, 1.0)[nonzero]
    with np.errstate(invalid="ignore", over="ignore"):
        relative = gaps / sizes
        beyond = ~np.isclose(first, second, difference.rtol, difference.atol, equal_nan=True)
    step = mismatch = None
    if beyond.any():
        place = _unravel(beyond.argmax(), beyond)
        mismatch = Mismatch(place, float(first[place]), float(second[place]), int(beyond.sum()))
        if "timesteps" in tensor.axes:
            axis = tensor.axes.index("timesteps")
            row = int(beyond.any(axis=tuple(one for one in range(beyond.ndim) if one != axis)).argmax())
            step = int(tensor.time[row]) if len(tensor.time) else row
    return difference._replace(
        absolute=float(gap[largest]),
        relative=float(relative.max(initial=0.0)) or float("inf"),  # all differ from 0
        place=largest,
        ulps=count_ulps(first[largest], second[largest], dtype),
        step=step,
        mismatch=mismatch,
    )


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
    one, two = (int(word) if word >= 0 else -(int(word) & start) for word in both.view(bits))
    return abs(one - two)


def _absolute_difference(first: Array, second: Array) -> Array:
    """Return the absolute differences of float64 arrays; infinity where only one of two numbers is NaN."""
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        same = (first == second) | (np.isnan(first) & np.isnan(second))
        gap = np.where(same, 0.0, abs(first - second))
    return np.where(np.isnan(gap), np.inf, gap)


def _unravel(place: Any, array: Array) -> tuple[int, ...]:
    import numpy as np

    return tuple(int(index) for index in np.unravel_index(place, array.shape))


def compare_with_keras(
    case: Case, result: Result, atol: Tolerance = 1e-6, rtol: Tolerance = 1e-5, budget: int | None = None
) -> tuple[Result, list[str]]:
    """Compare `result` with Keras.

    Returns `result` with each tensor's largest difference from Keras, and the names of the tensors that
    differ by more than the tolerances; without any if Keras computed `result` itself.
    budget: see compute.run.
    """
    if result.engines == (engines.REFERENCE,):
        return result, []
    other = compute.run(case, engines.REFERENCE, budget)
    compared = dataclasses.replace(result, differences=differences(result, other))
    return compared, find_disagreements(result, other, atol, rtol)


def differences(result: Result, other: Result) -> dict[str, float]:
    """Return the largest absolute difference by tensor name; see `largest_difference`."""
    return {
        name: max((largest_difference(*both) for both in pairs), default=0.0)
        for name, pairs in _pair_blocks(result, other)
    }


def largest_difference(first: Array, second: Array) -> float:
    """Return the largest absolute difference of two float64 arrays.

    Two NaN are equal; NaN and a number differ by infinity.
    """
    return float(_absolute_difference(first, second).max(initial=0.0))


def find_disagreements(result: Result, other: Result, atol: Tolerance, rtol: Tolerance) -> list[str]:
    """Return the names of the tensors that differ by more than atol + rtol * |other|; two NaN are equal."""
    import numpy as np

    found = []
    for name, pairs in _pair_blocks(result, other):
        limits = tolerance_of(rtol, name), tolerance_of(atol, name)
        if not all(np.allclose(*both, *limits, equal_nan=True) for both in pairs):
            found.append(name)
    return found


def _pair_blocks(result: Result, other: Result) -> Iterator[tuple[str, Iterator[tuple[Array, Array]]]]:
    """Yield each tensor's name, and pairs of blocks of its numbers in both results, as float64."""
    import numpy as np

    from rnncli import arrays

    for mine, theirs in zip(result.outputs, other.outputs, strict=True):
        first, second = (
            (block.astype(np.float64) for block in arrays.blocks(tensor.values)) for tensor in (mine, theirs)
        )
        yield mine.name, zip(first, second, strict=True)
