"""std::sort in descending order, step by step as in libstdc++, because the place of NaN depends on the steps.

NaN compares neither larger nor smaller than any number.
"""

from __future__ import annotations

SHORT = 16
"""Longest part that is left to insertion sort."""


def sort_descending(row: list[float]) -> list[float]:
    """Return the sorted row."""
    numbers = list(row)
    _introsort(numbers, 0, len(numbers))
    for place in range(1, len(numbers)):
        _insert(numbers, place, guarded=place < SHORT)
    return numbers


def _introsort(row: list[float], first: int, last: int) -> None:
    """Quicksort the part from `first` to `last` down to parts of at most SHORT numbers."""
    while last - first > SHORT:
        _move_median_to(row, first, first + 1, first + (last - first) // 2, last - 1)
        middle = _partition(row, first + 1, last, row[first])
        _introsort(row, middle, last)
        last = middle


def _partition(row: list[float], low: int, high: int, pivot: float) -> int:
    """Put the numbers above the pivot first; return where the others begin (`__unguarded_partition`)."""
    while True:
        while low < len(row) and row[low] > pivot:
            low += 1
        high -= 1
        while pivot > row[high]:
            high -= 1
        if low >= high:
            return low
        row[low], row[high] = row[high], row[low]
        low += 1


def _move_median_to(row: list[float], place: int, a: int, b: int, c: int) -> None:
    if row[a] > row[b]:
        median = b if row[b] > row[c] else c if row[a] > row[c] else a
    else:
        median = a if row[a] > row[c] else c if row[b] > row[c] else b
    row[place], row[median] = row[median], row[place]


def _insert(row: list[float], place: int, *, guarded: bool) -> None:
    """Move the number at `place` to the left of the smaller ones.

    guarded: compare with the first number before the others, as `__insertion_sort` does, unlike
        `__unguarded_linear_insert`.
    """
    number, left = row[place], place
    if guarded and number > row[0]:
        left = 0
    else:
        while left and number > row[left - 1]:
            left -= 1
    row.insert(left, row.pop(place))
