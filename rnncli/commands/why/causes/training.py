"""Gradients that are None, and outputs without numbers."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add("no-gradient", r"No gradients provided for any variable|An operation has `?None`? for gradient")
def _diagnose_gradients(message: Message) -> Diagnosis:
    layer = expression(message)
    return Diagnosis.of(
        "No differentiable path connects these weights to the loss.",
        "이 가중치에서 손실까지 미분할 수 있는 경로가 없습니다.",
        Fix(
            "call the model inside the tape",
            "테이프 안에서 모델 호출",
            "with tf.GradientTape() as tape: loss = loss_fn(y, model(x))",
            (layer,),
        ),
        Fix(
            "no NumPy, argmax, rounding or integer cast in between",
            "사이에 NumPy, argmax, 반올림, 정수 변환 없이",
            "loss = loss_fn(y, output)  # not output.numpy(), argmax(output), output > 0",
        ),
        Fix(
            "some layers do not affect the output",
            "출력에 쓰이지 않는 층이 있을 때",
            "[v.path for g, v in zip(gradients, variables) if g is None]",
        ),
        hint=Bilingual(
            "rnncli gradients shows how far back the output of a layer depends on its input.",
            "rnncli gradients는 층의 출력이 입력을 어디까지 되짚어 의존하는지 보여 줍니다.",
        ),
    )


@CAUSES.add("keras-tensor", r"A KerasTensor (?:cannot be used as input to|is symbolic)")
def _diagnose_symbolic(message: Message) -> Diagnosis:
    layer = expression(message, return_sequences=True)
    return Diagnosis.of(
        "A function of TensorFlow or NumPy got the symbolic output of a Keras layer, which has no numbers.",
        "TensorFlow나 NumPy 함수가 Keras 층의 기호 출력을 받았습니다. 기호 출력에는 값이 없습니다.",
        Fix(
            "the same function in keras.ops",
            "keras.ops의 같은 함수",
            "keras.ops.mean(x, axis=1)  # not tf.reduce_mean",
            (layer,),
        ),
        Fix("inside a layer of your own", "직접 만든 층 안에서", "layers.Lambda(tf_function)(x)"),
    )


@CAUSES.add(
    "unbuilt",
    r"but the layer isn't built|saving a model that has not yet been built|This model has not yet been built",
)
def _diagnose_unbuilt(message: Message) -> Diagnosis:
    layer = expression(message)
    return Diagnosis.of(
        "The weights do not exist yet: their shapes depend on the features of the first input.",
        "가중치가 아직 없습니다. 가중치의 형태는 첫 입력의 특성 수에 따라 정해집니다.",
        Fix(
            "begin the model with its input",
            "모델을 입력부터 시작",
            f"keras.Sequential([keras.Input((None, features)), layers.{layer}])",
            (layer,),
            weights=True,
        ),
        Fix("or build it", "또는 build 호출", "model.build((None, None, features))", (layer,), weights=True),
    )
