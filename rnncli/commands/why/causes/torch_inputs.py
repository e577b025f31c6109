"""PyTorch: inputs that are not a tensor, are on another device, or are sequences for a cell."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import LSTM, format_layer
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message

CAUSES = Causes()


@CAUSES.add("cell-torch", r"(?P<cell>\w{1,20}Cell): Expected input to be 1D or 2D, got (?P<found>\d)D")
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
            LSTM,
        ),
    )


@CAUSES.add(
    "device-torch",
    r"Input and (?:parameter|hidden) tensors are not at the same device|Expected all tensors "
    r"to be on the same device|Expected object of backend (?:CPU|CUDA) but got backend",
)
def _diagnose_devices(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "The input, the states and the weights are not on the same device.",
        "입력과 상태와 가중치가 서로 다른 장치에 있습니다.",
        Fix(
            "move the input to the weights",
            "입력을 가중치가 있는 곳으로",
            "x = x.to(next(model.parameters()).device)",
            LSTM,
        ),
        Fix(
            "make the states where x is",
            "상태를 x가 있는 곳에 만들기",
            "h0 = torch.zeros(layers, batch, units, device=x.device)",
            LSTM,
            states=True,
        ),
    )
