"""What a layer returns: how many tensors, and a list where one tensor is expected."""

from __future__ import annotations

import re
from collections.abc import Callable

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import (
    expression,
    format_layer,
    last_and_every,
    name_axes,
    parts_of,
    units_of,
)
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message, parse_shape
from rnncli.renderers.wording import Bilingual

MOST_NAMES = 5
"""Names on the left of an assignment from a layer: an output and the states of two directions."""

CAUSES = Causes()


@CAUSES.add(
    "unpack-few", r"not enough values to unpack \(expected (?P<wanted>\d{1,3}), got (?P<got>\d{1,3})\)"
)
def _diagnose_too_few(message: Message) -> Diagnosis | None:
    wanted, got = message.number("wanted"), message.number("got")
    if wanted > MOST_NAMES:
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
    return Diagnosis(explanation, _fix_unpacking(message, lambda count: count == got), hint)


@CAUSES.add(
    "unpack-many", r"too many values to unpack \(expected (?P<wanted>\d{1,3})(?:, got (?P<got>\d{1,6}))?"
)
def _diagnose_too_many(message: Message) -> Diagnosis | None:
    wanted = message.number("wanted")
    if wanted > MOST_NAMES:
        return None
    return Diagnosis.of(
        f"The layer returns more than {wanted} values: the output and every state, or one tensor with a "
        "larger batch.",
        f"층이 값을 {wanted}개보다 많이 반환합니다. 출력과 모든 상태이거나, 배치가 더 큰 텐서 하나입니다.",
        *_fix_unpacking(message, lambda count: count > wanted),
        hint=Bilingual(
            "An LSTM has two states, hidden and cell; a Bidirectional has those of both directions.",
            "LSTM의 상태는 은닉 상태와 셀 상태 둘이고, Bidirectional은 두 방향의 상태를 반환합니다.",
        ),
    )


@CAUSES.add("unpack-symbolic", r"Iterating over a symbolic (?:KerasTensor|`tf\.Tensor`) is not")
def _diagnose_symbolic(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "The layer returned one symbolic tensor, and it cannot be split into several names.",
        "층이 기호 텐서 하나를 반환했고, 이를 여러 이름으로 나눌 수 없습니다.",
        *_fix_unpacking(message),
        hint=Bilingual(
            "A layer returns its states only with return_state=True.",
            "return_state=True일 때만 층이 상태도 반환합니다.",
        ),
    )


def _fix_unpacking(message: Message, fits: Callable[[int], bool] = lambda _: False) -> tuple[Fix, ...]:
    """Return how to unpack the layer of the message; if it names none, every kind of layer.

    fits: whether a layer that returns so many values can have caused the message; it then comes first.
    """
    if message.written and message.written.is_torch:
        return (_fix_torch_names(message),)
    if message.written or message.named or message.is_bidirectional:
        own = expression(message, return_state=True)
        return (_fix_names(_names(message), own, f"{own}(x)"),)
    singles = (_fix_names(_names_of(name), format_layer(name, return_state=True)) for name in ("LSTM", "GRU"))
    layer = f"Bidirectional({format_layer('LSTM', return_state=True)})"
    fixes = (*singles, _fix_names(_names_of("LSTM", both=True), layer))
    return tuple(sorted(fixes, key=lambda fix: not fits(fix.snippet.count(",") + 1)))


def _fix_names(names: str, layer: str, called: str = "layer(x)") -> Fix:
    """Return the fix that unpacks the output and the states of a layer."""
    kind = layer.partition("(")[0]
    return Fix(f"{kind} with its states", f"{kind}: 출력과 상태", f"{names} = {called}", (layer,))


def _fix_torch_names(message: Message) -> Fix:
    states = "(h, c)" if message.layer == "LSTM" else "h"
    return Fix(
        "PyTorch: the output of every time step, and the last states",
        "PyTorch: 모든 시점의 출력과 마지막 상태",
        f"output, {states} = rnn(x)",
        (expression(message, return_sequences=True, return_state=True),),
    )


def _names(message: Message) -> str:
    """Return the names for what the layer of the message returns with return_state=True."""
    names = _names_of(message.layer, both=message.is_bidirectional)
    unmerged = message.written and message.written.merge_mode == "None"
    return names.replace("output", "forward, backward") if unmerged else names


def _names_of(layer: str, *, both: bool = False) -> str:
    """Return `output, h, c`, or with the states of both directions `output, forward_h, ...`."""
    parts = [{"hidden": "h", "cell": "c"}[part] for part in parts_of(layer)]
    states = [f"{way}_{part}" for way in ("forward", "backward") for part in parts] if both else parts
    return ", ".join(("output", *states))


@CAUSES.add("list-input", r"expects 1 inputs?(?:\(s\))?, but it received (?P<count>\d{1,3}) input tensors")
def _diagnose_several_outputs(message: Message) -> Diagnosis:
    """A layer that got a list: the previous layer's states, both directions, or its own states."""
    shapes = _shapes(message)
    first, *others = shapes or [()]
    if len(others) == 1 and others[0] == first and len(first) == 3:
        return _diagnose_unmerged(message, first)
    if others and len(others) + 1 == message.number("count") and all(len(shape) == 2 for shape in others):
        return _diagnose_with_states(first, others)
    return _diagnose_list(message)


@CAUSES.add("sequential-outputs", r"All layers in a Sequential model should have a single output tensor")
def _diagnose_sequential(message: Message) -> Diagnosis:
    last, every = last_and_every(message)
    names = _names(message)
    own = expression(message, return_state=True)
    return Diagnosis.of(
        "A layer in Sequential returns several tensors: return_state=True adds its states to the output.",
        "Sequential의 층이 텐서를 여러 개 반환합니다. return_state=True는 출력에 상태를 덧붙입니다.",
        Fix.of_layer("the last output, without states", "상태 없이 마지막 출력만", last),
        Fix.of_layer("every time step, without states", "상태 없이 모든 시점", every),
        Fix(
            "the states are needed: a functional model",
            "상태가 필요할 때: 함수형 모델",
            f"{names} = {own}(x); keras.Model(x, [{names}])",
            (own,),
        ),
        hint=Bilingual(
            "Bidirectional with merge_mode=None returns two tensors as well.",
            "merge_mode=None인 Bidirectional도 텐서 두 개를 반환합니다.",
        ),
    )


def _shapes(message: Message) -> list[Shape]:
    rest = message.text[message.match.end() : message.match.end() + 4000]
    found = re.findall(r"shape=\(([\dNone, ]{1,60})\)", rest)[:9]
    return list(filter(None, map(parse_shape, found)))


def _diagnose_list(message: Message) -> Diagnosis:
    """A list of tensors that are not an output and its states, or whose shapes the message leaves out."""
    count, own = message.number("count"), expression(message, return_state=True)
    return Diagnosis.of(
        f"The layer takes one tensor and got a list of {count}.",
        f"층은 텐서 하나를 받는데 길이 {count}의 리스트를 받았습니다.",
        Fix(
            "a layer with return_state=True: pass on only its output",
            "앞 층이 return_state=True일 때: 출력만 넘기기",
            f"{_names(message)} = layer(x); next_layer(output)",
            (own,),
        ),
        Fix(
            "several inputs: join their features",
            "입력이 여럿일 때: 특성을 이어 붙이기",
            "layers.Concatenate()(inputs)",
            (expression(message),),
        ),
        hint=Bilingual(
            "States to start from are a keyword argument: layer(x, initial_state=[h, c]).",
            "시작할 상태는 이름이 있는 인자로 넘깁니다: layer(x, initial_state=[h, c]).",
        ),
    )


def _diagnose_with_states(first: Shape, states: list[Shape]) -> Diagnosis:
    """first: (batch, timesteps, units) of a layer that returns sequences, else (batch, units)."""
    count, sequence, units = len(states) + 1, len(first) == 3, units_of(states[0])
    both = count == 5 or (count == 3 and first[-1] == 2 * units)
    name = "LSTM" if len(states) == (4 if both else 2) else "GRU"
    options = {"return_sequences": True} if sequence else {}
    first_layer, own = (
        f"Bidirectional({layer})" if both else layer
        for layer in (
            format_layer(name, units, **options),
            format_layer(name, units, **options, return_state=True),
        )
    )
    given = name_axes((first[0], first[1] if sequence else None, None))
    initial = "[h, c]" if name == "LSTM" else "h"
    starts = Fix(
        "states for this layer to start from",
        "이 층이 시작할 상태일 때",
        f"next_layer(x, initial_state={initial})",
        (format_layer(name, units),),
        name_axes(first) if sequence else given,
        states=True,
    )
    return Diagnosis.of(
        f"The layer takes one tensor and got a list of {count}: the output of a layer and its states.",
        f"층은 텐서 하나를 받는데 길이 {count}의 리스트를 받았습니다. 앞 층의 출력과 상태입니다.",
        Fix.of_layer("the states are not needed", "상태가 필요 없을 때", first_layer, given),
        Fix(
            "pass on only the output",
            "출력만 넘길 때",
            f"{_names_of(name, both=both)} = layer(x); next_layer(output)",
            (own,),
            given,
        ),
        *(() if both else (starts,)),
        hint=Bilingual(
            "Sequential passes on everything that a layer returns, states too.",
            "Sequential은 상태를 포함해 층이 반환한 것을 모두 넘깁니다.",
        ),
    )


def _diagnose_unmerged(message: Message, shape: Shape) -> Diagnosis:
    own, given = format_layer("LSTM", units_of(shape), return_sequences=True), name_axes((*shape[:2], None))
    merged, after = f"Bidirectional({own})", format_layer(message.named or "LSTM")
    return Diagnosis.of(
        f"merge_mode=None returns both directions, two tensors {format_shape(shape)}; the next "
        "layer takes one.",
        f"merge_mode=None은 두 방향의 텐서 {format_shape(shape)} 두 개를 반환하는데 다음 층은 "
        "하나를 받습니다.",
        Fix("side by side, the default", "나란히 이어 붙이기, 기본값", merged, (merged, after), given),
        Fix(
            "as a sum, with the same number of features",
            "특성의 개수가 같은 합",
            "merge_mode='sum'",
            (f"Bidirectional({own}, merge_mode='sum')", after),
            given,
        ),
    )


@CAUSES.add(
    "tuple-torch",
    r"'tuple' object has no attribute '(?:size|dim|view|reshape|squeeze|contiguous|backward)'"
    r"|argument 'input' \(position 1\) must be Tensor, not tuple",
)
def _diagnose_torch_tuple(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "A recurrent layer of PyTorch returns (output, states); the next step got the pair.",
        "PyTorch의 순환층은 (output, states)를 반환하는데 다음 단계가 그 쌍을 받았습니다.",
        Fix(
            "the output of every time step",
            "모든 시점의 출력",
            "output, _ = rnn(x)",
            (expression(message, return_sequences=True, return_state=True),),
        ),
        Fix(
            "the output of the last time step",
            "마지막 시점의 출력",
            "output, _ = rnn(x); last = output[:, -1]",
            (expression(message),),
        ),
        hint=Bilingual(
            "nn.Sequential passes the pair on: put the layers into a module with a forward of its own.",
            "nn.Sequential은 쌍을 그대로 넘기므로, 직접 forward를 쓴 모듈에 층을 넣습니다.",
        ),
    )


@CAUSES.add("list-output", r"'(?:list|tuple)' object has no attribute '(?:shape|dtype|ndim)'")
def _diagnose_keras_tuple(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "With return_state=True a layer returns a list, the output and its states, not one tensor.",
        "return_state=True이면 층은 텐서 하나가 아니라 출력과 상태의 리스트를 반환합니다.",
        *_fix_unpacking(message),
    )
