"""How figures are said: in a document, and in a table where it fits, else in lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli import addresses
from rnncli.renderers.page import (
    Cell,
    Column,
    Line,
    Numbers,
    Table,
    View,
    cell,
    histogram,
    idea,
    line,
    marks,
    room,
)
from rnncli.renderers.wording import say

if TYPE_CHECKING:
    from rnncli.renderers.statistics import Extreme, Stats

GAP = 2


def document(stats: Stats, axes: Sequence[str]) -> dict[str, Any]:
    """Every figure; `axes` name what an index counts."""
    return {
        "axes": list(axes),
        "count": stats.count,
        "min": _extreme(stats.min),
        "max": _extreme(stats.max),
        "mean": stats.mean,
        "std": stats.std,
        "saturated": stats.saturated,
        "beyond": stats.beyond and list(stats.beyond),
        "nan": stats.nan,
        "infinite": stats.infinite,
        "histogram": list(stats.histogram),
    }


def _extreme(extreme: Extreme | None) -> dict[str, Any] | None:
    return None if extreme is None else {"value": extreme.value, "index": list(extreme.index)}


def parts(stats: Mapping[str, Stats], view: View) -> tuple[Table | Line, ...]:
    """A table of one row a tensor; where it is too wide, some lines of text for each."""
    if not stats:
        return ()
    table = _table(stats, view)
    odd = any(figures.nan or figures.infinite for figures in stats.values())
    said = line(say("finite only" if odd else "finite", view.lang), "dim")
    if view.width is None or _width(table) <= view.width:
        return (table, said)
    heading = line(say("statistics", view.lang), "dim")
    return (
        (),
        heading,
        *(row for name, figures in stats.items() for row in _lines(name, figures, view)),
        said,
    )


def _table(stats: Mapping[str, Stats], view: View) -> Table:
    odd = [kind for kind in ("nan", "infinite") if any(getattr(figures, kind) for figures in stats.values())]
    headings = ["statistics", "min", "max", "mean", "std", "saturated"]
    columns = [Column(say(key, view.lang)) for key in headings]
    columns += [Column({"nan": "NaN", "infinite": "inf"}[kind], right=True) for kind in odd]
    signed = any(figures.min is not None and figures.min.value < 0 for figures in stats.values())
    rows = []
    for name, figures in stats.items():
        least, most, mean, std = _numbers(figures, view, signed)
        counts = [
            cell(str(getattr(figures, kind)), "alarm" if getattr(figures, kind) else "") for kind in odd
        ]
        rows.append(
            (
                cell(name.removesuffix(".activation"), f"strong {idea(addresses.label(name))}".strip()),
                _with_index(least, figures.min),
                _with_index(most, figures.max),
                cell(mean),
                cell(std),
                _saturated(figures, view),
                *counts,
                cell(histogram(figures.histogram, view)),
            )
        )
    return Table((*columns, Column(say("histogram", view.lang))), tuple(rows))


def _lines(name: str, stats: Stats, view: View) -> Iterator[Line]:
    dot, lang = marks(view).dot, view.lang
    least, most, mean, std = _numbers(stats, view)
    yield line(name.removesuffix(".activation"), f"strong {idea(addresses.label(name))}".strip())
    if stats.min and stats.max:
        extremes = ((key, text, extreme.index) for key, text, extreme in (
            ("min", least, stats.min), ("max", most, stats.max)
        ))  # fmt: skip
        yield line("  " + dot.join(f"{say(key, lang)} {text} {list(index)}" for key, text, index in extremes))
        pieces = [
            f"{say('mean', lang)} {mean}",
            f"{say('std', lang)} {std}",
            histogram(stats.histogram, view),
        ]
        yield line("  " + dot.join(filter(None, pieces)))
    last = []
    if stats.saturated is not None:
        last += [f"{say('saturated', lang)} {_percent(stats.saturated)} ({_beyond(stats, view)})"]
    last += [f"{count} {word}" for count, word in ((stats.nan, "NaN"), (stats.infinite, "inf")) if count]
    if last:
        yield line("  " + dot.join(last), "alarm" if stats.nan or stats.infinite else "")


def _numbers(stats: Stats, view: View, signed: bool = False) -> tuple[str, str, str, str]:
    """min, max, mean and std, in one format.  signed: a blank where others have a sign."""
    if stats.min is None or stats.max is None:
        return ("", "", "", "")
    import numpy as np

    from rnncli.renderers.numerals import style_for, written

    values = (stats.min.value, stats.max.value, stats.mean, stats.std)
    style = style_for(np.array(values[:2]), view.precision)
    least, most, mean, std = (written(value, f" {style}" if signed else style) for value in values)
    return least, most, mean, std


def _with_index(text: str, extreme: Extreme | None) -> Cell:
    return cell(text) if extreme is None else (line(text), line(str(list(extreme.index)), "dim"))


def _saturated(stats: Stats, view: View) -> Cell:
    if stats.saturated is None:
        return cell("")
    return (line(_percent(stats.saturated)), line(_beyond(stats, view), "dim"))


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 1 else f"{share:.0%}"


def _beyond(stats: Stats, view: View) -> str:
    """`<0.05 >0.95`, `±0.95`: where a value is saturated."""
    low, high = stats.beyond or (0.0, 0.0)
    both = "+-" if view.ascii else "±"
    return f"{both}{high:g}" if low == -high else f"<{low:g} >{high:g}"


def _width(table: Table) -> int:
    """The columns that `table` takes in a terminal, where texts below the first are indented."""
    columns = zip(table.columns, zip(*table.rows, strict=True), strict=True)
    return (
        sum(
            GAP
            + max(
                room(part) + (GAP if place else 0)
                for one in (cell(column.heading), *cells)
                for place, part in enumerate(one)
                if not isinstance(part, Numbers)
            )
            for column, cells in columns
        )
        - GAP
    )
