"""Different activations of the gates and of the candidate; hard_sigmoid has an old and a new definition."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.port.hypothesis import Difference, ForeignRun
from rnncli.renderers.wording import Bilingual

GATES = {
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid of Keras 3, relu6(x + 3) / 6",
    "hard_sigmoid_keras2": "hard_sigmoid of Keras 1 and 2, clip(0.2 x + 0.5, 0, 1)",
}
CANDIDATE = ("tanh", "relu", "linear")


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield each activation that the layer does not have already."""
    if run.class_name != "SimpleRNN":
        for name, title in GATES.items():
            if name != run.options["recurrent_activation"]:
                text = Bilingual(f"the gates' activation is {title}", f"게이트의 활성화 함수: {title}")
                yield Difference(f"recurrent_activation={name}", text, {"recurrent_activation": name})
    for name in CANDIDATE:
        if name != run.options["activation"]:
            text = Bilingual(f"the activation is {name}", f"활성화 함수: {name}")
            yield Difference(f"activation={name}", text, {"activation": name})
