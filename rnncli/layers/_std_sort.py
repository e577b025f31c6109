"""std::sort in descending order, step by step as in libstdc++, because the place of NaN depends on the steps.

NaN compares neither larger nor smaller than any number.
"""

from __future__ import annotations

SHORT = 16
"""Longest part that is left to insertion sort."""


def sort_descending(row: list[float]) -> list[float]:
    """Return the sorted row."""
    found = list(row)
    _partition(found, 0, len(found))
    for place in range(1, len(found)):
        _insert(found, place, guarded=place < SHORT)
    return found


def _partition(row: list[float], first: int, last: int) -> None:
    """Quicksort the part from `first` to `last` down to parts of at most SHORT numbers."""
    while last - first > SHORT:
        _move_median_to(row, first, first + 1, first + (last - first) // 2, last - 1)
        low, high, pivot = first + 1, last, row[first]
        while True:
            while low < len(row) and row[low] > pivot:
                low += 1
            high -= 1
            while pivot > row[high]:
                high -= 1
            if low >= high:
                break
            row[low], row[high] = row[high], row[low]
            low += 1
        _partition(row, low, last)
        last = low


def _move_median_to(row: list[float], place: int, a: int, b: int, c: int) -> None:
    if row[a] > row[b]:
        median = b if row[b] > row[c] else c if row[a] > row[c] else a
    else:
        median = a if row[a] > row[c] else c if row[b] > row[c] else b
    row[place], row[median] = row[median], row[place]


def _insert(row: list[float], place: int, *, guarded: bool) -> None:
    """Move the number at `place` to the left of the smaller ones."""
    number, left = row[place], place
    if guarded and number > row[0]:
        left = 0
    else:
        while left and number > row[left - 1]:
            left -= 1
    row.insert(left, row.pop(place))
