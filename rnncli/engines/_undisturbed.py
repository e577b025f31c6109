"""Signals wait while a library loads: what one raises inside would break the loading, or the process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

WAITING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]  # not every system has all of them


@contextmanager
def undisturbed() -> Iterator[None]:
    """What comes while the block runs is raised after it."""
    came: list[int] = []
    try:
        before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in WAITING}
    except ValueError:  # not the main thread, and no other gets signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in came:
            signal.raise_signal(number)
