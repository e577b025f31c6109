"""Select the values of a tensor to show and format them: labeled rows, with gaps for omitted ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.errors import shorten
from rnncli.show.digits import choose_style, format_number, is_float
from rnncli.show.page import GAP, Numbers, View, histogram, marks, select_ends
from rnncli.show.visible import name_text, step_text, visible
from rnncli.values import Array

MOST_ROWS = 20
"""Tensors with more rows show only the edges, unless View.full is set."""
MOST_INDICES = (7, 5, 3)
"""Maximum number of indices of each other axis, a gap included; the first that keeps to MOST_ROWS."""
MOST_ANSWERS = 4
"""A row with more numbers has no answers beside it."""
MOST_OF_AN_AXIS = 20
"""Maximum length of the name of an axis above its numbers."""
MOST_UNITS = 12
"""Maximum number of entries of the last axis if no width is given."""


class Row(NamedTuple):
    """A row of numbers.

    labels: per axis, what changed from the previous row.  texts: the numbers, empty in a gap.
    remark: what stands behind them, `masked`, or the answers nearest to them.
    """

    labels: dict[str, str]
    texts: tuple[str, ...]
    remark: str = ""


class Block(NamedTuple):
    """A tensor as text.

    heads: what stands above each number: `u0`, in two halves `f0` and `b0`, of another axis `keys 0`, `1`;
        and above an ellipsis what is left out, `u3…u29`.
    style: the format of the numbers.
    summary: statistics of all values if some are omitted, in pieces.
    half: the position in `heads` at which the second half begins; 0 if there are no halves.
    """

    rows: tuple[Row, ...]
    heads: tuple[str, ...]
    style: str
    summary: tuple[str, ...]
    half: int = 0


def block(numbers: Numbers, view: View) -> Block:
    """Return the rows of `numbers` that `view` selects, each with the whole last axis."""
    values = np.atleast_1d(numbers.values)
    outer, kept = values.shape[:-1], list[tuple[int, ...]]()
    if view.full or np.prod(outer, dtype=float) <= MOST_ROWS:
        kept = [tuple(range(size)) for size in outer]
    else:
        for most in MOST_INDICES:  # of sequences; time steps keep the most
            kept = [
                *(select_ends(size, most) for size in outer[:-1]),
                select_ends(outer[-1], MOST_INDICES[0]),
            ]
            if sum(1 for _ in _combine(kept)) <= MOST_ROWS:
                break
    style = choose_style(values, view.precision)
    rows: list[Row] = []
    before: tuple[int, ...] = ()
    for indices in _combine(kept):
        changed = next((i for i, (a, b) in enumerate(zip(before, indices, strict=False)) if a != b), 0)
        labels = {
            axis: marks(view).ellipsis if index == GAP else _label(axis, index, indices, numbers, view)
            for axis, index in list(zip(numbers.axes, indices, strict=False))[changed:]
            if axis != "batch" or values.shape[0] > 1
        }
        texts = () if GAP in indices else tuple(format_number(value, style) for value in values[indices])
        skipped = bool(texts) and numbers.masked is not None and numbers.masked[indices]
        answers = [numbers.names.answer(float(value)) for value in values[indices]] if texts else []
        between = f" {marks(view).halves} " if numbers.half else ", "
        remark = (
            between.join(map(name_text, answers)) if any(answers) and len(answers) <= MOST_ANSWERS else ""
        )
        rows.append(Row(labels, texts, view.say("masked") if skipped else remark))
        before = indices
    pieces = summary(values, view) if any(GAP in indices for indices in kept) else ()
    axis, half, size = numbers.axes[-1] if numbers.axes else "", numbers.half, values.shape[-1]
    if half:
        heads = *(f"f{unit}" for unit in range(half)), *(f"b{unit}" for unit in range(size - half))
    else:
        unit = "u" if axis == "units" else ""
        heads = tuple(f"{unit}{index}" if axis else "" for index in range(size))
        if heads and axis and not unit:
            heads = (f"{shorten(axis, MOST_OF_AN_AXIS)} 0", *heads[1:])
    return Block(tuple(rows), heads, style, pieces, half)


def trim_block(whole: Block, values: Array, view: View, most: int = MOST_UNITS) -> Block:
    """Return `whole` with at most `most` entries of the last axis, from both ends; whole if View.full."""
    units = len(whole.heads)
    if view.full or units <= most:
        return whole
    head, tail = -(-most // 2), most // 2
    ellipsis = marks(view).ellipsis
    rows = tuple(
        row._replace(texts=(*row.texts[:head], ellipsis, *row.texts[units - tail :])) if row.texts else row
        for row in whole.rows
    )
    kept = (*range(head), GAP, *range(units - tail, units))
    half = next((position for position, unit in enumerate(kept) if unit >= whole.half > 0), 0)
    first, last = (whole.heads[index].rpartition(" ")[2] for index in (head, units - tail - 1))
    omitted = f"{first}{ellipsis}{last}" if first != last else first
    heads = (*whole.heads[:head], omitted, *whole.heads[units - tail :])
    return whole._replace(rows=rows, heads=heads, summary=whole.summary or summary(values, view), half=half)


def summary(values: Array, view: View) -> tuple[str, ...]:
    """Return `min -0.98`, `mean 0.01`, `max 0.97`, `std 0.31`, non-finite count, and a histogram."""
    if not is_float(values) or not values.size:
        return ()
    from rnncli.show import statistics

    figures, style = statistics.summarize(values), choose_style(values, view.precision)
    pieces: list[str] = []
    if figures.min is not None and figures.max is not None:
        parts = figures.min.value, figures.mean, figures.max.value, figures.std
        keys = ("min", "mean", "max", "std")
        pieces = [
            f"{view.say(key)} {format_number(part, style)}" for key, part in zip(keys, parts, strict=True)
        ]
        pieces[-1] = f"{pieces[-1]}  {histogram(figures.histogram, view)}".rstrip()
    rising = np.count_nonzero(values == np.inf) if figures.infinite else 0
    odd = {"NaN": figures.nan, "inf": rising, "-inf": figures.infinite - rising}
    return (*pieces, *(f"{count} {text}" for text, count in odd.items() if count))


def _combine(kept: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Yield every combination of the indices; a GAP is not combined with further axes."""
    if not kept:
        yield ()
        return
    for index in kept[0]:
        for rest in ((),) if index == GAP else _combine(kept[1:]):
            yield (index, *rest)


def _label(axis: str, index: int, indices: tuple[int, ...], numbers: Numbers, view: View) -> str:
    names = numbers.names
    if axis == "timesteps":
        time = numbers.time[index] if numbers.time else index
        return step_text(time, names.step(indices[0], time))
    if axis == "batch" and names.sequences:
        return visible(names.sequences[index])
    return f"{view.say({'rows': 'row', 'cols': 'column'}.get(axis, axis))} {index}"
