"""The limit on what one operation of a model may allocate."""

from __future__ import annotations

import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
import pytest

from rnncli.errors import EngineError
from rnncli.process import child_process, memory
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
    with (
        pytest.raises(child_process.EndedEarlyError),
        child_process.run_in_child(work, 20, 2**27) as answer,
    ):
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
