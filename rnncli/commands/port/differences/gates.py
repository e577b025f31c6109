"""Gates that are packed in a different order, and an update gate that keeps what Keras's replaces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from rnncli.commands.port.hypothesis import Difference, ForeignRun
from rnncli.layouts import GATES
from rnncli.renderers.wording import Bilingual

LETTERS = {
    "LSTM": {"input": "i", "forget": "f", "candidate": "c", "output": "o"},
    "GRU": {"update": "z", "reset": "r", "candidate": "h"},
    "SimpleRNN": {"candidate": "h"},
}


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield every other order of the gates; for a GRU, also h' = (1 - z) h + z h~."""
    keras, letters = GATES[run.class_name], LETTERS[run.class_name]
    ours = ", ".join(letters[gate] for gate in keras)
    for order in permutations(keras):
        if order != keras:
            theirs = ", ".join(letters[gate] for gate in order)
            text = Bilingual(
                f"gates are packed {theirs}; Keras packs {ours}", f"게이트 순서가 {theirs}; Keras는 {ours}"
            )
            yield Difference(f"gates={','.join(order)}", text, {"gates": order})
    if run.class_name == "GRU":
        text = Bilingual(
            "the update gate is inverted (1 - z): it multiplies the candidate; Keras's multiplies the "
            "previous state",
            "업데이트 게이트가 반대 (1 - z): 후보에 곱함; Keras에서는 이전 상태에 곱함",
        )
        yield Difference("update_gate=complement", text, {"update_negated": True})
