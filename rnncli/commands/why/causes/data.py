"""Inputs that are not arrays of numbers, or whose numbers are of the wrong type."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import SEQUENCE, expression, shape_of, written
from rnncli.commands.why.diagnosis import Cause, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual


def _text(message: Message) -> Diagnosis:
    layer = (expression(message),)
    return Diagnosis(
        Bilingual(
            "The input holds text; a layer computes with numbers.",
            "입력이 글자입니다. 층은 숫자로 계산합니다.",
        ),
        (
            Fix(
                Bilingual("columns of numbers, read as text", "글자로 읽힌 숫자 열"),
                "x = x.astype('float32')",
                layer,
                SEQUENCE,
            ),
            Fix(
                Bilingual("words: numbers first, then vectors", "단어: 번호로, 그다음 벡터로"),
                "x = layers.Embedding(10_000, 16)(layers.TextVectorization()(x))",
                layer,
                ("batch", "timesteps", 16),
            ),
        ),
    )


def _ragged(message: Message) -> Diagnosis:
    layer = (expression(message),)
    return Diagnosis(
        Bilingual(
            "The sequences differ in length, so NumPy cannot make one array of them.",
            "시퀀스의 길이가 서로 달라서 NumPy가 배열 하나로 만들 수 없습니다.",
        ),
        (
            Fix(
                Bilingual("pad the shorter ones, and mask the padding", "짧은 시퀀스를 채우고 마스크"),
                "keras.utils.pad_sequences(x, padding='post', dtype='float32')",
                ("Masking(mask_value=0.0)", *layer),
                SEQUENCE,
            ),
            Fix(
                Bilingual("one sequence at a time", "한 번에 시퀀스 하나씩"),
                "[model.predict(numpy.asarray(one)[None]) for one in x]",
                layer,
                (1, *SEQUENCE[1:]),
            ),
        ),
        Bilingual(
            "An array of dtype object is a list of arrays, not (batch, timesteps, features).",
            "dtype이 object인 배열은 (batch, timesteps, features)가 아니라 배열의 목록입니다.",
        ),
    )


def _list(message: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "The layer got nested Python lists; it takes an array or a tensor.",
            "층이 Python 목록을 받았습니다. 배열이나 텐서가 필요합니다.",
        ),
        (
            Fix(
                Bilingual("make an array", "배열로 만들기"),
                "x = numpy.asarray(x, 'float32')",
                (expression(message),),
                SEQUENCE,
            ),
        ),
    )


def _nothing(message: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            f"The input is {message.name('given')}: a function before it returned nothing, or was "
            "not called.",
            f"입력이 {message.name('given')}입니다. 앞의 함수가 아무것도 반환하지 않았거나 "
            "호출되지 않았습니다.",
        ),
        (
            Fix(
                Bilingual("give the layer a tensor", "층에 텐서를 넘기기"),
                f"{expression(message)}(x)",
                (expression(message),),
                SEQUENCE,
            ),
        ),
    )


def _index(message: Message) -> Diagnosis | None:
    value, count = message.number("value"), message.number("count")
    size = max(value + 1, count + 1)
    if size > 10_000_000:
        return None
    return Diagnosis(
        Bilingual(
            f"Token {value} is not in 0 to {count - 1}: Embedding has {count} rows.",
            f"토큰 번호 {value}: 0부터 {count - 1}까지가 아닙니다. Embedding의 행은 {count}개입니다.",
        ),
        (
            Fix(
                Bilingual("a row for every token, from 0", "0부터 모든 토큰에 한 행씩"),
                f"layers.Embedding({size}, 16)",
                (written("LSTM"),),
                ("batch", "timesteps", 16),
            ),
            Fix(
                Bilingual("rare tokens become one unknown token", "드문 토큰은 알 수 없는 토큰 하나로"),
                f"x = numpy.where(x < {count}, x, 1)",
                (written("LSTM"),),
                ("batch", "timesteps", 16),
            ),
        ),
        Bilingual(
            "input_dim is the largest token plus 1, and one more if 0 stands for padding.",
            "input_dim은 가장 큰 토큰 번호 + 1입니다. 0을 패딩으로 쓰면 번호는 1부터 셉니다.",
        ),
    )


def _torch_index(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "A token id is as large as nn.Embedding's num_embeddings, or negative.",
            "토큰 번호가 nn.Embedding의 num_embeddings 이상이거나 음수입니다.",
        ),
        (
            Fix(
                Bilingual("a row for every token, from 0", "0부터 모든 토큰에 한 행씩"),
                "nn.Embedding(int(x.max()) + 1, 16)",
                (written("LSTM"),),
                ("batch", "timesteps", 16),
            ),
        ),
    )


def _torch_index_type(_: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "nn.Embedding looks up token ids: whole numbers, not floats.",
            "nn.Embedding은 토큰 번호를 찾으므로 실수가 아니라 정수가 필요합니다.",
        ),
        (
            Fix(
                Bilingual("x holds token ids", "x가 토큰 번호일 때"),
                "embedding(x.long())",
                (written("LSTM"),),
                ("batch", "timesteps", 16),
            ),
            Fix(
                Bilingual("x holds measurements: no Embedding", "x가 측정값일 때: Embedding 없이"),
                "lstm(x)",
                (written("LSTM"),),
                SEQUENCE,
            ),
        ),
    )


def _precision(_: Message) -> Diagnosis:
    double = written("LSTM", dtype="float64")
    return Diagnosis(
        Bilingual(
            "Two tensors of different types meet: one is double (float64), the other float (float32).",
            "형이 다른 두 텐서를 함께 썼습니다. 하나는 double(float64), 다른 하나는 float(float32)입니다.",
        ),
        (
            Fix(
                Bilingual("float32, which weights have by default", "가중치의 기본값인 float32로"),
                "x = tf.cast(x, 'float32')",
                (written("LSTM"),),
                SEQUENCE,
            ),
            Fix(Bilingual("float64 everywhere", "모두 float64로"), double, (double,), SEQUENCE),
        ),
        Bilingual("NumPy makes float64 unless you say otherwise.", "NumPy의 기본값은 float64입니다."),
    )


def _torch_precision(_: Message) -> Diagnosis:
    double = written("LSTM", dtype="float64")
    return Diagnosis(
        Bilingual(
            "The input and the weights differ in type; PyTorch does not convert them.",
            "입력과 가중치의 형이 다르며, PyTorch는 변환하지 않습니다.",
        ),
        (
            Fix(
                Bilingual("the input as float32", "입력을 float32로"),
                "x.float()",
                (written("LSTM"),),
                SEQUENCE,
            ),
            Fix(
                Bilingual("the weights as float64", "가중치를 float64로"),
                "model.double()",
                (double,),
                SEQUENCE,
            ),
        ),
        Bilingual(
            "torch.from_numpy keeps NumPy's float64.", "torch.from_numpy는 NumPy의 float64를 유지합니다."
        ),
    )


def _no_steps(message: Message) -> Diagnosis | None:
    inputs = message.argument("sequences")
    if not inputs or len(inputs[0]) != 3 or inputs[0][1] != 0:
        return None
    return Diagnosis(
        Bilingual("The sequences have no time steps at all.", "시퀀스에 시점이 하나도 없습니다."),
        (
            Fix(
                Bilingual("at least one time step", "시점이 하나 이상"),
                "x = x[[len(one) > 0 for one in x]]",
                (expression(message),),
                shape_of((inputs[0][0], 1, inputs[0][2])),
            ),
        ),
        Bilingual(
            "A window longer than the series leaves nothing: check how the sequences are cut.",
            "창이 시계열보다 길면 남는 것이 없습니다. 시퀀스를 자르는 방법을 확인하세요.",
        ),
    )


def _sizes(message: Message) -> Diagnosis:
    one, other = message.number("one"), message.number("other")
    return Diagnosis(
        Bilingual(
            f"x has {one} sequences and y has {other} targets: each sequence needs one.",
            f"x의 시퀀스는 {one}개인데 y의 목표는 {other}개입니다. 시퀀스마다 목표가 하나 필요합니다.",
        ),
        (
            Fix(
                Bilingual("cut both to the same number", "같은 개수로 자르기"),
                f"x, y = x[:{min(one, other)}], y[:{min(one, other)}]",
                (written("LSTM"),),
                (min(one, other), "timesteps", "features"),
            ),
        ),
        Bilingual(
            "The first axis is the batch: put it first if it is time.",
            "첫 축은 배치입니다. 첫 축이 시간이면 배치를 맨 앞으로 옮깁니다.",
        ),
    )


CAUSES = (
    Cause(
        "dtype-text",
        r"dtype='string' is not a valid dtype|Invalid dtype: str\d{0,4}|Cast string to float is "
        r"not supported",
        _text,
    ),
    Cause(
        "ragged",
        r"Failed to convert a NumPy array to a Tensor \(Unsupported object type|Invalid dtype: object"
        r"|has an inhomogeneous shape after",
        _ragged,
    ),
    Cause("nested-lists", r"Only input tensors may be passed as positional arguments", _list),
    Cause("no-input", r"Inputs to a layer should be tensors\. Got '(?P<given>[\w. ]{1,60})'", _nothing),
    Cause(
        "token",
        r"indices\[[\d,]{1,40}\] = (?P<value>\d{1,12}) is not in \[0, (?P<count>\d{1,12})\)",
        _index,
    ),
    Cause("token-torch", r"index out of range in self", _torch_index),
    Cause(
        "token-type",
        r"argument #1 'indices' to have one of the following scalar types: Long",
        _torch_index_type,
    ),
    Cause(
        "precision",
        r"was expected to be an? (?:double|float|half) tensor but is an? (?:double|float|half) tensor",
        _precision,
    ),
    Cause(
        "precision-torch",
        r"RNN input dtype \([\w.]{1,30}\) does not match weight dtype"
        r"|mat1 and mat2 must have the same dtype"
        r"|expected scalar type (?:Float|Double) but found (?:Float|Double|Long)"
        r"|expected m1 and m2 to have the same dtype",
        _torch_precision,
    ),
    Cause("no-steps", r"slice index 0 of dimension 1 out of bounds", _no_steps),
    Cause(
        "batch-sizes",
        r"Data cardinality is ambiguous.{0,120}?'x' sizes: (?P<one>\d{1,9}).{0,20}?'y' sizes: "
        r"(?P<other>\d{1,9})",
        _sizes,
    ),
)
