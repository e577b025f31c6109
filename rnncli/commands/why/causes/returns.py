"""What a layer returns: how many tensors, and a list where one tensor is expected."""

from __future__ import annotations

import re

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import LSTM, format_layer, name_axes, parts_of, units_of
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message, parse_shape
from rnncli.renderers.wording import Bilingual

NAMES = {"LSTM": "output, h, c", "GRU": "output, h", "SimpleRNN": "output, h"}

CAUSES = Causes()


@CAUSES.add(
    "unpack-few", r"not enough values to unpack \(expected (?P<wanted>\d{1,3}), got (?P<got>\d{1,3})\)"
)
def _diagnose_too_few(message: Message) -> Diagnosis | None:
    wanted, got = message.number("wanted"), message.number("got")
    if wanted > 5:
        return None
    explanation = Bilingual(
        f"{wanted} names on the left, but the layer returned one tensor, which Python splits along its batch "
        f"axis, {got}.",
        f"왼쪽에 이름이 {wanted}개인데 텐서 하나가 반환되어, Python이 배치 축({got})으로 나누려 합니다.",
    )
    if wanted == 3 and got == 2:
        explanation = Bilingual(
            "3 names on the left, but 2 values came back: one state, or a batch of 2.",
            "왼쪽에 이름이 3개인데 값 2개가 반환되었습니다. 상태가 하나이거나 배치가 2입니다.",
        )
    hint = Bilingual(
        "A Keras layer returns states only with return_state=True; PyTorch returns output, (h, c).",
        "Keras는 return_state=True일 때만 상태도 반환하고, PyTorch는 output, (h, c)를 반환합니다.",
    )
    return Diagnosis(explanation, _fix_unpacking(), hint)


@CAUSES.add("unpack-many", r"too many values to unpack \(expected (?P<wanted>\d{1,3})")
def _diagnose_too_many(message: Message) -> Diagnosis | None:
    wanted = message.number("wanted")
    if wanted > 5:
        return None
    return Diagnosis.of(
        f"The layer returns more than {wanted} tensors: the output, then every state.",
        f"층이 텐서를 {wanted}개보다 많이 반환합니다. 출력 다음에 상태가 모두 옵니다.",
        *_fix_unpacking(),
        hint=Bilingual(
            "An LSTM has two states, hidden and cell; a Bidirectional has those of both directions.",
            "LSTM의 상태는 은닉 상태와 셀 상태 둘이고, Bidirectional은 두 방향의 상태를 반환합니다.",
        ),
    )


@CAUSES.add("unpack-symbolic", r"Iterating over a symbolic (?:KerasTensor|`tf\.Tensor`) is not")
def _diagnose_symbolic(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "The layer returned one symbolic tensor, and it cannot be split into several names.",
        "층이 기호 텐서 하나를 반환했고, 이를 여러 이름으로 나눌 수 없습니다.",
        *_fix_unpacking(),
        hint=Bilingual(
            "A layer returns its states only with return_state=True.",
            "return_state=True일 때만 층이 상태도 반환합니다.",
        ),
    )


def _fix_unpacking() -> tuple[Fix, ...]:
    both = f"Bidirectional({format_layer('LSTM', return_state=True)})"
    states = ", ".join(f"{way}_{part[0]}" for way in ("forward", "backward") for part in parts_of("LSTM"))
    single = [
        Fix(
            f"{name} with its states",
            f"{name}: 출력과 상태",
            f"{NAMES[name]} = layer(x)",
            (format_layer(name, return_state=True),),
        )
        for name in ("LSTM", "GRU")
    ]
    wrapped = Fix(
        "Bidirectional with its states", "Bidirectional: 출력과 상태", f"output, {states} = layer(x)", (both,)
    )
    return (*single, wrapped)


@CAUSES.add(
    "list-input",
    r"Layer ['\"]?\w{1,100}['\"]? expects 1 inputs?(?:\(s\))?, but it received (?P<count>\d{1,3}) "
    r"input tensors",
)
def _diagnose_several_outputs(message: Message) -> Diagnosis | None:
    """A layer that got a list: the previous layer's states, both directions, or its own states."""
    shapes = _shapes(message)
    if len(shapes) < 2:
        return None
    first, *others = shapes
    if all(shape == first for shape in others) and len(first) == 3:
        return _diagnose_unmerged(first)
    if all(len(shape) == 2 for shape in others):
        return _diagnose_with_states(first, others)
    return None


def _shapes(message: Message) -> list[Shape]:
    rest = message.text[message.match.end() : message.match.end() + 4000]
    found = re.findall(r"shape=\(([\dNone, ]{1,60})\)", rest)[:9]
    return list(filter(None, map(parse_shape, found)))


def _diagnose_with_states(first: Shape, states: list[Shape]) -> Diagnosis:
    """first: (batch, timesteps, units) of a layer that returns sequences, else (batch, units)."""
    count, sequence = len(states) + 1, len(first) == 3
    name, units = "LSTM" if count == 3 else "GRU", units_of(first)
    options = {"return_sequences": True} if sequence else {}
    before = format_layer(name, units, **options)
    given = name_axes((first[0], first[1] if sequence else None, None))
    own = format_layer(name, units_of(states[0]))
    initial = "[h, c]" if name == "LSTM" else "h"
    return Diagnosis.of(
        f"The layer takes one tensor and got a list of {count}: the output of a layer and its states.",
        f"층은 텐서 하나를 받는데 길이 {count}의 리스트를 받았습니다. 앞 층의 출력과 상태입니다.",
        Fix.of_layer("the states are not needed", "상태가 필요 없을 때", before, given),
        Fix(
            "pass on only the output",
            "출력만 넘길 때",
            f"{NAMES[name]} = layer(x); next_layer(output)",
            (format_layer(name, units, **options, return_state=True),),
            given,
        ),
        Fix(
            "states for this layer to start from",
            "이 층이 시작할 상태일 때",
            f"next_layer(x, initial_state={initial})",
            (own,),
            name_axes(first) if sequence else given,
            states=True,
        ),
        hint=Bilingual(
            "Sequential passes on everything that a layer returns, states too.",
            "Sequential은 상태를 포함해 층이 반환한 것을 모두 넘깁니다.",
        ),
    )


def _diagnose_unmerged(shape: Shape) -> Diagnosis:
    own, given = format_layer("LSTM", units_of(shape), return_sequences=True), name_axes((*shape[:2], None))
    merged = f"Bidirectional({own})"
    return Diagnosis.of(
        f"merge_mode=None returns both directions, two tensors {format_shape(shape)}; the next "
        "layer takes one.",
        f"merge_mode=None은 두 방향의 텐서 {format_shape(shape)} 두 개를 반환하는데 다음 층은 "
        "하나를 받습니다.",
        Fix("side by side, the default", "나란히 이어 붙이기, 기본값", merged, (merged, *LSTM), given),
        Fix(
            "as a sum, with the same number of features",
            "특성의 개수가 같은 합",
            "merge_mode='sum'",
            (f"Bidirectional({own}, merge_mode='sum')", *LSTM),
            given,
        ),
    )


@CAUSES.add(
    "tuple-torch",
    r"'tuple' object has no attribute '(?:size|dim|view|reshape|squeeze|contiguous|backward)'"
    r"|argument 'input' \(position 1\) must be Tensor, not tuple",
)
def _diagnose_torch_tuple(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "A recurrent layer of PyTorch returns (output, states); the next step got the pair.",
        "PyTorch의 순환층은 (output, states)를 반환하는데 다음 단계가 그 쌍을 받았습니다.",
        Fix(
            "the output of every time step",
            "모든 시점의 출력",
            "output, _ = rnn(x)",
            (format_layer("LSTM", return_sequences=True, return_state=True),),
        ),
        Fix(
            "the output of the last time step",
            "마지막 시점의 출력",
            "output, _ = rnn(x); last = output[:, -1]",
            LSTM,
        ),
        hint=Bilingual(
            "nn.Sequential passes the pair on: put the layers into a module with a forward of its own.",
            "nn.Sequential은 쌍을 그대로 넘기므로, 직접 forward를 쓴 모듈에 층을 넣습니다.",
        ),
    )


@CAUSES.add("list-output", r"'(?:list|tuple)' object has no attribute '(?:shape|dtype|ndim)'")
def _diagnose_keras_tuple(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "With return_state=True a layer returns a list, the output and its states, not one tensor.",
        "return_state=True이면 층은 텐서 하나가 아니라 출력과 상태의 리스트를 반환합니다.",
        *_fix_unpacking(),
    )
