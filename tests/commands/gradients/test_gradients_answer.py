"""What is said of gradients: documents, records, tensors, and golden tables."""

import math
import re
from typing import Any

import numpy as np
import pytest
from gradients_by_hand import ANSWERS, LSTM, curve, decay, gradients
from looks import PAGES, check_looks, drawn

from rnncli.commands.gradients.answer import GradientsAnswer


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_answers_look_as_they_did(name: Any) -> None:
    data = {"gradients": PAGES, "gradients_against": ("json",), "gradients_masked": ("csv",)}
    data["gradients_whole"] = ("json",)
    check_looks("gradients", name, ANSWERS[name], data.get(name, ()))


@pytest.mark.parametrize(("format", "head"), [("html", "<table"), ("markdown", "| t |")])
def test_many_curves_need_no_scrolling(format: str, head: str) -> None:
    for name, count in (("gradients", 1), ("gradients_against", 2)):
        wide = drawn(ANSWERS[name], format).partition('<div class="phone">')[0]
        assert wide.count(head) == count


def test_tensors_by_name() -> None:
    assert list(ANSWERS["gradients"].tensors()) == ["forward/hidden", "forward/cell", "forward/input"]
    names = list(GradientsAnswer((LSTM, LSTM)).tensors())
    assert names[::3] == ["LSTM/forward/hidden", "LSTM 2/forward/hidden"]


def test_a_larger_norm_has_a_longer_bar() -> None:
    rows = [line for line in drawn(ANSWERS["gradients"], width=80).splitlines() if re.match(r"\d ", line)]
    bars = [line[3:].split()[0] for line in rows]
    assert sorted(bars, key=len) == bars
    assert len(set(bars)) == 5


def test_many_steps_are_thinned_unless_all_are_wanted() -> None:
    def steps(**view: Any) -> Any:
        text = drawn(ANSWERS["gradients_exploding"], width=80, **view)
        return [int(found) for found in re.findall(r"^ *(\d+)  ", text, re.MULTILINE)]

    thin = steps()
    assert (thin[0], thin[-1]) == (0, 99)
    assert len(thin) <= 25
    assert steps(full=True) == list(range(100))


@pytest.mark.parametrize("norms", [{"a": math.nan, "b": 1.0}, {"a": math.inf, "b": 1.0}, {"b": math.nan}])
def test_a_norm_that_is_not_finite_has_no_bar(norms: Any) -> None:
    found = LSTM.__class__(LSTM.header, LSTM.target, (), "kernel", norms)
    assert str(next(iter(norms.values()))) in drawn(GradientsAnswer((found,)), width=80)


def test_a_share_that_is_nearly_all_is_not_said_to_be_all() -> None:
    parts = {"forget": np.ones(5), "output": np.full(5, 0.001)}
    two = gradients("lstm", curve("hidden", decay(0.5), by_line=parts))
    assert "hidden: 99% of the gradient comes back through the gate forget" in drawn(
        GradientsAnswer((two,)), width=80
    )
