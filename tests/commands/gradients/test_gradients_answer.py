"""What is said of gradients: documents, records, tensors, and golden tables."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from gradients_by_hand import ANSWERS, GRU, LSTM
from looks import PAGES, check_looks, drawn

from rnncli.commands.gradients.answer import GradientsAnswer


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_look_as_they_did(name: Any) -> None:
    check_looks("gradients", name, ANSWERS[name], PAGES if name == "gradients" else ())


@pytest.mark.parametrize(("format", "head"), [("html", "<table"), ("markdown", "| t |")])
def test_many_curves_need_no_scrolling(format: str, head: str) -> None:
    assert drawn(ANSWERS["gradients"], format).count(head) == 1
    assert drawn(ANSWERS["gradients_against"], format).count(head) == 2


def test_the_document() -> None:
    document = json.loads(drawn(ANSWERS["gradients_against"], "json"))
    assert document["of"] == {
        "tensor": "hidden_state", "batch": 0, "text": "hidden_state[0, :]", "entries": 3
    }  # fmt: skip
    assert document["rule"] == {
        "vanishes_below": 1e-3, "falls_below": 0.1, "explodes_above": 1e3, "grows_above": 10.0
    }  # fmt: skip
    assert document["engine"] == "tensorflow"
    simple, lstm, gru = document["layers"]
    assert [curve["part"] for curve in lstm["curves"]] == ["hidden", "cell", "input"]
    assert simple["curves"][0]["verdict"] == {
        "kind": "vanishes", "timestep": 0, "ratio": pytest.approx(1e-4), "reference": 4
    }  # fmt: skip
    assert gru["layer"][0]["class_name"] == "GRU"
    assert gru["curves"][0]["norms"] == GRU.curves[0].norms.tolist()


def test_the_records_hold_every_norm() -> None:
    rows = list(csv.DictReader(io.StringIO(drawn(ANSWERS["gradients_masked"], "csv"))))
    assert len(rows) == 15
    assert [row["masked"] for row in rows[:5]] == ["0", "0", "0", "1", "1"]
    assert {(row["direction"], row["part"]) for row in rows} == {
        ("forward", "hidden"), ("backward", "hidden"), ("", "input")
    }  # fmt: skip


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


def test_zero_is_written_so() -> None:
    assert re.search(r" 0  ", drawn(ANSWERS["gradients"], width=80))
    np.testing.assert_equal(LSTM.curves[1].norms[-1], 0)
