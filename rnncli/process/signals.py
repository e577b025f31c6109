"""Signal handling: end the process once, and defer signals while a library loads."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT")
"""Signals that end the process; not every system has all."""

PATIENCE = 1.0
"""Seconds in which further signals are ignored, while the first one's cleanup runs."""

Returned = TypeVar("Returned")
Handler = Callable[[int, FrameType | None], None]


class InterruptHandler:
    """Handler that interrupts the running code: raises KeyboardInterrupt, or SystemExit(128 + number)."""

    def __init__(self) -> None:
        self.last = -PATIENCE

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Raise once, however often the signal arrives."""
        now = monotonic()
        if now - self.last < PATIENCE:
            return
        self.last = now
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


interrupt_handler = InterruptHandler()
"""The handler of this process."""


@contextmanager
def exit_cleanly() -> Iterator[None]:
    """Let a signal leave the block as an exception does, so that cleanup runs."""
    with handle_signals(("SIGINT", *ENDING), interrupt_handler):
        yield


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer signals until the block ends: a partly loaded library would crash the process."""
    came: list[int] = []
    try:
        with handle_signals(("SIGINT", *ENDING), lambda number, _: came.append(number)):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


def call_in_thread(work: Callable[[], Returned]) -> Returned:
    """Return `work()`, called in a thread, so that a signal ends the wait for compiled code.

    Raises what `work` raises.  After a signal the thread goes on.
    """
    return start_in_thread(work).result()


def start_in_thread(work: Callable[[], Returned]) -> Future[Returned]:
    """Start `work` in a thread, which does not keep the process alive; return its future result."""
    from concurrent.futures import Future
    from threading import Thread

    future: Future[Returned] = Future()
    future.set_running_or_notify_cancel()

    def call() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=call, daemon=True).start()
    return future


@contextmanager
def handle_signals(names: Sequence[str], handler: Handler) -> Iterator[None]:
    """Handle these signals with `handler`, unless the parent process set them to be ignored."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        before = {number: signal.signal(number, handler) for number in heard}
    except ValueError:  # only the main thread can set signal handlers, and only it receives signals
        yield
        return
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
