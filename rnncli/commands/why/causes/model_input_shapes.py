"""Inputs that do not fit the Input of a model."""

from __future__ import annotations

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import SIZES, expression, known_size, name_axes, pluralize
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
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
    if len(wanted) != 3:
        return None
    if found[:1] != wanted[:1] and found[:1] != (None,) and _is_fit(found, (None, *wanted[1:])) and wanted[0]:
        return _diagnose_batch(message, wanted, found)
    return _diagnose_another_shape(expression(message), wanted, found)


def _diagnose_batch(message: Message, wanted: Shape, found: Shape) -> Diagnosis:
    """Explain `expected shape=(1, None, 5), found shape=(32, 10, 5)`: only the batch differs."""
    kept, given = known_size(wanted[0]), known_size(found[0])
    steady = given and given % kept == 0
    rest = name_axes(found, SEQUENCE)[1:]
    fixes = (
        Fix(
            f"batches of {pluralize(kept, 'sequence')}, always",
            f"언제나 시퀀스 {kept}개의 배치",
            f"model.predict(x{'' if steady else f'[:len(x) // {kept} * {kept}]'}, batch_size={kept})",
            (expression(message),),
            (kept, *rest),
        ),
        Fix(
            "a model for batches of any size, with the same weights",
            "같은 가중치로, 배치가 몇 개든 받는 모델",
            f"keras.Input({format_shape(wanted[1:])}); new.set_weights(model.get_weights())",
            (expression(message, stateful=False),),
            (given or "batch", *rest),
        ),
        Fix(
            f"state kept between batches of {given}",
            f"시퀀스 {given}개의 배치 사이에 상태를 유지할 때",
            f"keras.Input(batch_shape={format_shape((given, *wanted[1:]))})",
            (expression(message, stateful=True),),
            (given or "batch", *rest),
        ),
    )
    return Diagnosis.of(
        f"The model takes batches of {pluralize(kept, 'sequence')} only, {format_shape(wanted)}; this batch "
        f"has {given}, {format_shape(found)}.",
        f"모델이 받는 배치는 언제나 시퀀스 {kept}개 {format_shape(wanted)}인데 이 배치는 {given}개 "
        f"{format_shape(found)}입니다.",
        *fixes,
        hint=Bilingual(
            "batch_shape, batch_input_shape and stateful=True fix the batch size.",
            "batch_shape, batch_input_shape, stateful=True는 배치 크기를 고정합니다.",
        ),
    )


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
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(size is None or size == own for own, size in pairs)
