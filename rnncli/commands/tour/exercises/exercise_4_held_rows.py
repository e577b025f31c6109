"""Which rows belong to masked steps?"""

from random import Random

from rnncli.commands.tour import drawing, grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import Text, run_line
from rnncli.renderers.page import View
from rnncli.result import STATUSES

TITLE = Text("rows of masked steps", "마스크된 시점의 행")
LAYERS = ("simple_rnn", "lstm", "gru")
TASK = Text(
    "A masked sequence went into\n  {layer}\nWhich rows of hidden_states belong to masked time steps?",
    "마스크가 있는 시퀀스를 다음 층에 넣었습니다.\n  "
    "{layer}\n"
    "hidden_states에서 마스크된 시점의 행은 무엇일까요?",
)
HINT = Text(
    "A masked step repeats the previous row. rnncli tour --step 12 shows one.",
    "마스크된 시점은 앞 행을 되풀이합니다. rnncli tour --step 12에 예가 있습니다.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw the layer and a mask that keeps the first step and drops at least one."""
    steps, seed, layer = random.randint(4, 7), random.randrange(1000), random.choice(LAYERS)
    masked = set(random.sample(range(1, steps), random.randint(1, steps - 2)))
    mask = ", ".join("false" if time in masked else "true" for time in range(steps))
    result = run_line(
        f"rnncli run -l {layer} --return-sequences --input-shape 1,{steps},2 --seed {seed} "
        f"--mask '[[{mask}]]'",
        traced=True,
    )
    loop, rows = result.trace[0], result.outputs[0].values[0]
    held = frozenset(loop.times[loop.status[0] == STATUSES.index("held")].tolist())
    table = drawing.draw_rows("hidden_states", rows, view, "t={}")
    facts = {"layer": drawing.describe_layer(result)}
    return Exercise(TASK, (table,), grading.Rows(held, steps), "8, 9", HINT, facts)
