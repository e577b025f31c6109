"""Keras: loops that are unrolled over an unknown number of time steps."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message

CAUSES = Causes()


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
