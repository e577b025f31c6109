"""Masks of the wrong shape, and what cuDNN requires of a mask and of a layer."""

from __future__ import annotations

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import expression, format_layer, inner_layer
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add("mask-steps", r"Tried to read from index \d{1,9} but array size is: \d{1,9}")
@CAUSES.add(
    "mask-axes",
    r"condition \[[\d,]{1,60}\], then \[[\d,]{1,60}\], and else \[[\d,]{1,60}\] must be broadcastable",
)
def _diagnose_steps(message: Message) -> Diagnosis | None:
    mask, inputs = message.argument("mask"), message.argument("sequences")
    return _diagnose_shape(message, mask[0], inputs[0]) if mask and inputs else None


def _diagnose_shape(message: Message, mask: Shape, inputs: Shape) -> Diagnosis:
    wanted, layer = format_shape(inputs[:2]), (expression(message),)
    situation = Bilingual("a mask for these time steps", "이 시점들의 마스크")
    code = f"assert mask.shape == {wanted}"
    if len(mask) == 3 and mask[:2] == inputs[:2]:
        code = "mask.any(axis=-1)"
        situation = Bilingual(
            "a step is real if any of its features is", "특성이 하나라도 있으면 그 시점을 사용"
        )
    return Diagnosis.of(
        f"The mask is {format_shape(mask)}; it must be (batch, timesteps) = {wanted}.",
        f"마스크는 {format_shape(mask)}인데 (batch, timesteps) = {wanted}이어야 합니다.",
        Fix(*situation, code, layer, inputs, mask=True),
        Fix(
            "let a layer find the padding",
            "패딩을 찾는 층을 쓰기",
            "layers.Masking(0.0)(x)",
            ("Masking(mask_value=0.0)", *layer),
            inputs,
        ),
        hint=Bilingual(
            "True marks a step to process, False one to skip.",
            "True는 처리할 시점, False는 건너뛸 시점입니다.",
        ),
    )


@CAUSES.add(
    "cudnn",
    r"use_cudnn=True was specified, but cuDNN is not supported for this layer configuration"
    r"|will not use cuDNN kernels? since it doesn't meet the (?:cuDNN kernel )?criteria"
    r"|[Cc]uDNN kernel not met",
)
def _diagnose_cudnn_layer(message: Message) -> Diagnosis:
    name = message.layer if message.layer in ("LSTM", "GRU") else "LSTM"
    plain = format_layer(name)
    return Diagnosis.of(
        "cuDNN computes this layer only with the default activations, use_bias=True, no recurrent_dropout, "
        "unroll=False and, for GRU, reset_after=True; it also needs a GPU.",
        "cuDNN은 활성화 함수가 기본값이고 use_bias=True, unroll=False이며 recurrent_dropout이 없고 GRU는 "
        "reset_after=True일 때만, 그리고 GPU에서만 이 층을 계산합니다.",
        Fix.of_layer("the options that cuDNN supports", "cuDNN이 받는 옵션", plain),
        Fix.of_layer(
            "keep the options, without cuDNN",
            "옵션은 그대로, cuDNN 없이",
            format_layer(name, recurrent_dropout=0.2, use_cudnn="auto"),
        ),
        hint=Bilingual(
            "Without cuDNN the numbers are the same and the computation is slower.",
            "cuDNN이 없어도 값은 같고 계산만 느려집니다.",
        ),
    )


@CAUSES.add(
    "cudnn-mask",
    r"mask that does not correspond to right-padded sequences|only support(?:s)? right-padded"
    r"|mask is not right-padded",
)
def _diagnose_cudnn_mask(message: Message) -> Diagnosis:
    layer = (expression(message),)
    return Diagnosis.of(
        "cuDNN takes a mask only if the padding is at the end of each sequence, and no sequence is empty.",
        "cuDNN은 패딩이 시퀀스의 끝에 있고 빈 시퀀스가 없을 때만 마스크를 받습니다.",
        Fix(
            "pad at the end",
            "끝에 패딩하기",
            "keras.utils.pad_sequences(x, padding='post')",
            layer,
            mask=True,
        ),
        Fix(
            "any mask, without cuDNN",
            "모든 마스크, cuDNN 없이",
            inner_layer(message, use_cudnn=False),
            layer,
            mask=True,
        ),
        hint=Bilingual(
            "pad_sequences pads at the start unless padding='post' is given.",
            "pad_sequences는 padding='post'를 쓰지 않으면 앞에 패딩합니다.",
        ),
    )
