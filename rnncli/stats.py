"""Values in a few figures: extremes and where, mean and std, how many are saturated or not finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.case import Array

BINS = 8
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

    wide = values.astype(np.float64)
    counts = np.ones(wide.shape, bool) if counted is None else np.broadcast_to(counted, wide.shape)
    finite = counts & np.isfinite(wide)
    left = wide[finite]
    beyond = None if bounds is None else (bounds[0] + MARGIN, bounds[1] - MARGIN)
    saturated = None
    if beyond is not None and left.size:
        saturated = float(np.mean((left < beyond[0]) | (left > beyond[1])))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = (float(left.mean()), float(left.std())) if left.size else (None, None)
    return Stats(
        count=int(counts.sum()),
        min=_extreme(np.where(finite, wide, np.inf).argmin(), wide) if left.size else None,
        max=_extreme(np.where(finite, wide, -np.inf).argmax(), wide) if left.size else None,
        mean=mean,
        std=std,
        saturated=saturated,
        beyond=beyond,
        nan=int((counts & np.isnan(wide)).sum()),
        infinite=int((counts & np.isinf(wide)).sum()),
        histogram=_histogram(left),
    )


def first_nan(values: Array, counted: Array | None = None) -> tuple[int, ...] | None:
    """The index of the first NaN that counts, in the order of the axes."""
    import numpy as np

    found = np.isnan(values.astype(np.float64))
    places = np.argwhere(found if counted is None else found & counted)
    return tuple(places[0].tolist()) if len(places) else None


def _extreme(flat: Any, values: Array) -> Extreme:
    import numpy as np

    index = tuple(int(place) for place in np.unravel_index(flat, values.shape))
    return Extreme(float(values[index]), index)


def _histogram(finite: Array) -> tuple[int, ...]:
    import numpy as np

    if not finite.size:
        return ()
    low, high = float(finite.min()), float(finite.max())
    if low == high or not np.isfinite(high - low):
        return (int(finite.size),)
    places = np.minimum(((finite - low) / (high - low) * BINS).astype(int), BINS - 1)
    return tuple(np.bincount(places, minlength=BINS).tolist())
