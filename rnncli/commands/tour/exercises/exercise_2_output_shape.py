"""What is the shape of the output?"""

from random import Random

from rnncli import specs
from rnncli.case import format_shape, sizes
from rnncli.commands.tour import grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import Text
from rnncli.renderers.page import View

TITLE = Text("the shape of the output", "출력의 형태")
TASK = Text(
    "An input of shape {input} goes into\n  {layer}\nWhat is the shape of the first tensor that comes back?",
    "형태가 {input}인 입력을 다음 층에 넣습니다.\n  {layer}\n반환되는 첫 번째 텐서의 형태는 무엇일까요?",
)
HINT = Text(
    "The output is (batch, units), or (batch, timesteps, units) with return_sequences=True; "
    "Bidirectional puts two halves side by side unless merge_mode says otherwise.",
    "출력은 (배치 크기, 유닛)이고, return_sequences=True이면 (배치 크기, 시점, 유닛)입니다. Bidirectional은 "
    "merge_mode를 따로 주지 않으면 두 절반을 나란히 붙입니다.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw an expression and an input shape."""
    shape = (random.randint(2, 9), random.randint(10, 30), random.randint(31, 64))
    inner = f"{random.choice(('SimpleRNN', 'LSTM', 'GRU'))}({random.randint(65, 99)}"
    inner += random.choice(("", ", return_sequences=True"))
    inner += random.choice(("", ", return_state=True")) + ")"
    merge = random.choice(("", ", merge_mode='sum'", ", merge_mode='concat'"))
    layer = random.choice((inner, f"Bidirectional({inner}{merge})"))
    output = specs.from_flags([layer], {}).outputs(shape)[0].shape
    facts = {"input": format_shape(shape), "layer": layer}
    return Exercise(TASK, (), grading.Sizes(sizes(output)), "(1, 3)", HINT, facts)
