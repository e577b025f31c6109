"""A mask: rows that repeat the previous output."""

from collections.abc import Mapping

from rnncli.commands.tour import drawing
from rnncli.commands.tour.lesson import Observation, Step, Text, run_line
from rnncli.renderers.page import View
from rnncli.result import STATUSES, Result

COMMAND = """\
rnncli run -l lstm --return-sequences --return-state --seed 7 \\
  --mask '[[true, true, false, false]]'"""
MASKED = Text("masked", "마스크")


def remarks(result: Result, view: View) -> Mapping[str, str]:
    """Mark the rows of masked steps."""
    loop = result.trace[0]
    masked = loop.times[loop.status[0] == STATUSES.index("held")]
    return {f"hidden_states[{time}]": MASKED.translate(view.lang) for time in masked}


def observe(view: View) -> Observation:
    """Run the layer with the mask, and trace it."""
    result = run_line(COMMAND, traced=True)
    return Observation(drawing.draw_tensors(result, view, remarks(result, view)), (result.outputs,))


STEP = Step(
    title=Text("masks: steps that are skipped", "마스크: 건너뛰는 시점"),
    asks=Text(
        "The sentences of a batch differ in length, so the short ones are padded. A mask tells the layer "
        "which steps are real. Here t=2 and t=3 are padding.",
        "한 배치의 문장들은 길이가 다르므로 짧은 문장은 뒤를 채웁니다(패딩). 마스크는 어느 시점이 실제 "
        "단어인지 알려 줍니다. 여기서는 t=2와 t=3이 패딩입니다.",
    ),
    layer="LSTM(3, return_sequences=True, return_state=True)",
    commands=(COMMAND,),
    observation=observe,
    notice=Text(
        "a masked step is skipped: both states carry over, and the output repeats the previous row.",
        "마스크된 시점은 건너뜁니다. 두 상태는 그대로 유지되고, 출력은 앞 행을 되풀이합니다.",
    ),
    question=Text(
        "which word was the last to change last_hidden_state?",
        "last_hidden_state를 마지막으로 바꾼 단어는 몇 번째일까요?",
    ),
    answer=Text(
        "the second, t=1. With a mask, the last state is that of the last real step, whatever the padding "
        "contains.",
        "두 번째 단어, t=1입니다. 마스크가 있으면 패딩에 무엇이 들어 있든 마지막 상태는 마지막 실제 시점의 "
        "상태입니다.",
    ),
)
