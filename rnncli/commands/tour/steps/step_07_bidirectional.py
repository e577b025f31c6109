"""Bidirectional LSTM with constant weights, as in the notebook."""

from rnncli.commands.tour.lesson import Step, Text

COMMAND = """\
rnncli run -l bilstm --return-state --seed 7 \\
  --kernel-initializer constant:0.1 --recurrent-initializer constant:0.1"""

STEP = Step(
    title=Text("Bidirectional: two layers", "Bidirectional: 층 두 개"),
    asks=Text(
        "Bidirectional runs two layers: one reads the sentence forward, the other backward. It puts their "
        "outputs side by side. All weights are 0.1 here, so the three units agree.",
        "Bidirectional은 층 두 개를 실행합니다. 하나는 문장을 정방향으로, 하나는 역방향으로 읽고, 두 "
        "출력을 나란히 이어 붙입니다. 여기서는 가중치가 모두 0.1이라 유닛 세 개의 값이 같습니다.",
    ),
    layer="Bidirectional(LSTM(3, return_state=True))",
    commands=(COMMAND,),
    notice=Text(
        "five tensors. The output (1, 6) is the forward hidden state, then the backward one. The states "
        "follow: forward hidden and cell, backward hidden and cell.",
        "텐서는 다섯 개입니다. 출력 (1, 6)은 정방향 은닉 상태 뒤에 역방향 은닉 상태를 붙인 것입니다. 그 "
        "뒤로 정방향의 은닉 상태와 셀 상태, 역방향의 은닉 상태와 셀 상태가 나옵니다.",
    ),
    question=Text(
        "both layers have the same weights. Why do their states differ?",
        "두 층의 가중치가 같은데 상태는 왜 다를까요?",
    ),
    answer=Text(
        "they read the words in opposite order, and the word read last counts most.",
        "단어를 읽는 순서가 반대이고, 나중에 읽은 단어의 영향이 더 크기 때문입니다.",
    ),
)
