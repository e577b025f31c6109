"""Layers are made once, and weights, states and masks are fitted to them once, however many chunks follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnncli
from rnncli.case import Case
from rnncli.compute import call
from rnncli.errors import LayerError
from rnncli.layers import fit
from rnncli.specs import from_flags

WEIGHTS = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((3, 12)), "bias": np.ones(12)}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            found[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in (
        (fit, "fit_weights"), (fit, "fit_states"), (call, "require_mask"),
    ):  # fmt: skip
        count(owner, name)
    return found


@pytest.mark.parametrize("memory", [None, 5_000])
def test_a_case_is_fitted_once(counts: Counter[str], memory: int | None) -> None:
    states = [np.ones((40, 3)), np.ones((40, 3))]
    rnncli.run(
        np.ones((40, 4, 2)),
        "LSTM(3)",
        weights=WEIGHTS,
        initial_state=states,
        mask=np.ones((40, 4), bool),
        memory=memory,
    )
    assert counts == {"fit_weights": 1, "fit_states": 1, "require_mask": 1}


def test_weights_and_states_take_the_dtype_of_the_inputs() -> None:
    inputs = np.ones((1, 4, 2), np.float32)
    case = fit.fit_case(Case(from_flags(["LSTM(3)"], {}), inputs, None, (np.ones(3), np.ones(3)), WEIGHTS))
    assert {array.dtype for array in (*(case.weights or {}).values(), *(case.initial_state or ()))} == {
        inputs.dtype
    }


def test_a_layer_that_takes_no_states_refuses_them() -> None:
    stack = from_flags(["Bidirectional(LSTM(3), backward_layer=GRU(3, go_backwards=True))"], {})
    inputs = np.ones((1, 4, 2), np.float32)
    with pytest.raises(LayerError, match="splits the initial states in half"):
        fit.fit_case(Case(stack, inputs, initial_state=(np.ones((1, 3)),) * 3))
