"""PyTorch: inputs of a shape that the layer does not take, on another device, or that are not tensors."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import (
    expression,
    format_layer,
    known_size,
    one_step,
    pluralize,
    time_steps,
    with_width,
)
from rnncli.commands.why.diagnosis import NO_HINT, SEQUENCE, Causes, Diagnosis, Fix
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
    wanted, features = message.number("wanted"), message.number("found")
    layer = expression(message)
    torch_name = message.layer.replace("Simple", "")
    return Diagnosis.of(
        f"The last axis of the input is {features}, and input_size is {wanted}.",
        f"입력의 마지막 축은 {features}인데 input_size는 {wanted}입니다.",
        Fix(
            f"make the layer for {pluralize(features, 'feature')}",
            f"층을 특성 {features}개로 만들기",
            f"nn.{torch_name}({features}, hidden_size)",
            (layer,),
            ("batch", "timesteps", features),
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
    """A Linear after a recurrent layer: `(8x3 and 4x1)`, (rows x features) and (features x outputs)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    features, wanted, outputs = known_size(given[1]), known_size(kernel[0]), known_size(kernel[1])
    if not features or not wanted or not outputs:
        return None
    both = features == 2 * wanted
    first = f"Bidirectional({format_layer(message.layer, wanted)})" if both else with_width(message, features)
    return Diagnosis.of(
        f"The layer is made for {pluralize(wanted, 'feature')} and gets {features}.",
        f"층은 특성 {wanted}개용인데 {features}개를 받았습니다.",
        Fix(
            f"Linear takes the {pluralize(features, 'feature')} it gets",
            f"Linear가 특성 {features}개를 받게",
            f"nn.Linear({features}, {outputs})",
            (first, f"Dense({outputs})"),
        ),
        Fix(
            f"the previous layer has {pluralize(wanted, 'output')}",
            f"앞 층의 출력을 {wanted}개로",
            f"nn.LSTM(features, {wanted}, batch_first=True)",
            (with_width(message, wanted), f"Dense({outputs})"),
        ),
        hint=Bilingual(
            f"A bidirectional layer returns both directions: 2 x {wanted} = "
            f"{pluralize(features, 'feature')}.",
            f"양방향 층은 두 방향을 이어 붙입니다: 2 x {wanted} = 특성 {features}개.",
        )
        if both
        else NO_HINT,
    )


@CAUSES.add(
    "cell-torch",
    r"(?P<cell>\w{1,20}Cell): Expected input to be 1-?D or 2-?D,? (?:but )?(?:got|received) (?P<found>\d)",
)
def _diagnose_cell_rank(message: Message) -> Diagnosis:
    cell = message.name("cell")
    kind = {"RNNCell": "SimpleRNN"}.get(cell, cell.removesuffix("Cell"))
    return Diagnosis.of(
        f"{cell} does one time step, (batch, features); it got {message.number('found')} axes.",
        f"{cell}은 한 시점 (batch, features)을 계산하는데 축이 {message.number('found')}개입니다.",
        Fix(
            "every time step: the layer",
            "모든 시점: 층을 쓰기",
            f"nn.{cell.removesuffix('Cell')}(input_size, hidden_size, batch_first=True)",
            (format_layer(kind),),
        ),
        Fix(
            "a loop of your own",
            "직접 반복하기",
            "for t in range(x.size(1)): hx = cell(x[:, t], hx)",
            (format_layer(kind),),
        ),
    )


@CAUSES.add(
    "no-tensor-torch", r"'(?P<given>numpy\.ndarray|list|DataFrame|Series)' object has no attribute 'dim'"
)
def _diagnose_no_tensor(message: Message) -> Diagnosis:
    return Diagnosis.of(
        f"PyTorch's layer takes a tensor; it got a {message.name('given')}.",
        f"PyTorch의 층에는 텐서가 필요한데 {message.name('given')} 값을 받았습니다.",
        Fix(
            "make a tensor of float32",
            "float32 텐서로 만들기",
            "x = torch.as_tensor(x, dtype=torch.float32)",
            (expression(message),),
        ),
    )


@CAUSES.add(
    "device-torch",
    r"[Ii]nput and (?P<other>parameter|hidden) tensors are not at the same device|Expected all tensors "
    r"to be on the same device|Expected object of backend (?:CPU|CUDA) but got backend",
)
def _diagnose_devices(message: Message) -> Diagnosis:
    layer, states = (expression(message),), message.name("other") == "hidden"
    fixes = (
        Fix(
            "move the input to the weights' device",
            "입력을 가중치가 있는 곳으로",
            "x = x.to(next(model.parameters()).device)",
            layer,
        ),
        Fix(
            "create the states on x's device",
            "상태를 x가 있는 곳에 만들기",
            "h0 = torch.zeros(layers, batch, units, device=x.device)",
            layer,
            states=True,
        ),
    )
    return Diagnosis.of(
        "The initial states are not on the input's device."
        if states
        else "The input, the states and the weights are not on the same device.",
        "초기 상태와 입력이 서로 다른 장치에 있습니다."
        if states
        else "입력과 상태와 가중치가 서로 다른 장치에 있습니다.",
        *(reversed(fixes) if states else fixes),
        hint=Bilingual(
            "model.to(device) moves the weights, not tensors that forward creates.",
            "model.to(device)는 가중치만 옮기고 forward에서 만드는 텐서는 옮기지 않습니다.",
        ),
    )


@CAUSES.add(
    "rank-torch",
    r"(?:Expected input to be 2-?D or 3-?D,? (?:but )?(?:got|received)|input must have 3 dimensions, got) "
    r"(?P<found>\d)",
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
