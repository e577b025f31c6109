"""Values of messages about initial states and about weights."""

from __future__ import annotations

import re

from rnncli.case import Dimension, Shape, format_shape
from rnncli.commands.why.fix_layers import (
    UNITS,
    count_gates,
    expression,
    format_layer,
    format_states,
    known_size,
    parts_of,
    states_of,
    units_by_layer,
    units_of,
)
from rnncli.commands.why.message import SEQUENCE, ComputeFields, Fields, Message


def _states(name: str, units: int) -> Fields:
    """The states of a layer, alone and in both directions of a Bidirectional."""
    parts = parts_of(name)
    return {
        "name": name,
        "units": units,
        "count": len(parts),
        "parts": ", ".join(parts),
        "states": f"[{', '.join(parts)}]" if len(parts) > 1 else parts[0],
        "both_count": 2 * len(parts),
        "both_states": f"[{format_states(name)}]",
    }


def _too_few_states(message: Message) -> Fields | None:
    """Keras reads the list of states to its end: `list index out of range`."""
    if message.call == "LSTMCell":
        return {}
    if message.call not in ("LSTM", "GRU", "SimpleRNN") or "initial_state=None" in message.text:
        return None
    return _number_of_states(message)


def _number_of_states(message: Message) -> Fields | None:
    inputs, given = message.argument("sequences"), message.argument("initial_state")
    if not inputs:
        return None
    units = message.units(units_of(given[0]) if given else UNITS)
    return {"given": len(given), "inputs": inputs[0], **_states(message.layer, units)}


def _states_in_halves(message: Message) -> Fields:
    count = min(message.text[message.match.end() :].count("array("), 99)
    names = (message.layer,) if message.named or message.written else ("LSTM", "GRU")
    return {
        "states": count,
        "odd": count % 2,
        "kinds": [_states(name, message.units(UNITS)) for name in names],
    }


def _state_units(message: Message) -> Fields | None:
    """A product of a state (batch, size) and the recurrent kernel (units, gates * units)."""
    kernel, states, inputs = message.shape("kernel"), message.argument("states"), _step(message)
    if not message.call.endswith("Cell") or not states or len(kernel) != 2 or not inputs:
        return None
    units = known_size(kernel[1]) // count_gates(message.layer)
    if not units or states[0][-1] == units:
        return None
    wanted, size = states_of(message.layer, inputs[0][0], units), units_of(states[0])
    return {
        "state": states[0],
        "wanted": wanted[0],
        "zeros": _zeros(wanted),
        "units": units,
        "size": size,
        "kept": expression(message, units),
        "changed": expression(message, size),
        "inputs": _sequence(inputs[0]),
    }


def _state_batch(message: Message) -> Fields | None:
    """A sum of x W and h U, which both have one row per sequence."""
    states, inputs = message.argument("states"), _step(message)
    if not message.call.endswith("Cell") or not states or not inputs or states[0][0] == inputs[0][0]:
        return None
    units, batch = units_of(states[0]), inputs[0][0]
    return {
        "given": states[0][0],
        "batch": batch,
        "units": units,
        "zeros": _zeros(states_of(message.layer, batch, units)),
        "inputs": _sequence(inputs[0]),
    }


def _state_spec(message: Message) -> Fields | None:
    """Keras 2 compares `state_spec`, the shapes that were given, with `cell.state_size`, [3, 3]."""
    pairs = re.findall(r"shape=\((\w{1,9}), (\w{1,9})\)", message.name("given"))
    given: list[tuple[Dimension, ...]] = [
        tuple(int(size) if size.isdigit() else None for size in pair) for pair in pairs
    ]
    sizes = [int(size) for size in re.findall(r"\d{1,9}", message.name("sizes"))]
    if not given or not sizes or not sizes[0]:
        return None
    units, size, name = sizes[0], units_of(given[0]), "LSTM" if len(sizes) == 2 else "GRU"
    return {
        **_states(name, units),
        "given": len(given),
        "wanted": len(sizes),
        "shapes": ", ".join(map(format_shape, given)),
        "zeros": _zeros(states_of(name, units=units)),
        "size": size,
        "kept": format_layer(name, units),
        "changed": format_layer(name, size),
        "inputs": SEQUENCE,
    }


def _step(message: Message) -> tuple[Shape, ...]:
    """Return the input of a step (batch, features)."""
    return message.argument("inputs") or message.argument("sequence")


def _sequence(step: Shape) -> Shape:
    """Return the shape of the sequence that a step (batch, features) belongs to."""
    return (step[0], "timesteps", *step[1:])


def _zeros(shapes: tuple[Shape, ...]) -> str:
    made = [f"tf.zeros({format_shape(shape)})" for shape in shapes]
    return f"[{', '.join(made)}]" if len(made) > 1 else made[0]


def _torch_states(message: Message) -> Fields | None:
    """`Expected hidden[0] size (1, 2, 3), got [2, 1, 3]`: (layers * directions, batch, units)."""
    wanted, given = message.shape("wanted"), message.shape("given")
    if len(wanted) != 3 or len(given) != 3:
        return None
    count, batch, units = wanted
    name = "LSTM" if "hidden[" in message.match[0] else "GRU"
    return {
        "name": name,
        # of several layers or directions the message says too little
        "run": (format_layer(name, known_size(units)),) if count == 1 else (),
        "turned": given[:2] == (batch, count),
        "batch_first": given[1] != batch and given[0] == count,
    }


def _weights(message: Message) -> Fields:
    """Which layers have a kernel of the given shape, (features, gates * units), or a bias.

    Or the biases of a GRU, (2, 9) with reset_after and (9,) without.
    """
    wanted, given = message.shape("wanted"), message.shape("given")
    if _are_biases(message, wanted, given):
        units = known_size(given[-1]) // count_gates("GRU") or UNITS
        return {"kind": "two_biases" if len(wanted) == 2 else "one_bias", "units": units}
    width = known_size(given[-1]) if given else 0
    features = known_size(given[0]) if len(given) == 2 else "features"
    fitting = features and len(given) == len(wanted) < 3
    sources = [{"name": name, "units": units} for name, units in units_by_layer(width).items() if fitting]
    return {"kind": "kernel", "features": features, "sources": sources}


def _are_biases(message: Message, wanted: Shape, given: Shape) -> bool:
    bias = min(wanted, given, key=len)
    pair = (2, *bias) in (wanted, given) and bias in (wanted, given) and len(bias) == 1
    return pair and message.named in ("", "GRU") and known_size(bias[0]) % count_gates("GRU") == 0


def _checkpoint(message: Message) -> Fields | None:
    given = message.shape("given")
    if len(given) != 2:
        return None
    features = known_size(given[1])
    found = units_by_layer(known_size(given[0])) if features else {}
    sources = [
        {"name": name, "torch": name.removeprefix("Simple"), "units": units} for name, units in found.items()
    ]
    return {"features": features, "sources": sources}


COMPUTE: dict[str, ComputeFields] = {
    "checkpoint": _checkpoint,
    "number_of_states": _number_of_states,
    "state_batch": _state_batch,
    "state_spec": _state_spec,
    "state_units": _state_units,
    "states_in_halves": _states_in_halves,
    "too_few_states": _too_few_states,
    "torch_states": _torch_states,
    "weights": _weights,
}
