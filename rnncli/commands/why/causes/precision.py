"""Numbers of different types: float32 and float64."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import LSTM, format_layer
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "precision",
    r"was expected to be an? (?:double|float|half) tensor but is an? (?:double|float|half) tensor",
)
def _diagnose_precision(_: Message) -> Diagnosis:
    double = format_layer("LSTM", dtype="float64")
    return Diagnosis.of(
        "Two tensors differ in type: one is double (float64), the other float (float32).",
        "형이 다른 두 텐서를 함께 썼습니다. 하나는 double(float64), 다른 하나는 float(float32)입니다.",
        Fix(
            "float32, which weights have by default",
            "가중치의 기본값인 float32로",
            "x = tf.cast(x, 'float32')",
            LSTM,
        ),
        Fix.of_layer("float64 everywhere", "모두 float64로", double),
        hint=Bilingual("NumPy makes float64 unless you say otherwise.", "NumPy의 기본값은 float64입니다."),
    )


@CAUSES.add(
    "precision-torch",
    r"RNN input dtype \([\w.]{1,30}\) does not match weight dtype|mat1 and mat2 must have the same dtype"
    r"|expected scalar type (?:Float|Double) but found (?:Float|Double|Long)"
    r"|expected m1 and m2 to have the same dtype"
    r"|Expected object of scalar type (?:Float|Double) but got scalar type (?:Float|Double)",
)
def _diagnose_torch_precision(_: Message) -> Diagnosis:
    double = format_layer("LSTM", dtype="float64")
    return Diagnosis.of(
        "The input and the weights differ in type; PyTorch does not convert them.",
        "입력과 가중치의 형이 다르며, PyTorch는 변환하지 않습니다.",
        Fix("the input as float32", "입력을 float32로", "x.float()", LSTM),
        Fix("the weights as float64", "가중치를 float64로", "model.double()", (double,)),
        hint=Bilingual(
            "torch.from_numpy keeps NumPy's float64.", "torch.from_numpy는 NumPy의 float64를 유지합니다."
        ),
    )
