"""Names and meanings of tensors, in two languages."""

from __future__ import annotations

from typing import Any

import pytest

from rnncli.addresses import parse_label
from rnncli.show.page import state_part
from rnncli.show.wording import brief, meaning, say

STATES = ("hidden_state", "hidden_states", "last_hidden_state", "last_cell_state")
NAMES = [f"{way}{state}" for way in ("", "forward_", "backward_") for state in STATES]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_name_of_a_result_has_a_meaning(name: Any, lang: Any) -> None:
    assert meaning(parse_label(name), lang)
    assert brief(parse_label(name), lang)


def test_meanings() -> None:
    assert meaning(parse_label("hidden_state")) == "hidden state of the last time step"
    assert meaning(parse_label("hidden_states")) == "hidden state at every time step"
    assert (
        meaning(parse_label("forward_hidden_states"))
        == "hidden state of the forward layer at every time step"
    )
    last = "정방향 층이 마지막 시점을 마친 뒤의 셀 상태"
    assert meaning(parse_label("forward_last_cell_state"), "ko") == last
    assert brief(parse_label("backward_hidden_states")) == "backward, every step"
    assert meaning(parse_label("last_cell_state"), "ko") == "마지막 시점의 셀 상태"
    assert meaning(parse_label("hidden_states"), "ko") == "모든 시점의 은닉 상태"
    assert meaning(parse_label("1/hidden_states")) == "layer 1: hidden state at every time step"
    assert meaning(parse_label("something_else")) == ""
    assert meaning(parse_label("0/forward/cell")) == "layer 0: cell"
    assert say("seed", "fr") == say("seed", "en")


def test_equal_tensors_are_of_one_part_of_the_state() -> None:
    assert (
        state_part(parse_label("hidden_states"))
        == state_part(parse_label("1/backward_last_hidden_state"))
        == "hidden"
    )
    assert state_part(parse_label("0/forward_last_cell_state")) == "cell"
    assert state_part(parse_label("gate")) == ""
