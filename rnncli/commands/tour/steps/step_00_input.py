"""The input: why a recurrent layer wants three axes."""

from rnncli.commands.tour import drawing
from rnncli.commands.tour.lesson import Observation, Step, Text
from rnncli.commands.tour.lesson_words import say
from rnncli.renderers.page import View
from rnncli.result import Label, NamedTensor

COMMAND = "rnncli samples sentence"


def observe(view: View) -> Observation:
    """Read the sentence; return one line per word."""
    from rnncli.cli.command_line import CommandLine

    inputs = CommandLine.parse("rnncli run --seed 7").case().inputs
    rows = drawing.format_rows(inputs[0], view._replace(precision=1))
    word = Text("word {}", "단어 {}").translate(view.lang)
    lines = [(word.format(time + 1), f"t={time}", text) for time, text in enumerate(rows)]
    table = drawing.draw_grid(("", "", f"{say('values', view.lang)} {inputs.shape}"), lines)
    tensor = NamedTensor(Label("input", kind=""), ("batch", "timesteps", "features"), inputs)
    return Observation((table,), ((tensor,),))


STEP = Step(
    title=Text("a sentence as numbers", "문장을 숫자로 나타내기"),
    asks=Text(
        "A recurrent layer reads a sequence one time step after another. Here the sequence is a sentence "
        "of four words: four time steps. Each word is a vector of five numbers: five features.",
        "순환층은 시퀀스를 한 시점씩 차례로 읽습니다. 여기서는 단어 네 개로 된 문장이 시퀀스이므로 시점은 "
        "네 개입니다. 단어 하나는 숫자 다섯 개로 된 벡터이고, 이 숫자를 특성(feature)이라고 합니다.",
    ),
    layer="",
    commands=(COMMAND,),
    observation=observe,
    notice=Text(
        "the sentence alone is (4, 5), but its shape is (1, 4, 5). Keras computes many sequences at once, "
        "so it wants three axes, (batch, timesteps, features). One sentence is a batch of one.",
        "문장만 보면 (4, 5)이지만 형태는 (1, 4, 5)입니다. Keras는 여러 시퀀스를 한꺼번에 계산하므로 축이 "
        "세 개, (배치 크기, 시점, 특성)이어야 합니다. 문장이 하나면 배치 크기는 1입니다.",
    ),
    question=Text(
        "you have 60 readings of one sensor. Which shape does the layer want?",
        "센서 하나에서 값을 60번 읽었습니다. 층에 어떤 형태로 넣어야 할까요?",
    ),
    answer=Text(
        "(1, 60, 1): one sequence, 60 time steps, one feature. (1, 1, 60) would be a single time step, and "
        "then there is nothing to remember.",
        "(1, 60, 1)입니다. 시퀀스 하나, 시점 60개, 특성 하나입니다. (1, 1, 60)은 시점이 하나뿐이어서 "
        "기억할 것이 없습니다.",
    ),
)
