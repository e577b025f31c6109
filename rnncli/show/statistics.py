"""Statistics of values: extremes and their indices, mean, std, saturated and non-finite counts.

`summarize` computes them; `document` and `parts` show them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rnncli.case import Array
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
)
from rnncli.show.parts import name_line
from rnncli.show.wording import say

BINS = 8
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

    totals = _Totals()
    for start, wide, counts in _blocks(values, counted):
        totals.add(start, wide, counts)
    if totals.low is None or totals.high is None:
        return Stats(
            totals.count, None, None, None, None, None, _limits(bounds), totals.nan, totals.infinite, ()
        )
    beyond, low, high = _limits(bounds), totals.low[0], totals.high[0]
    mean = totals.total / totals.finite
    squares, saturated, bins = 0.0, 0, np.zeros(BINS, int)
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
        count=totals.count,
        min=_extreme(totals.low, values),
        max=_extreme(totals.high, values),
        mean=mean,
        std=float(np.sqrt(squares / totals.finite)),
        saturated=None if beyond is None else saturated / totals.finite,
        beyond=beyond,
        nan=totals.nan,
        infinite=totals.infinite,
        histogram=tuple(bins.tolist()) if 0 < high - low < np.inf else (totals.finite,),
    )


@dataclass
class _Totals:
    """Result of one pass over the values.  low, high: a value and its index in the flat array."""

    count: int = 0
    finite: int = 0
    nan: int = 0
    infinite: int = 0
    total: float = 0.0
    low: tuple[float, int] | None = None
    high: tuple[float, int] | None = None

    def add(self, start: int, wide: Array, counts: Array) -> None:
        """Add a block that begins at `start`."""
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
    """Yield the start of each block of the flat values, the block as float64, and which values count."""
    import numpy as np

    from rnncli.arrays import BLOCK

    flat = values.reshape(-1)
    counts = np.broadcast_to(True if counted is None else counted, values.shape).reshape(-1)
    for start in range(0, flat.size, BLOCK):
        yield start, flat[start : start + BLOCK].astype(np.float64), counts[start : start + BLOCK]


def _limits(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if bounds is None else (bounds[0] + MARGIN, bounds[1] - MARGIN)


def _extreme(found: tuple[float, int], values: Array) -> Extreme:
    return Extreme(found[0], _index(found[1], values))


def _index(place: int, values: Array) -> tuple[int, ...]:
    import numpy as np

    return tuple(map(int, np.unravel_index(place, values.shape)))


def first_nan(values: Array, counted: Array | None = None) -> tuple[int, ...] | None:
    """Return the index of the first counted NaN, in axis order."""
    import numpy as np

    for start, wide, counts in _blocks(values, counted):
        found = np.flatnonzero(counts & np.isnan(wide))
        if len(found):
            return _index(start + int(found[0]), values)
    return None


def document(stats: Stats, axes: Sequence[str]) -> dict[str, Any]:
    """Return all statistics; `axes` name the axes of an index."""
    return {"axes": list(axes), **asdict(stats)}


def draw_statistics(stats: Mapping[Label, Stats], view: View) -> tuple[Variants | Line, ...]:
    """Return a table with one row per tensor, or a few lines of text for each."""
    if not stats:
        return ()
    odd = any(figures.nan or figures.infinite for figures in stats.values())
    lines = (row for label, figures in stats.items() for row in _lines(label, figures, view))
    narrow = ((), line(say("statistics", view.lang), "dim"), *lines)
    return Variants(((_table(stats, view),), narrow)), line(
        say("finite only" if odd else "finite", view.lang), "dim"
    )


def _table(stats: Mapping[Label, Stats], view: View) -> Table:
    odd = [kind for kind in ("nan", "infinite") if any(getattr(figures, kind) for figures in stats.values())]
    headings = ["statistics", "min", "max", "mean", "std", "saturated"]
    columns = [Column(say(key, view.lang)) for key in headings]
    columns += [Column({"nan": "NaN", "infinite": "inf"}[kind], right=True) for kind in odd]
    signed = any(figures.min is not None and figures.min.value < 0 for figures in stats.values())
    rows = []
    for label, figures in stats.items():
        least, most, mean, std = _numbers(figures, view, signed)
        counts = [
            cell(str(getattr(figures, kind)), "alarm" if getattr(figures, kind) else "") for kind in odd
        ]
        row = (
            (name_line(label),),
            _with_index(least, figures.min),
            _with_index(most, figures.max),
            cell(mean),
            cell(std),
            _format_saturated(figures, view),
            *counts,
            cell(histogram(figures.histogram, view)),
        )
        rows.append(row)
    return Table((*columns, Column(say("histogram", view.lang))), tuple(rows))


def _lines(label: Label, stats: Stats, view: View) -> Iterator[Line]:
    dot, lang = marks(view).dot, view.lang
    least, most, mean, std = _numbers(stats, view)
    yield name_line(label)
    if stats.min and stats.max:
        low = f"{say('min', lang)} {least} {list(stats.min.index)}"
        high = f"{say('max', lang)} {most} {list(stats.max.index)}"
        yield line(f"  {low}{dot}{high}")
        pieces = [
            f"{say('mean', lang)} {mean}",
            f"{say('std', lang)} {std}",
            histogram(stats.histogram, view),
        ]
        yield line("  " + dot.join(filter(None, pieces)))
    last = []
    if stats.saturated is not None:
        last += [f"{say('saturated', lang)} {_percent(stats.saturated)} ({_beyond_text(stats, view)})"]
    last += [f"{count} {word}" for count, word in ((stats.nan, "NaN"), (stats.infinite, "inf")) if count]
    if last:
        yield line("  " + dot.join(last), "alarm" if stats.nan or stats.infinite else "")


def _numbers(stats: Stats, view: View, signed: bool = False) -> tuple[str, str, str, str]:
    """Return min, max, mean and std in one format.  signed: put a blank in place of a plus sign."""
    if stats.min is None or stats.max is None:
        return ("", "", "", "")
    import numpy as np

    from rnncli.show.numerals import choose_style, format_number

    values = (stats.min.value, stats.max.value, stats.mean, stats.std)
    style = choose_style(np.array(values[:2]), view.precision)
    least, most, mean, std = (format_number(value, f" {style}" if signed else style) for value in values)
    return least, most, mean, std


def _with_index(text: str, extreme: Extreme | None) -> TableCell:
    return cell(text) if extreme is None else (line(text), line(str(list(extreme.index)), "dim"))


def _format_saturated(stats: Stats, view: View) -> TableCell:
    if stats.saturated is None:
        return cell("")
    return (line(_percent(stats.saturated)), line(_beyond_text(stats, view), "dim"))


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 1 else f"{share:.0%}"


def _beyond_text(stats: Stats, view: View) -> str:
    """Return `<0.05 >0.95` or `±0.95`: where a value counts as saturated."""
    low, high = stats.beyond or (0.0, 0.0)
    both = "+-" if view.ascii else "±"
    return f"{both}{high:g}" if low == -high else f"<{low:g} >{high:g}"
