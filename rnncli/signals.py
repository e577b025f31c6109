"""Signals: what ends the process once, and waits while a library loads."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from types import FrameType

ENDING = ("SIGTERM", "SIGHUP")
"""What ends a process without a word; not every system has both."""

PATIENCE = 1.0
"""Seconds in which another signal says nothing new, while what the first one left is cleaned up."""

Handler = Callable[[int, FrameType | None], None]


class Ending:
    """A handler that leaves what is running: by KeyboardInterrupt, or by SystemExit with 128 + the number."""

    def __init__(self) -> None:
        self.last = -PATIENCE

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Once, however often it comes."""
        now = monotonic()
        if now - self.last < PATIENCE:
            return
        self.last = now
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


ended = Ending()
"""Of this process."""


@contextmanager
def tidily_ended() -> Iterator[None]:
    """A signal that ends the process leaves the block as an error does, and does not skip the cleaning up."""
    with answered(("SIGINT", *ENDING), ended):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """What comes while the block runs is raised after it: a library half loaded would break the process."""
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
