"""Values of messages about inputs: axes, time steps, features, masks, the Input of a model."""

from __future__ import annotations

from math import prod
from typing import Any

from rnncli.case import Shape, format_shape
from rnncli.commands.why.expressions import (
    UNITS,
    count_gates,
    expression,
    format_layer,
    known_size,
    name_axes,
    name_unknown,
    units_of,
    with_width,
)
from rnncli.commands.why.message import SEQUENCE, Message

LARGEST_TOKEN = 10_000_000


def axes(message: Message) -> dict[str, Any] | None:
    """`expected ndim=3, found ndim=2. Full shape received: (1, 60)`; the shape may be left out."""
    expected, found = message.number("expected"), message.number("found")
    shape = message.shape("shape") if message.name("shape") else (None,) * found
    if len(shape) != found:
        return None
    if expected == 2 and found == 3:
        return {
            "kind": "sequence",
            "shape": shape,
            "units": units_of(shape),
            "given": name_axes((*shape[:2], None)),
        }
    if message.layer.startswith("Conv") and found < expected:
        return _images(shape, expected)
    return _axes(message, shape) if expected == 3 else None


def array_axes(message: Message) -> dict[str, Any] | None:
    """`expected lstm_1_input to have 3 dimensions, but got array with shape (1, 60)` of Keras 1."""
    return _axes(message, message.shape("shape"))


def _images(shape: Shape, expected: int) -> dict[str, Any]:
    """ConvLSTM: every time step is an image, or in 1D a row."""
    sides = ("rows", "cols", "depth")[: expected - 3]
    return {
        "kind": "images",
        "shape": shape,
        "sides": ", ".join(sides),
        "image": (*name_axes(shape, ("batch", "timesteps", *sides)), 1)
        if len(shape) == expected - 1
        else None,
        "series": name_axes(shape) if len(shape) == 3 else None,
    }


def _axes(message: Message, shape: Shape) -> dict[str, Any] | None:
    """One axis, two or four: the sizes with names for those that are unknown."""
    if len(shape) not in (1, 2, 4):
        return None
    size = shape[min(len(shape), 2) - 1]
    values = {
        "shape": shape,
        "kind": {1: "one", 2: "two", 4: "four"}[len(shape)],
        "count": len(shape),
        "got": f"{format_shape(shape)}, " if any(shape) else "",
        "batch": name_unknown(shape[0], "batch"),
        "size": size,
        "steps": name_unknown(size, "timesteps"),
        "features": name_unknown(size, "features"),
    }
    return {**values, **(_image_axes(shape) if len(shape) == 4 else _layer_before(message, shape))}


def _layer_before(message: Message, shape: Shape) -> dict[str, Any]:
    """The recurrent layer that returns (None, 4), if the batch is unknown: the message is of a model."""
    units = units_of(shape)
    first = format_layer(message.layer, units, return_sequences=True)
    if message.is_bidirectional and units % 2 == 0:
        first = f"Bidirectional({format_layer(message.layer, units // 2, return_sequences=True)})"
    return {"in_model": shape[0] is None, "single": shape[0] not in (None, 1), "units": units, "first": first}


def _image_axes(shape: Shape) -> dict[str, Any]:
    """How to make three axes of four: cut an axis of size 1, or join the last two."""
    *_, rows, channels = name_axes(shape, ("batch", "timesteps", "rows", "features"))
    known = [side for side in shape[2:] if isinstance(side, int)]
    kept = shape[2] if channels == 1 else shape[3]
    return {
        "rows": rows,
        "channels": channels,
        "cut": ("..., 0" if channels == 1 else ":, :, 0") if 1 in shape[2:] else "",
        "kept": name_unknown(kept, "features"),
        "batch_known": bool(shape[0]),
        "flat": prod(known) if len(known) == 2 else "features",
    }


def no_steps(message: Message) -> dict[str, Any] | None:
    """PyTorch says so itself; TensorFlow says it of any slice, here of one in a recurrent layer."""
    inputs = message.argument("sequences")
    if message.match[0].startswith("Expected"):
        inputs = ((None, 0, None),)
    if not inputs or len(inputs[0]) != 3 or inputs[0][1] != 0:
        return None
    return {"given": name_axes((inputs[0][0], 1, inputs[0][2]))}


def fewest(message: Message) -> dict[str, Any]:
    return {"least": min(message.number("one"), message.number("other"))}


def tokens(message: Message) -> dict[str, Any] | None:
    value, count = message.number("value"), message.number("count")
    size = max(value, count) + 1
    return {"largest": count - 1, "size": size} if size <= LARGEST_TOKEN else None


def mask_shape(message: Message) -> dict[str, Any] | None:
    masks, inputs = message.argument("mask"), message.argument("sequences")
    if not masks or not inputs:
        return None
    mask, wanted = masks[0], inputs[0][:2]
    return {
        "mask": mask,
        "wanted": wanted,
        "inputs": inputs[0],
        "per_feature": len(mask) == 3 and mask[:2] == wanted,
    }


def cudnn_class(message: Message) -> dict[str, Any]:
    return {"name": message.layer if message.layer in ("LSTM", "GRU") else "LSTM"}


def features(message: Message) -> dict[str, Any] | None:
    """A product of x (batch, features) and a kernel (features, gates * units)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    if len(given) != 2 or len(kernel) != 2 or not given[1] or not kernel[0]:
        return None
    width = known_size(kernel[1])
    sizes = {"found": known_size(given[1]), "wanted": known_size(kernel[0])}
    in_cell = message.call.endswith("Cell") or (not message.call and "_cell" in message.match[0])
    if not in_cell:
        return None if message.call else {**sizes, "built": f"Dense({width})"}
    units = width // count_gates(message.layer)
    states = message.argument("states")
    if not units or (states and states[0][-1] != units):
        return None  # the states do not fit: see state_units
    return {**sizes, "built": expression(message, units)}


def features_of_the_layer(message: Message) -> dict[str, Any]:
    """The message ends before the shapes."""
    return {"built": expression(message)}


def last_axis(message: Message) -> dict[str, Any]:
    shape = message.shape("shape")
    return {"shape": shape, "found": shape[-1] if shape else None}


def unknown_features(message: Message) -> dict[str, Any] | None:
    """A kernel (None, 12), whose features are unknown."""
    shape, path = message.shape("shape"), message.name("path")
    if "kernel" not in path or len(shape) != 2 or shape[0] is not None:
        return None
    return {"units": known_size(shape[1]) // count_gates(message.layer) or UNITS, "width": units_of(shape)}


def linear(message: Message) -> dict[str, Any] | None:
    """A Linear after a recurrent layer: `(8x3 and 4x1)`, (rows x features) and (features x outputs)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    found, wanted, outputs = known_size(given[1]), known_size(kernel[0]), known_size(kernel[1])
    if not found or not wanted or not outputs:
        return None
    both = found == 2 * wanted
    first = f"Bidirectional({format_layer(message.layer, wanted)})" if both else with_width(message, found)
    return {"found": found, "wanted": wanted, "outputs": outputs, "both": both, "first": first}


def torch_cell(message: Message) -> dict[str, Any]:
    return {"keras": {"RNN": "SimpleRNN"}.get(message.name("kind"), message.name("kind"))}


def model_input(message: Message) -> dict[str, Any] | None:
    """`expected shape=(1, None, 5), found shape=(32, 10, 5)`: the batch differs, or another axis."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 3:
        return None
    if found[:1] not in (wanted[:1], (None,)) and wanted[0] and _fits(found, (None, *wanted[1:])):
        kept, given = known_size(wanted[0]), known_size(found[0])
        return {
            "kind": "batch",
            "wanted": wanted,
            "found": found,
            "kept": kept,
            "given": given,
            "whole": given and given % kept == 0,
            "each": wanted[1:],
            "given_shape": (given, *wanted[1:]),
            "batch": given or "batch",
            "rest": name_axes(found)[1:],
        }
    return _another_shape(wanted, found)


def array_input(message: Message) -> dict[str, Any] | None:
    """Keras 1 and early Keras 2 leave out the batch axis."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 2 or len(found) != 2:
        return None
    return _another_shape((None, *wanted), (None, *found))


def _another_shape(wanted: Shape, found: Shape) -> dict[str, Any]:
    """Which change of the axes alone makes the input fit; None for each that does not."""
    changed: dict[str, Shape] = {}
    if len(found) == 2:
        changed = {"batched": (1, *found), "one_feature": (*found, 1)}
    if len(found) == 3:
        changed = {"turned": (found[0], found[2], found[1])}
    if len(found) == 4 and found[-1] == 1:
        changed = {"cut": found[:3]}
    fitting = {name: name_axes(shape) for name, shape in changed.items() if _fits(shape, wanted)}
    return {
        "kind": "axes" if fitting else "sizes",
        "wanted": wanted,
        "found": found,
        **dict.fromkeys(("batched", "one_feature", "turned", "cut")),
        **fitting,
        "any_length": wanted[1] is None,
        "features": wanted[2],
        "each": wanted[1:],
        "prepared": name_axes(wanted),
        "rest": found[1:] if len(found) == 3 else None,
    }


def _fits(shape: Shape, wanted: Shape) -> bool:
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(size is None or size == own for own, size in pairs)


def time_axis(message: Message) -> dict[str, Any] | None:
    shape = message.shape("shape")
    return {"shape": shape, "units": units_of(shape)} if len(shape) <= 2 else None


def layer_per_step(message: Message) -> dict[str, Any] | None:
    shapes = message.argument("inputs")
    if not shapes or len(shapes[0]) != 3:
        return None
    return {"inputs": shapes[0], "step": shapes[0][::2]}


def joined(message: Message) -> dict[str, Any] | None:
    one, other = message.shape("one"), message.shape("other")
    return {"one": one, "other": other, "units": units_of(one)} if {len(one), len(other)} == {2, 3} else None


def kept_batches(message: Message) -> dict[str, Any]:
    inputs = message.argument("sequences")
    return {"rest": inputs[0][1:] if inputs else SEQUENCE[1:]}


def unknown_batch(message: Message) -> dict[str, Any]:
    inputs: Shape = message.shape("shape") if message.name("shape") else (None, None, None)
    return {"given": name_axes(inputs), "whole": ("batch", *inputs[1:])}


def whole_batches(message: Message) -> dict[str, Any]:
    samples, size = message.number("samples"), int(message.name("size") or 0)
    return {"size": size, "kept": samples - samples % size if size else 0}


COMPUTE = {
    "array_axes": array_axes,
    "array_input": array_input,
    "axes": axes,
    "cudnn_class": cudnn_class,
    "features": features,
    "features_of_the_layer": features_of_the_layer,
    "fewest": fewest,
    "joined": joined,
    "kept_batches": kept_batches,
    "last_axis": last_axis,
    "layer_per_step": layer_per_step,
    "linear": linear,
    "mask_shape": mask_shape,
    "model_input": model_input,
    "no_steps": no_steps,
    "time_axis": time_axis,
    "tokens": tokens,
    "torch_cell": torch_cell,
    "unknown_batch": unknown_batch,
    "unknown_features": unknown_features,
    "whole_batches": whole_batches,
}
