"""Values of messages about layers: how they were written, their initial states and their weights."""

from __future__ import annotations

import re

from rnncli import initializers, layers
from rnncli.cells import activations
from rnncli.commands.why.fix_layers import (
    UNITS,
    before,
    count_gates,
    expression,
    find_nearest,
    format_layer,
    known_size,
    name_axes,
    parts_of,
    states_of,
    units_of,
)
from rnncli.commands.why.message import (
    DEFAULT,
    SEQUENCE,
    ComputeFields,
    Fields,
    FrameworkMessage,
    parse_shape,
    recurrent_in,
)
from rnncli.values import Dimension, Shape, format_shape

MAX_ARGUMENTS = 6
"""Unknown arguments that are explained; a message with more is explained by its first ones."""

OF_INPUT = ("batch_input_shape", "batch_shape", "input_length")
"""Arguments that every layer of Keras 2 had, and that Keras 3 leaves to Input."""

FOREIGN = (*OF_INPUT, "time_major", "weights", "batch_first", "hidden_size", "num_layers", "bidirectional")
"""Arguments of Keras 1 and 2 and of PyTorch, each with its fix."""


def _unknown_arguments(message: FrameworkMessage) -> Fields | None:
    """`{'return_sequence': True, 'trainable': True}`."""
    owner, given = message.name("owner"), message.name("given")
    names = re.findall(r"['\"](\w{1,60})['\"]: ", given)[:MAX_ARGUMENTS]
    foreign = OF_INPUT if owner else FOREIGN
    if not names or (not recurrent_in(owner) and not all(name in foreign for name in names)):
        return None
    values = dict(re.findall(r"['\"](\w{1,60})['\"]: (\([^)]{0,60}\)|\[[^\]]{0,60}\]|[\w.]{1,60})", given))
    return _arguments(
        message, recurrent_in(owner) or owner or message.layer, {name: values.get(name, "") for name in names}
    )


def _argument_of_the_input(message: FrameworkMessage) -> Fields:
    owner = {"Input": "Input", "": "Embedding"}.get(message.name("owner"), message.layer)
    return _arguments(message, owner, {message.name("name") or message.name("gone"): ""})


def _arguments(message: FrameworkMessage, owner: str, given: dict[str, str]) -> Fields:
    """The unknown arguments.  owner: the class that got them.  given: their values by name, as text."""
    return {
        "owner": owner,
        "names": ", ".join(given),
        "arguments": [{"name": name, **_argument(message, name, value)} for name, value in given.items()],
        "foreign": any(name in FOREIGN for name in given),
        "saved": "deserializ" in message.text
        or given.get("time_major") == "False",  # files of Keras 2 say so
    }


def _argument(message: FrameworkMessage, name: str, value: str) -> Fields:
    """What to write instead of an argument; `kind` chooses the fix."""
    if name in FOREIGN:
        return {"kind": name, **_foreign_argument(message, name, value)}
    options = layers.class_of(message.layer).options
    plain = [layer for layer in layers.recurrent_names() if not layer.startswith(("Conv", "Bi"))]
    having = [layer for layer in plain if name in layers.class_of(layer).options]
    if having:
        return {"kind": "elsewhere", "having": having[0]}
    if near := find_nearest(name, options, ""):
        default = options[near].default
        changed = not default if isinstance(default, bool) else default
        return {
            "kind": "misspelled",
            "near": near,
            "option": "" if near == "units" else f"{near}={changed!r}",
        }
    return {"kind": "unknown"}


def _foreign_argument(message: FrameworkMessage, name: str, value: str) -> Fields:
    if name.endswith("_shape"):
        shape = parse_shape(value)
        known = len(shape) in (2, 3)  # an Embedding takes (batch, timesteps)
        given = (*name_axes(shape), *SEQUENCE[len(shape) :]) if known else SEQUENCE
        return {"kind": "batch_shape", "batch_shape": shape if known else "shape", "given": given}
    if name == "time_major" and value == "False":
        return {"kind": "time_major_off"}
    if name == "input_length":
        steps: Dimension = int(value[:9]) if value.isdigit() and value != "0" else "timesteps"
        tokens = any(word in message.match[0] for word in ("Embedding", "deprecated"))
        return {"steps": steps, "axes": (steps,) if tokens else (steps, "features")}
    if name == "hidden_size":
        return {"units": int(value[:6]) if value.isdigit() and int(value[:6]) else UNITS}
    if name == "num_layers":
        count = min(int(value[:3]), 4) if value.isdigit() and int(value[:3]) else 2
        every = before(message, return_sequences=True)
        return {"count": count, "stack": (*(every for _ in range(count - 1)), expression(message))}
    return {}


def _units(message: FrameworkMessage) -> Fields:
    """The number of units that was probably meant: `-3` -> 3, `3.5` -> 3, `0` -> 3."""
    digits = re.search(r"\d{1,6}", message.name("value"))
    return {"units": int(digits[0]) if digits and int(digits[0]) else UNITS}


def _float_units(message: FrameworkMessage) -> Fields | None:
    """`(5, 14.0)`: the shape of a kernel whose width is gates * units."""
    width = float(message.name("width"))
    if width > 1e9:
        return None
    return {"width": f"{width:g}", "units": max(1, int(width / count_gates(message.layer)))}


def _activation(message: FrameworkMessage) -> Fields:
    """A number is the second argument of a layer, which PyTorch's layers have."""
    name = message.name("name")
    number = re.fullmatch(r"[\d.]{1,20}", name)
    return {"number": number, "near": find_nearest(name, activations.names(), "tanh")}


def _nonlinearity(message: FrameworkMessage) -> Fields:
    name = message.name("name")
    return {"known": name if name in activations.names() else "tanh"}


def _merge_mode(message: FrameworkMessage) -> Fields:
    given = message.name("given")
    meant = {"add": "sum", "average": "ave", "mean": "ave"}.get(given, given)
    return {"near": find_nearest(meant, ("concat", "sum", "mul", "ave"), "concat")}


def _cell_units(message: FrameworkMessage) -> Fields:
    given = message.match.groupdict().get("given") or ""
    return {"units": int(given) if given.isdigit() and 0 < int(given) < 10_000 else UNITS}


def _states(name: str, units: int) -> Fields:
    parts = parts_of(name)
    return {
        "name": name,
        "units": units,
        "count": len(parts),
        "parts": ", ".join(parts),
        "states": f"[{', '.join(parts)}]" if len(parts) > 1 else parts[0],
        "both_count": 2 * len(parts),
        "both_states": f"[{', '.join(f'{way} {part}' for way in ('forward', 'backward') for part in parts)}]",
    }


def _too_few_states(message: FrameworkMessage) -> Fields | None:
    """Keras reads the list of states to its end: `list index out of range`."""
    if message.call == "LSTMCell":
        return {}
    if message.call not in ("LSTM", "GRU", "SimpleRNN") or "initial_state=None" in message.text:
        return None
    return _number_of_states(message)


def _number_of_states(message: FrameworkMessage) -> Fields | None:
    inputs, given = message.argument("sequences"), message.argument("initial_state")
    if not inputs:
        return None
    units = message.units(units_of(given[0]) if given else UNITS)
    return {"given": len(given), "inputs": inputs[0], **_states(message.layer, units)}


def _states_in_halves(message: FrameworkMessage) -> Fields:
    count = min(message.text[message.match.end() :].count("array("), 99)
    names = (message.layer,) if message.named or message.written else ("LSTM", "GRU")
    return {
        "states": count,
        "odd": count % 2,
        "kinds": [_states(name, message.units(UNITS)) for name in names],
    }


def _state_units(message: FrameworkMessage) -> Fields | None:
    """A product of a state (batch, size) and the recurrent kernel (units, gates * units)."""
    kernel, (state, step) = message.shape("kernel"), _state_and_step(message)
    units = known_size(kernel[1]) // count_gates(message.layer) if len(kernel) == 2 else 0
    if not state or not units or state[-1] == units:
        return None
    return {"state": state, "size": units_of(state), **_wanted(message, step, units)}


def _state_batch(message: FrameworkMessage) -> Fields | None:
    """A sum of x W and h U, which both have one row per sequence."""
    state, step = _state_and_step(message)
    return {"given": state[0], **_wanted(message, step, units_of(state))} if state[:1] != step[:1] else None


def _state_and_step(message: FrameworkMessage) -> tuple[Shape, Shape]:
    """Return the first state and the input (batch, features) of the cell that failed; () if none did."""
    states, inputs = message.argument("states"), message.argument("inputs") or message.argument("sequence")
    return (states[0], inputs[0]) if message.call.endswith("Cell") and states and inputs else ((), ())


def _wanted(message: FrameworkMessage, step: Shape, units: int) -> Fields:
    """The states for a step (batch, features), and the sequence that it belongs to."""
    wanted = states_of(message.layer, step[0], units)
    inputs = (step[0], "timesteps", *step[1:])
    return {"units": units, "batch": step[0], "wanted": wanted[0], "zeros": _zeros(wanted), "inputs": inputs}


def _state_spec(message: FrameworkMessage) -> Fields | None:
    """Keras 2 compares `state_spec`, the shapes that were given, with `cell.state_size`, [3, 3]."""
    pairs = re.findall(r"shape=\((\w{1,9}), (\w{1,9})\)", message.name("given"))
    given: list[tuple[Dimension, ...]] = [
        tuple(int(size) if size.isdigit() else None for size in pair) for pair in pairs
    ]
    sizes = [int(size) for size in re.findall(r"\d{1,9}", message.name("sizes"))]
    if not given or not sizes or not sizes[0]:
        return None
    units, name = sizes[0], "LSTM" if len(sizes) == 2 else "GRU"
    return {
        **_states(name, units),
        "given": len(given),
        "wanted": len(sizes),
        "shapes": ", ".join(map(format_shape, given)),
        "zeros": _zeros(states_of(name, units=units)),
        "size": units_of(given[0]),
        "inputs": SEQUENCE,
    }


def _zeros(shapes: tuple[Shape, ...]) -> str:
    zeros = [f"tf.zeros({format_shape(shape)})" for shape in shapes]
    return f"[{', '.join(zeros)}]" if len(zeros) > 1 else zeros[0]


def _torch_states(message: FrameworkMessage) -> Fields | None:
    """`Expected hidden[0] size (1, 2, 3), got [2, 1, 3]`: (layers * directions, batch, units)."""
    expected, given = message.shape("wanted"), message.shape("given")
    if len(expected) != 3 or len(given) != 3:
        return None
    count, batch, units = expected
    name = "LSTM" if "hidden[" in message.match[0] else "GRU"
    return {
        "name": name,
        # of several layers or directions the message says too little
        "run": (format_layer(name, known_size(units)),) if count == 1 else (),
        "turned": given[:2] == (batch, count),
        "batch_first": given[1] != batch and given[0] == count,
    }


def _weights(message: FrameworkMessage) -> Fields:
    """Which layers have a kernel of the given shape, (features, gates * units).

    For the biases of a GRU, (2, 9) with reset_after and (9,) without: which of the two is wanted.
    """
    expected, given = message.shape("wanted"), message.shape("given")
    if _are_biases(message, expected, given):
        units = known_size(given[-1]) // count_gates("GRU") or UNITS
        return {"kind": "two_biases" if len(expected) == 2 else "one_bias", "units": units}
    features = known_size(given[0]) if len(given) == 2 else "features"
    fitting = features and len(given) == len(expected) < 3
    return {"features": features, "sources": _sources(given[-1]) if fitting else []}


def _sources(columns: Dimension) -> list[Fields]:
    """Return the layers whose kernel may have so many columns, gates * units."""
    counts = {name: count_gates(name) for name in ("LSTM", "GRU", "SimpleRNN")}
    return [
        {"name": name, "torch": name.removeprefix("Simple"), "units": known_size(columns) // gates}
        for name, gates in counts.items()
        if known_size(columns) and known_size(columns) % gates == 0
    ]


def _are_biases(message: FrameworkMessage, expected: Shape, given: Shape) -> bool:
    bias = min(expected, given, key=len)
    pair = (2, *bias) in (expected, given) and bias in (expected, given) and len(bias) == 1
    return pair and message.named in ("", "GRU") and known_size(bias[0]) % count_gates("GRU") == 0


def _checkpoint(message: FrameworkMessage) -> Fields | None:
    given = message.shape("given")
    if len(given) != 2:
        return None
    features = known_size(given[1])
    return {"features": features, "sources": _sources(given[0]) if features else []}


COMPUTE: dict[str, ComputeFields] = {
    "activation": _activation,
    "argument_of_the_input": _argument_of_the_input,
    "cell_units": _cell_units,
    "checkpoint": _checkpoint,
    "class": lambda message: {"name": recurrent_in(message.name("name")) or DEFAULT},
    "class_with_cudnn": lambda message: {"name": "GRU" if message.layer == "GRU" else "LSTM"},
    "float_units": _float_units,
    "initializer": lambda message: {
        "near": find_nearest(message.name("name"), initializers.names(), "glorot_uniform")
    },
    "merge_mode": _merge_mode,
    "nonlinearity": _nonlinearity,
    "number_of_states": _number_of_states,
    "rejected_argument": lambda message: _arguments(message, message.layer, {message.name("name"): ""}),
    "state_batch": _state_batch,
    "state_spec": _state_spec,
    "state_units": _state_units,
    "states_in_halves": _states_in_halves,
    "too_few_states": _too_few_states,
    "torch_states": _torch_states,
    "units": _units,
    "unknown_arguments": _unknown_arguments,
    "weights": _weights,
}
