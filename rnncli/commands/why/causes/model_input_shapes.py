"""Inputs that do not fit the Input of a model."""

from __future__ import annotations

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import SIZES, expression, name_axes
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "model-input",
    rf"(?:expected shape=|Expected shape )\((?P<wanted>{SIZES})\), "
    rf"(?:found shape=|but input has incompatible shape )[(\[](?P<found>{SIZES})[)\]]",
)
def _diagnose_model(message: Message) -> Diagnosis | None:
    """Explain the input of a whole model: `expected shape=(None, 4, 5), found shape=(1, 4, 6)`."""
    wanted, found = message.shape("wanted"), message.shape("found")
    return _diagnose_another_shape(expression(message), wanted, found) if len(wanted) == 3 else None


@CAUSES.add(
    "model-input-keras2",
    rf"expected \w{{1,100}} to have shape \((?P<wanted>{SIZES})\) but got array with shape "
    rf"\((?P<found>{SIZES})\)",
)
def _diagnose_array(message: Message) -> Diagnosis | None:
    """Explain the input of a model in Keras 1 and early Keras 2, which leave out the batch axis."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 2 or len(found) != 2:
        return None
    return _diagnose_another_shape(expression(message), (None, *wanted), (None, *found))


def _diagnose_another_shape(layer: str, wanted: Shape, found: Shape) -> Diagnosis:
    fixes = tuple(
        Fix(*said, code, (layer,), name_axes(shape))
        for said, code, shape in _list_arrangements(found)
        if _is_fit(shape, wanted)
    )
    return Diagnosis.of(
        f"The model was made for {format_shape(wanted)}; this input is {format_shape(found)}.",
        f"모델은 {format_shape(wanted)}로 만들어졌는데 이 입력은 {format_shape(found)}입니다.",
        *(fixes or _fix_layer_or_input(layer, wanted, found)),
        hint=Bilingual(
            "None on the first axis is the batch: any number of sequences.",
            "첫 축의 None은 배치입니다. 시퀀스가 몇 개든 됩니다.",
        ),
    )


def _fix_layer_or_input(layer: str, wanted: Shape, found: Shape) -> tuple[Fix, ...]:
    """Return the fixes for an input with different sizes than the model was made for."""
    steps, features = wanted[1:]
    check = f"x.shape[-1] == {features}" if steps is None else f"x.shape[1:] == {format_shape(wanted[1:])}"
    old = Fix(
        "prepare the input as in training",
        "학습 때처럼 입력을 준비",
        f"assert {check}",
        (layer,),
        name_axes(wanted),
    )
    if len(found) != 3:
        return (old,)
    return old, Fix(
        "a new model for this input",
        "이 입력을 받는 새 모델",
        f"keras.Input({format_shape(found[1:])})",
        (layer,),
        ("batch", *found[1:]),
    )


def _list_arrangements(shape: Shape) -> list[tuple[Bilingual, str, Shape]]:
    """Return what can be done to an input without changing its numbers."""
    if len(shape) == 2:
        return [
            (Bilingual("the batch axis is missing", "배치 축이 없을 때"), "x[None]", (1, *shape)),
            (Bilingual("the features axis is missing", "특성 축이 없을 때"), "x[..., None]", (*shape, 1)),
        ]
    if len(shape) == 3:
        turned = (shape[0], shape[2], shape[1])
        situation = Bilingual("time and features are swapped", "시간 축과 특성 축이 바뀌었을 때")
        return [(situation, "x.transpose(0, 2, 1)", turned)]
    if len(shape) == 4 and shape[-1] == 1:
        return [
            (Bilingual("an extra axis of size 1", "크기 1인 축이 하나 더 있을 때"), "x[..., 0]", shape[:3])
        ]
    return []


def _is_fit(shape: Shape, wanted: Shape) -> bool:
    pairs = zip(shape, wanted, strict=True)
    return len(shape) == len(wanted) and all(size is None or size == own for own, size in pairs)
