"""What the texts of causes/*.toml need and a pattern cannot say: functions that return values, never texts.

A cause names its function: `compute = "axes"`.
"""

from __future__ import annotations

import re
from math import prod

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
    names_of,
    output_width,
    own_names,
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

LARGEST_TOKEN = 10_000_000


def _axes(message: FrameworkMessage) -> Fields | None:
    """`expected ndim=3, found ndim=2. Full shape received: (1, 60)`; the shape may be left out."""
    expected, known = message.number("expected"), message.match.groupdict()
    axes = int(known.get("found", 2))
    shape = message.shape("shape") if message.name("shape") else (None,) * axes
    if len(shape) != axes:
        return None
    if expected == 2 and axes == 3:
        return {"kind": "sequence", "shape": shape, "units": units_of(shape)}
    if message.layer.startswith("Conv") and axes < expected:
        return _images(shape, expected)
    return _recurrent_axes(message, shape) if expected == 3 else None


def _images(shape: Shape, expected: int) -> Fields:
    """ConvLSTM: every time step is an image, or in 1D a row."""
    sides = ("rows", "cols", "depth")[: expected - 3]
    values = {"kind": "images", "shape": shape, "sides": ", ".join(sides), "series": len(shape) == 3}
    if len(shape) == expected - 1:
        values["image"] = (*name_axes(shape, ("batch", "timesteps", *sides)), 1)
    return values


def _recurrent_axes(message: FrameworkMessage, shape: Shape) -> Fields | None:
    """An input of one, two or four axes.  The field `size` is the size of the axis that may be time steps."""
    if len(shape) not in (1, 2, 4):
        return None
    known, size = format_shape(shape) if any(shape) else "", shape[:2][-1]
    got = {"got": f"{known}, " if known else "", "got_ko": f"{known}를" if known else "입력을"}
    values = {"shape": shape, "count": len(shape), "size": size, **got}
    if len(shape) == 4:
        return {**values, **_four_axes(shape)}
    units = units_of(shape)
    previous = format_layer(message.layer, units, return_sequences=True)
    if message.is_bidirectional and units % 2 == 0:
        previous = f"Bidirectional({format_layer(message.layer, units // 2, return_sequences=True)})"
    return {**values, "units": units, "previous": previous}


def _four_axes(shape: Shape) -> Fields:
    """How to make three axes of four: cut an axis of size 1, or join the last two."""
    batch, steps, rows, channels = name_axes(shape, ("batch", "timesteps", "rows", "features"))
    values = {"batch": batch, "steps": steps, "rows": rows, "channels": channels}
    if 1 in shape[2:]:
        cut, kept = ("..., 0", shape[2]) if channels == 1 else (":, :, 0", shape[3])
        return {**values, "cut": cut, "kept": "features" if kept is None else kept}
    known = [side for side in shape[2:] if isinstance(side, int)]
    return {**values, "flat": prod(known) if len(known) == 2 else "features"}


def _no_steps(message: FrameworkMessage) -> Fields | None:
    """PyTorch says that there are no steps; TensorFlow says it of any slice, so the layer's input is read."""
    inputs = message.argument("sequences")
    if message.match[0].startswith("Expected"):
        inputs = ((None, 0, None),)
    return {"given": inputs[0]} if inputs and len(inputs[0]) == 3 and inputs[0][1] == 0 else None


def _token(message: FrameworkMessage) -> Fields | None:
    value, count = message.number("value"), message.number("count")
    size = max(value, count) + 1
    return {"largest": count - 1, "size": size} if size <= LARGEST_TOKEN else None


def _features(message: FrameworkMessage) -> Fields | None:
    """A product of x (batch, features) and a kernel (features, gates * units)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    if len(given) != 2 or len(kernel) != 2 or not given[1] or not kernel[0]:
        return None
    sizes, width = {"found": given[1], "wanted": kernel[0]}, known_size(kernel[1])
    in_cell = message.call.endswith("Cell") or (not message.call and "_cell" in message.match[0])
    if not in_cell:
        return None if message.call else {**sizes, "built": f"Dense({width})"}
    units = width // count_gates(message.layer)
    states = message.argument("states")
    if not units or (states and states[0][-1] != units):
        return None  # the states do not fit: the cause is state-units
    return {**sizes, "built": expression(message, units)}


def _model_input(message: FrameworkMessage) -> Fields | None:
    """`expected shape=(1, None, 5), found shape=(32, 10, 5)`: the batch differs, or another axis."""
    expected, given = message.shape("wanted"), message.shape("found")
    if len(expected) != 3:
        return None
    if given[:1] not in (expected[:1], (None,)) and expected[0] and _fits(given, (None, *expected[1:])):
        whole = known_size(given[0]) and known_size(given[0]) % known_size(expected[0]) == 0
        return {"kind": "batch", "whole": whole}
    return _another_shape(expected, given)


def _array_input(message: FrameworkMessage) -> Fields | None:
    """Keras 1 and early Keras 2 leave out the batch axis."""
    expected, given = message.shape("wanted"), message.shape("found")
    if len(expected) != 2 or len(given) != 2:
        return None
    return _another_shape((None, *expected), (None, *given))


def _another_shape(expected: Shape, given: Shape) -> Fields:
    """Which change of the axes makes the input fit; if no change does, the sizes without the batch."""
    changed: dict[str, Shape] = {}
    if len(given) == 2:
        changed = {"batched": (1, *given), "one_feature": (*given, 1)}
    elif len(given) == 3:
        changed = {"turned": (given[0], given[2], given[1])}
    elif len(given) == 4 and given[-1] == 1:
        changed = {"cut": given[:3]}
    fitting = {name: name_axes(shape) for name, shape in changed.items() if _fits(shape, expected)}
    sizes = {"sizes": expected[1:], "found_sizes": given[1:] if len(given) == 3 else ()}
    return {"wanted": expected, "found": given, **(fitting or sizes)}


def _fits(shape: Shape, expected: Shape) -> bool:
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(limit in (None, size) for size, limit in pairs)


def _unknown_batch(message: FrameworkMessage) -> Fields:
    inputs: Shape = message.shape("shape") if message.name("shape") else (None, None, None)
    return {"given": name_axes(inputs), "whole": ("batch", *inputs[1:])}


def _whole_batches(message: FrameworkMessage) -> Fields:
    samples, size = message.number("samples"), int(message.name("size") or 0)
    return {"size": size, "kept": size and samples - samples % size}


def _ways_to_unpack(message: FrameworkMessage) -> Fields:
    """How to unpack the layer of the message; if it names none, every kind of layer.

    A layer that returns as many values as the message says then comes first.
    """
    options = {"return_sequences": True, "return_state": True}
    if message.written and message.written.is_torch:
        way = _torch_way(message.layer, expression(message, **options))
        return {"ways": [], "torch": [way], "gpu": False}
    if message.written or message.named or message.is_bidirectional:
        layer = expression(message, return_state=True)
        gpu = message.layer == "GRU" and not message.is_bidirectional and _has_too_many(message)
        return {"torch": [], "ways": [_way(own_names(message), layer, f"{layer}(x)")], "gpu": gpu}
    is_tuple = message.match.groupdict().get("holder") == "tuple"
    modules = ("LSTM", "GRU") if is_tuple else ()
    torch = [_torch_way(name, format_layer(name, **options)) for name in modules]
    ways = [_way(names_of(name), format_layer(name, return_state=True)) for name in ("LSTM", "GRU")]
    both = f"Bidirectional({format_layer('LSTM', return_state=True)})"
    ways.append(_way(names_of("LSTM", both=True), both))
    ways.sort(key=lambda way: not _may_be(message, way["names"].count(",") + 1))
    return {"torch": torch, "ways": ways, "gpu": _has_too_many(message)}


def _has_too_many(message: FrameworkMessage) -> bool:
    """Return whether more than the output and the state of a GRU came back."""
    return message.match[0].startswith("too many") and message.match.groupdict().get("wanted") == "2"


def _way(names: str, layer: str, called: str = "layer(x)") -> dict[str, str]:
    return {"kind": layer.partition("(")[0], "names": names, "returning": layer, "called": called}


def _torch_way(name: str, layer: str) -> dict[str, str]:
    """How to unpack what a module of PyTorch returns.  layer: Keras's layer with the same tensors."""
    module = name.removeprefix("Simple")
    states = "(h, c)" if name == "LSTM" else "h"
    return {"module": module, "states": states, "variable": module.lower(), "returning": layer}


def _may_be(message: FrameworkMessage, count: int) -> bool:
    """Return whether a layer that returns so many values can have caused the message."""
    if not message.match.groupdict():
        return True
    if message.match[0].startswith("not enough"):
        return count == message.number("got")
    return message.match[0].startswith("too many") and count > message.number("wanted")


def _several_inputs(message: FrameworkMessage) -> Fields:
    """A layer that got a list: the previous layer's states, both directions, or its own states."""
    rest = message.text[message.match.end() : message.match.end() + 4000]
    shapes = re.findall(r"shape=\(([\dNone, ]{1,60})\)", rest)[:9]
    first, *others = list(filter(None, map(parse_shape, shapes))) or [()]
    if len(others) == 1 and others[0] == first and len(first) == 3:
        return {"kind": "unmerged", "first": first, "units": units_of(first), "next": message.named or "LSTM"}
    if others and len(others) + 1 == message.number("count") and all(len(shape) == 2 for shape in others):
        return _output_and_states(first, others)
    return {}


def _output_and_states(first: Shape, states: list[Shape]) -> Fields:
    """first: (batch, timesteps, units) of a layer that returns sequences, else (batch, units)."""
    count, size = len(states) + 1, units_of(states[0])
    both = count == 5 or (count == 3 and first[-1] == 2 * size)
    name = "LSTM" if len(states) == (4 if both else 2) else "GRU"
    options = {"return_sequences": True} if len(first) == 3 else {}
    plain = format_layer(name, size, **options)
    returning = format_layer(name, size, **options, return_state=True)
    given = name_axes((first[0], first[1] if len(first) == 3 else None, None))
    return {
        "kind": "states",
        "both": both,
        "names": names_of(name, both=both),
        "states": "[h, c]" if name == "LSTM" else "h",
        "plain": f"Bidirectional({plain})" if both else plain,
        "returning": f"Bidirectional({returning})" if both else returning,
        "next": format_layer(name, size),
        "given": given,
        "read": name_axes(first) if len(first) == 3 else given,
    }


def _loss(message: FrameworkMessage) -> Fields | None:
    """`[8,3] vs. [8,4,3]` of a loss; in the message of a cell or a Bidirectional, a call has failed."""
    left, right = message.shape("one"), message.shape("other")
    if message.call or (len(left) == len(right) and left[:1] != right[:1]):
        return None
    nodes = message.match.groupdict()
    first, second = nodes.get("first") or "", nodes.get("second") or ""
    # Keras 3 gives a loss the target first, Keras 2 gives some losses a layer's output first.
    is_squeezed_target = "Squeeze" in first and second != "" and not _is_data(second)
    output_first = "/" in first and not _is_data(first) and not is_squeezed_target
    target, output = (right, left) if output_first else (left, right)
    squeezed = (first if output_first else second) + (nodes.get("cut") or "")
    if len(target) == len(output) == 2 and "Squeeze" in squeezed:
        return {**_time_steps(message, target, output), "kind": "squeezed", "whole": (*output, 1)}
    return _targets(message, target, output)


def _is_data(node: str) -> bool:
    """Return whether the node of a graph is what `fit` was given."""
    return node.startswith(("IteratorGetNext", "data"))


def _targets(message: FrameworkMessage, target: Shape, output: Shape) -> Fields | None:
    """Which axes or sizes of a target and an output differ, and so what the target may be.

    The fields wanted and found are how many numbers the target and the output have at each time step, or,
    without time steps, for each sequence.
    """
    if not target or not output:
        return None
    if labels := _labels_of(message, target, output):
        return labels
    if len(target) == len(output) == 3 and not _agree(target[:2], output[:2]):
        return {**_time_steps(message, target, output), "kind": "steps"}
    longer = max(target, output, key=len)
    shapes = {"target": target, "output": output, **_sequence_or_last(longer)}
    if len(target) != len(output) and len(target) > 1 and _agree(target[-1:], output[-1:]):
        return {**shapes, "kind": "every"} if longer is target else shapes
    by_step = len(longer) == 3 and (len(target) == 3 or _agree(target, output[:2]))
    units = 1 if len(target) == 1 or (by_step and len(target) == 2) else units_of(target)
    previous = before(message, return_sequences=by_step)
    sizes = {"wanted": units, "found": units_of(output), "previous": previous}
    return {**shapes, "kind": "units", **sizes, "may_be_steps": _may_be_steps(message, target, output)}


def _may_be_steps(message: FrameworkMessage, target: Shape, output: Shape) -> bool:
    """Whether the loss may have dropped the last axis of (batch, timesteps, 1); a graph's nodes say so."""
    told = message.match.groupdict().get("second") or _is_categorical(message)
    return len(target) == len(output) == 2 and output[1] != 1 and not told


def _labels_of(message: FrameworkMessage, target: Shape, output: Shape) -> Fields | None:
    """Integer labels where categorical_crossentropy needs one-hot targets: (8,) or (8, 1) for (8, 3)."""
    labels = target[:-1] if target[-1] == 1 and len(target) > 1 else target
    if not _is_categorical(message) or output[-1] == 1 or len(labels) >= len(output):
        return None
    if not _agree(labels, output[: len(labels)]):
        return None
    fields = {"target": target, "output": output, **_sequence_or_last(output)}
    if len(labels) == 1 and len(output) == 3:
        return {**fields, "kind": "label"}
    layer = before(message, return_sequences=len(output) == 3)
    either = len(output) == 3 and target[-1] == output[-1]
    binary = len(target) == len(output) == 2
    return {**fields, "kind": "labels", "previous": layer, "either": either, "binary": binary}


def _is_categorical(message: FrameworkMessage) -> bool:
    """Whether the loss is categorical_crossentropy; binary_crossentropy says the same in a traceback."""
    return message.match[0].startswith(("Arguments", "Shapes")) and "binary_crossentropy" not in message.text


def _agree(shape: Shape, other: Shape) -> bool:
    """Return whether the shapes may be equal: sizes that are known in both are equal."""
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(None in pair or len({*pair}) == 1 for pair in pairs)


def _time_steps(message: FrameworkMessage, target: Shape, output: Shape) -> Fields:
    """A target and an output with different time steps.  width: the size of what RepeatVector repeats."""
    width = output_width(message)
    return {"target": target, "output": output, "units": units_of(target), "width": width}


def _sequence_or_last(sequence: Shape) -> Fields:
    """A sequence (batch, timesteps, units) and a single vector that have to agree."""
    given = name_axes((sequence[0], sequence[1] if len(sequence) == 3 else None, None))
    return {"units": units_of(sequence), "given": given}


def _sparse_targets(message: FrameworkMessage) -> Fields:
    target, output = message.shape("target"), message.shape("output")
    fields = {"wanted": output[:-1], **_sequence_or_last(output or target)}
    if len(target) == len(output) and _agree(target, output):
        layer = before(message, return_sequences=len(output) == 3)
        return {**fields, "kind": "one_hot", "previous": layer}
    return {**fields, "kind": "every"} if len(target) == len(output) == 2 else fields


def _target_axes(message: FrameworkMessage) -> Fields | None:
    target = message.shape("target")
    if len(target) == message.number("axes") or len(target) not in (2, 3):
        return None
    return _sequence_or_last(target if len(target) == 3 else (target[0], None, target[1]))


def _labels(message: FrameworkMessage) -> Fields:
    rows, classes, count = (message.number(name) for name in ("rows", "classes", "labels"))
    steps = rows // count if count and rows % count == 0 else 1
    return _sequence_or_last((None, steps if steps > 1 else None, classes))


def _rows_and_targets(message: FrameworkMessage) -> Fields:
    output, target = message.number("output"), message.number("target")
    steps = output // target if target and output % target == 0 else None
    return {"steps": steps, "batch": target or "batch"}


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
    "array_axes": lambda message: _recurrent_axes(message, message.shape("shape")),
    "array_input": _array_input,
    "axes": _axes,
    "cell_units": _cell_units,
    "checkpoint": _checkpoint,
    "class": lambda message: {"name": recurrent_in(message.name("name")) or DEFAULT},
    "class_with_cudnn": lambda message: {"name": "GRU" if message.layer == "GRU" else "LSTM"},
    "features": _features,
    "features_of_the_layer": lambda message: {"built": expression(message)},
    "fewest": lambda message: {"least": min(message.number("one"), message.number("other"))},
    "float_units": _float_units,
    "initializer": lambda message: {
        "near": find_nearest(message.name("name"), initializers.names(), "glorot_uniform")
    },
    "kernel_units": lambda message: {
        "units": known_size((message.shape("shape") or (None,))[-1]) // count_gates(message.layer) or UNITS
    },
    "labels": _labels,
    "last_axis": lambda message: {"found": (message.shape("shape") or (None,))[-1]},
    "loss": _loss,
    "merge_mode": _merge_mode,
    "model_input": _model_input,
    "no_steps": _no_steps,
    "nonlinearity": _nonlinearity,
    "number_of_states": _number_of_states,
    "rejected_argument": lambda message: _arguments(message, message.layer, {message.name("name"): ""}),
    "rows_and_targets": _rows_and_targets,
    "several_inputs": _several_inputs,
    "sparse_targets": _sparse_targets,
    "state_batch": _state_batch,
    "state_spec": _state_spec,
    "state_units": _state_units,
    "states_in_halves": _states_in_halves,
    "target_and_output": lambda message: _targets(message, message.shape("target"), message.shape("output")),
    "target_axes": _target_axes,
    "token": _token,
    "too_few_states": _too_few_states,
    "torch_states": _torch_states,
    "twice": lambda message: {"twice": message.number("found") == 2 * message.number("wanted")},
    "units": _units,
    "unknown_arguments": _unknown_arguments,
    "unknown_batch": _unknown_batch,
    "ways_to_unpack": _ways_to_unpack,
    "weights": _weights,
    "whole_batches": _whole_batches,
}
