"""The gates of a GRU."""

from rnncli.commands.tour import drawing
from rnncli.commands.tour.lesson import Observation, Step, Text, run
from rnncli.renderers.page import View
from rnncli.result import Label, NamedTensor

COMMAND = "rnncli trace -l gru --unit 0 --seed 7"
GATES = ("update", "reset", "candidate")
AXES = ("batch", "timesteps", "units")


def observe(view: View) -> Observation:
    """Trace the layer; return one line per time step, and the numbers of the last hidden state."""
    loop = run(COMMAND, traced=True).trace[0]
    parts = {gate: loop.parts[f"{gate}.activation"] for gate in GATES} | {"hidden": loop.parts["hidden"]}
    rows = [(f"t={time}", *(f"{values[0, time, 0]:.4f}" for values in parts.values())) for time in loop.times]
    facts = {name: f"{values[0, -1, 0]:.4f}" for name, values in parts.items()}
    facts["before"] = f"{parts['hidden'][0, -2, 0]:.4f}"
    outputs = tuple(NamedTensor(Label(name, traced=True), AXES, values) for name, values in parts.items())
    return Observation((drawing.grid(("", *parts), rows),), (outputs,), facts)


STEP = Step(
    title=Text("GRU: one state, two gates", "GRU: 상태 하나, 게이트 두 개"),
    asks=Text(
        "A GRU has no cell state. Its update gate mixes the old hidden state with the candidate; its reset "
        "gate says how much of the old state the candidate sees:\n  "
        "hidden = update * hidden before + (1 - update) * candidate",
        "GRU에는 셀 상태가 없습니다. 업데이트 게이트(update)는 이전 은닉 상태와 후보를 섞고, 리셋 "
        "게이트(reset)는 후보를 만들 때 이전 상태를 얼마나 볼지 정합니다.\n  "
        "hidden = update * 이전 hidden + (1 - update) * candidate",
    ),
    layer="GRU(3)",
    commands=(COMMAND,),
    observe=observe,
    notice=Text(
        "at t=3, {update} * {before} + (1 - {update}) * {candidate} = {hidden}. One gate does the work of "
        "the LSTM's forget and input.",
        "t=3에서 {update} * {before} + (1 - {update}) * {candidate} = {hidden}입니다. 게이트 하나가 LSTM의 "
        "forget과 input이 하는 일을 함께 합니다.",
    ),
    question=Text(
        "how many tensors does GRU(3, return_state=True) return?",
        "GRU(3, return_state=True)는 텐서를 몇 개 돌려줄까요?",
    ),
    answer=Text(
        "two, both (1, 3): the output and the last hidden state, which are the same numbers.",
        "두 개이고 모두 (1, 3)입니다. 출력과 마지막 은닉 상태이며, 둘은 같은 값입니다.",
    ),
)
