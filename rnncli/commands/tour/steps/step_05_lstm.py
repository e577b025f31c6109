"""LSTM with return_state: two states."""

from rnncli.commands.tour.lesson import Step, Text

STEP = Step(
    title=Text("LSTM: two states", "LSTM: 상태 두 개"),
    asks=Text(
        "An LSTM carries two states from step to step: the hidden state, which is its output, and the cell "
        "state, its memory.",
        "LSTM은 상태 두 개를 다음 시점으로 넘깁니다. 하나는 출력이 되는 은닉 상태이고, 하나는 기억을 담는 셀 "
        "상태(cell state)입니다.",
    ),
    layer="LSTM(3, return_state=True)",
    commands=("rnncli run -l lstm --return-state --seed 7",),
    notice=Text(
        "three tensors, always in this order: output, last hidden state, last cell state. The first two "
        "are the same numbers; the cell state is not part of the output.",
        "텐서는 세 개이고 순서는 언제나 출력, 마지막 은닉 상태, 마지막 셀 상태입니다. 앞의 둘은 같은 "
        "값이고, 셀 상태는 출력에 들어 있지 않습니다.",
    ),
    question=Text(
        "which of the two states can be larger than 1?", "두 상태 가운데 1보다 커질 수 있는 것은 무엇일까요?"
    ),
    answer=Text(
        "the cell state: it is a sum that may grow at each step. The hidden state is a gate times tanh of "
        "the cell state, so it stays between -1 and 1.",
        "셀 상태입니다. 시점마다 더해지므로 커질 수 있습니다. 은닉 상태는 게이트에 셀 상태의 tanh를 곱한 "
        "값이라 -1과 1 사이에 머뭅니다.",
    ),
)
