"""The gates of an LSTM, from its trace."""

from rnncli.commands.tour.lesson import Step, Text, observe_trace

COMMAND = "rnncli trace -l lstm --unit 0 --seed 7"

STEP = Step(
    title=Text("what a gate is", "게이트란 무엇인가"),
    asks=Text(
        "A gate is a number between 0 and 1 that multiplies another: 0 lets nothing through, 1 everything. "
        "The candidate is new content, and three gates control the memory:\n"
        "  cell = forget * previous cell + input * candidate\n"
        "  hidden = output * tanh(cell)",
        "게이트(gate)는 다른 값에 곱하는 0과 1 사이의 숫자입니다. 0이면 아무것도 지나가지 못하고 1이면 전부 "
        "지나갑니다. 후보(candidate)는 새로 쓸 내용이고, 게이트 세 개가 기억을 조절합니다.\n"
        "  cell = forget * 이전 cell + input * candidate\n"
        "  hidden = output * tanh(cell)",
    ),
    layer="LSTM(3)",
    commands=(COMMAND,),
    observation=observe_trace(COMMAND, ("input", "forget", "candidate", "output"), ("cell", "hidden")),
    notice=Text(
        "at t=3, {forget} * {before} + {input} * {candidate} = {cell}. Each unit has its own gates; these "
        "are unit 0's.",
        "t=3에서 {forget} * {before} + {input} * {candidate} = {cell}입니다. 게이트는 유닛마다 따로 "
        "있으며, 이 표는 0번 유닛입니다.",
    ),
    question=Text(
        "what happens to the cell state if forget is 1 and input is 0?",
        "forget이 1이고 input이 0이면 셀 상태는 어떻게 될까요?",
    ),
    answer=Text(
        "it stays exactly the same. That is how an LSTM remembers over many time steps.",
        "그대로 유지됩니다. LSTM은 이렇게 여러 시점에 걸쳐 기억합니다.",
    ),
)
