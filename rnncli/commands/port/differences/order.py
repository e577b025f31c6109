"""States in the order c, h, and the outputs of two directions in another arrangement."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.port.hypothesis import Difference, ForeignRun
from rnncli.renderers.wording import Bilingual

STATES = Bilingual(
    "the states are in the order c, h; Keras returns h, c", "상태의 순서가 c, h; Keras는 h, c를 반환"
)
INITIAL = Bilingual(
    "the initial states are in the order c, h; Keras takes h, c",
    "초기 상태의 순서가 c, h; Keras는 h, c를 받음",
)
BACKWARD = Bilingual(
    "the outputs are concatenated the other way: the backward direction first",
    "출력을 반대 순서로 이어 붙임: 역방향이 먼저",
)
LAST_ROW = Bilingual(
    "the output is the last row of the sequence, where the backward direction has seen one step",
    "출력이 시퀀스의 마지막 행: 역방향은 한 시점만 본 값",
)


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield the differences that the class, the directions and the expected tensors allow."""
    if run.class_name == "LSTM":
        if any(key.partition(" ")[0] in ("hidden", "cell", "output") for key in run.expected):
            yield Difference("states=c,h", STATES, {"states_exchanged": True})
        if run.initial_state:
            yield Difference("initial_states=c,h", INITIAL, {"initial_exchanged": True})
    if len(run.cells) == 2:
        if run.merge_mode in ("concat", None) and {"sequence", "output"} & set(run.expected):
            yield Difference("merge=backward,forward", BACKWARD, {"backward_first": True})
        if "output" in run.expected:
            yield Difference("output=last_row", LAST_ROW, {"last_row": True})
