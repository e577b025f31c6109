"""A GRU that applies the reset gate on the other side of the matrix product."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.port.hypothesis import Difference, ForeignRun, Hypothesis, is_reset_after
from rnncli.renderers.wording import Bilingual

TEXTS = {
    True: Bilingual(
        "the reset gate applies after the matrix product: reset_after=True",
        "리셋 게이트가 행렬곱 다음에 적용됨: reset_after=True",
    ),
    False: Bilingual(
        "the reset gate applies before the matrix product: reset_after=False",
        "리셋 게이트가 행렬곱 앞에 적용됨: reset_after=False",
    ),
}


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield the other value of reset_after."""
    if run.class_name == "GRU":
        other = not is_reset_after(run, Hypothesis())
        yield Difference(f"reset_after={other}", TEXTS[other], {"reset_after": other})
