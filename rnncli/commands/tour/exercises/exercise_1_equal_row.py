"""Which row of a sequence equals a last state?"""

from random import Random

from rnncli.commands.tour import drawing, grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import ROW, Text, run_line
from rnncli.renderers.page import View

TITLE = Text("which row equals the state?", "상태와 같은 행")
LAYERS = ("birnn", "bilstm", "bigru")
WAYS = {
    "backward": Text("the backward state", "역방향 상태"),
    "forward": Text("the forward state", "정방향 상태"),
    "alone": Text("the last hidden state", "마지막 은닉 상태"),
}
TASK = Text(
    "A layer read {steps} time steps and returned these rows:\n"
    "  {layer}\n"
    "Which row of hidden_states contains the same numbers as {state} (not shown)?",
    "다음 층이 {steps}개 시점을 읽고 아래의 행들을 반환했습니다.\n"
    "  {layer}\n"
    "{state}(표에는 없음)와 같은 값이 들어 있는 hidden_states의 행은 무엇일까요?",
)
HINT = Text(
    "Ask where that layer ends: at the first or at the last word? rnncli tour --step 8 shows it.",
    "그 층이 어디에서 끝나는지, 첫 단어인지 마지막 단어인지 생각해 보세요. rnncli tour --step 8에 나옵니다.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw the layer, the length and the direction; show every row."""
    steps, seed, way = random.randint(3, 7), random.randrange(1000), random.choice(list(WAYS))
    layer = random.choice(LAYERS)
    if way == "alone":
        layer = f"{layer.removeprefix('bi').replace('rnn', 'simple_rnn')} --go-backwards"
    line = (
        f"rnncli run -l {layer} --units 2 --return-sequences --return-state "
        f"--input-shape 1,{steps},3 --seed {seed}"
    )
    result = run_line(line)
    name = "last_hidden_state" if way == "alone" else f"{way}_last_hidden_state"
    rows, state = result.outputs[0], next(tensor for tensor in result.outputs if tensor.name == name)
    place = drawing.locate_row(state.equals[0], {rows.name: rows}).row or 0
    table = drawing.draw_rows(rows.name, rows.values[0], view, ROW.translate(view.lang))
    facts = {
        "steps": str(steps),
        "layer": drawing.describe_layer(result),
        "state": WAYS[way].translate(view.lang),
    }
    return Exercise(TASK, (table,), grading.Rows(frozenset({place}), steps), "row 9", HINT, facts)
