"""The order of the rows: a go_backwards layer on its own, and the backward half of Bidirectional."""

from rnncli.case import Array
from rnncli.commands.tour import drawing
from rnncli.commands.tour.lesson import ROW, Observation, Step, Text, run_line
from rnncli.commands.tour.lesson_words import say
from rnncli.renderers.page import View, line

KERNELS = "--kernel-initializer 'GlorotUniform(seed=1)' --recurrent-initializer identity"
COMMANDS = (
    f"rnncli run -l gru --go-backwards --return-sequences --seed 7 \\\n  {KERNELS}",
    f"rnncli run -l bigru --return-sequences --return-state --seed 7 \\\n  {KERNELS}",
)
STATE = Text("<- the backward state", "<- 역방향 상태")


def observe(view: View) -> Observation:
    """Run both; return one line per row, and mark the row that equals the backward state."""
    alone, both = (run_line(line) for line in COMMANDS)
    lone, output, state = alone.outputs[0], both.outputs[0], both.outputs[-1].values[0]
    half = output.values[0, :, both.forward_units :]
    texts = drawing.format_rows([*lone.values[0], *half], view)
    rows = [
        (
            ROW.translate(view.lang).format(row),
            f"t={time}  {texts[row]}{_mark(lone.values[0, row], state)}",
            f"t={row}  {texts[len(half) + row]}{_mark(half[row], state)}",
        )
        for row, time in enumerate(lone.time)
    ]
    headings = ("", "GRU(go_backwards=True)", f"Bidirectional, {say('backward half', view.lang)}")
    legend = line(STATE.translate(view.lang), "dim")
    return Observation((drawing.draw_beside(headings, rows), legend), (alone.outputs, both.outputs))


def _mark(numbers: Array, state: Array) -> str:
    return "  <-" if (numbers == state).all() else "    "


STEP = Step(
    title=Text("the order of the rows", "행의 순서"),
    asks=Text(
        "A layer with go_backwards=True also starts at the end. An initializer with its own seed gives "
        "both layers below the same weights, so only the order of the rows differs.",
        "go_backwards=True인 층도 끝에서부터 읽습니다. 초기화 방법에 시드를 따로 주면 아래 두 층의 "
        "가중치가 같아지므로 행의 순서만 다릅니다.",
    ),
    layer="GRU(3, return_sequences=True, go_backwards=True)",
    commands=COMMANDS,
    observation=observe,
    notice=Text(
        "the layer on its own returns its rows in processing order, t=3 first. Bidirectional flips them, so "
        "row t belongs to word t in both halves. The state is the same.",
        "단독으로 쓴 층은 읽은 순서대로, t=3부터 행을 반환합니다. Bidirectional은 행을 뒤집어서 양쪽 절반 "
        "모두 t행이 t번 단어에 해당하게 합니다. 상태는 서로 같습니다.",
    ),
    question=Text(
        "you add GRU(3, return_sequences=True) to the go_backwards layer, row by row. What goes wrong?",
        "GRU(3, return_sequences=True)와 위의 단독으로 쓴 층을 행별로 더하면 무엇이 잘못될까요?",
    ),
    answer=Text(
        "row 0 adds the first word to the last one. Flip one output first, or use Bidirectional with "
        "merge_mode='sum'.",
        "0행에서 첫 단어와 마지막 단어의 값이 더해집니다. 먼저 한쪽을 뒤집거나 merge_mode='sum'인 "
        "Bidirectional을 쓰세요.",
    ),
)
