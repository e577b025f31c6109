"""Up to which time step has the gradient vanished?"""

from random import Random

from rnncli.commands.tour import drawing, grading, jacobians
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import Text
from rnncli.renderers.page import View
from rnncli.renderers.parts import format_difference

TITLE = Text("where the gradient vanishes", "기울기가 사라지는 시점")
LAYERS = {"simple_rnn": "SimpleRNN(3)", "gru": "GRU(3)"}
STEPS, ACROSS = 20, 4
MARGIN = 1.2
"""Minimum distance of every norm from the limit, as a factor: the table shows two digits."""
TASK = Text(
    "The table shows the norm of the gradient of the last hidden state of {layer} for each time step of the "
    "input. The gradient has vanished at a step if the norm there and all earlier norms are below 1/1000 of "
    "the norm at t={last}.\n"
    "What is the last time step at which it has vanished?",
    "{layer}의 마지막 은닉 상태를 각 시점의 입력으로 미분한 기울기의 노름입니다. 그 시점과 이전 시점의 "
    "노름이 모두 t={last} 노름의 1/1000보다 작으면 사라졌다고 합시다.\n"
    "기울기가 사라진 마지막 시점은 무엇일까요?",
)
HINT = Text(
    "Divide the norm at t={last} by 1000, then look for the first norm that is not smaller; the answer is "
    "the previous step.",
    "t={last}의 노름을 1000으로 나누고, 그보다 작지 않은 첫 노름을 찾으세요. 답은 그 바로 앞 시점입니다.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw runs until one vanishes, with no norm close to the limit."""
    while True:
        word = random.choice(list(LAYERS))
        line = f"rnncli run -l {word} --input-shape 1,{STEPS},3 --seed {random.randrange(1000)}"
        norms = jacobians.measure_norms(line)
        limit = norms[-1] / 1000
        vanished = jacobians.find_vanished(norms)
        if vanished is not None and not ((norms > limit / MARGIN) & (norms < limit * MARGIN)).any():
            break
    texts = [f"t={time}  {format_difference(norm)}" for time, norm in enumerate(norms)]
    down = STEPS // ACROSS
    table = drawing.draw_grid(
        [""] * ACROSS, [[f"{text}  " for text in texts[row::down]] for row in range(down)]
    )
    facts = {"layer": LAYERS[word], "last": str(STEPS - 1)}
    return Exercise(TASK, (table,), grading.Rows(frozenset({vanished}), STEPS), "t=99", HINT, facts)
