"""PyTorch: inputs whose last axis is not input_size."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression, format_layer, known_size, pluralize
from rnncli.commands.why.diagnosis import NO_HINT, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "features-torch",
    r"input\.size\(-1\) must be equal to input_size\. Expected (?P<wanted>\d{1,9}), got (?P<found>\d{1,9})",
)
@CAUSES.add(
    "features-torch-cell",
    r"input has inconsistent input_size: got (?P<found>\d{1,9}),? expected (?P<wanted>\d{1,9})",
)
def _diagnose_torch_features(message: Message) -> Diagnosis:
    wanted, found = message.number("wanted"), message.number("found")
    layer = expression(message)
    own = message.layer.replace("Simple", "")
    return Diagnosis.of(
        f"The last axis of the input is {found}, and input_size is {wanted}.",
        f"입력의 마지막 축은 {found}인데 input_size는 {wanted}입니다.",
        Fix(
            f"make the layer for {pluralize(found, 'feature')}",
            f"층을 특성 {found}개로 만들기",
            f"nn.{own}({found}, hidden_size)",
            (layer,),
            ("batch", "timesteps", found),
            weights=True,
        ),
        Fix(
            f"give the input {pluralize(wanted, 'feature')}",
            f"입력을 특성 {wanted}개로 준비하기",
            f"assert x.size(-1) == {wanted}",
            (layer,),
            ("batch", "timesteps", wanted),
            weights=True,
        ),
        hint=Bilingual(
            f"If {wanted} is another axis of x, move it to the end: x.transpose(1, 2).",
            f"x의 다른 축의 크기가 {wanted}이면 그 축을 마지막으로 옮깁니다: x.transpose(1, 2).",
        ),
    )


@CAUSES.add(
    "features-torch-linear",
    r"(?:mat1 and mat2 shapes cannot be multiplied \(|size mismatch, m1: \[)"
    r"(?P<given>\d{1,9} ?x ?\d{1,9})(?: and |\], m2: \[)(?P<kernel>\d{1,9} ?x ?\d{1,9})[)\]]",
)
def _diagnose_torch_product(message: Message) -> Diagnosis | None:
    """A Linear behind a recurrent layer: `(8x3 and 4x1)`, (rows x features) and (features x outputs)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    found, wanted, outputs = known_size(given[1]), known_size(kernel[0]), known_size(kernel[1])
    if not found or not wanted or not outputs:
        return None
    both = found == 2 * wanted
    before = f"Bidirectional({format_layer('LSTM', wanted)})" if both else format_layer("LSTM", found)
    fixes = [
        Fix(
            f"Linear takes the {pluralize(found, 'feature')} it gets",
            f"Linear가 특성 {found}개를 받게",
            f"nn.Linear({found}, {outputs})",
            (before, f"Dense({outputs})"),
        ),
        Fix(
            f"the layer before has {pluralize(wanted, 'output')}",
            f"앞 층의 출력을 {wanted}개로",
            f"nn.LSTM(features, {wanted}, batch_first=True)",
            (format_layer("LSTM", wanted), f"Dense({outputs})"),
        ),
    ]
    return Diagnosis.of(
        f"The layer is made for {pluralize(wanted, 'feature')} and gets {found}.",
        f"층은 특성 {wanted}개용인데 {found}개를 받았습니다.",
        *tuple(fixes),
        hint=Bilingual(
            f"A bidirectional layer returns both directions: 2 x {wanted} = {pluralize(found, 'feature')}.",
            f"양방향 층은 두 방향을 이어 붙입니다: 2 x {wanted} = 특성 {found}개.",
        )
        if both
        else NO_HINT,
    )
