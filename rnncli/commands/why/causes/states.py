"""Initial states: how many, of which shape, and what a layer with return_state returns."""

from __future__ import annotations

import re

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import (
    SEQUENCE,
    UNITS,
    both_ways,
    counted,
    expression,
    gates,
    parts_of,
    states_of,
    whole,
    written,
)
from rnncli.commands.why.diagnosis import Cause, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual


def _count(message: Message) -> Diagnosis | None:
    """Too few states: Keras reads a list to its end."""
    if message.call == "LSTMCell":
        return _cell_tensor(message)
    if message.call not in ("LSTM", "GRU", "SimpleRNN"):
        return None
    inputs, given = message.argument("sequences"), message.argument("initial_state")
    if not inputs or "initial_state=None" in message.text:
        return None
    return _number_of_states(message, inputs[0], given)


def _too_many(message: Message) -> Diagnosis | None:
    inputs = message.argument("sequences")
    return _number_of_states(message, inputs[0], message.argument("initial_state")) if inputs else None


def _number_of_states(message: Message, inputs: Shape, given: tuple[Shape, ...]) -> Diagnosis:
    parts = parts_of(message.layer)
    count, names = len(parts), ", ".join(parts)
    return Diagnosis(
        Bilingual(
            f"{message.layer} has {counted(count, 'state')} ({names}); initial_state gave it {len(given)}.",
            f"{message.layer}의 상태는 {count}개({names})인데 initial_state로 {len(given)}개를 받았습니다.",
        ),
        _recounted(message.layer, _last(given), inputs),
        Bilingual(
            "Bidirectional gives the first half of the list to the forward layer.",
            "Bidirectional은 목록의 앞 절반을 정방향 층에 줍니다.",
        ),
    )


def _product(message: Message) -> Diagnosis | None:
    """A product of a state (batch, size) and the recurrent kernel (units, gates * units)."""
    kernel, states, inputs = message.shape("kernel"), message.argument("states"), _inputs(message)
    if not message.call.endswith("Cell") or not states or len(kernel) != 2 or not inputs:
        return None
    units = whole(kernel[1]) // gates(message.layer)
    if not units or states[0][-1] == units:
        return None
    return _wrong_units(message, states[0], units, _around(inputs[0]))


def _wrong_units(message: Message, state: Shape, units: int, inputs: Shape) -> Diagnosis:
    size = _last((state,))
    layer, other = expression(message, units), expression(message, size)
    wanted = states_of(message.layer, inputs[0], units)
    return Diagnosis(
        Bilingual(
            f"A state is {format_shape(state)}, but this {message.layer} has {counted(units, 'unit')}: "
            f"{format_shape(wanted[0])}.",
            f"상태는 {format_shape(state)}인데 이 {message.layer}의 유닛은 {units}개라서 "
            f"{format_shape(wanted[0])}이어야 합니다.",
        ),
        (
            Fix(
                Bilingual(f"states of {counted(units, 'unit')}", f"유닛 {units}개의 상태"),
                f"initial_state={_zeros(wanted)}",
                (layer,),
                inputs,
                states=True,
            ),
            Fix(
                Bilingual(
                    f"a layer of {counted(size, 'unit')}, as the states are",
                    f"상태에 맞춘 유닛 {size}개의 층",
                ),
                other,
                (other,),
                inputs,
                states=True,
            ),
        ),
    )


def _batch(message: Message) -> Diagnosis | None:
    """The sum of x W and h U: both have a row per sequence."""
    states, inputs = message.argument("states"), _inputs(message)
    if not message.call.endswith("Cell") or not states or not inputs or states[0][0] == inputs[0][0]:
        return None
    units, batch = _last(states), inputs[0][0]
    layer, wanted = expression(message, units), states_of(message.layer, inputs[0][0], units)
    return Diagnosis(
        Bilingual(
            f"The states are for {states[0][0]} sequences; the batch has {batch}.",
            f"상태는 시퀀스 {states[0][0]}개분인데 배치에는 {batch}개가 있습니다.",
        ),
        (
            Fix(
                Bilingual(
                    f"a row for each of the {counted(batch, 'sequence')}", f"시퀀스 {batch}개마다 한 행"
                ),
                f"initial_state={_zeros(wanted)}",
                (layer,),
                _around(inputs[0]),
                states=True,
            ),
        ),
        Bilingual(
            "The last batch of a data set is often smaller: make the states from tf.shape(x)[0].",
            "데이터의 마지막 배치는 더 작을 때가 많으므로 tf.shape(x)[0]로 상태를 만듭니다.",
        ),
    )


def _spec(message: Message) -> Diagnosis | None:
    """Keras 2 compares `state_spec`, the shapes that were given, with `cell.state_size`, [3, 3]."""
    given = tuple(
        tuple(int(size) if size.isdigit() else None for size in pair)
        for pair in re.findall(r"shape=\((\w{1,9}), (\w{1,9})\)", message.name("given"))
    )
    sizes = [int(size) for size in re.findall(r"\d{1,9}", message.name("sizes"))]
    if not given or not sizes or not sizes[0]:
        return None
    units, name = sizes[0], "LSTM" if len(sizes) == 2 else "GRU"
    return Diagnosis(
        Bilingual(
            f"initial_state has {counted(len(given), 'state')}, {_listed(given)}; the layer has "
            f"{counted(len(sizes), 'state')} of {counted(units, 'unit')}.",
            f"initial_state는 {len(given)}개, {_listed(given)}인데 층의 상태는 유닛 {units}개짜리 "
            f"{len(sizes)}개입니다.",
        ),
        _resized(name, units, _last(given)) if len(given) == len(sizes) else _recounted(name, units),
    )


def _resized(name: str, units: int, size: int) -> tuple[Fix, ...]:
    """Return the fixes for states of another number of units than the layer has."""
    zeros = _zeros(states_of(name, "batch", units))
    layer, other = written(name, units), written(name, size)
    fits = Bilingual(f"states of {counted(units, 'unit')}", f"유닛 {units}개의 상태")
    follows = Bilingual(
        f"a layer of {counted(size, 'unit')}, as the states are", f"상태에 맞춘 유닛 {size}개의 층"
    )
    return (
        Fix(fits, f"initial_state={zeros}", (layer,), SEQUENCE, states=True),
        Fix(follows, other, (other,), SEQUENCE, states=True),
    )


def _recounted(name: str, units: int, inputs: Shape = SEQUENCE) -> tuple[Fix, ...]:
    """Return the fixes for too few or too many states: for the layer alone, and for Bidirectional."""
    own, parts = written(name, units), parts_of(name)
    one = f"[{', '.join(parts)}]" if len(parts) > 1 else parts[0]
    alone = Bilingual(f"{name} alone", f"{name} 하나일 때")
    wrapped = Bilingual(
        "inside Bidirectional: the states of both directions", "Bidirectional 안: 두 방향의 상태"
    )
    return (
        Fix(alone, f"initial_state={one}", (own,), inputs, states=True),
        Fix(wrapped, f"initial_state=[{both_ways(name)}]", (f"Bidirectional({own})",), inputs, states=True),
    )


def _both_ways(message: Message) -> Diagnosis:
    count = min(message.text[message.match.end() :].count("array("), 99)
    return Diagnosis(
        Bilingual(
            f"Bidirectional halves the list of states between its directions; {count} cannot be halved."
            if count % 2
            else "Bidirectional halves the list of states between its directions.",
            f"Bidirectional은 상태 목록을 두 방향에 절반씩 나누는데 {count}개는 나눌 수 없습니다."
            if count % 2
            else "Bidirectional은 상태 목록을 두 방향에 절반씩 나눕니다.",
        ),
        tuple(
            Fix(
                Bilingual(
                    f"{name}: {2 * len(parts_of(name))} states", f"{name}: 상태 {2 * len(parts_of(name))}개"
                ),
                f"initial_state=[{both_ways(name)}]",
                (f"Bidirectional({written(name)})",),
                SEQUENCE,
                states=True,
            )
            for name in ("LSTM", "GRU")
        ),
    )


def _cell_without(_: Message) -> Diagnosis:
    return _cell(
        "A cell does one step: it needs the states that the step starts from.",
        "셀은 한 시점만 계산하므로, 시작할 상태가 필요합니다.",
    )


def _cell_tensor(message: Message) -> Diagnosis | None:
    if message.call != "LSTMCell":
        return None
    return _cell(
        "LSTMCell needs a list of two states, [hidden, cell].",
        "LSTMCell에는 상태 두 개의 목록 [hidden, cell]이 필요합니다.",
    )


def _cell(english: str, korean: str) -> Diagnosis:
    return Diagnosis(
        Bilingual(english, korean),
        (
            Fix(
                Bilingual("one step: x is (batch, features)", "한 시점: x는 (batch, features)"),
                "cell(x, [h, c])",
                (),
            ),
            Fix(
                Bilingual("every time step: let a layer loop over them", "모든 시점: 층이 반복하게"),
                "layers.RNN(cell)(x)",
                (f"RNN(LSTMCell({UNITS}))",),
                SEQUENCE,
            ),
        ),
        Bilingual(
            "An LSTM's states are [hidden, cell]; a GRU's and a SimpleRNN's is [hidden].",
            "상태는 LSTM이 [hidden, cell], GRU와 SimpleRNN이 [hidden]입니다.",
        ),
    )


def _inputs(message: Message) -> tuple[Shape, ...]:
    return message.argument("inputs") or message.argument("sequence")


def _around(step: Shape) -> Shape:
    """Return the shape of the sequence that a step (batch, features) belongs to."""
    return (step[0], "timesteps", *step[1:])


def _zeros(shapes: tuple[Shape, ...]) -> str:
    made = [f"tf.zeros({format_shape(shape)})" for shape in shapes]
    return f"[{', '.join(made)}]" if len(made) > 1 else made[0]


def _last(shapes: tuple[Shape, ...]) -> int:
    return whole(shapes[0][-1]) or UNITS if shapes and shapes[0] else UNITS


def _listed(shapes: tuple[Shape, ...]) -> str:
    return ", ".join(map(format_shape, shapes))


CAUSES = (
    Cause("state-count", r"list index out of range", _count),
    Cause("state-count-many", r"Too few leaves for PyTreeSpec; expected: \d{1,3}, got: \d{1,3}", _too_many),
    Cause(
        "state-units",
        r"Matrix size-incompatible: In\[0\]: \[[\d,]{1,60}\], In\[1\]: \[(?P<kernel>[\d,]{1,60})\]",
        _product,
    ),
    Cause(
        "state-units-graph",
        r"Dimensions must be equal, but are \d{1,9} and \d{1,9} for .{0,300}MatMul.{0,600}?with "
        r"input shapes: "
        r"\[[\d?,]{1,60}\], \[(?P<kernel>[\d?,]{1,60})\]",
        _product,
    ),
    Cause("state-batch", r"Incompatible shapes: \[[\d,]{1,60}\] vs\. \[[\d,]{1,60}\]", _batch),
    Cause(
        "state-spec",
        r"`initial_state` was passed that is not compatible with `cell\.state_size`\. Received `state_spec`="
        r"(?P<given>.{1,400}?); however `cell\.state_size` is \[?(?P<sizes>[\d, ]{1,60})\]?",
        _spec,
    ),
    Cause(
        "state-bidirectional",
        r"When passing `initial_state` to a Bidirectional RNN, the state should be",
        _both_ways,
    ),
    Cause("cell-states", r"missing a required argument: 'states'", _cell_without),
    Cause("cell-states-list", r"slice index 1 of dimension 0 out of bounds", _cell_tensor),
)
