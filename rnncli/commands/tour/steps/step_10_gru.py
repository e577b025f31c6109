"""The gates of a GRU."""

from rnncli.commands.tour.lesson import Step, Text, observe_trace

COMMAND = "rnncli trace -l gru --unit 0 --seed 7"

STEP = Step(
    title=Text("GRU: one state, two gates", "GRU: 상태 하나, 게이트 두 개"),
    asks=Text(
        "A GRU has no cell state. Its update gate mixes the previous hidden state with the candidate; its "
        "reset gate controls how much of the previous state the candidate sees:\n  "
        "hidden = update * previous hidden + (1 - update) * candidate",
        "GRU에는 셀 상태가 없습니다. 업데이트 게이트(update)는 이전 은닉 상태와 후보를 섞고, 리셋 "
        "게이트(reset)는 후보를 만들 때 이전 상태를 얼마나 볼지 정합니다.\n  "
        "hidden = update * 이전 hidden + (1 - update) * candidate",
    ),
    layer="GRU(3)",
    commands=(COMMAND,),
    observation=observe_trace(COMMAND, ("update", "reset", "candidate"), ("hidden",)),
    notice=Text(
        "at t=3, {update} * {before} + (1 - {update}) * {candidate} = {hidden}. One gate does the work of "
        "the LSTM's forget and input.",
        "t=3에서 {update} * {before} + (1 - {update}) * {candidate} = {hidden}입니다. 게이트 하나가 LSTM의 "
        "forget과 input이 하는 일을 함께 합니다.",
    ),
    question=Text(
        "how many tensors does GRU(3, return_state=True) return?",
        "GRU(3, return_state=True)는 텐서를 몇 개 반환할까요?",
    ),
    answer=Text(
        "two, both (1, 3): the output and the last hidden state, which are the same numbers.",
        "두 개이고 모두 (1, 3)입니다. 출력과 마지막 은닉 상태이며, 둘은 같은 값입니다.",
    ),
)
