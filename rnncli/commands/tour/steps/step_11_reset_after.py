"""GRU with reset_after and without it, side by side."""

import numpy as np

from rnncli.case import Array
from rnncli.commands.tour import drawing
from rnncli.commands.tour.lesson import Observation, Step, Text, run_line
from rnncli.renderers.page import View

COMMANDS = (
    "rnncli run -l gru --return-sequences --seed 7",
    "rnncli run -l gru --return-sequences --no-reset-after --seed 7",
)
SAME = Text("<- the same numbers", "<- 같은 값")


def observe(view: View) -> Observation:
    """Run both; return one line per time step, and the largest difference."""
    results = [run_line(line) for line in COMMANDS]
    after, before = (result.outputs[0].values[0] for result in results)
    texts = zip(drawing.format_rows(after, view), drawing.format_rows(before, view), strict=True)
    rows = [
        (f"t={time}", f"{text}  ", f"{other}{_mark(after[time], before[time], view)}")
        for time, (text, other) in enumerate(texts)
    ]
    facts = {
        "difference": f"{np.abs(after - before).max():.2f}",
        "two": str(results[0].weights["bias"].shape),
        "one": str(results[1].weights["bias"].shape),
    }
    table = drawing.draw_beside(("", "reset_after=True", "reset_after=False"), rows)
    return Observation((table,), tuple(result.outputs for result in results), facts)


def _mark(numbers: Array, others: Array, view: View) -> str:
    return f"    {SAME.translate(view.lang)}" if (numbers == others).all() else ""


STEP = Step(
    title=Text("two kinds of GRU: reset_after", "두 가지 GRU: reset_after"),
    asks=Text(
        "The two kinds apply the reset gate r in different places: to the product h U, or to h before the "
        "product. The former is Keras's default.\n"
        "  reset_after=True:   r * (h U)\n  reset_after=False:  (r * h) U",
        "리셋 게이트 r을 곱하는 자리가 다릅니다. 행렬곱 h U의 결과에 곱하거나, 행렬곱 전에 h에 곱합니다. "
        "Keras의 기본값은 앞의 것입니다.\n"
        "  reset_after=True:   r * (h U)\n  reset_after=False:  (r * h) U",
    ),
    layer="GRU(3, return_sequences=True, reset_after=False)",
    commands=COMMANDS,
    observation=observe,
    notice=Text(
        "at t=0 there is no state to reset yet, so both agree. After that they differ by up to "
        "{difference}, with the same weights.",
        "t=0에는 아직 리셋할 상태가 없어서 두 값이 같습니다. 그 뒤로는 가중치가 같은데도 최대 "
        "{difference}까지 차이가 납니다.",
    ),
    question=Text(
        "a GRU gives different numbers after you move it to another framework. How do you tell which kind "
        "it is?",
        "다른 프레임워크로 옮긴 GRU의 결과가 다릅니다. 어느 쪽 GRU인지 어떻게 알 수 있을까요?",
    ),
    answer=Text(
        "by the shape of its bias: {two} with reset_after=True, {one} with False. PyTorch's GRU is the "
        "first kind.",
        "편향의 형태를 봅니다. reset_after=True이면 {two}, False이면 {one}입니다. PyTorch의 GRU는 앞의 "
        "것입니다.",
    ),
)
