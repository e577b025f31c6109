"""Bidirectional: the layer in it, its two directions, and how they are merged."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import UNITS, find_nearest, inner_layer, name_axes, pluralize
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message

CAUSES = Causes()


def _forward(message: Message, units: int | None = None, **options: object) -> str:
    """Return the layer to wrap, without its states."""
    return inner_layer(message, units, **{"return_state": False, "go_backwards": False, **options})


def _backward(message: Message, units: int | None = None, **options: object) -> str:
    return _forward(message, units, **options, go_backwards=True)


@CAUSES.add(
    "wrapper-without-layer",
    r"Please initialize `(?P<wrapper>Bidirectional|TimeDistributed)` layer with a .{1,60}? instance\. "
    r"Received: (?P<given><class|[\w.'\"-]{1,40})",
)
def _diagnose_no_layer(message: Message) -> Diagnosis:
    wrapper, given = message.name("wrapper"), message.name("given").strip()
    inner = _forward(message) if wrapper == "Bidirectional" else "Dense(3)"
    called = "class" in given
    return Diagnosis.of(
        f"{wrapper} wraps a layer; it got a class. Call the class first."
        if called
        else f"{wrapper} wraps a layer; it got {given}, which is not a layer.",
        f"{wrapper}: 층을 감싸야 하는데 클래스를 받았습니다. 클래스를 먼저 호출합니다."
        if called
        else f"{wrapper}: 층을 감싸야 하는데 층이 아닌 값({given})을 받았습니다.",
        Fix.of_layer("make the layer, then wrap it", "층을 만들어 감싸기", f"{wrapper}({inner})"),
    )


@CAUSES.add("merge-mode", r"Invalid merge mode\. Received: (?P<given>\w{1,40})")
def _diagnose_merge_mode(message: Message) -> Diagnosis:
    given = message.name("given")
    modes = ("concat", "sum", "mul", "ave")
    named = find_nearest({"add": "sum", "average": "ave", "mean": "ave"}.get(given, given), modes, "concat")
    merged, beside = (
        f"Bidirectional({_forward(message)}, merge_mode={mode!r})" for mode in (named, "concat")
    )
    fixes = [Fix.of_layer("both side by side, the default", "나란히 이어 붙이기, 기본값", beside)]
    if merged != beside:
        fixes.insert(0, Fix.of_layer(f"merged by {named}", f"합치는 방법 {named}", merged))
    return Diagnosis.of(
        f"merge_mode is {given}; Keras knows concat, sum, mul, ave and None.",
        f"merge_mode에 {given} 값은 없습니다. concat, sum, mul, ave, None이 있습니다.",
        *fixes,
    )


@CAUSES.add("direction", r"Forward layer and backward layer should have different `go_backwards` value")
def _diagnose_equal_directions(message: Message) -> Diagnosis:
    one, other = _forward(message), _backward(message)
    return Diagnosis.of(
        "Both layers read in the same direction; the backward layer needs go_backwards=True.",
        "두 층의 방향이 같습니다. 역방향 층에는 go_backwards=True가 필요합니다.",
        Fix(
            "two layers of your own",
            "두 층을 직접 만들 때",
            f"backward_layer={other}",
            (f"Bidirectional({one}, backward_layer={other})",),
        ),
        Fix.of_layer("a copy of the forward layer", "정방향 층의 복사", f"Bidirectional({one})"),
    )


@CAUSES.add(
    "direction-attribute",
    r"expected to have the same value for attribute ['\"](?P<name>\w{1,40})['\"], got "
    r"['\"](?P<forward>\w{1,20})['\"] for forward layer and ['\"](?P<backward>\w{1,20})['\"] for backward",
)
def _diagnose_attribute(message: Message) -> Diagnosis | None:
    name, forward = message.name("name"), message.name("forward")
    if forward not in ("True", "False"):
        return None
    options = {name: forward == "True"}
    one = _forward(message, **options)
    other = _backward(message, **options)
    layer = f"Bidirectional({one}, backward_layer={other})"
    return Diagnosis.of(
        f"The two directions differ in {name}: {forward} forward, {message.name('backward')} backward.",
        f"두 방향의 {name} 값이 다릅니다: 정방향 {forward}, 역방향 {message.name('backward')}.",
        Fix(f"{name}={forward} in both", f"둘 다 {name}={forward}", f"backward_layer={other}", (layer,)),
    )


@CAUSES.add(
    "direction-units", r"Incompatible shapes: \[(?P<first>[\d,]{1,60})\] vs\. \[(?P<second>[\d,]{1,60})\]"
)
def _diagnose_units(message: Message) -> Diagnosis | None:
    if message.call != "Bidirectional":
        return None
    first, second = message.shape("first"), message.shape("second")
    inputs = message.argument("sequences")
    one, two = first[-1], second[-1]
    if not isinstance(one, int) or not isinstance(two, int) or not inputs:
        return None
    shape = name_axes(inputs[0])
    front, back = _forward(message, one), _backward(message, two)
    same = f"Bidirectional({front}, merge_mode='sum')"
    beside = f"Bidirectional({front}, backward_layer={back})"
    return Diagnosis.of(
        f"The directions have {one} and {pluralize(two, 'unit')}; sum, mul and ave need the same number.",
        f"두 방향의 유닛이 {one}개와 {two}개입니다. sum, mul, ave에는 같은 개수가 필요합니다.",
        Fix.of_layer(f"{pluralize(one, 'unit')} in both", f"둘 다 유닛 {one}개", same, shape),
        Fix("side by side", "나란히 이어 붙이기", "merge_mode='concat'", (beside,), shape),
    )


@CAUSES.add(
    "direction-layer",
    r"'name': 'backward_(?!simple_rnn|lstm|gru|rnn|conv_lstm|bidirectional)\w{1,60}'.{0,4000}?"
    r"Exception encountered: Error when deserializing",
)
def _diagnose_not_recurrent(message: Message) -> Diagnosis:
    layer = f"Bidirectional({_forward(message)})"
    return Diagnosis.of(
        "Bidirectional needs a recurrent layer: other layers have no direction of time.",
        "Bidirectional에는 순환층이 필요합니다. 다른 층에는 시간의 방향이 없습니다.",
        Fix.of_layer("a recurrent layer inside", "안에 순환층", layer),
        Fix("Dense after it", "Dense는 그 뒤에", f"{layer}, Dense({UNITS})", (layer, f"Dense({UNITS})")),
    )
