"""The limit on what one operation of a model may allocate."""

from __future__ import annotations

import resource
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

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
