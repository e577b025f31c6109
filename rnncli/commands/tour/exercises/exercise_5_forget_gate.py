"""What was the value of the forget gate?"""

from random import Random

from rnncli.commands.tour import drawing, grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import Text, run_line
from rnncli.renderers.page import View
from rnncli.result import Label

TITLE = Text("the value of the forget gate", "망각 게이트의 값")
CLEAR = 0.2
"""Minimum size of the previous cell state: dividing by less would magnify the rounding of the table."""
WITHIN = 0.01
FORGET, INPUT, CANDIDATE = (Label(gate, kind="activation") for gate in ("forget", "input", "candidate"))
CELL = Label("cell", kind="")
TASK = Text(
    "One unit of an LSTM at two time steps. What was its forget gate at t={time}, to two decimals?",
    "LSTM의 유닛 하나를 두 시점에서 보았습니다. t={time}에서 망각 게이트(forget)의 값은 얼마였을까요? 소수 "
    "둘째 자리까지 구하세요.",
)
HINT = Text(
    "cell = forget * previous cell + input * candidate; solve for forget.",
    "cell = forget * 이전 cell + input * candidate입니다. forget에 대해 푸세요.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw runs until the previous cell state is large enough to divide by."""
    while True:
        time = random.randint(1, 4)
        line = f"rnncli trace -l lstm --units 1 --input-shape 1,5,2 --seed {random.randrange(1000)}"
        parts = run_line(line, traced=True).trace[0].parts
        if abs(parts[CELL][0, time - 1, 0]) >= CLEAR:
            break
    shown = (INPUT, CANDIDATE, CELL)
    rows = [(f"t={step}", *(f"{parts[part][0, step, 0]:.4f}" for part in shown)) for step in (time - 1, time)]
    forget = float(parts[FORGET][0, time, 0])
    table = drawing.draw_grid(("", *(part.part for part in shown)), rows)
    return Exercise(TASK, (table,), grading.Decimal(forget, WITHIN), "1.50", HINT, {"time": str(time)})
