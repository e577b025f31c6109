"""Inputs that are not arrays of numbers of one type, or hold none."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression, name_axes, pluralize
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "dtype-text",
    r"dtype='string' is not a valid dtype|Invalid dtype: str\d{0,4}|Cast string to float is not supported",
)
def _diagnose_text(message: Message) -> Diagnosis:
    layer = (expression(message),)
    return Diagnosis.of(
        "The input holds text; a layer computes with numbers.",
        "입력이 글자입니다. 층은 숫자로 계산합니다.",
        Fix("columns of numbers, read as text", "글자로 읽힌 숫자 열", "x = x.astype('float32')", layer),
        Fix(
            "words: numbers first, then vectors",
            "단어: 번호로, 그다음 벡터로",
            "x = layers.Embedding(10_000, 16)(layers.TextVectorization()(x))",
            layer,
            ("batch", "timesteps", 16),
        ),
    )


@CAUSES.add(
    "ragged",
    r"Failed to convert a NumPy array to a Tensor \(Unsupported object type|Invalid dtype: object"
    r"|has an inhomogeneous shape after|setting an array element with a sequence\.(?! The requested)",
)
def _diagnose_ragged(message: Message) -> Diagnosis:
    layer = (expression(message),)
    return Diagnosis.of(
        "The sequences differ in length, so NumPy cannot make one array of them.",
        "시퀀스의 길이가 서로 달라서 NumPy가 배열 하나로 만들 수 없습니다.",
        Fix(
            "pad the shorter ones, and mask the padding",
            "짧은 시퀀스를 채우고 마스크",
            "keras.utils.pad_sequences(x, padding='post', dtype='float32')",
            ("Masking(mask_value=0.0)", *layer),
        ),
        Fix(
            "one sequence at a time",
            "한 번에 시퀀스 하나씩",
            "[model.predict(numpy.asarray(one)[None]) for one in x]",
            layer,
            (1, *SEQUENCE[1:]),
        ),
        hint=Bilingual(
            "An array of dtype object is a list of arrays, not (batch, timesteps, features).",
            "dtype이 object인 배열은 (batch, timesteps, features)가 아니라 배열의 리스트입니다.",
        ),
    )


@CAUSES.add("nested-lists", r"Only input tensors may be passed as positional arguments")
def _diagnose_list(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "The layer got nested Python lists; it takes an array or a tensor.",
        "층이 Python 리스트를 받았습니다. 배열이나 텐서가 필요합니다.",
        Fix("make an array", "배열로 만들기", "x = numpy.asarray(x, 'float32')", (expression(message),)),
    )


@CAUSES.add("no-input", r"Inputs to a layer should be tensors\. Got '(?P<given>[\w. ]{1,60})'")
def _diagnose_none(message: Message) -> Diagnosis:
    return Diagnosis.of(
        f"The input is {message.name('given')}: a function before it returned nothing, or was not called.",
        f"입력이 {message.name('given')}입니다. 앞의 함수가 아무것도 반환하지 않았거나 호출되지 않았습니다.",
        Fix(
            "give the layer a tensor",
            "층에 텐서를 넘기기",
            f"{expression(message)}(x)",
            (expression(message),),
        ),
    )


@CAUSES.add(
    "no-steps",
    r"slice index 0 of dimension 1 out of bounds|Expected sequence length to be larger than 0 in RNN",
)
def _diagnose_no_steps(message: Message) -> Diagnosis | None:
    """PyTorch says so itself; TensorFlow says it of any slice, here of one in a recurrent layer."""
    inputs = message.argument("sequences")
    if message.match[0].startswith("Expected"):
        inputs = ((None, 0, None),)
    if not inputs or len(inputs[0]) != 3 or inputs[0][1] != 0:
        return None
    return Diagnosis.of(
        "The sequences have no time steps at all.",
        "시퀀스에 시점이 하나도 없습니다.",
        Fix(
            "at least one time step",
            "시점이 하나 이상",
            "x = x[[len(one) > 0 for one in x]]",
            (expression(message),),
            name_axes((inputs[0][0], 1, inputs[0][2])),
        ),
        hint=Bilingual(
            "A window longer than the series leaves nothing: check how the sequences are cut.",
            "창이 시계열보다 길면 남는 것이 없습니다. 시퀀스를 자르는 방법을 확인하세요.",
        ),
    )


@CAUSES.add(
    "batch-sizes",
    r"Data cardinality is ambiguous.{0,120}?'?x'? sizes: (?P<one>\d{1,9}).{0,20}?'?y'? sizes: "
    r"(?P<other>\d{1,9})",
)
def _diagnose_sizes(message: Message) -> Diagnosis:
    sequences, targets = message.number("one"), message.number("other")
    return Diagnosis.of(
        f"x has {pluralize(sequences, 'sequence')} and y has {pluralize(targets, 'target')}: each sequence "
        "needs one.",
        f"x의 시퀀스는 {sequences}개인데 y의 목표는 {targets}개입니다. 시퀀스마다 목표가 하나 필요합니다.",
        Fix(
            "cut both to the same number",
            "같은 개수로 자르기",
            f"x, y = x[:{min(sequences, targets)}], y[:{min(sequences, targets)}]",
            (expression(message),),
            (min(sequences, targets), "timesteps", "features"),
        ),
        hint=Bilingual(
            "The first axis is the batch: put it first if it is time.",
            "첫 축은 배치입니다. 첫 축이 시간이면 배치를 맨 앞으로 옮깁니다.",
        ),
    )


@CAUSES.add(
    "precision",
    r"was expected to be an? (?:double|float|half) tensor but is an? (?:double|float|half) tensor",
)
def _diagnose_precision(message: Message) -> Diagnosis:
    double = expression(message, dtype="float64")
    return Diagnosis.of(
        "Two tensors differ in type: one is double (float64), the other float (float32).",
        "자료형이 다른 두 텐서를 함께 썼습니다. 하나는 double(float64), 다른 하나는 float(float32)입니다.",
        Fix(
            "float32, which weights have by default",
            "가중치의 기본값인 float32로",
            "x = tf.cast(x, 'float32')",
            (expression(message),),
        ),
        Fix.of_layer("float64 everywhere", "모두 float64로", double),
        hint=Bilingual("NumPy makes float64 unless you say otherwise.", "NumPy의 기본값은 float64입니다."),
    )


@CAUSES.add(
    "precision-torch",
    r"RNN input dtype \([\w.]{1,30}\) does not match weight dtype|tensors are not the same dtype, found"
    r"|mat1 and mat2 must have the same dtype"
    r"|expected scalar type (?:Float|Double) but found (?:Float|Double|Long)"
    r"|expected m1 and m2 to have the same dtype"
    r"|Expected object of scalar type (?:Float|Double) but got scalar type (?:Float|Double)",
)
def _diagnose_torch_precision(message: Message) -> Diagnosis:
    double = expression(message, dtype="float64")
    return Diagnosis.of(
        "The input and the weights differ in type; PyTorch does not convert them.",
        "입력과 가중치의 자료형이 다르며, PyTorch는 변환하지 않습니다.",
        Fix("the input as float32", "입력을 float32로", "x.float()", (expression(message),)),
        Fix("the weights as float64", "가중치를 float64로", "model.double()", (double,)),
        hint=Bilingual(
            "torch.from_numpy keeps NumPy's float64.", "torch.from_numpy는 NumPy의 float64를 유지합니다."
        ),
    )
