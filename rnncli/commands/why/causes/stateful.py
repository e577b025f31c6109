"""Layers that keep their state: the batch size has to stay the same."""

from __future__ import annotations

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import expression, name_axes, pluralize
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


def _fix_without_state(message: Message, shape: Shape) -> Fix:
    layer = expression(message, stateful=False)
    return Fix.of_layer("every sequence starts from zeros", "시퀀스마다 0에서 시작할 때", layer, shape)


@CAUSES.add(
    "stateful-batch",
    r"(?:When using `stateful=True` in a RNN, the batch size must be static|"
    r"If a RNN is stateful, (?:it needs to know its batch size|a complete input_shape must be provided))"
    r"(?:\. Found dynamic batch size: sequence\.shape=\((?P<shape>[\dNone, ]{1,100})\))?",
)
def _diagnose_unknown_batch(message: Message) -> Diagnosis:
    inputs: Shape = message.shape("shape") if message.name("shape") else (None, None, None)
    shape = name_axes(inputs)
    whole = format_shape(("batch", *inputs[1:]))
    return Diagnosis.of(
        "A stateful layer keeps one state per sequence, so it needs to know the batch size; here it is None.",
        "stateful 층은 시퀀스마다 상태를 하나씩 유지하므로 배치 크기를 알아야 하는데 None입니다.",
        Fix(
            "state kept between batches",
            "배치 사이에 상태를 유지할 때",
            f"keras.Input(batch_shape={whole})",
            (expression(message, stateful=True),),
            shape,
        ),
        _fix_without_state(message, shape),
        hint=Bilingual(
            "stateful matters only where the next batch continues the sequences of this one.",
            "stateful은 다음 배치가 이번 배치의 시퀀스를 이어갈 때만 의미가 있습니다.",
        ),
    )


@CAUSES.add(
    "stateful-batch-change",
    r"Expected batch size: (?P<kept>\d{1,9}) - Received batch size: (?P<given>\d{1,9})",
)
@CAUSES.add(
    "stateful-batch-cudnn",
    r"Invalid input_h shape: \[1, ?(?P<kept>\d{1,9}), ?(?P<units>\d{1,9})\] "
    r"\[1, ?(?P<given>\d{1,9}), ?(?P=units)\]",
)
def _diagnose_other_batch(message: Message) -> Diagnosis:
    kept, given = message.number("kept"), message.number("given")
    inputs = message.argument("sequences")
    rest = inputs[0][1:] if inputs else SEQUENCE[1:]
    layer = expression(message, stateful=True)
    return Diagnosis.of(
        f"The layer keeps states for {pluralize(kept, 'sequence')}; this batch has {given}.",
        f"층은 시퀀스 {kept}개의 상태를 유지하는데 이 배치에는 {given}개가 있습니다.",
        Fix(
            f"batches of {pluralize(kept, 'sequence')}, always",
            f"언제나 시퀀스 {kept}개의 배치",
            f"dataset.batch({kept}, drop_remainder=True)",
            (layer,),
            (kept, *rest),
        ),
        Fix(
            f"the same weights for batches of {given}",
            f"같은 가중치로 시퀀스 {given}개를",
            "new.set_weights(layer.get_weights())",
            (layer,),
            (given, *rest),
        ),
        _fix_without_state(message, (given, *rest)),
        hint=Bilingual(
            "reset_state() sets the states to zero; it does not change the batch size.",
            "reset_state()는 상태를 0으로 만들 뿐 배치 크기는 바꾸지 않습니다.",
        ),
    )


@CAUSES.add(
    "stateful-samples",
    r"number of samples that can be divided by the batch size\. Found: (?P<samples>\d{1,9}) samples?"
    r"(?:\. Batch size: (?P<size>\d{1,9}))?",
)
def _diagnose_samples(message: Message) -> Diagnosis:
    samples = message.number("samples")
    size = int(message.name("size") or 0)
    kept = f"x[:{samples - samples % size}]" if size else "x[: len(x) // size * size]"
    layer = expression(message, stateful=True)
    return Diagnosis.of(
        f"Stateful layers take whole batches; {pluralize(samples, 'sequence')} leave a shorter last one.",
        f"stateful 층의 배치는 크기가 같아야 하는데 시퀀스가 {samples}개라 마지막 배치가 작아집니다.",
        Fix(
            "leave out the last, shorter batch",
            "작은 마지막 배치 빼기",
            kept,
            (layer,),
            (size or "batch", *SEQUENCE[1:]),
        ),
        _fix_without_state(message, SEQUENCE),
    )


@CAUSES.add("stateful-reset", r"object has no attribute 'reset_states'|Layer must be stateful\.")
def _diagnose_reset(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "States are reset on the layer, not on the model, and only a stateful layer keeps any.",
        "상태 초기화는 모델이 아니라 층에서 하며, stateful 층에만 유지되는 상태가 있습니다.",
        Fix(
            "reset each stateful layer (Keras 3)",
            "stateful 층마다 초기화 (Keras 3)",
            "[layer.reset_state() for layer in model.layers if getattr(layer, 'stateful', False)]",
            (expression(message, stateful=True),),
        ),
        hint=Bilingual(
            "Keras 2 has model.reset_states(), Keras 3 layer.reset_state().",
            "Keras 2는 model.reset_states(), Keras 3은 layer.reset_state()입니다.",
        ),
    )
