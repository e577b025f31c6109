"""Names and meanings of tensors, in two languages."""

from __future__ import annotations

import pytest

from rnncli.addresses import parse_label
from rnncli.show.page import state_part
from rnncli.show.wording import brief, meaning


@pytest.mark.parametrize(
    ("name", "lang", "said", "below"),
    [
        ("hidden_state", "en", "hidden state of the last time step", "last time step"),
        ("hidden_states", "en", "hidden state at every time step", "every time step"),
        ("hidden_states", "ko", "모든 시점의 은닉 상태", "모든 시점"),
        ("last_cell_state", "ko", "마지막 시점의 셀 상태", "마지막 시점"),
        (
            "forward_hidden_states",
            "en",
            "hidden state of the forward layer at every time step",
            "forward, every step",
        ),
        (
            "forward_last_cell_state",
            "ko",
            "정방향 층이 시퀀스를 다 읽은 뒤의 셀 상태",
            "정방향, 마지막 시점",
        ),
        ("backward_hidden_states", "ko", "모든 시점에서 역방향 층의 은닉 상태", "역방향, 모든 시점"),
        ("1/hidden_states", "en", "layer 1: hidden state at every time step", "layer 1: every time step"),
        ("call 2/hidden_state", "en", "call 2: hidden state of the last time step", "last time step"),
        ("something_else", "en", "", ""),
        ("0/forward/cell", "en", "layer 0: cell", ""),
    ],
)
def test_meanings(name: str, lang: str, said: str, below: str) -> None:
    assert meaning(parse_label(name), lang) == said
    assert brief(parse_label(name), lang) == below


def test_equal_tensors_are_of_one_part_of_the_state() -> None:
    assert (
        state_part(parse_label("hidden_states"))
        == state_part(parse_label("1/backward_last_hidden_state"))
        == "hidden"
    )
    assert state_part(parse_label("0/forward_last_cell_state")) == "cell"
    assert state_part(parse_label("gate")) == ""
