"""Limits that end a computation which would not come back; a busy machine changes nothing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

PATIENCE = 600.0
"""Seconds in which every process ends that works, however busy the machine is; the others hang."""


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Fail as soon as this process has used that much processor time in the block.

    Time in which it waits, for its child processes among others, does not count.
    """

    def stop(_: int, __: FrameType | None) -> None:
        pytest.fail(f"it is not done after {seconds} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
