"""SimpleRNN with return_state."""

from rnncli.commands.tour.lesson import Step, Text

STEP = Step(
    title=Text("return_state: the last state as well", "return_state: 마지막 상태도 함께"),
    asks=Text(
        "return_state=True also returns the layer's final state. For SimpleRNN that is one more tensor.",
        "return_state=True로 하면 층이 마지막에 가진 상태를 덧붙여 반환합니다. SimpleRNN에서는 텐서가 하나 "
        "늘어납니다.",
    ),
    layer="SimpleRNN(3, return_state=True)",
    commands=("rnncli run -l simple_rnn --return-state --seed 7",),
    notice=Text(
        "the same numbers twice: the output of a SimpleRNN is its hidden state. The option becomes useful "
        "together with return_sequences (step 4) and with LSTM (step 5).",
        "같은 값이 두 번 나왔습니다. SimpleRNN은 은닉 상태를 그대로 출력하기 때문입니다. 이 옵션은 "
        "return_sequences와 함께 쓸 때(4단계), 그리고 LSTM에서(5단계) 쓸모가 있습니다.",
    ),
    question=Text("how do you call this layer in Python?", "Python에서는 이 층을 어떻게 호출할까요?"),
    answer=Text(
        "with two names on the left: output, state = layer(x). Without return_state there is one: output = "
        "layer(x).",
        "왼쪽에 이름을 두 개 씁니다. output, state = layer(x). return_state가 없으면 output = "
        "layer(x)입니다.",
    ),
)
