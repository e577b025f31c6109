"""Names and meanings of tensors, in two languages."""

import pytest

from rnncli.addresses import parse_label
from rnncli.show.page import state_part
from rnncli.show.wording import brief, meaning, name_layer, typed


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
        ("forward_last_cell_state", "ko", "정방향 층이 시퀀스를 다 읽은 뒤의 셀 상태", "정방향, 마지막 시점"),
        ("backward_hidden_states", "ko", "모든 시점에서 역방향 층의 은닉 상태", "역방향, 모든 시점"),
        ("1/hidden_states", "en", "layer 1: hidden state at every time step", "layer 1: every time step"),
        ("call 2/hidden_state", "en", "call 2: hidden state of the last time step", "last time step"),
        ("something_else", "en", "", ""),
        ("0/forward/cell", "en", "layer 0: cell", ""),
        ("1/hidden_states", "ko", "1번 층: 모든 시점의 은닉 상태", "1번 층: 모든 시점"),
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


def test_a_layer_is_counted_or_named() -> None:
    assert [name_layer(layer, lang) for layer in (0, "lstm") for lang in ("en", "ko")] == [
        "layer 0",
        "0번 층",
        "layer lstm",
        "lstm 층",
    ]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("rnncli help masks", "rnncli help masks --lang ko"),
        ("python train.py 2>&1 | rnncli why", "python train.py 2>&1 | rnncli why --lang ko"),
        ("rnncli samples mgu > mgu.toml; rnncli run", "rnncli samples mgu > mgu.toml; rnncli run --lang ko"),
        ("rnncli tour --lang ko", "rnncli tour --lang ko"),
        ("rnncli samples mgu > mgu.toml", "rnncli samples mgu > mgu.toml"),
        ("rnncli trace -f ndjson | jq .gates", "rnncli trace -f ndjson | jq .gates"),
    ],
)
def test_a_command_to_type_stays_in_korean(command: str, said: str) -> None:
    assert typed(command, "ko") == said
    assert typed(command, "en") == command
