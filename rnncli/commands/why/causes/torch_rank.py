"""PyTorch: inputs with too few or too many axes."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression, one_step, time_steps
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "rank-torch",
    r"(?:Expected input to be 2D or 3D, got |input must have 3 dimensions, got |"
    r"Expected input to be 2-D or 3-D but received )(?P<found>\d)",
)
def _diagnose_torch_rank(message: Message) -> Diagnosis:
    found, layer = message.number("found"), (expression(message),)
    fixes = {
        1: (
            Fix(*time_steps(None), "x[None, :, None]", layer, (1, "timesteps", 1)),
            Fix(*one_step(None), "x[None, None, :]", layer, (1, 1, "features")),
        ),
        2: (
            Fix("one sequence", "시퀀스 하나", "x.unsqueeze(0)", layer, (1, *SEQUENCE[1:])),
            Fix(
                "a batch of series with one feature",
                "특성이 하나인 시계열의 배치",
                "x.unsqueeze(-1)",
                layer,
                ("batch", "timesteps", 1),
            ),
        ),
    }
    many = Fix("time steps of several feature axes", "한 시점의 특성이 여러 축일 때", "x.flatten(2)", layer)
    return Diagnosis.of(
        "PyTorch's layer needs (batch, timesteps, features) with batch_first=True; it got "
        f"{found} {'axis' if found == 1 else 'axes'}.",
        f"PyTorch의 층은 batch_first=True일 때 (batch, timesteps, features)를 받는데, 축이 {found}개입니다.",
        *fixes.get(found, (many,)),
        hint=Bilingual(
            "Without batch_first=True the order is (timesteps, batch, features).",
            "batch_first=True가 없으면 순서는 (timesteps, batch, features)입니다.",
        ),
    )
