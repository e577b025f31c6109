"""The time axis before the batch axis, in the input, in the output or in both."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.port.hypothesis import Difference, ForeignRun
from rnncli.renderers.wording import Bilingual

BOTH = Bilingual(
    "batch and time are swapped in the input and in the output", "입력과 출력의 배치 축과 시간 축이 바뀜"
)
INPUTS = Bilingual(
    "batch and time are swapped in the input: its axes are time, batch, features",
    "입력의 배치 축과 시간 축이 바뀜: 시간, 배치, 특성 순서",
)
OUTPUTS = Bilingual(
    "batch and time are swapped in the output: its axes are time, batch, units",
    "출력의 배치 축과 시간 축이 바뀜: 시간, 배치, 유닛 순서",
)


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield the swaps; the search drops those whose shapes do not fit."""
    if max(run.inputs.shape[:2]) == 1:
        return
    yield Difference("input_axes=time,batch,features", INPUTS, {"swap_inputs": True})
    if run.expects_sequences:
        yield Difference("output_axes=time,batch,units", OUTPUTS, {"swap_outputs": True})
        yield Difference("axes=time,batch", BOTH, {"swap_inputs": True, "swap_outputs": True})
