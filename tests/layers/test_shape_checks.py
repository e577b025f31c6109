"""Layers are made once, and weights, states and masks are checked once, however many chunks follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnncli
from rnncli import compute
from rnncli.layers import shape_checks

WEIGHTS = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((3, 12)), "bias": np.ones(12)}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    calls: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            calls[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in (
        (shape_checks, "check_weights"), (shape_checks, "check_states"), (compute, "require_mask"),
    ):  # fmt: skip
        count(owner, name)
    return calls


@pytest.mark.parametrize("memory", [None, 5_000])
def test_a_case_is_checked_once(counts: Counter[str], memory: int | None) -> None:
    states = [np.ones((40, 3)), np.ones((40, 3))]
    rnncli.run(
        np.ones((40, 4, 2)),
        "LSTM(3)",
        weights=WEIGHTS,
        initial_state=states,
        mask=np.ones((40, 4), bool),
        memory=memory,
    )
    assert counts == {"check_weights": 1, "check_states": 1, "require_mask": 1}
