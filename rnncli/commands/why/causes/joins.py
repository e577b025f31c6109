"""Sequences and vectors that are joined."""

from __future__ import annotations

from rnncli.case import format_shape
from rnncli.commands.why.causes._layers import SIZES, last_and_every, units_of
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message

CAUSES = Causes()


@CAUSES.add(
    "join-rank",
    r"`Concatenate` layer requires inputs with matching shapes except for the concatenation axis\. "
    rf"Received: input_shape=\[\((?P<one>{SIZES})\), \((?P<other>{SIZES})\)\]",
)
def _diagnose_concatenate(message: Message) -> Diagnosis | None:
    shapes = [message.shape("one"), message.shape("other")]
    if {len(shape) for shape in shapes} != {2, 3}:
        return None
    last, every = last_and_every(message, units_of(shapes[0]))
    return Diagnosis.of(
        f"{format_shape(shapes[0])} and {format_shape(shapes[1])} cannot be joined: one is a sequence, the "
        "other is not.",
        f"{format_shape(shapes[0])}, {format_shape(shapes[1])} 두 텐서를 이어 붙일 수 없습니다. 하나만 "
        "시퀀스입니다.",
        Fix.of_layer("both from the last time step", "둘 다 마지막 시점", last),
        Fix.of_layer("both at every time step", "둘 다 모든 시점", every),
    )
