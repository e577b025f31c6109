"""Values of messages about inputs: axes, time steps, features, masks, the Input of a model."""

from __future__ import annotations

from math import prod

from rnncli.case import Shape, format_shape
from rnncli.commands.why.fix_layers import (
    UNITS,
    count_gates,
    expression,
    format_layer,
    known_size,
    name_axes,
    name_unknown,
    units_of,
)
from rnncli.commands.why.message import ComputeFields, Fields, FrameworkMessage

LARGEST_TOKEN = 10_000_000


def _axes(message: FrameworkMessage) -> Fields | None:
    """`expected ndim=3, found ndim=2. Full shape received: (1, 60)`; the shape may be left out."""
    expected, found = message.number("expected"), message.number("found")
    shape = message.shape("shape") if message.name("shape") else (None,) * found
    if len(shape) != found:
        return None
    if expected == 2 and found == 3:
        return {"kind": "sequence", "shape": shape, "units": units_of(shape)}
    if message.layer.startswith("Conv") and found < expected:
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
    """One axis, two or four.  size: of the time steps, or of what may be time steps or features."""
    if len(shape) not in (1, 2, 4):
        return None
    got, size = f"{format_shape(shape)}, " if any(shape) else "", shape[:2][-1]
    values = {"shape": shape, "count": len(shape), "got": got, "size": size}
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
        return {**values, "cut": cut, "kept": name_unknown(kept, "features")}
    known = [side for side in shape[2:] if isinstance(side, int)]
    return {**values, "flat": prod(known) if len(known) == 2 else "features"}


def _no_steps(message: FrameworkMessage) -> Fields | None:
    """PyTorch says so itself; TensorFlow says it of any slice, here of one in a recurrent layer."""
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
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 3:
        return None
    if found[:1] not in (wanted[:1], (None,)) and wanted[0] and _fits(found, (None, *wanted[1:])):
        whole = known_size(found[0]) and known_size(found[0]) % known_size(wanted[0]) == 0
        return {"kind": "batch", "whole": whole}
    return _another_shape(wanted, found)


def _array_input(message: FrameworkMessage) -> Fields | None:
    """Keras 1 and early Keras 2 leave out the batch axis."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 2 or len(found) != 2:
        return None
    return _another_shape((None, *wanted), (None, *found))


def _another_shape(wanted: Shape, found: Shape) -> Fields:
    """Which change of the axes alone makes the input fit; if none does, what is left of the sizes."""
    changed: dict[str, Shape] = {}
    if len(found) == 2:
        changed = {"batched": (1, *found), "one_feature": (*found, 1)}
    elif len(found) == 3:
        changed = {"turned": (found[0], found[2], found[1])}
    elif len(found) == 4 and found[-1] == 1:
        changed = {"cut": found[:3]}
    fitting = {name: name_axes(shape) for name, shape in changed.items() if _fits(shape, wanted)}
    sizes = {"sizes": wanted[1:], "found_sizes": found[1:] if len(found) == 3 else ()}
    return {"wanted": wanted, "found": found, **(fitting or sizes)}


def _fits(shape: Shape, wanted: Shape) -> bool:
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(size is None or size == own for own, size in pairs)


def _unknown_batch(message: FrameworkMessage) -> Fields:
    inputs: Shape = message.shape("shape") if message.name("shape") else (None, None, None)
    return {"given": name_axes(inputs), "whole": ("batch", *inputs[1:])}


def _whole_batches(message: FrameworkMessage) -> Fields:
    samples, size = message.number("samples"), int(message.name("size") or 0)
    return {"size": size, "kept": size and samples - samples % size}


COMPUTE: dict[str, ComputeFields] = {
    "array_axes": lambda message: _recurrent_axes(message, message.shape("shape")),
    "array_input": _array_input,
    "axes": _axes,
    "features": _features,
    "features_of_the_layer": lambda message: {"built": expression(message)},
    "fewest": lambda message: {"least": min(message.number("one"), message.number("other"))},
    "kernel_units": lambda message: {
        "units": known_size((message.shape("shape") or (None,))[-1]) // count_gates(message.layer) or UNITS
    },
    "last_axis": lambda message: {"found": (message.shape("shape") or (None,))[-1]},
    "model_input": _model_input,
    "no_steps": _no_steps,
    "token": _token,
    "twice": lambda message: {"twice": message.number("found") == 2 * message.number("wanted")},
    "unknown_batch": _unknown_batch,
    "whole_batches": _whole_batches,
}
