"""Named differences: the rows of port and conformance, and which rows a layer or a case can have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rnncli.errors import Message


class Known(NamedTuple):
    """A known way in which numbers differ.

    name: for scripts, `gates=reset,update,candidate`.  text: what differs, or where to look for it.
    needs: the traits of what can have it.
    changes: what it changes, by the name of the place.
    """

    name: str
    text: Message
    needs: frozenset[str]
    changes: Mapping[str, Any]


def known(needs: str, name: str, *, text: Message, **changes: Any) -> Known:
    """Return a row.  needs: separated by spaces."""
    return Known(name, text, frozenset(needs.split()), changes)


def possible(rows: Iterable[Known], traits: Iterable[str]) -> Iterator[Known]:
    """Yield the rows that something with these traits can have."""
    has = frozenset(traits)
    return (row for row in rows if row.needs <= has)
