"""The names of the tensors in a file, which may be many."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator


class Names:
    """Names in order, to find those that start with a prefix without looking at all of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def below(self, prefix: str) -> list[str]:
        """Return the names that start with `prefix`."""
        start = end = bisect_left(self._names, prefix)
        while end < len(self._names) and self._names[end].startswith(prefix):
            end += 1
        return self._names[start:end]

    def has_below(self, prefix: str) -> bool:
        """Return whether a name starts with `prefix`."""
        start = bisect_left(self._names, prefix)
        return start < len(self._names) and self._names[start].startswith(prefix)
