"""Initial states: how many, of which shape, and what a layer with return_state returns."""

from __future__ import annotations

import re

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import (
    UNITS,
    count_gates,
    expression,
    format_layer,
    format_states,
    known_size,
    parts_of,
    pluralize,
    states_of,
    units_of,
)
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add("state-count", r"list index out of range")
def _diagnose_count(message: Message) -> Diagnosis | None:
    """Explain too few states: Keras reads a list to its end."""
    if message.call == "LSTMCell":
        return _diagnose_cell_tensor(message)
    if message.call not in ("LSTM", "GRU", "SimpleRNN") or "initial_state=None" in message.text:
        return None
    return _diagnose_number_of_states(message)


@CAUSES.add("state-count-many", r"Too few leaves for PyTreeSpec; expected: \d{1,3}, got: \d{1,3}")
def _diagnose_number_of_states(message: Message) -> Diagnosis | None:
    inputs, given = message.argument("sequences"), message.argument("initial_state")
    if not inputs:
        return None
    parts = parts_of(message.layer)
    count, names = len(parts), ", ".join(parts)
    units = units_of(given[0]) if given else UNITS
    return Diagnosis.of(
        f"{message.layer} has {pluralize(count, 'state')} ({names}); initial_state gave it {len(given)}.",
        f"{message.layer}의 상태는 {count}개({names})인데 initial_state로 {len(given)}개를 받았습니다.",
        *_fix_state_count(message.layer, message.units(units), inputs[0]),
        hint=Bilingual(
            "Bidirectional gives the first half of the list to the forward layer.",
            "Bidirectional은 리스트의 앞 절반을 정방향 층에 줍니다.",
        ),
    )


@CAUSES.add(
    "state-units", r"Matrix size-incompatible: In\[0\]: \[[\d,]{1,60}\], In\[1\]: \[(?P<kernel>[\d,]{1,60})\]"
)
@CAUSES.add(
    "state-units-graph",
    r"Dimensions must be equal, but are \d{1,9} and \d{1,9} for .{0,300}MatMul.{0,600}?with input shapes: "
    r"\[[\d?,]{1,60}\], \[(?P<kernel>[\d?,]{1,60})\]",
)
def _diagnose_product(message: Message) -> Diagnosis | None:
    """Explain a product of a state (batch, size) and the recurrent kernel (units, gates * units)."""
    kernel, states, inputs = message.shape("kernel"), message.argument("states"), _inputs(message)
    if not message.call.endswith("Cell") or not states or len(kernel) != 2 or not inputs:
        return None
    units = known_size(kernel[1]) // count_gates(message.layer)
    if not units or states[0][-1] == units:
        return None
    state, size = states[0], units_of(states[0])
    wanted = states_of(message.layer, inputs[0][0], units)
    layers = expression(message, units), expression(message, size)
    return Diagnosis.of(
        f"A state is {format_shape(state)}, but this {message.layer} has {pluralize(units, 'unit')}: "
        f"{format_shape(wanted[0])}.",
        f"상태는 {format_shape(state)}인데 이 {message.layer}의 유닛은 {units}개라서 "
        f"{format_shape(wanted[0])}이어야 합니다.",
        *_fix_state_units(layers, wanted, size, _sequence_shape(inputs[0])),
    )


@CAUSES.add("state-batch", r"Incompatible shapes: \[[\d,]{1,60}\] vs\. \[[\d,]{1,60}\]")
def _diagnose_batch(message: Message) -> Diagnosis | None:
    """Explain a sum of x W and h U, which both have one row per sequence."""
    states, inputs = message.argument("states"), _inputs(message)
    if not message.call.endswith("Cell") or not states or not inputs or states[0][0] == inputs[0][0]:
        return None
    units, batch = units_of(states[0]), inputs[0][0]
    layer, wanted = expression(message, units), states_of(message.layer, batch, units)
    return Diagnosis.of(
        f"The states are for {states[0][0]} sequences; the batch has {batch}.",
        f"상태는 시퀀스 {states[0][0]}개분인데 배치에는 {batch}개가 있습니다.",
        Fix(
            f"a row for each of the {pluralize(batch, 'sequence')}",
            f"시퀀스 {batch}개마다 한 행",
            f"initial_state={_zeros(wanted)}",
            (layer,),
            _sequence_shape(inputs[0]),
            states=True,
        ),
        hint=Bilingual(
            "The last batch of a data set is often smaller: make the states from tf.shape(x)[0].",
            "데이터의 마지막 배치는 더 작을 때가 많으므로 tf.shape(x)[0]로 상태를 만듭니다.",
        ),
    )


@CAUSES.add(
    "state-spec",
    r"`initial_state` was passed that is not compatible with `cell\.state_size`\. Received `state_spec`="
    r"(?P<given>.{1,400}?); however `cell\.state_size` is \[?(?P<sizes>[\d, ]{1,60})\]?",
)
def _diagnose_spec(message: Message) -> Diagnosis | None:
    """Keras 2 compares `state_spec`, the shapes that were given, with `cell.state_size`, [3, 3]."""
    given = tuple(
        tuple(int(size) if size.isdigit() else None for size in pair)
        for pair in re.findall(r"shape=\((\w{1,9}), (\w{1,9})\)", message.name("given"))
    )
    sizes = [int(size) for size in re.findall(r"\d{1,9}", message.name("sizes"))]
    if not given or not sizes or not sizes[0]:
        return None
    units, name = sizes[0], "LSTM" if len(sizes) == 2 else "GRU"
    if len(given) != len(sizes):
        fixes = _fix_state_count(name, units)
    else:
        size = units_of(given[0])
        layers = format_layer(name, units), format_layer(name, size)
        fixes = _fix_state_units(layers, states_of(name, units=units), size)
    shapes = ", ".join(map(format_shape, given))
    return Diagnosis.of(
        f"initial_state has {pluralize(len(given), 'state')}, {shapes}; the layer has "
        f"{pluralize(len(sizes), 'state')} of {pluralize(units, 'unit')}.",
        f"initial_state는 {len(given)}개, {shapes}인데 층의 상태는 유닛 {units}개짜리 {len(sizes)}개입니다.",
        *fixes,
    )


def _fix_state_units(
    layers: tuple[str, str], wanted: tuple[Shape, ...], size: int, inputs: Shape = SEQUENCE
) -> tuple[Fix, ...]:
    """Return the fixes for states of another number of units than the layer has.

    layers: as it is, and with as many units as the states have, `size`.
    wanted: shapes of the states that it takes.
    """
    units = units_of(wanted[0])
    return (
        Fix(
            f"states of {pluralize(units, 'unit')}",
            f"유닛 {units}개의 상태",
            f"initial_state={_zeros(wanted)}",
            (layers[0],),
            inputs,
            states=True,
        ),
        Fix.of_layer(
            f"a layer of {pluralize(size, 'unit')}, as the states are",
            f"상태에 맞춘 유닛 {size}개의 층",
            layers[1],
            inputs,
            states=True,
        ),
    )


def _fix_state_count(name: str, units: int, inputs: Shape = SEQUENCE) -> tuple[Fix, ...]:
    """Return the fixes for too few or too many states: for the layer alone, and for Bidirectional."""
    layer, parts = format_layer(name, units), parts_of(name)
    states = f"[{', '.join(parts)}]" if len(parts) > 1 else parts[0]
    return (
        Fix(f"{name} alone", f"{name} 하나일 때", f"initial_state={states}", (layer,), inputs, states=True),
        Fix(
            "inside Bidirectional: the states of both directions",
            "Bidirectional 안: 두 방향의 상태",
            f"initial_state=[{format_states(name)}]",
            (f"Bidirectional({layer})",),
            inputs,
            states=True,
        ),
    )


@CAUSES.add(
    "state-bidirectional", r"When passing `initial_state` to a Bidirectional RNN, the state should be"
)
def _diagnose_odd_count(message: Message) -> Diagnosis:
    count = min(message.text[message.match.end() :].count("array("), 99)
    names = (message.layer,) if message.named or message.written else ("LSTM", "GRU")
    return Diagnosis.of(
        f"Bidirectional splits the states evenly between its directions; {count} cannot be split."
        if count % 2
        else "Bidirectional splits the states evenly between its directions.",
        f"Bidirectional은 상태 리스트를 두 방향에 절반씩 나누는데 {count}개는 나눌 수 없습니다."
        if count % 2
        else "Bidirectional은 상태 리스트를 두 방향에 절반씩 나눕니다.",
        *(
            Fix(
                f"{name}: {2 * len(parts_of(name))} states",
                f"{name}: 상태 {2 * len(parts_of(name))}개",
                f"initial_state=[{format_states(name)}]",
                (f"Bidirectional({format_layer(name, message.units(UNITS))})",),
                states=True,
            )
            for name in names
        ),
    )


@CAUSES.add("cell-states", r"missing a required argument: 'states'")
def _diagnose_cell_without(_: Message) -> Diagnosis:
    return _diagnose_cell(
        "A cell does one step: it needs the states that the step starts from.",
        "셀은 한 시점만 계산하므로, 시작할 상태가 필요합니다.",
    )


@CAUSES.add("cell-states-list", r"slice index 1 of dimension 0 out of bounds")
def _diagnose_cell_tensor(message: Message) -> Diagnosis | None:
    if message.call != "LSTMCell":
        return None
    return _diagnose_cell(
        "LSTMCell needs a list of two states, [hidden, cell].",
        "LSTMCell에는 상태 두 개의 리스트 [hidden, cell]이 필요합니다.",
    )


def _diagnose_cell(english: str, korean: str) -> Diagnosis:
    return Diagnosis.of(
        english,
        korean,
        Fix("one step: x is (batch, features)", "한 시점: x는 (batch, features)", "cell(x, [h, c])"),
        Fix(
            "every time step: let a layer loop over them",
            "모든 시점: 층이 반복하게",
            "layers.RNN(cell)(x)",
            (f"RNN(LSTMCell({UNITS}))",),
        ),
        hint=Bilingual(
            "An LSTM's states are [hidden, cell]; a GRU's and a SimpleRNN's is [hidden].",
            "상태는 LSTM이 [hidden, cell], GRU와 SimpleRNN이 [hidden]입니다.",
        ),
    )


def _inputs(message: Message) -> tuple[Shape, ...]:
    return message.argument("inputs") or message.argument("sequence")


def _sequence_shape(step: Shape) -> Shape:
    """Return the shape of the sequence that a step (batch, features) belongs to."""
    return (step[0], "timesteps", *step[1:])


def _zeros(shapes: tuple[Shape, ...]) -> str:
    made = [f"tf.zeros({format_shape(shape)})" for shape in shapes]
    return f"[{', '.join(made)}]" if len(made) > 1 else made[0]
