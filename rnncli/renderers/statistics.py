"""Values in a few figures: extremes and where, mean and std, how many are saturated or not finite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnncli.case import Array

BINS = 8
BLOCK = 2**20
"""So many values are widened to float64 in one go."""
MARGIN = 0.05
"""Saturated is what is nearer to a bound than this: beyond 0.05 and 0.95, or beyond -0.95 and 0.95."""


@dataclass(frozen=True)
class Extreme:
    """A value, and its index in the tensor."""

    value: float
    index: tuple[int, ...]


@dataclass(frozen=True)
class Stats:
    """Figures over what is finite; None where nothing is.

    count: of all values, finite or not.  saturated: the fraction of the finite ones beyond `beyond`,
    None for values without bounds.  histogram: counts in BINS equal parts of min to max, the counts
    of one bin where all are the same.
    """

    count: int
    min: Extreme | None
    max: Extreme | None
    mean: float | None
    std: float | None
    saturated: float | None
    beyond: tuple[float, float] | None
    nan: int
    infinite: int
    histogram: tuple[int, ...]


def of(values: Array, bounds: tuple[float, float] | None = None, counted: Array | None = None) -> Stats:
    """The figures of `values`.

    bounds: what the values cannot leave, (0, 1) or (-1, 1).  counted: where True, of a shape that
    broadcasts to that of `values`; everything without it.
    """
    import numpy as np

    seen = _Seen()
    for start, wide, counts in _blocks(values, counted):
        seen.add(start, wide, counts)
    if seen.low is None or seen.high is None:
        return Stats(seen.count, None, None, None, None, None, _beyond(bounds), seen.nan, seen.infinite, ())
    beyond, low, high = _beyond(bounds), seen.low[0], seen.high[0]
    mean, squares, saturated, bins = seen.total / seen.finite, 0.0, 0, np.zeros(BINS, int)
    for _, wide, counts in _blocks(values, counted):
        left = wide[counts & np.isfinite(wide)]
        with np.errstate(over="ignore", invalid="ignore"):
            squares += float(np.square(left - mean).sum())
        if beyond is not None:
            saturated += int(np.count_nonzero((left < beyond[0]) | (left > beyond[1])))
        if 0 < high - low < np.inf:
            places = np.minimum(((left - low) / (high - low) * BINS).astype(int), BINS - 1)
            bins += np.bincount(places, minlength=BINS)
    return Stats(
        count=seen.count,
        min=_extreme(seen.low, values),
        max=_extreme(seen.high, values),
        mean=mean,
        std=float(np.sqrt(squares / seen.finite)),
        saturated=None if beyond is None else saturated / seen.finite,
        beyond=beyond,
        nan=seen.nan,
        infinite=seen.infinite,
        histogram=tuple(bins.tolist()) if 0 < high - low < np.inf else (seen.finite,),
    )


@dataclass
class _Seen:
    """What one pass over the values finds.  low, high: a value, and where it is in the flat array."""

    count: int = 0
    finite: int = 0
    nan: int = 0
    infinite: int = 0
    total: float = 0.0
    low: tuple[float, int] | None = None
    high: tuple[float, int] | None = None

    def add(self, start: int, wide: Array, counts: Array) -> None:
        """One block more, which begins at `start`."""
        import numpy as np

        finite = counts & np.isfinite(wide)
        self.count += int(counts.sum())
        self.nan += int((counts & np.isnan(wide)).sum())
        self.infinite += int((counts & np.isinf(wide)).sum())
        if not finite.any():
            return
        self.finite += int(finite.sum())
        with np.errstate(over="ignore"):
            self.total += float(wide.sum(where=finite))
        least, most = np.where(finite, wide, np.inf).argmin(), np.where(finite, wide, -np.inf).argmax()
        if self.low is None or wide[least] < self.low[0]:
            self.low = float(wide[least]), start + int(least)
        if self.high is None or wide[most] > self.high[0]:
            self.high = float(wide[most]), start + int(most)


def _blocks(values: Array, counted: Array | None) -> Iterator[tuple[int, Array, Array]]:
    """Where a part of the flat values begins, it as float64, and which of it counts."""
    import numpy as np

    flat = values.reshape(-1)
    counts = np.broadcast_to(True if counted is None else counted, values.shape).reshape(-1)
    for start in range(0, flat.size, BLOCK):
        yield start, flat[start : start + BLOCK].astype(np.float64), counts[start : start + BLOCK]


def _beyond(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if bounds is None else (bounds[0] + MARGIN, bounds[1] - MARGIN)


def _extreme(found: tuple[float, int], values: Array) -> Extreme:
    import numpy as np

    return Extreme(found[0], tuple(int(place) for place in np.unravel_index(found[1], values.shape)))


def first_nan(values: Array, counted: Array | None = None) -> tuple[int, ...] | None:
    """The index of the first NaN that counts, in the order of the axes."""
    import numpy as np

    for start, wide, counts in _blocks(values, counted):
        found = np.flatnonzero(counts & np.isnan(wide))
        if len(found):
            return tuple(int(place) for place in np.unravel_index(start + int(found[0]), values.shape))
    return None
