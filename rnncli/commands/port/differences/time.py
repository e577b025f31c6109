"""Sequences that run backwards in time, on their way in or out."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.port.hypothesis import Difference, ForeignRun
from rnncli.renderers.wording import Bilingual

INPUTS = Bilingual(
    "the input is read from the last time step to the first", "입력을 마지막 시점부터 첫 시점으로 읽음"
)
OUTPUTS = Bilingual(
    "the returned sequence is in the reverse order of time", "반환된 시퀀스의 시간 순서가 반대"
)


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield a reversed input and, if a sequence is expected, a reversed output."""
    if max(run.inputs.shape[:2]) > 1:
        yield Difference("input_time=reversed", INPUTS, {"flip_inputs": True})
        if run.expects_sequences:
            yield Difference("output_time=reversed", OUTPUTS, {"flip_outputs": True})
