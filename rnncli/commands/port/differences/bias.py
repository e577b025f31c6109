"""Biases that are summed, split, doubled or left out, and a forget bias that is added at run time."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.port.hypothesis import Difference, ForeignRun
from rnncli.renderers.wording import Bilingual

TEXTS = {
    "first": Bilingual("only the first of the two biases is used", "두 편향 가운데 첫째만 쓰임"),
    "second": Bilingual("only the second of the two biases is used", "두 편향 가운데 둘째만 쓰임"),
    "doubled": Bilingual(
        "the one bias is added twice, for the input and for the state",
        "편향 하나가 입력과 상태에 한 번씩, 두 번 더해짐",
    ),
    "recurrent": Bilingual(
        "the one bias is that of the state; Keras's first row is zero",
        "편향 하나가 상태의 편향; Keras의 첫 행은 0",
    ),
    "none": Bilingual("the bias is not used", "편향이 쓰이지 않음"),
}
FORGET = Bilingual(
    "1 is added to the forget gate's bias at run time; Keras has it in the bias",
    "망각 게이트의 편향에 실행할 때 1이 더해짐; Keras는 편향에 들어 있음",
)


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield the differences that the number of biases in the file allows."""
    if not run.options.get("use_bias", True):
        return
    count = len(run.cells[0].biases)
    forms = {1: ["doubled", "none"], 2: ["first", "second", "none"]}.get(count, [])
    if run.class_name == "GRU" and count == 1:
        forms.append("recurrent")
    for form in forms:
        yield Difference(f"bias={form}", TEXTS[form], {"biases": form})
    if run.class_name == "LSTM":
        yield Difference("forget_bias=1", FORGET, {"forget_bias": 1.0})
