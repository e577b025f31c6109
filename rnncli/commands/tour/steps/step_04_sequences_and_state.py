"""SimpleRNN with return_sequences and return_state together."""

from rnncli.commands.tour.lesson import Step, Text

STEP = Step(
    title=Text("return_sequences and return_state together", "return_sequences와 return_state를 함께"),
    asks=Text(
        "Both options at once: every hidden state, and the last one by itself.",
        "두 옵션을 함께 켭니다. 모든 시점의 은닉 상태와, 마지막 은닉 상태를 따로 받습니다.",
    ),
    layer="SimpleRNN(3, return_sequences=True, return_state=True)",
    commands=("rnncli run -l simple_rnn --return-sequences --return-state --seed 7",),
    notice=Text(
        "the second tensor is the last row of the first.",
        "두 번째 텐서는 첫 번째 텐서의 마지막 행과 같습니다.",
    ),
    question=Text(
        "with a Bidirectional layer, which row would equal the backward state?",
        "Bidirectional 층이라면 역방향 상태는 어느 행과 같을까요?",
    ),
    answer=Text(
        "the first row, t=0: reading backwards, the layer finishes at the first word. Step 8 shows it.",
        "첫 행, t=0입니다. 거꾸로 읽으므로 첫 단어에서 끝나기 때문입니다. 8단계에서 확인합니다.",
    ),
)
