"""PyTorch: sequences of different lengths, packed or stacked."""

from __future__ import annotations

from rnncli.case import Shape
from rnncli.commands.why.causes._layers import expression, pluralize
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

PACK = "pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)"

CAUSES = Causes()


def _fix(message: Message, english: str, korean: str, code: str, shape: Shape = SEQUENCE) -> Fix:
    """Return the fix for sequences of different lengths, which runs with a mask."""
    return Fix(english, korean, code, (expression(message),), shape, mask=True)


@CAUSES.add(
    "packed-device",
    r"'lengths' argument should be a 1D CPU int64 tensor, but got (?P<given>[\w: ]{1,40}) tensor",
)
def _diagnose_lengths_device(message: Message) -> Diagnosis:
    return Diagnosis.of(
        f"The lengths of a packed sequence must be int64 on the CPU; they are {message.name('given')}.",
        f"길이는 CPU의 int64 텐서여야 하는데 {message.name('given')} 텐서입니다.",
        _fix(
            message,
            "move the lengths only",
            "길이만 옮기기",
            "pack_padded_sequence(x, lengths.cpu(), batch_first=True)",
        ),
        hint=_PACKED,
    )


@CAUSES.add("packed-order", r"`?lengths`? array must be sorted in decreasing order")
def _diagnose_unsorted_lengths(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "The sequences are not in the order of their lengths, longest first.",
        "시퀀스가 긴 것부터 차례로 놓여 있지 않습니다.",
        _fix(message, "let PyTorch sort them", "PyTorch가 정렬하게 하기", PACK),
        _fix(
            message,
            "sort them yourself",
            "직접 정렬하기",
            "order = lengths.argsort(descending=True); x, lengths = x[order], lengths[order]",
        ),
        hint=_PACKED,
    )


@CAUSES.add("packed-empty", r"Length of all samples has to be greater than 0")
def _diagnose_empty(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "A sequence of length 0 cannot be packed.",
        "길이가 0인 시퀀스는 묶을 수 없습니다.",
        _fix(
            message,
            "leave empty sequences out",
            "빈 시퀀스 빼기",
            "x, lengths = x[lengths > 0], lengths[lengths > 0]",
        ),
        hint=_PACKED,
    )


@CAUSES.add(
    "packed-count",
    r"Expected `len\(lengths\)` to be equal to batch_size, but got (?P<given>\d{1,9}) "
    r"\(batch_size=(?P<batch>\d{1,9})\)",
)
def _diagnose_lengths(message: Message) -> Diagnosis:
    given, batch = message.number("given"), message.number("batch")
    return Diagnosis.of(
        f"There are {pluralize(given, 'length')} for a batch of {batch}.",
        f"배치의 시퀀스는 {batch}개인데 길이는 {given}개입니다.",
        _fix(
            message,
            "x is (batch, timesteps, features)",
            "x가 (batch, timesteps, features)일 때",
            "pack_padded_sequence(x, lengths, batch_first=True)",
            (given, *SEQUENCE[1:]),
        ),
        hint=_PACKED,
    )


@CAUSES.add(
    "ragged-torch",
    r"stack expects each tensor to be equal size, but got \[(?P<one>[\d, ]{1,40})\] at entry \d{1,9} and "
    r"\[(?P<other>[\d, ]{1,40})\] at entry",
)
def _diagnose_unequal(message: Message) -> Diagnosis:
    return Diagnosis.of(
        f"The sequences differ in length: [{message.name('one')}] and [{message.name('other')}].",
        f"시퀀스의 길이가 서로 다릅니다: [{message.name('one')}], [{message.name('other')}].",
        _fix(
            message,
            "pad the shorter ones, then pack",
            "짧은 시퀀스를 채운 뒤 묶기",
            f"x = pad_sequence(sequences, batch_first=True); {PACK}",
        ),
        hint=_PACKED,
    )


_PACKED = Bilingual(
    "Packing does in PyTorch what a mask does in Keras: the padding is skipped.",
    "PyTorch의 묶음(packing)은 Keras의 마스크처럼 패딩을 건너뜁니다.",
)


@CAUSES.add(
    "packed-output",
    r"'PackedSequence' object has no attribute '(?:size|shape|dim|view|reshape|permute|squeeze)'|"
    r"must be Tensor, not PackedSequence",
)
def _diagnose_packed(message: Message) -> Diagnosis:
    layer = expression(message, return_sequences=True)
    return Diagnosis.of(
        "The output is packed like the input: unpack it before the next layer.",
        "입력처럼 출력도 묶여(packed) 있습니다. 다음 층에 넣기 전에 풀어야 합니다.",
        Fix(
            "every time step",
            "모든 시점",
            "output, lengths = pad_packed_sequence(output, batch_first=True)",
            (layer,),
            mask=True,
        ),
        _fix(
            message,
            "only the last time step of each",
            "시퀀스마다 마지막 시점만",
            "_, (h, c) = rnn(packed); last = h[-1]",
        ),
    )
