"""Which tensors of an encoder are the decoder's initial state?"""

from random import Random

from rnncli.case import format_shape
from rnncli.commands.tour import drawing, grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import Text, run_line
from rnncli.commands.tour.lesson_words import say
from rnncli.renderers.page import View

TITLE = Text("the decoder's initial state", "디코더의 초기 상태")
LETTERS = "ABC"
TASK = Text(
    "An encoder LSTM({units}, return_sequences=True, return_state=True) returned these three tensors, "
    "shown here in random order. Its decoder is called with two of them:\n  "
    "decoder(x, initial_state=[?, ?])\n"
    "Which two letters belong there, in Keras's order?",
    "인코더 LSTM({units}, return_sequences=True, return_state=True)에서 텐서 세 개가 나왔습니다. 순서는 섞여 "
    "있습니다. 디코더는 그 가운데 두 개로 호출합니다.\n"
    "  decoder(x, initial_state=[?, ?])\n"
    "물음표 자리에 들어갈 글자 두 개를 Keras의 순서대로 쓰세요.",
)
HINT = Text(
    "First the hidden state, which is the last row of the sequence, then the cell state. See rnncli tour "
    "--step 15.",
    "시퀀스의 마지막 행과 같은 은닉 상태가 먼저, 셀 상태가 다음입니다. rnncli tour --step 15를 보세요.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw the size, and the order in which the tensors are shown."""
    units, steps, seed = random.randint(2, 4), random.randint(3, 5), random.randrange(1000)
    line = f"rnncli run -l lstm --units {units} --return-sequences --return-state --seed {seed}"
    outputs = run_line(f"{line} --input-shape 1,{steps},2").outputs
    order = random.sample(range(3), 3)
    numbers = [row for place in order for row in outputs[place].values.reshape(-1, units)]
    texts = iter(drawing.format_rows(numbers, view))
    rows: list[tuple[str, str, str]] = []
    for letter, place in zip(LETTERS, order, strict=True):
        values = outputs[place].values
        names = [(letter, format_shape(values.shape)), *[("", "")] * (values.size // units - 1)]
        rows += [(*name, next(texts)) for name in names]
    table = drawing.draw_grid(("", say("shape", view.lang), say("values", view.lang)), rows, right=False)
    key = LETTERS[order.index(1)] + LETTERS[order.index(2)]
    return Exercise(TASK, (table,), grading.Letters(key), "X, Y", HINT, {"units": str(units)})
