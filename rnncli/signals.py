"""Signals that are answered otherwise for a while; only the main thread gets any."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING = ("SIGTERM", "SIGHUP")
"""What ends a process without a word; not every system has both."""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def tidily_ended() -> Iterator[None]:
    """A signal that ends the process leaves the block as an error does, and does not skip the cleaning up."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    with _answered(ENDING, leave):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """A signal waits until the block has ended: inside a library that loads, it would break the process."""
    came: list[int] = []
    try:
        with _answered(("SIGINT", *ENDING), lambda number, _: came.append(number)):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


@contextmanager
def _answered(names: tuple[str, ...], handler: Handler) -> Iterator[None]:
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    try:
        before = {number: signal.signal(number, handler) for number in numbers}
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        for number, own in before.items():
            signal.signal(number, signal.SIG_DFL if own is None else own)
