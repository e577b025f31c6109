"""Bidirectional LSTM with return_sequences: the backward state is the first row."""

from rnncli.commands.tour.lesson import Step, Text

COMMAND = """\
rnncli run -l bilstm --return-sequences --return-state --seed 7 \\
  --kernel-initializer constant:0.1 --recurrent-initializer constant:0.1"""

LAYER = "Bidirectional(LSTM(3, return_sequences=True, return_state=True))"

STEP = Step(
    title=Text("the backward state is the first row", "역방향 상태는 첫 행"),
    asks=Text(f"Now {LAYER}.", f"이번에는 {LAYER}입니다."),
    layer=LAYER,
    commands=(COMMAND,),
    notice=Text(
        "the forward state is the last row of its half, the backward state the first row of its half. The "
        "backward layer starts at t=3 and ends at t=0.",
        "정방향 상태는 정방향 절반의 마지막 행, 역방향 상태는 역방향 절반의 첫 행입니다. 역방향 층은 "
        "t=3에서 시작해 t=0에서 끝나기 때문입니다.",
    ),
    question=Text(
        "someone takes output[:, -1, :] as a summary of the sentence. What is wrong with it?",
        "누군가 output[:, -1, :]을 문장의 요약으로 썼습니다. 무엇이 문제일까요?",
    ),
    answer=Text(
        "its backward half has read only the last word. Take the states, or leave return_sequences out.",
        "그 역방향 절반은 마지막 단어만 읽은 값입니다. 상태를 쓰거나 return_sequences를 빼면 됩니다.",
    ),
)
