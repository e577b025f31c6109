"""PyTorch: losses and the graph of gradients."""

from __future__ import annotations

from rnncli.case import Shape
from rnncli.commands.why.causes._layers import expression, name_axes, pluralize, units_of
from rnncli.commands.why.diagnosis import NO_HINT, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add("backward-twice", r"Trying to backward through the graph a second time")
def _diagnose_second_backward(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "The state is still attached to the previous batch's graph, which backward() has freed.",
        "상태가 이전 배치의 계산 그래프에 이어져 있는데, 그 그래프는 backward()가 지웠습니다.",
        Fix(
            "detach the state, keep its values",
            "상태를 그래프에서 떼고 값은 유지",
            "hx = tuple(state.detach() for state in hx)",
            (expression(message),),
            states=True,
        ),
        Fix(
            "start each batch from zeros", "배치마다 0에서 시작", "output, _ = rnn(x)", (expression(message),)
        ),
    )


@CAUSES.add("inplace-torch", r"needed for gradient computation has been modified by an inplace operation")
def _diagnose_in_place(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "backward() needs numbers that were overwritten, by a loop over a state or by optimizer.step().",
        "backward()에 필요한 값이 바뀌었습니다. 반복문에서 상태를 덮어썼거나 optimizer.step()이 가중치를 "
        "바꿨습니다.",
        Fix(
            "state kept between batches",
            "배치 사이에 상태를 유지할 때",
            "hx = tuple(state.detach() for state in hx)  # without retain_graph=True",
            (expression(message),),
            states=True,
        ),
        Fix(
            "outputs collected in a loop",
            "반복문에서 출력을 모을 때",
            "outputs.append(h); y = torch.stack(outputs, 1)  # not y[:, t] = h, h += ...",
        ),
    )


@CAUSES.add("no-graph-torch", r"element 0 of tensors does not require grad")
def _diagnose_no_graph(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "The loss is not connected to any weight: the graph was cut, or never recorded.",
        "손실이 어떤 가중치와도 이어져 있지 않습니다. 그래프가 끊겼거나 기록되지 않았습니다.",
        Fix(
            "no detach, no_grad, argmax or NumPy in between",
            "사이에 detach, no_grad, argmax, NumPy 없이",
            "loss = loss_fn(output, target)  # not output.argmax(-1), output.detach()",
        ),
    )


@CAUSES.add("numpy-torch", r"Can't call numpy\(\) on Tensor that requires grad")
def _diagnose_to_numpy(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "This tensor is part of the graph of gradients; NumPy cannot follow it.",
        "이 텐서는 기울기 그래프에 속해 있어 NumPy로 바로 바꿀 수 없습니다.",
        Fix(
            "detach it first",
            "먼저 그래프에서 떼어 내기",
            "output.detach().cpu().numpy()",
            (expression(message),),
        ),
    )


@CAUSES.add(
    "class-axis", r"Expected target size \[(?P<wanted>[\d, ]{1,40})\], got \[(?P<found>[\d, ]{1,40})\]"
)
def _diagnose_class_axis(message: Message) -> Diagnosis | None:
    """CrossEntropyLoss wants (batch, classes, timesteps) for a target (batch, timesteps)."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 2 or len(found) != 2:
        return None
    layer = expression(message, units_of(wanted), return_sequences=True)
    return Diagnosis.of(
        "CrossEntropyLoss needs the classes on axis 1, (batch, classes, timesteps); here axis 1 is time.",
        "CrossEntropyLoss에서는 축 1이 클래스 (batch, classes, timesteps)인데 축 1이 시간입니다.",
        Fix(
            "one class per time step",
            "시점마다 클래스 하나",
            "loss(output.transpose(1, 2), target)",
            (layer,),
            name_axes((wanted[0], found[1], None)),
        ),
    )


@CAUSES.add(
    "batches-torch",
    r"Expected input batch_size \((?P<output>\d{1,9})\) to match target batch_size \((?P<target>\d{1,9})\)",
)
def _diagnose_batches(message: Message) -> Diagnosis:
    output, target = message.number("output"), message.number("target")
    steps = output // target if target and output % target == 0 else None
    shape: Shape = (target or "batch", steps or "timesteps", "features")
    every = expression(message, return_sequences=True)
    return Diagnosis.of(
        f"The loss gets {pluralize(output, 'row')} and {pluralize(target, 'target')}.",
        f"손실이 출력 {output}행과 목표 {target}개를 받았습니다.",
        Fix(
            "one target per sequence",
            "시퀀스마다 목표가 하나일 때",
            "loss(output[:, -1], target)",
            (expression(message),),
            shape,
        ),
        Fix(
            "one target per time step",
            "시점마다 목표가 있을 때",
            "loss(output.flatten(0, 1), target.flatten())",
            (every,),
            shape,
        ),
        hint=Bilingual(
            f"{output} = {pluralize(target, 'sequence')} x {pluralize(steps, 'time step')}.",
            f"{output} = 시퀀스 {target}개 x 시점 {steps}개.",
        )
        if steps and steps > 1
        else NO_HINT,
    )
