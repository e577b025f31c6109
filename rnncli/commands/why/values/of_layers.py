"""Values of messages about how a layer was written: arguments, units, functions, directions, cells."""

from __future__ import annotations

import re

from rnncli import initializers, layers
from rnncli.case import Dimension
from rnncli.commands.why.fix_layers import UNITS, before, count_gates, expression, find_nearest, name_axes
from rnncli.commands.why.message import (
    DEFAULT,
    SEQUENCE,
    ComputeFields,
    Fields,
    FrameworkMessage,
    parse_shape,
    recurrent_in,
)

MAX_ARGUMENTS = 6
"""Unknown arguments that are explained; a message with more is explained by its first ones."""

OF_INPUT = ("batch_input_shape", "batch_shape", "input_length")
"""Arguments that every layer of Keras 2 had, and that Keras 3 leaves to Input."""

FOREIGN = (*OF_INPUT, "time_major", "weights", "batch_first", "hidden_size", "num_layers", "bidirectional")
"""Arguments of Keras 1 and 2 and of PyTorch, each with a fix of its own."""


def _unknown_arguments(message: FrameworkMessage) -> Fields | None:
    """`{'return_sequence': True, 'trainable': True}`."""
    owner, given = message.name("owner"), message.name("given")
    names = re.findall(r"['\"](\w{1,60})['\"]: ", given)[:MAX_ARGUMENTS]
    if not names or (not recurrent_in(owner) and not all(name in OF_INPUT for name in names)):
        return None
    values = dict(re.findall(r"['\"](\w{1,60})['\"]: (\([^)]{0,60}\)|\[[^\]]{0,60}\]|[\w.]{1,60})", given))
    return _arguments(message, recurrent_in(owner) or owner, {name: values.get(name, "") for name in names})


def _argument_of_the_input(message: FrameworkMessage) -> Fields:
    owner = {"Input": "Input", "": "Embedding"}.get(message.name("owner"), message.layer)
    return _arguments(message, owner, {message.name("name") or message.name("gone"): ""})


def _arguments(message: FrameworkMessage, owner: str, given: dict[str, str]) -> Fields:
    """owner: the class that got them.  given: values by the names of the unknown arguments, as text."""
    return {
        "owner": owner,
        "names": ", ".join(given),
        "arguments": [{"name": name, **_argument(message, name, value)} for name, value in given.items()],
        "foreign": any(name in FOREIGN for name in given),
        "saved": "deserializ" in message.text,
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
    return {"number": number, "near": find_nearest(name, layers.activations.names(), "tanh")}


def _nonlinearity(message: FrameworkMessage) -> Fields:
    name = message.name("name")
    return {"known": name if name in layers.activations.names() else "tanh"}


def _merge_mode(message: FrameworkMessage) -> Fields:
    given = message.name("given")
    meant = {"add": "sum", "average": "ave", "mean": "ave"}.get(given, given)
    return {"near": find_nearest(meant, ("concat", "sum", "mul", "ave"), "concat")}


def _cell_units(message: FrameworkMessage) -> Fields:
    given = message.match.groupdict().get("given") or ""
    return {"units": int(given) if given.isdigit() and 0 < int(given) < 10_000 else UNITS}


COMPUTE: dict[str, ComputeFields] = {
    "activation": _activation,
    "argument_of_the_input": _argument_of_the_input,
    "cell_units": _cell_units,
    "class": lambda message: {"name": recurrent_in(message.name("name")) or DEFAULT},
    "class_with_cudnn": lambda message: {"name": "GRU" if message.layer == "GRU" else "LSTM"},
    "float_units": _float_units,
    "initializer": lambda message: {
        "near": find_nearest(message.name("name"), initializers.names(), "glorot_uniform")
    },
    "merge_mode": _merge_mode,
    "nonlinearity": _nonlinearity,
    "rejected_argument": lambda message: _arguments(message, message.layer, {message.name("name"): ""}),
    "units": _units,
    "unknown_arguments": _unknown_arguments,
}
