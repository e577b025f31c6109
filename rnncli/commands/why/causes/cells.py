"""RNN around something that is not a cell."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import UNITS, format_layer
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

OWN = "class Cell(keras.Layer):  # with state_size, and call(self, x, states)"

CAUSES = Causes()


@CAUSES.add(
    "cell-call",
    r"(?:Argument `cell` should have|All cells must have) a `call` method\. "
    r"(?:Received(?: cell without a `call` method)?|The RNN was passed): (?:cell=)?(?P<given><?[\w.]{1,80})",
)
def _diagnose_no_call(message: Message) -> Diagnosis:
    given = message.name("given")
    it, ko = ("what it got", "받은 값") if given.startswith("<") else (given, given)
    units = int(given) if given.isdigit() and 0 < int(given) < 10_000 else UNITS
    return _diagnose_not_a_cell(
        Bilingual(
            f"RNN loops over a cell; {it} has no call(x, states).",
            f"RNN은 셀을 반복하는 층인데 {ko}에는 call(x, states)이 없습니다.",
        ),
        units,
    )


@CAUSES.add("cell-state-size", r"(?:The RNN cell should have a|All cells must have a) `state_size` attribute")
def _diagnose_no_size(_: Message) -> Diagnosis:
    return _diagnose_not_a_cell(
        Bilingual(
            "The cell does not say how large its states are: it needs state_size, one number per state.",
            "셀에 상태의 크기가 없습니다. 상태마다 숫자 하나씩인 state_size가 필요합니다.",
        ),
        UNITS,
    )


def _diagnose_not_a_cell(explanation: Bilingual, units: int) -> Diagnosis:
    cell, plain = f"RNN({format_layer('SimpleRNNCell', units)})", format_layer("SimpleRNN", units)
    fixes = (
        Fix.of_layer("the plain recurrent layer", "기본 순환층", plain),
        Fix("a cell of Keras", "Keras의 셀", f"layers.{cell}", (cell,)),
        Fix("a cell of your own", "직접 만든 셀", OWN),
    )
    hint = Bilingual(
        "call returns the output and the list of new states.", "call은 출력과 새 상태의 리스트를 반환합니다."
    )
    return Diagnosis(explanation, fixes, hint)
