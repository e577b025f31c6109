"""How far a long computation is: reported where it runs, shown by whoever watches it, such as a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from rnncli.errors import Text


class Watcher(Protocol):
    """Shows what is reported."""

    def say(self, text: Text) -> None:
        """Show a sentence before a long computation starts."""

    def report(self, what: Text, done: int, total: int) -> None:
        """Show that `done` of `total` are computed, 0 first and `total` last.  what: `time steps`."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Let the watcher show what this block reports."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def say(text: Text) -> None:
    """Say what a long computation will need, before it starts."""
    if watcher := _watcher.get():
        watcher.say(text)


def blocks(what: Text, total: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size`, in order, and report how far they are.  what: the noun of `total`."""
    watcher = _watcher.get()
    for start in range(0, total, size):
        if watcher:
            watcher.report(what, start, total)
        yield slice(start, min(start + size, total))
    if watcher:
        watcher.report(what, total, total)
