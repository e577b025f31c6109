"""SimpleRNN: the hidden state of the last time step."""

from rnncli.commands.tour.lesson import Step, Text

STEP = Step(
    title=Text("SimpleRNN: one tensor", "SimpleRNN: 텐서 하나"),
    asks=Text(
        "At each time step the layer computes a hidden state, one number per unit, from the input x and from "
        "the previous step's hidden state h: tanh(x W + h U + b). This layer has 3 units.",
        "층은 시점마다 입력 x와 이전 시점의 은닉 상태(hidden state) h로 새 은닉 상태를 계산합니다. "
        "tanh(x W + h U + b)이며, 유닛마다 숫자가 하나씩 나옵니다. 이 층의 유닛은 3개입니다.",
    ),
    layer="SimpleRNN(3)",
    commands=("rnncli run -l simple_rnn --seed 7",),
    notice=Text(
        "four words went in and one hidden state came out, that of the last time step. The weights W and U "
        "are drawn at random: --seed 7 draws the same ones every time.",
        "단어 네 개를 넣었는데 은닉 상태는 하나, 마지막 시점의 은닉 상태만 나왔습니다. 가중치 W와 U는 "
        "무작위로 정해지며, --seed 7을 주면 매번 같은 값이 됩니다.",
    ),
    question=Text(
        "what is the shape of the output if the sentence has 100 words?",
        "단어가 100개인 문장을 넣으면 출력의 형태는 무엇일까요?",
    ),
    answer=Text(
        "still (1, 3). It depends on the batch and the units, not on the number of time steps.",
        "그대로 (1, 3)입니다. 배치 크기와 유닛 수에 달려 있고, 시점의 수와는 관계없습니다.",
    ),
)
