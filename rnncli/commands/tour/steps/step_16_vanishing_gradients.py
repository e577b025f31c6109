"""Vanishing gradients: how far back the last hidden state depends on the input."""

import math

from rnncli.commands.tour import drawing, jacobians
from rnncli.commands.tour.lesson import Observation, Step, Text
from rnncli.renderers.page import View, bar
from rnncli.renderers.parts import format_difference
from rnncli.result import Label, NamedTensor

LAYERS = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
COMMAND = f"rnncli gradients --against {','.join(LAYERS)} --input-shape 1,30,4 --seed 7"
SHOWN = (0, 5, 10, 15, 20, 25, 29)


def observe(view: View) -> Observation:
    """Compute the norms of all three layers; return one line for some of the time steps."""
    norms = {
        name: jacobians.measure_norms(f"rnncli run -l {word} --input-shape 1,30,4 --seed 7")
        for word, name in LAYERS.items()
    }
    logs = [math.log10(value) for values in norms.values() for value in values]
    low, high = min(logs), max(logs)
    rows = [
        (
            f"t={time}",
            *(
                f"{format_difference(values[time])} {bar(math.log10(values[time]), low, high, view).text}"
                for values in norms.values()
            ),
        )
        for time in SHOWN
    ]
    outputs = tuple(
        NamedTensor(Label(f"{name}/input"), ("timesteps",), values) for name, values in norms.items()
    )
    facts = {name: format_difference(values[0] / values[-1]) for name, values in norms.items()}
    return Observation((drawing.draw_grid(("", *LAYERS.values()), rows),), (outputs,), facts)


STEP = Step(
    title=Text("vanishing gradients", "기울기 소실"),
    asks=Text(
        "Training changes weights by gradients: how much would the last hidden state change if the input "
        "at t changed a little? The norm of that gradient, over a sequence of 30 time steps:",
        "학습은 기울기를 따라 가중치를 바꿉니다. t 시점의 입력을 조금 바꾸면 마지막 은닉 상태는 얼마나 "
        "바뀔까요? 시점이 30개인 시퀀스에서 그 기울기의 노름을 구하면 다음과 같습니다.",
    ),
    layer="",
    commands=(COMMAND,),
    observation=observe,
    notice=Text(
        "each step back multiplies by one more matrix. From t=29 to t=0 the norm shrinks to {SimpleRNN} of "
        "itself in the SimpleRNN, but only to {LSTM} in the LSTM. (The bars are logarithmic.)",
        "한 시점 뒤로 갈 때마다 행렬이 한 번 더 곱해집니다. t=29에서 t=0까지 노름은 SimpleRNN에서 "
        "{SimpleRNN}배로 줄지만 LSTM에서는 {LSTM}배까지만 줄어듭니다. (막대는 로그 눈금입니다.)",
    ),
    question=Text(
        "what does it mean for training that the norm at t=0 is nearly 0?",
        "t=0의 노름이 0에 가깝다는 것은 학습에 어떤 뜻일까요?",
    ),
    answer=Text(
        "the layer cannot learn that the first words matter for the last state. The cell state of an LSTM is "
        "multiplied only by forget, which Keras starts near 0.7 (its bias is 1) and training can move to 1, "
        "so the gradient survives longer. The GRU's update gate starts near 0.5.",
        "첫 단어들이 마지막 상태에 중요하다는 것을 배우지 못합니다. LSTM의 셀 상태에는 forget만 곱해지는데, "
        "Keras에서는 0.7 근처에서 시작하고(편향이 1) 학습으로 1에 가까워질 수 있어 기울기가 더 오래 "
        "살아남습니다. GRU의 업데이트 게이트는 0.5 근처에서 시작합니다.",
    ),
)
