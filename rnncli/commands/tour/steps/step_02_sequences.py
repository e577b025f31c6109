"""SimpleRNN with return_sequences."""

from collections.abc import Mapping

from rnncli.commands.tour.lesson import Step, Text, observe_runs, run_line
from rnncli.renderers.page import View
from rnncli.result import Result

ALONE = "rnncli run -l simple_rnn --seed 7"
COMMAND = "rnncli run -l simple_rnn --return-sequences --seed 7"
KNOWN = Text("<- the output of step 1", "<- 1단계의 출력")


def remarks(result: Result, view: View) -> Mapping[str, str]:
    """Mark the row that equals what the layer returns without return_sequences."""
    alone, rows = run_line(ALONE).outputs[0].values[0], result.outputs[0].values[0]
    equal = [place for place, row in enumerate(rows) if (row == alone).all()]
    return {f"hidden_states[{place}]": KNOWN.translate(view.lang) for place in equal}


STEP = Step(
    title=Text("return_sequences: every time step", "return_sequences: 모든 시점"),
    asks=Text(
        "The layer computed a hidden state at every time step, but returned only the last. "
        "return_sequences=True returns them all.",
        "층은 모든 시점에서 은닉 상태를 계산했지만 마지막 것만 반환했습니다. return_sequences=True로 "
        "하면 모두 반환합니다.",
    ),
    layer="SimpleRNN(3, return_sequences=True)",
    commands=(COMMAND,),
    observation=observe_runs(COMMAND, remarks=remarks),
    notice=Text(
        "still one tensor, but with a time axis: one row per time step.",
        "여전히 텐서 하나이지만 시점 축이 생겼습니다. 한 행이 한 시점입니다.",
    ),
    question=Text(
        "a second recurrent layer is stacked on this one. Does this one need return_sequences=True?",
        "이 층 위에 순환층을 하나 더 쌓으려고 합니다. 이 층에 return_sequences=True가 필요할까요?",
    ),
    answer=Text(
        "yes. The second layer wants a sequence too, (batch, timesteps, features); (1, 3) has no time "
        "axis. Only the last layer of a stack can do without it.",
        "필요합니다. 다음 층도 (배치 크기, 시점, 특성) 형태의 시퀀스를 받아야 하는데 (1, 3)에는 시점 축이 "
        "없습니다. 맨 위의 층만 없어도 됩니다.",
    ),
)
