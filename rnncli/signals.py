"""Signals that wait while a library loads: what one raises inside would break the loading, or the process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

ENDING = ("SIGTERM", "SIGHUP")
"""What ends a process without a word; not every system has both."""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def undisturbed() -> Iterator[None]:
    """What comes while the block runs is raised after it."""
    came: list[int] = []
    try:
        with answered(("SIGINT", *ENDING), lambda number, _: came.append(number)):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


@contextmanager
def answered(names: Sequence[str], handler: Handler) -> Iterator[None]:
    """These signals by `handler`, but for those that whoever started the process wants ignored."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        before = {number: signal.signal(number, handler) for number in heard}
    except ValueError:  # not the main thread, and no other gets signals
        yield
        return
    try:
        yield
    finally:
        for number, own in before.items():
            signal.signal(number, signal.SIG_DFL if own is None else own)
