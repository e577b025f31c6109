"""Losses whose target and output differ in shape."""

from __future__ import annotations

from rnncli.case import Dimension, Shape, format_shape
from rnncli.commands.why.causes._layers import (
    SIZES,
    known_size,
    last_and_every,
    name_axes,
    pluralize,
    units_of,
    width_of,
)
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "loss-shape",
    r"Arguments `target` and `output` must have the same (?:rank \(ndim\)|shape)\. Received: "
    rf"target\.shape=\((?P<target>{SIZES})\), output\.shape=\((?P<output>{SIZES})\)",
)
def _diagnose_arguments(message: Message) -> Diagnosis | None:
    return _diagnose_targets(message, message.shape("target"), message.shape("output"))


@CAUSES.add(
    "loss-shape-run", r"Incompatible shapes: \[(?P<one>[\d,]{1,60})\] vs\. \[(?P<other>[\d,]{1,60})\]"
)
@CAUSES.add(
    "loss-shape-graph",
    r"Dimensions must be equal, but are \d{1,9} and \d{1,9}(?: for '\{\{node (?:compile_loss|[\w/]{0,100}"
    r"(?:mean_\w{1,40}_error|\w{1,40}_crossentropy|mse|loss))[^=]{0,200}= \w{1,30}\[.{0,100}?\]"
    r"\((?P<first>[\w/:]{1,200})[^)]{0,200}\)')?(?: with input shapes:|\W{1,5})"
    r" ?\[(?P<one>[\d?,]{1,60})\], \[(?P<other>[\d?,]{1,60})\]",
)
@CAUSES.add("loss-shape-keras2", rf"Shapes \((?P<one>{SIZES})\) and \((?P<other>{SIZES})\) are incompatible")
@CAUSES.add(
    "loss-logits-keras2",
    r"`?logits`? and `?labels`? must have the same shape,? (?:received )?"
    rf"\(\((?P<other>{SIZES})\) vs \((?P<one>{SIZES})\)\)",
)
def _diagnose_broadcast(message: Message) -> Diagnosis | None:
    """`[8,3] vs. [8,4,3]` of a loss; a cell or a Bidirectional says so in the call that failed."""
    if message.call:
        return None
    one, other = message.shape("one"), message.shape("other")
    if len(one) == len(other) and one[:1] != other[:1]:
        return None
    # Keras 3 gives a loss the target first, Keras 2 gives some losses a layer's output first.
    node = message.match.groupdict().get("first") or ""
    output_first = "/" in node and not node.startswith(("IteratorGetNext", "data"))
    return _diagnose_targets(message, *((other, one) if output_first else (one, other)))


def _diagnose_targets(message: Message, target: Shape, output: Shape) -> Diagnosis | None:
    if not target or not output:
        return None
    if len(target) != len(output):
        explanation = _say_shapes(target, output)
        longest = max(target, output, key=len)
        return Diagnosis(explanation, _fix_sequence_or_last(message, longest), _WHICH)
    if len(target) == 3 and _differ(target[1], output[1]):
        return _diagnose_steps(message, target, output)
    wanted, found = units_of(target), units_of(output)
    last, every = last_and_every(message)
    before = every if len(target) == 3 else last
    fixes = (
        Fix(
            f"{pluralize(wanted, 'output')}, as the target has",
            f"목표에 맞춘 출력 {wanted}개",
            f"layers.Dense({wanted})",
            (before, f"Dense({wanted})"),
            name_axes((target[0], None, None)),
        ),
        Fix(
            f"{found} numbers in each target",
            f"목표마다 숫자 {found}개",
            f"assert y.shape[-1] == {found}",
            (before, f"Dense({found})"),
            name_axes((output[0], None, None)),
        ),
    )
    return Diagnosis(_say_shapes(target, output), fixes)


def _say_shapes(target: Shape, output: Shape) -> Bilingual:
    return Bilingual(
        f"The loss compares {format_shape(target)} and {format_shape(output)}: the target and the output "
        "need the same shape.",
        f"손실이 {format_shape(target)}, {format_shape(output)} 두 형태를 비교합니다. 목표와 출력의 형태가 "
        "같아야 합니다.",
    )


def _differ(one: Dimension, other: Dimension) -> bool:
    return one is not None and other is not None and one != other


def _diagnose_steps(message: Message, target: Shape, output: Shape) -> Diagnosis:
    """Explain (8, 7, 1) and (8, 10, 1): the output of a layer has as many time steps as its input."""
    wanted, found = known_size(target[1]), known_size(output[1])
    last, every = last_and_every(message)
    dense = f"Dense({units_of(target)})"
    return Diagnosis.of(
        f"The target has {pluralize(wanted, 'time step')} and the output {found}: "
        f"{format_shape(target)}, {format_shape(output)}.",
        f"목표의 시점은 {wanted}개인데 출력의 시점은 {found}개입니다: {format_shape(target)}, "
        f"{format_shape(output)}.",
        Fix(
            f"a target for each of the {pluralize(found, 'time step')}",
            f"시점 {found}개마다 목표가 있을 때",
            f"assert y.shape[1] == x.shape[1] == {found}",
            (every, dense),
            (output[0] or "batch", found, "features"),
        ),
        Fix(
            f"{pluralize(wanted, 'output step')} from the whole input",
            f"입력 전체에서 출력 시점 {wanted}개",
            f"{last}, RepeatVector({wanted}), {every}, {dense}",
            (every, dense),
            (output[0] or "batch", wanted, width_of(last)),
        ),
        hint=Bilingual(
            "A recurrent layer returns as many time steps as it reads.",
            "순환층은 읽은 시점의 수만큼 시점을 반환합니다.",
        ),
    )


def _fix_sequence_or_last(message: Message, sequence: Shape) -> tuple[Fix, ...]:
    """Return the two ways to make a sequence (batch, timesteps, units) and a single vector agree."""
    given = name_axes((sequence[0], sequence[1] if len(sequence) == 3 else None, None))
    last, every = last_and_every(message, units_of(sequence))
    return (
        Fix.of_layer("one target per sequence", "시퀀스마다 목표가 하나일 때", last, given),
        Fix.of_layer("one target per time step", "시점마다 목표가 있을 때", every, given),
    )


@CAUSES.add(
    "loss-sparse",
    r"Argument `output` must have rank \(ndim\) `target\.ndim - 1`\. Received: "
    rf"target\.shape=\((?P<target>{SIZES})\), output\.shape=\((?P<output>{SIZES})\)",
)
def _diagnose_sparse(message: Message) -> Diagnosis:
    target, output = message.shape("target"), message.shape("output")
    last, every = last_and_every(message, units_of(output), activation="softmax")
    given = name_axes((*output[:1], None, None) if output else SEQUENCE)
    return Diagnosis.of(
        f"Sparse targets are class indices with one axis fewer than the output: "
        f"{format_shape(output[:-1])}, not {format_shape(target)}.",
        f"sparse 목표는 클래스 번호로, 출력보다 축이 하나 적은 {format_shape(output[:-1])}이어야 하는데 "
        f"{format_shape(target)}입니다.",
        Fix.of_layer("one class per sequence", "시퀀스마다 클래스 하나", last, given),
        Fix.of_layer("one class per time step", "시점마다 클래스 하나", every, given),
        hint=Bilingual(
            "For one-hot targets use categorical_crossentropy.",
            "원-핫 목표에는 categorical_crossentropy를 씁니다.",
        ),
    )


@CAUSES.add(
    "loss-target-keras1",
    r"checking (?:model )?target: expected \w{1,100} to have (?P<axes>[23]) dimensions, but got array "
    rf"with shape \((?P<target>{SIZES})\)",
)
def _diagnose_target(message: Message) -> Diagnosis | None:
    axes, target = message.number("axes"), message.shape("target")
    if len(target) == axes or len(target) not in (2, 3):
        return None
    return Diagnosis.of(
        f"The output of the model has {axes} axes; the target is {format_shape(target)}.",
        f"모델의 출력은 축이 {axes}개인데 목표는 {format_shape(target)}입니다.",
        *_fix_sequence_or_last(message, target if len(target) == 3 else (target[0], None, target[1])),
        hint=_WHICH,
    )


@CAUSES.add(
    "loss-sparse-keras2",
    r"logits and labels must have the same first dimension, got logits shape \[(?P<rows>\d{1,9}),"
    r"(?P<classes>\d{1,9})\] and labels shape \[(?P<labels>\d{1,9})\]",
)
def _diagnose_labels(message: Message) -> Diagnosis:
    rows, classes, labels = (message.number(name) for name in ("rows", "classes", "labels"))
    steps = rows // labels if labels and rows % labels == 0 else 1
    shape = (None, steps if steps > 1 else None, classes)
    return Diagnosis.of(
        f"The output has {pluralize(rows, 'row')} and there are {pluralize(labels, 'label')}.",
        f"출력은 {rows}행인데 레이블은 {labels}개입니다.",
        *_fix_sequence_or_last(message, shape),
        hint=_WHICH,
    )


_WHICH = Bilingual(
    "A target for every time step needs return_sequences=True; one per sequence needs it False.",
    "시점마다 목표가 있으면 return_sequences=True, 시퀀스마다 하나면 False입니다.",
)
