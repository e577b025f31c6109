"""Initial states: from an encoder to a decoder."""

from rnncli.commands.tour import drawing
from rnncli.commands.tour.lesson import Observation, Step, Text, run_line
from rnncli.layers import claims
from rnncli.renderers.page import View
from rnncli.result import Claim, Label, NamedTensor

COMMANDS = (
    "rnncli run -l lstm --return-state --seed 7 -o encoder.json",
    "rnncli run -l lstm --return-sequences --seed 8 --initial-state encoder.json",
)


def observe(view: View) -> Observation:
    """Run the encoder, give its states to the decoder, and trace from where the decoder starts."""
    encoder = run_line(COMMANDS[0])
    states = encoder.outputs[1:]
    decoder = run_line(COMMANDS[1], tuple(state.values for state in states), traced=True)
    given = [state._replace(label=_label("encoder", state.label), equals=()) for state in states]
    start = decoder.trace[0].start
    starts = [
        NamedTensor(Label(f"decoder/start_{part}"), ("batch", "units"), values)
        for part, values in start.items()
    ]
    equal = claims.select_true(
        {one.label: (Claim(other.label),) for one, other in zip(starts, given, strict=True)},
        {one.label: one.values for one in (*given, *starts)},
    )
    starts = [one._replace(equals=equal[one.label]) for one in starts]
    rows = [one._replace(label=_label("decoder", one.label), equals=()) for one in decoder.outputs]
    parts = drawing.draw_table((*given, *starts, *rows), view)
    return Observation(parts, (encoder.outputs, decoder.outputs))


def _label(layer: str, label: Label) -> Label:
    return Label(f"{layer}/{label}", label.sequence)


STEP = Step(
    title=Text("from an encoder to a decoder", "인코더에서 디코더로"),
    asks=Text(
        "A translation model reads a sentence with one LSTM, the encoder, and writes with another, the "
        "decoder. What the encoder learned is passed on as the decoder's initial state.",
        "번역 모델은 인코더라는 LSTM으로 문장을 읽고 디코더라는 다른 LSTM으로 문장을 씁니다. 인코더가 이해한 "
        "내용은 디코더의 초기 상태로 넘어갑니다.",
    ),
    layer="LSTM(3, return_sequences=True)(x, initial_state=[h, c])",
    commands=COMMANDS,
    observation=observe,
    notice=Text(
        "the decoder starts from both states of the encoder instead of zeros. This is what return_state is "
        "for.",
        "디코더는 0이 아니라 인코더의 두 상태에서 시작합니다. return_state는 바로 이럴 때 씁니다.",
    ),
    question=Text(
        "can the decoder have 4 units if the encoder has 3?",
        "인코더의 유닛이 3개일 때 디코더의 유닛을 4개로 해도 될까요?",
    ),
    answer=Text(
        "no. A state has one number per unit, so (1, 3) does not fit; a Dense layer between them could "
        "change it.",
        "안 됩니다. 상태에는 유닛마다 숫자가 하나씩 있으므로 (1, 3)은 맞지 않습니다. 사이에 Dense 층을 "
        "두면 크기를 바꿀 수 있습니다.",
    ),
)
