"""Layer expressions for fixes, and what a layer's class says about shapes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rnncli import layers, specs
from rnncli.commands.why.message import SEQUENCE, FrameworkMessage
from rnncli.frameworks import GATES
from rnncli.result import TensorInfo
from rnncli.values import Dimension, Shape

UNITS = 3
"""Units of a layer if the message does not say; the default of --units."""


def format_layer(name: str, units: int = UNITS, **options: object) -> str:
    """Return `LSTM(3, return_sequences=True)`."""
    return f"{name}({', '.join([str(units), *(f'{key}={value!r}' for key, value in options.items())])})"


def inner_layer(message: FrameworkMessage, units: int | None = None, **options: object) -> str:
    """Return the layer that the message or the code names, without a Bidirectional around it.

    units, options: replace the units and options that are written in the code.
    """
    name, written = message.layer, message.written
    known = layers.class_of(name).options
    flags = {key: flag for key, flag in written.flags.items() if key in known} if written else {}
    given: dict[str, object] = {**flags, **options}
    changed = {key: value for key, value in given.items() if key not in known or value != known[key].default}
    return format_layer(name, units or message.units(UNITS), **changed)


def expression(message: FrameworkMessage, units: int | None = None, **options: object) -> str:
    """Return the layer that the message or the code names, inside Bidirectional if it is in one."""
    if not message.is_bidirectional:
        return inner_layer(message, units, **options)
    mode, flags = (message.written.merge_mode, message.written.flags) if message.written else ("", {})
    if options.get("return_state") is False and mode == "None":
        mode = ""  # one tensor is wanted
    options["go_backwards"] = False  # Keras refuses two layers of the same direction
    if options.get("stateful", flags.get("stateful")):
        options["return_state"] = False  # Keras's call fails with both
    around = f", merge_mode={mode}" if mode else ""
    if "dtype" in options:
        around += f", dtype={options['dtype']!r}"
    return f"Bidirectional({inner_layer(message, units, **options)}{around})"


def before(message: FrameworkMessage, units: int | None = None, **options: object) -> str:
    """Return the layer of the message, if it is to return a single tensor, for a layer after it."""
    return expression(message, units, **options, return_state=False)


def with_width(message: FrameworkMessage, width: int | None = None, **options: object) -> str:
    """Return the layer, as `before` does, with `width` outputs: half in each direction of a Bidirectional.

    Without a width, the layer keeps its units.
    """
    if not width or not _concatenates(message):
        return before(message, width, **options)
    if width % 2:
        return format_layer(message.layer, width, **options)
    return before(message, width // 2, **options)


def output_width(message: FrameworkMessage) -> int:
    """Return the size of the last axis that the layer of `before` returns."""
    return message.units(UNITS) * (2 if _concatenates(message) else 1)


def _concatenates(message: FrameworkMessage) -> bool:
    """Return whether the layer of `before` is a Bidirectional with both directions side by side."""
    mode = message.written.merge_mode if message.written else ""
    return message.is_bidirectional and mode in ("", "None", "'concat'")


def one_way(message: FrameworkMessage, units: int | None = None, **options: object) -> str:
    """Return the layer of one direction of a Bidirectional: forward, or backward with go_backwards=True."""
    return inner_layer(message, units, **{"return_state": False, "go_backwards": False, **options})


def count_gates(name: str) -> int:
    """Return the width of the kernel for one unit: 4 for LSTM, whose gates lie side by side."""
    return len(GATES.get(name, GATES["LSTM"]))


def states_of(name: str, batch: Dimension = "batch", units: int = UNITS) -> tuple[Shape, ...]:
    """Return the shapes of the states of a layer, in Keras's order."""
    return tuple(info.shape for info in _states(name, units, batch))


def parts_of(name: str) -> tuple[str, ...]:
    """Return `hidden, cell` for LSTM, `hidden` for the others."""
    return tuple(info.label.part for info in _states(name, 1, 1))


def _states(name: str, units: int, batch: Dimension) -> tuple[TensorInfo, ...]:
    """Return the states of a layer; a ConvLSTM has the states of an LSTM."""
    plain = "LSTM" if name.startswith("ConvLSTM") else name
    return specs.from_flags([format_layer(plain, units)], {}).states((batch, 1, 1))


def own_names(message: FrameworkMessage) -> str:
    """Return the names for what the layer of the message returns with return_state=True."""
    names = names_of(message.layer, both=message.is_bidirectional)
    unmerged = message.written and message.written.merge_mode == "None"
    return names.replace("output", "forward, backward") if unmerged else names


def names_of(layer: str, *, both: bool = False) -> str:
    """Return `output, h, c`, or with the states of both directions `output, forward_h, ...`."""
    parts = [{"hidden": "h", "cell": "c"}[part] for part in parts_of(layer)]
    states = [f"{way}_{part}" for way in ("forward", "backward") for part in parts] if both else parts
    return ", ".join(("output", *states))


def name_axes(shape: Shape, axes: Shape = SEQUENCE) -> Shape:
    """Return the shape with the name of the axis for each unknown size; it may have fewer axes than names."""
    return tuple(name if size is None else size for size, name in zip(shape, axes, strict=False))


def find_nearest(word: str, choices: Iterable[str], default: str) -> str:
    """Return the choice that `word` was probably meant to be, else `default`."""
    return next(iter(difflib.get_close_matches(word, list(choices), 1, 0.6)), default)


def known_size(size: Dimension, default: int = 0) -> int:
    """Return a size that is a positive number, else `default`."""
    return size if isinstance(size, int) and size else default


def units_of(shape: Shape) -> int:
    """Return the size of the last axis; UNITS if it is unknown."""
    return known_size(shape[-1], UNITS) if shape else UNITS
