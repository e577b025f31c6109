"""Inputs with too few or too many axes."""

from __future__ import annotations

from math import prod

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import (
    before,
    expression,
    format_count_ko,
    format_layer,
    name_axes,
    name_unknown,
    one_step,
    pluralize,
    time_steps,
    units_of,
    with_width,
)
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import DEFAULT, Message
from rnncli.renderers.wording import Bilingual

_SHAPE = r"[(\[](?P<shape>[\dNone, ]{0,100})[)\]]"
CAUSES = Causes()


@CAUSES.add(
    "rank",
    r"expected (?:min_)?ndim=(?P<expected>\d), found ndim=(?P<found>\d)"
    rf"(?:\. Full shape received: {_SHAPE})?",
)
def _diagnose_rank(message: Message) -> Diagnosis | None:
    expected, found = message.number("expected"), message.number("found")
    shape = message.shape("shape") if message.name("shape") else (None,) * found
    if len(shape) != found:
        return None
    if expected == 2 and found == 3:
        return _diagnose_unexpected_sequence(message, shape)
    if message.layer.startswith("Conv") and found < expected:
        return _diagnose_images(message, shape, expected)
    return _diagnose_axes(message, shape) if expected == 3 else None


@CAUSES.add(
    "rank-keras2",
    r"checking (?:model )?input: expected \w{1,100} to have 3 dimensions, but got array with shape " + _SHAPE,
)
def _diagnose_array(message: Message) -> Diagnosis | None:
    """Keras 1 and early Keras 2: `expected lstm_1_input to have 3 dimensions, but got array with shape`."""
    return _diagnose_axes(message, message.shape("shape"))


def _diagnose_axes(message: Message, shape: Shape) -> Diagnosis | None:
    by_count = {1: _diagnose_one_axis, 2: _diagnose_two_axes, 4: _diagnose_four_axes}
    return by_count[len(shape)](message, shape) if len(shape) in by_count else None


def _name_expected_axes(shape: Shape) -> Bilingual:
    count, axes = len(shape), "axis" if len(shape) == 1 else "axes"
    got = f"{format_shape(shape)}, {count} {axes}" if any(shape) else f"{count} {axes}"
    received = f"{format_shape(shape)}, 축 {count}개" if any(shape) else f"축 {count}개"
    return Bilingual(
        f"A recurrent layer needs (batch, timesteps, features); it got {got}.",
        f"순환층의 입력은 (batch, timesteps, features)인데 {received}를 받았습니다.",
    )


def _diagnose_images(message: Message, shape: Shape, expected: int) -> Diagnosis:
    """ConvLSTM: every time step is an image, or in 1D a row."""
    axes = ("rows", "cols", "depth")[: expected - 3]
    wanted = f"(batch, timesteps, {', '.join(axes)}, channels)"
    fixes = []
    if len(shape) == expected - 1:
        image = Fix(
            "images of one channel",
            "채널이 하나인 이미지일 때",
            "x[..., None]",
            (f"{message.layer}(4, 1)",),
            (*name_axes(shape, ("batch", "timesteps", *axes)), 1),
        )
        fixes.append(image)
    if len(shape) == 3:
        english, korean = "time steps of features, without images", "이미지가 아니라 특성일 때"
        fixes.append(Fix.of_layer(english, korean, format_layer(DEFAULT), name_axes(shape)))
    return Diagnosis.of(
        f"{message.layer} needs {wanted}; it got {format_shape(shape)}.",
        f"{message.layer}의 입력은 {wanted}인데 {format_shape(shape)}를 받았습니다.",
        *fixes,
    )


def _diagnose_one_axis(message: Message, shape: Shape) -> Diagnosis:
    size = name_unknown(shape[0], "timesteps")
    layer = (expression(message),)
    fixes = (
        Fix(*time_steps(shape[0]), "x[None, :, None]", layer, (1, size, 1)),
        Fix(*one_step(shape[0]), "x[None, None, :]", layer, (1, 1, name_unknown(shape[0], "features"))),
        Fix(
            f"{pluralize(shape[0], 'sequence')} of one number",
            f"숫자 하나짜리 시퀀스 {format_count_ko(shape[0])}",
            "x[:, None, None]",
            layer,
            (size, 1, 1),
        ),
    )
    return Diagnosis(_name_expected_axes(shape), fixes, _SERIES)


def _diagnose_two_axes(message: Message, shape: Shape) -> Diagnosis:
    batch, size = name_unknown(shape[0], "batch"), shape[1]
    layer = (expression(message),)
    series = (
        Fix(*time_steps(size), "x[..., None]", layer, (batch, name_unknown(size, "timesteps"), 1)),
        Fix(*one_step(size), "x[:, None, :]", layer, (batch, 1, name_unknown(size, "features"))),
    )
    if shape[0] is None:
        return Diagnosis(
            _name_expected_axes(shape), (_fix_sequences_before(message, shape), *series), _BETWEEN
        )
    single = Fix(
        f"one sequence of {pluralize(shape[0], 'time step')}, without the batch axis",
        f"배치 축이 없는, 시점 {shape[0]}개의 시퀀스 하나",
        "x[None]",
        layer,
        (1, *shape),
    )
    return Diagnosis(_name_expected_axes(shape), (*series, single) if shape[0] != 1 else series, _SERIES)


def _fix_sequences_before(message: Message, shape: Shape) -> Fix:
    units = units_of(shape)
    first = format_layer(message.layer, units, return_sequences=True)
    if message.is_bidirectional and units % 2 == 0:
        first = f"Bidirectional({format_layer(message.layer, units // 2, return_sequences=True)})"
    return Fix(
        f"the previous layer is recurrent, with {pluralize(units, 'output')}",
        f"앞 층이 출력 {units}개인 순환층일 때",
        first,
        (first, expression(message)),
    )


def _diagnose_four_axes(message: Message, shape: Shape) -> Diagnosis:
    batch, size, rows, channels = name_axes(shape, ("batch", "timesteps", "rows", "features"))
    layer = (expression(message),)
    if 1 in shape[2:]:
        cut, kept = ("x[..., 0]", shape[2]) if channels == 1 else ("x[:, :, 0]", shape[3])
        first = Fix(
            "an extra axis of size 1",
            "크기 1인 축이 하나 더 있을 때",
            cut,
            layer,
            (batch, size, name_unknown(kept, "features")),
        )
    else:
        known = [side for side in shape[2:] if isinstance(side, int)]
        flat = prod(known) if len(known) == 2 else "features"
        reshape = f"x.reshape(-1, {size}, {flat})" if shape[0] else f"layers.Reshape(({size}, {flat}))(x)"
        first = Fix(
            f"time steps of {shape[2]} x {pluralize(shape[3], 'feature')}",
            f"한 시점의 특성이 {shape[2]} x {shape[3]}개일 때",
            reshape,
            layer,
            (batch, size, flat),
        )
    each = before(message)
    several = Fix(
        f"sequences of {pluralize(shape[2], 'step')}, {size} for each batch entry",
        f"배치 하나마다 시점 {format_count_ko(shape[2])}의 시퀀스가 {size}개일 때",
        f"layers.TimeDistributed({each})(x)",
        (f"TimeDistributed({each})",),
        (batch, size, rows, channels),
    )
    return Diagnosis(_name_expected_axes(shape), (first, several), _EMBEDDING)


def _diagnose_unexpected_sequence(message: Message, shape: Shape) -> Diagnosis:
    return Diagnosis.of(
        f"This layer needs (batch, features); it got a sequence, {format_shape(shape)}.",
        f"이 층의 입력은 (batch, features)인데 시퀀스 {format_shape(shape)}를 받았습니다.",
        Fix.of_layer(
            "only the last time step is needed",
            "마지막 시점만 필요할 때",
            with_width(message, units_of(shape), return_sequences=False),
            name_axes((*shape[:2], None)),
        ),
        hint=Bilingual(
            "RepeatVector repeats one vector: give the previous layer return_sequences=False.",
            "RepeatVector는 벡터 하나를 되풀이하므로 앞 층은 return_sequences=False여야 합니다.",
        ),
    )


_SERIES = Bilingual(
    "A series is nearly always time steps of one feature: with one step, a layer has nothing to remember.",
    "시계열은 거의 언제나 특성이 하나인 여러 시점입니다. 시점이 하나면 층이 기억할 것이 없습니다.",
)
_BETWEEN = Bilingual(
    "Between two recurrent layers the first one needs return_sequences=True.",
    "순환층 뒤에 순환층이 오면 앞 층에 return_sequences=True가 필요합니다.",
)
_EMBEDDING = Bilingual(
    "Embedding adds an axis: its input is token ids, (batch, timesteps).",
    "Embedding은 축을 하나 더하므로 그 입력은 토큰 번호 (batch, timesteps)입니다.",
)
