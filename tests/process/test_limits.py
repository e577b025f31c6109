"""Limits on the memory of one operation of a model, and on the processor time of work in a thread."""

import resource
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
import pytest

from rnncli.errors import EngineError
from rnncli.process import child_process, memory
from rnncli.process.child_process import result_in_time
from rnncli.process.memory import PER_BYTE, ROOM, limit_growth


def test_an_allocation_beyond_the_limit_fails_and_the_next_one_does_not() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limit_growth(0), pytest.raises(MemoryError):
        np.empty(2 * ROOM, "u1")
    with limit_growth(2 * ROOM // PER_BYTE):
        np.empty(2 * ROOM, "u1")
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_threads_leave_the_limit_as_it_was() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)

    def allocate(given: int) -> int:
        with limit_growth(given):
            return len(np.empty(100, "u1"))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(allocate, range(400))) == 400 * 100
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def hide(_: Any = None) -> int:
    """Stand in for what reads /proc, which macOS lacks."""
    raise OSError


def fill() -> None:
    """Take more and more memory, for at most some seconds."""
    taken, end = [], time.monotonic() + 20
    while time.monotonic() < end:
        taken.append(np.ones(2**22, "u1"))


@pytest.mark.slow
def test_without_a_limit_of_the_system_a_thread_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "allocated_bytes", hide)
    monkeypatch.setattr(memory, "ROOM", 2**26)
    start = time.monotonic()
    with pytest.raises(MemoryError), limit_growth(0):
        fill()
    assert time.monotonic() - start < 15
    with limit_growth(0):
        assert sum(range(1000)) == 499_500


@pytest.mark.slow
def test_without_a_limit_of_the_system_a_child_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(file: BinaryIO) -> None:
        fill()
        file.write(b"+")

    monkeypatch.setattr(child_process, "address_space", hide)
    with pytest.raises(child_process.EndedEarlyError), child_process.run_in_child(work, 20, 2**27) as answer:
        answer.take(1)


def test_the_process_of_the_caller_has_no_limit_that_lasts() -> None:
    before = threading.active_count(), resource.getrlimit(resource.RLIMIT_DATA)
    child_process.limit_data(1)
    child_process.limit_memory(1)
    assert (threading.active_count(), resource.getrlimit(resource.RLIMIT_DATA)) == before


def test_a_system_that_measures_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    with pytest.raises(EngineError, match="cannot limit the memory"), limit_growth(0):
        pass


SECONDS, PATIENCE = 1e-3, 4


class Clocks:
    """Each look at the clock of the wall is a limit later; the processor works a share of that time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
        self.looks, self.share, self.future = 0, share, Future[str]()
        self.done_after = 0
        monkeypatch.setattr(child_process, "PATIENCE", PATIENCE)
        monkeypatch.setattr(child_process, "monotonic", self.wall)
        monkeypatch.setattr(child_process, "process_time", lambda: self.looks * SECONDS * share)

    def wall(self) -> float:
        self.looks += 1
        if self.looks == self.done_after:
            self.future.set_result("done")
        return self.looks * SECONDS


def test_work_that_waits_for_a_busy_machine_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch, 0.1)
    clocks.done_after = PATIENCE
    assert result_in_time(clocks.future, SECONDS) == "done"


@pytest.mark.parametrize(("share", "limits"), [(2.0, 2), (0.1, PATIENCE + 2)])
def test_work_without_an_end_is_given_up(share: float, limits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch, share)
    with pytest.raises(TimeoutError):
        result_in_time(clocks.future, SECONDS)
    assert clocks.looks == limits
