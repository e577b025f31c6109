"""Layers that cannot be built because a size is None: the features, or the time steps of an unrolled loop."""

from __future__ import annotations

from rnncli.case import Shape
from rnncli.commands.why.causes._layers import (
    SIZES,
    UNITS,
    count_gates,
    expression,
    known_size,
    last_and_every,
    units_of,
)
from rnncli.commands.why.diagnosis import NO_HINT, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "features-unknown",
    rf"Shapes used to initialize variables must be fully-defined .{{0,60}}Received: "
    rf"shape=\((?P<shape>{SIZES})\)"
    r" for variable path='(?P<path>[\w/]{1,300})'",
)
def _diagnose_unknown(message: Message) -> Diagnosis | None:
    shape, path = message.shape("shape"), message.name("path")
    if "kernel" not in path or len(shape) != 2 or shape[0] is not None:
        return None
    if "_cell/" not in path:
        return _diagnose_flattened(message, shape)
    units = known_size(shape[1]) // count_gates(message.layer) or UNITS
    layer = expression(message, units)
    return Diagnosis.of(
        "The number of features is unknown (None), so the kernel has no shape. Only batch and timesteps "
        "may be None.",
        "특성의 개수를 모르기 때문에(None) 커널의 형태를 정할 수 없습니다. None은 batch와 timesteps에만 "
        "쓸 수 있습니다.",
        Fix(
            "say how many features there are",
            "특성의 개수를 적기",
            "keras.Input((None, features))",
            (layer,),
            weights=True,
        ),
        hint=Bilingual(
            "TimeDistributed gives each time step to its layer, which then needs (batch, steps, features).",
            "TimeDistributed는 시점마다 안쪽 층에 넘기므로 안쪽 순환층에는 (batch, steps, "
            "features)가 필요합니다.",
        )
        if "time_distributed" in path
        else NO_HINT,
    )


def _diagnose_flattened(message: Message, shape: Shape) -> Diagnosis:
    dense = f"Dense({units_of(shape)})"
    last, every = last_and_every(message)
    return Diagnosis.of(
        "The number of features is unknown (None): flattening a sequence of any length gives no fixed size.",
        "특성의 개수를 모릅니다(None). 길이가 정해지지 않은 시퀀스를 펼치면 크기가 정해지지 않습니다.",
        Fix(
            "one output per sequence, from the last step",
            "마지막 시점에서 출력 하나",
            f"{last}, {dense}",
            (last, dense),
        ),
        Fix("one output per time step", "시점마다 출력 하나", f"{every}, {dense}", (every, dense)),
    )


@CAUSES.add(
    "unroll",
    r"Unrolling requires a fixed number of time-?steps|Cannot unroll a RNN if the time dimension is "
    r"undefined",
)
def _diagnose_unroll(message: Message) -> Diagnosis:
    rolled = expression(message)
    return Diagnosis.of(
        "unroll=True makes a copy of the cell for each time step, so the number of steps must be known.",
        "unroll=True는 시점마다 셀을 복사하므로 시점의 수를 알아야 합니다.",
        Fix.of_layer("sequences of any length", "길이가 정해지지 않았을 때", rolled),
        Fix(
            "20 time steps, always",
            "언제나 시점 20개일 때",
            "keras.Input((20, features))",
            (expression(message, unroll=True),),
            ("batch", 20, "features"),
        ),
    )
