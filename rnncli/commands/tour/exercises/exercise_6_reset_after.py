"""Which of two runs had reset_after=False?"""

from random import Random

from rnncli.case import format_shape
from rnncli.commands.tour import drawing, grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import Text, run_line
from rnncli.commands.tour.lesson_words import say
from rnncli.renderers.page import View

TITLE = Text("which run had reset_after=False?", "reset_after=False인 실행")
TASK = Text(
    "Two runs of a GRU with {units} units, A and B, with the same input and the same kernels.\n"
    "Which one had reset_after=False?",
    "유닛이 {units}개인 GRU를 같은 입력과 같은 커널로 두 번, A와 B로 실행했습니다.\n"
    "reset_after=False인 것은 어느 쪽일까요?",
)
HINT = Text(
    "Look at the bias: reset_after=True needs a second one, for the product h U. See rnncli tour --step 11.",
    "편향을 보세요. reset_after=True이면 행렬곱 h U에 더할 편향이 하나 더 필요합니다. rnncli tour --step "
    "11을 보세요.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw the size and which run comes first."""
    units, seed, first = random.randint(2, 5), random.randrange(1000), random.choice((True, False))
    flags = ("--reset-after", "--no-reset-after") if first else ("--no-reset-after", "--reset-after")
    line = f"rnncli run -l gru --units {units} --input-shape 1,5,2 --seed {seed}"
    results = [run_line(f"{line} {flag}") for flag in flags]
    texts = drawing.format_rows([result.outputs[0].values[0] for result in results], view)
    rows = [
        (letter, format_shape(result.weights["bias"].shape), text)
        for letter, result, text in zip("AB", results, texts, strict=True)
    ]
    table = drawing.draw_grid(("", f"bias {say('shape', view.lang)}", "hidden_state"), rows, right=False)
    return Exercise(TASK, (table,), grading.Letters("B" if first else "A"), "X", HINT, {"units": str(units)})
