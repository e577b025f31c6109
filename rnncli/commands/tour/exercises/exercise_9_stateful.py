"""What is the state of a stateful layer after its first call?"""

from random import Random

import numpy as np

from rnncli import compute
from rnncli.cli.command_line import CommandLine
from rnncli.commands.tour import drawing, grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import ROW, Text
from rnncli.renderers.page import View

TITLE = Text("after the first call of a stateful layer", "stateful 층의 첫 호출 뒤")
LAYERS = ("simple_rnn", "lstm", "gru")
TASK = Text(
    "A layer read {steps} time steps in one call and returned the rows below:\n  "
    "{layer}\n"
    "The same layer with stateful=True now gets the first {first} time steps in one call and the "
    "remaining {rest} in a second call. Which row below is its hidden state after the first call?",
    "다음 층이 시점 {steps}개를 한 번의 호출로 읽고 아래의 행들을 반환했습니다.\n  "
    "{layer}\n"
    "이번에는 같은 층에 stateful=True를 주고 앞의 {first}개 시점을 첫 호출로, 나머지 {rest}개를 둘째 "
    "호출로 넣습니다. 첫 호출이 끝났을 때의 은닉 상태는 아래의 어느 행일까요?",
)
HINT = Text(
    "The first call ends where the whole sequence has read {first} time steps; row numbers start at 0.",
    "첫 호출은 전체 시퀀스에서 시점 {first}개를 읽은 곳에서 끝납니다. 행 번호는 0부터 셉니다.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw the layer, the length and where the sequence is cut; run the whole and the first part."""
    steps, seed, layer = random.randint(5, 8), random.randrange(1000), random.choice(LAYERS)
    first = random.randint(2, steps - 2)
    line = f"rnncli run -l {layer} --return-sequences --input-shape 1,{steps},2 --seed {seed}"
    case = CommandLine.parse(line).case()
    result = compute.run(case, "numpy")
    part = compute.run(case._replace(inputs=case.inputs[:, :first]), "numpy")
    rows, state = result.outputs[0].values[0], part.outputs[0].values[0, -1]
    place = int(np.abs(rows - state).sum(axis=-1).argmin())
    table = drawing.draw_rows("hidden_states", rows, view, ROW.translate(view.lang))
    facts = {
        "steps": str(steps),
        "layer": drawing.describe_layer(result),
        "first": str(first),
        "rest": str(steps - first),
    }
    return Exercise(TASK, (table,), grading.Rows(frozenset({place}), steps), "row 9", HINT, facts)
