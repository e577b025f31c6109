"""Statistics of values: extremes and their indices, mean, std, saturated and non-finite counts.

`summarize` computes them; `document` and `draw_statistics` show them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

from rnncli.result import Label
from rnncli.show.page import (
    Column,
    Line,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    histogram,
    line,
    marks,
    name_line,
)
from rnncli.values import Array

BINS = 8
ODD = {"nan": "NaN", "infinite": "inf"}
"""Headings of the counts of numbers that are not finite."""
MARGIN = 0.05
"""A value is saturated within this distance of a bound: below 0.05 or above 0.95, or beyond ±0.95."""


@dataclass(frozen=True)
class Extreme:
    """A value and its index in the tensor."""

    value: float
    index: tuple[int, ...]


@dataclass(frozen=True)
class Stats:
    """Statistics of the finite values; None if there are none.

    count: all values, finite or not.  saturated: the fraction of finite values beyond `beyond`,
    None for unbounded values.  histogram: counts in BINS equal parts of min to max; a single
    bin if all are the same.
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


def summarize(
    values: Array, bounds: tuple[float, float] | None = None, counted: Array | None = None
) -> Stats:
    """Compute the statistics of `values`.

    bounds: the range of the values, (0, 1) or (-1, 1).  counted: True for values to include, of a
    shape that broadcasts to that of `values`; None includes all.
    """
    import numpy as np

    from rnncli.arrays import index_of

    beyond = None if bounds is None else (bounds[0] + MARGIN, bounds[1] - MARGIN)
    count = nan = finite = infinite = 0
    total, low, high = 0.0, (np.inf, 0), (-np.inf, 0)  # a value and its index in the flat array
    for start, wide, counts in _blocks(values, counted):
        kept = counts & np.isfinite(wide)
        count += int(counts.sum())
        nan += int((counts & np.isnan(wide)).sum())
        infinite += int((counts & np.isinf(wide)).sum())
        if kept.any():
            finite += int(kept.sum())
            with np.errstate(over="ignore"):
                total += float(wide.sum(where=kept))
            least, most = np.where(kept, wide, np.inf).argmin(), np.where(kept, wide, -np.inf).argmax()
            low = min(low, (float(wide[least]), start + int(least)), key=itemgetter(0))
            high = max(high, (float(wide[most]), start + int(most)), key=itemgetter(0))
    if not finite:
        return Stats(count, None, None, None, None, None, beyond, nan, infinite, ())
    mean, varied = total / finite, 0 < high[0] - low[0] < np.inf
    squares, saturated, bins = 0.0, 0, np.zeros(BINS, int)
    for _, wide, counts in _blocks(values, counted):
        left = wide[counts & np.isfinite(wide)]
        with np.errstate(over="ignore", invalid="ignore"):
            squares += float(np.square(left - mean).sum())
        if beyond is not None:
            saturated += int(np.count_nonzero((left < beyond[0]) | (left > beyond[1])))
        if varied:
            places = np.minimum(((left - low[0]) / (high[0] - low[0]) * BINS).astype(int), BINS - 1)
            bins += np.bincount(places, minlength=BINS)
    return Stats(
        count=count,
        min=Extreme(low[0], index_of(low[1], values.shape)),
        max=Extreme(high[0], index_of(high[1], values.shape)),
        mean=mean,
        std=float(np.sqrt(squares / finite)),
        saturated=None if beyond is None else saturated / finite,
        beyond=beyond,
        nan=nan,
        infinite=infinite,
        histogram=tuple(bins.tolist()) if varied else (finite,),
    )


def _blocks(values: Array, counted: Array | None) -> Iterator[tuple[int, Array, Array]]:
    """Yield the start of each block of the flat values, the block as float64, and which values count."""
    import numpy as np

    from rnncli.arrays import BLOCK

    flat = values.reshape(-1)
    counts = np.broadcast_to(True if counted is None else counted, values.shape).reshape(-1)
    for start in range(0, flat.size, BLOCK):
        yield start, flat[start : start + BLOCK].astype(np.float64), counts[start : start + BLOCK]


def first_nan(values: Array, counted: Array | None = None) -> tuple[int, ...] | None:
    """Return the index of the first counted NaN, in axis order."""
    import numpy as np

    from rnncli.arrays import index_of

    for start, wide, counts in _blocks(values, counted):
        missing = np.flatnonzero(counts & np.isnan(wide))
        if len(missing):
            return index_of(start + int(missing[0]), values.shape)
    return None


@dataclass(frozen=True)
class StatsDocument(Stats):
    """The statistics of a tensor.  axes: of an index."""

    axes: tuple[str, ...]


def document(stats: Stats, axes: Sequence[str]) -> dict[str, Any]:
    """Return all statistics; `axes` name the axes of an index."""
    return asdict(StatsDocument(**vars(stats), axes=tuple(axes)))


def draw_statistics(stats: Mapping[Label, Stats], view: View) -> tuple[Variants | Line, ...]:
    """Return a table with one row per tensor, or a few lines of text for each."""
    if not stats:
        return ()
    odd = any(figures.nan or figures.infinite for figures in stats.values())
    lines = (row for label, figures in stats.items() for row in _lines(label, figures, view))
    narrow = ((), line(view.say("statistics"), "dim"), *lines)
    below = view.say("statistics of the finite numbers only" if odd else "no NaN, no infinities")
    return Variants(((_table(stats, view),), narrow)), line(below, "dim")


def _table(stats: Mapping[Label, Stats], view: View) -> Table:
    odd = [kind for kind in ODD if any(getattr(figures, kind) for figures in stats.values())]
    keys = ("statistics", "min", "max", "mean", "std", "saturated")
    columns = [Column(view.say(key)) for key in keys]
    columns += [Column(ODD[kind], right=True) for kind in odd]
    signed = any(figures.min is not None and figures.min.value < 0 for figures in stats.values())
    rows = []
    for label, figures in stats.items():
        least, most, mean, std = _numbers(figures, view, signed)
        counts = [getattr(figures, kind) for kind in odd]
        saturated = cell("")
        if figures.saturated is not None:
            saturated = line(_percent(figures.saturated)), line(_beyond_text(figures, view), "dim")
        row = (name_line(label),), _with_index(least, figures.min), _with_index(most, figures.max)
        ends = (
            *(cell(str(count), "alarm" if count else "") for count in counts),
            cell(histogram(figures.histogram, view)),
        )
        rows.append((*row, cell(mean), cell(std), saturated, *ends))
    return Table((*columns, Column(view.say("histogram"))), tuple(rows))


def _lines(label: Label, stats: Stats, view: View) -> Iterator[Line]:
    dot = marks(view).dot
    least, most, mean, std = _numbers(stats, view)
    yield name_line(label)
    if stats.min and stats.max:
        low = f"{view.say('min')} {least} {list(stats.min.index)}"
        high = f"{view.say('max')} {most} {list(stats.max.index)}"
        yield line(f"  {low}{dot}{high}")
        pieces = (f"{view.say('mean')} {mean}", f"{view.say('std')} {std}", histogram(stats.histogram, view))
        yield line("  " + dot.join(filter(None, pieces)))
    last = [f"{getattr(stats, kind)} {word}" for kind, word in ODD.items() if getattr(stats, kind)]
    if stats.saturated is not None:
        last.insert(0, f"{view.say('saturated')} {_percent(stats.saturated)} ({_beyond_text(stats, view)})")
    if last:
        yield line("  " + dot.join(last), "alarm" if stats.nan or stats.infinite else "")


def _numbers(stats: Stats, view: View, signed: bool = False) -> tuple[str, str, str, str]:
    """Return min, max, mean and std in one format.  signed: put a blank in place of a plus sign."""
    if stats.min is None or stats.max is None:
        return ("", "", "", "")
    import numpy as np

    from rnncli.show.digits import choose_style, format_number

    values = (stats.min.value, stats.max.value, stats.mean, stats.std)
    style = choose_style(np.array(values[:2]), view.precision)
    least, most, mean, std = (format_number(value, f" {style}" if signed else style) for value in values)
    return least, most, mean, std


def _with_index(text: str, extreme: Extreme | None) -> TableCell:
    return cell(text) if extreme is None else (line(text), line(str(list(extreme.index)), "dim"))


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 1 else f"{share:.0%}"


def _beyond_text(stats: Stats, view: View) -> str:
    """Return `<0.05 >0.95` or `±0.95`: where a value counts as saturated."""
    low, high = stats.beyond or (0.0, 0.0)
    both = "+-" if view.ascii else "±"
    return f"{both}{high:g}" if low == -high else f"<{low:g} >{high:g}"
