"""TimeDistributed without a time axis."""

from __future__ import annotations

from rnncli.case import format_shape
from rnncli.commands.why.causes._layers import last_and_every, units_of
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "time-distributed-rank",
    r"`TimeDistributed` Layer should be passed an `input_shape` with at least 3 dimensions, received: "
    r"\((?P<shape>[\dNone, ]{0,100})\)",
)
def _diagnose_time_distributed(message: Message) -> Diagnosis | None:
    shape = message.shape("shape")
    if len(shape) > 2:
        return None
    last, every = last_and_every(message, units_of(shape))
    return Diagnosis.of(
        f"TimeDistributed needs a time axis, (batch, timesteps, ...); it got {format_shape(shape)}.",
        f"TimeDistributed에는 시간 축 (batch, timesteps, ...)이 필요한데 {format_shape(shape)}를 받았습니다.",
        Fix("one output per time step", "시점마다 출력이 필요할 때", every, (every, "Dense(1)")),
        Fix("one output per sequence", "시퀀스마다 출력이 하나일 때", "Dense(1)", (last, "Dense(1)")),
        hint=Bilingual(
            "Dense works on the last axis: after a sequence it needs no TimeDistributed.",
            "Dense는 마지막 축에 작용하므로 시퀀스 뒤에서도 TimeDistributed가 필요 없습니다.",
        ),
    )


@CAUSES.add("time-distributed-recurrent", r"Index out of range using input dim \d; input has only")
def _diagnose_layer_per_step(message: Message) -> Diagnosis | None:
    shapes = message.argument("inputs")
    if message.call != "TimeDistributed" or not shapes or len(shapes[0]) != 3:
        return None
    layer, every = last_and_every(message)
    return Diagnosis.of(
        f"TimeDistributed calls its layer once per time step, on {format_shape(shapes[0][::2])}; a "
        "recurrent layer needs a time axis of its own.",
        f"TimeDistributed는 시점마다 안쪽 층을 {format_shape(shapes[0][::2])}에 적용하므로, 순환층에는 "
        "시간 축이 남지 않습니다.",
        Fix(
            "the layer reads these time steps", "층이 이 시점들을 읽을 때", f"{layer}(x)", (layer,), shapes[0]
        ),
        Fix("one output per time step", "시점마다 출력이 필요할 때", f"{every}(x)", (every,), shapes[0]),
    )
