"""PyTorch: packed sequences, cells, losses, devices and the graph of gradients."""

from __future__ import annotations

from rnncli.case import Shape
from rnncli.commands.why.causes._layers import SEQUENCE, UNITS, sized, written
from rnncli.commands.why.diagnosis import Cause, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

LSTM = (written("LSTM"),)
PACK = "pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)"


def _on_cpu(message: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            f"The lengths of a packed sequence must be int64 on the CPU; they are {message.name('given')}.",
            f"길이는 CPU의 int64 텐서여야 하는데 {message.name('given')} 텐서입니다.",
        ),
        (
            Fix(
                Bilingual("move the lengths only", "길이만 옮기기"),
                "pack_padded_sequence(x, lengths.cpu(), batch_first=True)",
                LSTM,
                SEQUENCE,
                mask=True,
            ),
        ),
        _PACKED,
    )


def _in_order(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "The sequences are not in the order of their lengths, longest first.",
            "시퀀스가 긴 것부터 차례로 놓여 있지 않습니다.",
        ),
        (
            Fix(
                Bilingual("let PyTorch sort them", "PyTorch가 정렬하게 하기"), PACK, LSTM, SEQUENCE, mask=True
            ),
            Fix(
                Bilingual("sort them yourself", "직접 정렬하기"),
                "order = lengths.argsort(descending=True); x, lengths = x[order], lengths[order]",
                LSTM,
                SEQUENCE,
                mask=True,
            ),
        ),
        _PACKED,
    )


def _empty(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual("A sequence of length 0 cannot be packed.", "길이가 0인 시퀀스는 묶을 수 없습니다."),
        (
            Fix(
                Bilingual("leave empty sequences out", "빈 시퀀스 빼기"),
                "x, lengths = x[lengths > 0], lengths[lengths > 0]",
                LSTM,
                SEQUENCE,
                mask=True,
            ),
        ),
        _PACKED,
    )


def _lengths(message: Message) -> Diagnosis:
    given, batch = message.number("given"), message.number("batch")
    return Diagnosis(
        Bilingual(
            f"There are {given} lengths for a batch of {batch}.",
            f"배치의 시퀀스는 {batch}개인데 길이는 {given}개입니다.",
        ),
        (
            Fix(
                Bilingual("x is (batch, timesteps, features)", "x가 (batch, timesteps, features)일 때"),
                "pack_padded_sequence(x, lengths, batch_first=True)",
                LSTM,
                (given, *SEQUENCE[1:]),
                mask=True,
            ),
        ),
        _PACKED,
    )


def _cell_rank(message: Message) -> Diagnosis:
    cell = message.name("cell")
    kind = {"RNNCell": "SimpleRNN"}.get(cell, cell.removesuffix("Cell"))
    return Diagnosis(
        Bilingual(
            f"{cell} does one time step, (batch, features); it got {message.number('found')} axes.",
            f"{cell}은 한 시점 (batch, features)을 계산하는데 축이 {message.number('found')}개입니다.",
        ),
        (
            Fix(
                Bilingual("every time step: the layer", "모든 시점: 층을 쓰기"),
                f"nn.{cell.removesuffix('Cell')}(input_size, hidden_size, batch_first=True)",
                (written(kind),),
                SEQUENCE,
            ),
            Fix(
                Bilingual("a loop of your own", "직접 반복하기"),
                "for t in range(x.size(1)): hx = cell(x[:, t], hx)",
                (written(kind),),
                SEQUENCE,
            ),
        ),
    )


def _twice(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "The state still belongs to the graph of the batch before, which backward() has freed.",
            "상태가 이전 배치의 계산 그래프에 이어져 있는데, 그 그래프는 backward()가 지웠습니다.",
        ),
        (
            Fix(
                Bilingual("keep the numbers, cut the graph", "값은 두고 그래프는 끊기"),
                "hx = tuple(state.detach() for state in hx)",
                LSTM,
                SEQUENCE,
                states=True,
            ),
            Fix(
                Bilingual("start each batch from zeros", "배치마다 0에서 시작"),
                "output, _ = rnn(x)",
                LSTM,
                SEQUENCE,
            ),
        ),
    )


def _no_graph(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "The loss is not connected to any weight: the graph was cut, or never recorded.",
            "손실이 어떤 가중치와도 이어져 있지 않습니다. 그래프가 끊겼거나 기록되지 않았습니다.",
        ),
        (
            Fix(
                Bilingual(
                    "no detach, no_grad, argmax or NumPy between",
                    "사이에 detach, no_grad, argmax, NumPy 없이",
                ),
                "loss = loss_fn(output, target)  # not output.argmax(-1), output.detach()",
            ),
        ),
    )


def _to_numpy(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "This tensor is part of the graph of gradients; NumPy cannot follow it.",
            "이 텐서는 기울기 그래프에 속해 있어 NumPy로 바로 바꿀 수 없습니다.",
        ),
        (
            Fix(
                Bilingual("cut it off first", "먼저 그래프에서 떼어 내기"),
                "output.detach().cpu().numpy()",
                LSTM,
                SEQUENCE,
            ),
        ),
    )


def _no_tensor(message: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            f"PyTorch's layer takes a tensor; it got a {message.name('given')}.",
            f"PyTorch의 층에는 텐서가 필요한데 {message.name('given')} 값을 받았습니다.",
        ),
        (
            Fix(
                Bilingual("make a tensor of float32", "float32 텐서로 만들기"),
                "x = torch.as_tensor(x, dtype=torch.float32)",
                LSTM,
                SEQUENCE,
            ),
        ),
    )


def _unequal(message: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            f"The sequences differ in length: [{message.name('one')}] and [{message.name('other')}].",
            f"시퀀스의 길이가 서로 다릅니다: [{message.name('one')}], [{message.name('other')}].",
        ),
        (
            Fix(
                Bilingual("pad the shorter ones, then pack", "짧은 시퀀스를 채운 뒤 묶기"),
                f"x = pad_sequence(sequences, batch_first=True); {PACK}",
                LSTM,
                SEQUENCE,
                mask=True,
            ),
        ),
        _PACKED,
    )


def _devices(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "The input, the states and the weights are not on the same device.",
            "입력과 상태와 가중치가 서로 다른 장치에 있습니다.",
        ),
        (
            Fix(
                Bilingual("move the input to the weights", "입력을 가중치가 있는 곳으로"),
                "x = x.to(next(model.parameters()).device)",
                LSTM,
                SEQUENCE,
            ),
            Fix(
                Bilingual("make the states where x is", "상태를 x가 있는 곳에 만들기"),
                "h0 = torch.zeros(layers, batch, units, device=x.device)",
                LSTM,
                SEQUENCE,
                states=True,
            ),
        ),
    )


def _class_axis(message: Message) -> Diagnosis | None:
    """CrossEntropyLoss wants (batch, classes, timesteps) for a target (batch, timesteps)."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 2 or len(found) != 2:
        return None
    (batch, classes), steps = wanted, found[1]
    units = classes if isinstance(classes, int) and classes else UNITS
    layer = written("LSTM", units, return_sequences=True)
    return Diagnosis(
        Bilingual(
            "CrossEntropyLoss needs the classes on axis 1, (batch, classes, timesteps); here axis 1 is time.",
            "CrossEntropyLoss에서는 축 1이 클래스 (batch, classes, timesteps)인데 축 1이 시간입니다.",
        ),
        (
            Fix(
                Bilingual("one class per time step", "시점마다 클래스 하나"),
                "loss(output.transpose(1, 2), target)",
                (layer,),
                (sized(batch, "batch"), sized(steps, "timesteps"), "features"),
            ),
        ),
    )


def _batches(message: Message) -> Diagnosis:
    output, target = message.number("output"), message.number("target")
    steps = output // target if target and output % target == 0 else None
    shape: Shape = (target or "batch", steps or "timesteps", "features")
    every = written("LSTM", return_sequences=True)
    return Diagnosis(
        Bilingual(
            f"The loss gets {output} rows and {target} targets.",
            f"손실이 출력 {output}행과 목표 {target}개를 받았습니다.",
        ),
        (
            Fix(
                Bilingual("one target per sequence", "시퀀스마다 목표가 하나일 때"),
                "loss(output[:, -1], target)",
                LSTM,
                shape,
            ),
            Fix(
                Bilingual("one target per time step", "시점마다 목표가 있을 때"),
                "loss(output.flatten(0, 1), target.flatten())",
                (every,),
                shape,
            ),
        ),
        Bilingual(
            f"{output} = {target} sequences x {steps} time steps.",
            f"{output} = 시퀀스 {target}개 x 시점 {steps}개.",
        )
        if steps and steps > 1
        else Bilingual("", ""),
    )


_PACKED = Bilingual(
    "Packing does in PyTorch what a mask does in Keras: the padding is skipped.",
    "PyTorch의 묶음(packing)은 Keras의 마스크처럼 패딩을 건너뜁니다.",
)

CAUSES = (
    Cause(
        "packed-device",
        r"'lengths' argument should be a 1D CPU int64 tensor, but got (?P<given>[\w ]{1,40}) tensor",
        _on_cpu,
    ),
    Cause("packed-order", r"`?lengths`? array must be sorted in decreasing order", _in_order),
    Cause("packed-empty", r"Length of all samples has to be greater than 0", _empty),
    Cause(
        "packed-count",
        r"Expected `len\(lengths\)` to be equal to batch_size, but got (?P<given>\d{1,9}) "
        r"\(batch_size=(?P<batch>\d{1,9})\)",
        _lengths,
    ),
    Cause(
        "cell-torch", r"(?P<cell>\w{1,20}Cell): Expected input to be 1D or 2D, got (?P<found>\d)D", _cell_rank
    ),
    Cause("backward-twice", r"Trying to backward through the graph a second time", _twice),
    Cause("no-graph-torch", r"element 0 of tensors does not require grad", _no_graph),
    Cause("numpy-torch", r"Can't call numpy\(\) on Tensor that requires grad", _to_numpy),
    Cause(
        "no-tensor-torch",
        r"'(?P<given>numpy\.ndarray|list|DataFrame|Series)' object has no attribute 'dim'",
        _no_tensor,
    ),
    Cause(
        "ragged-torch",
        r"stack expects each tensor to be equal size, but got \[(?P<one>[\d, ]{1,40})\] at entry \d{1,9} and "
        r"\[(?P<other>[\d, ]{1,40})\] at entry",
        _unequal,
    ),
    Cause(
        "device-torch",
        r"Input and (?:parameter|hidden) tensors are not at the same device|Expected all tensors "
        r"to be on the same device",
        _devices,
    ),
    Cause(
        "class-axis",
        r"Expected target size \[(?P<wanted>[\d, ]{1,40})\], got \[(?P<found>[\d, ]{1,40})\]",
        _class_axis,
    ),
    Cause(
        "batches-torch",
        r"Expected input batch_size \((?P<output>\d{1,9})\) to match target batch_size "
        r"\((?P<target>\d{1,9})\)",
        _batches,
    ),
)
