"""Tokens that an Embedding has no row for."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression, pluralize
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

VECTORS = ("batch", "timesteps", 16)
"""The output of an Embedding, which the next layer gets."""

CAUSES = Causes()


@CAUSES.add("token", r"indices\[[\d,]{1,40}\] = (?P<value>\d{1,12}) is not in \[0, (?P<count>\d{1,12})\)")
def _diagnose_index(message: Message) -> Diagnosis | None:
    value, count = message.number("value"), message.number("count")
    size = max(value + 1, count + 1)
    if size > 10_000_000:
        return None
    return Diagnosis.of(
        f"Token {value} is not in 0 to {count - 1}: Embedding has {pluralize(count, 'row')}.",
        f"토큰 번호 {value}: 0부터 {count - 1}까지가 아닙니다. Embedding의 행은 {count}개입니다.",
        Fix(
            "one row per token, starting at 0",
            "0부터 모든 토큰에 한 행씩",
            f"layers.Embedding({size}, 16)",
            (expression(message),),
            VECTORS,
        ),
        Fix(
            "rare tokens become one unknown token",
            "드문 토큰은 알 수 없는 토큰 하나로",
            f"x = numpy.where(x < {count}, x, 1)",
            (expression(message),),
            VECTORS,
        ),
        hint=Bilingual(
            "input_dim is the largest token plus 1, and one more if 0 stands for padding.",
            "input_dim은 가장 큰 토큰 번호 + 1입니다. 0을 패딩으로 쓰면 번호는 1부터 셉니다.",
        ),
    )


@CAUSES.add("token-torch", r"index out of range in self")
def _diagnose_torch_index(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "A token id is as large as nn.Embedding's num_embeddings, or negative.",
        "토큰 번호가 nn.Embedding의 num_embeddings 이상이거나 음수입니다.",
        Fix(
            "one row per token, starting at 0",
            "0부터 모든 토큰에 한 행씩",
            "nn.Embedding(int(x.max()) + 1, 16)",
            (expression(message),),
            VECTORS,
        ),
    )


@CAUSES.add("token-type", r"argument #1 'indices' to have one of the following scalar types: Long")
def _diagnose_torch_index_type(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "nn.Embedding looks up token ids: whole numbers, not floats.",
        "nn.Embedding은 토큰 번호를 찾으므로 실수가 아니라 정수가 필요합니다.",
        Fix(
            "x holds token ids", "x가 토큰 번호일 때", "embedding(x.long())", (expression(message),), VECTORS
        ),
        Fix(
            "x holds measurements: no Embedding",
            "x가 측정값일 때: Embedding 없이",
            "lstm(x)",
            (expression(message),),
        ),
    )
