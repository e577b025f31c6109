"""Values of messages about what a layer returns, and about losses that compare it with targets."""

from __future__ import annotations

import re

from rnncli.case import Shape
from rnncli.commands.why.fix_layers import (
    before,
    expression,
    format_layer,
    name_axes,
    names_of,
    own_names,
    units_of,
    width_of,
)
from rnncli.commands.why.message import SEQUENCE, ComputeFields, Fields, FrameworkMessage, parse_shape


def _ways_to_unpack(message: FrameworkMessage) -> Fields:
    """How to unpack the layer of the message; if it names none, every kind of layer.

    A layer that returns as many values as the message says then comes first.
    """
    if message.written and message.written.is_torch:
        return {"ways": [], "torch_states": "(h, c)" if message.layer == "LSTM" else "h"}
    if message.written or message.named or message.is_bidirectional:
        own = expression(message, return_state=True)
        return {"ways": [_way(own_names(message), own, f"{own}(x)")]}
    ways = [_way(names_of(name), format_layer(name, return_state=True)) for name in ("LSTM", "GRU")]
    both = f"Bidirectional({format_layer('LSTM', return_state=True)})"
    ways.append(_way(names_of("LSTM", both=True), both))
    return {"ways": sorted(ways, key=lambda way: not _may_be(message, way["names"].count(",") + 1))}


def _way(names: str, layer: str, called: str = "layer(x)") -> dict[str, str]:
    return {"kind": layer.partition("(")[0], "names": names, "returning": layer, "called": called}


def _may_be(message: FrameworkMessage, count: int) -> bool:
    """Return whether a layer that returns so many values can have caused the message."""
    if message.match[0].startswith("not enough"):
        return count == message.number("got")
    return message.match[0].startswith("too many") and count > message.number("wanted")


def _several_inputs(message: FrameworkMessage) -> Fields:
    """A layer that got a list: the previous layer's states, both directions, or its own states."""
    rest = message.text[message.match.end() : message.match.end() + 4000]
    found = re.findall(r"shape=\(([\dNone, ]{1,60})\)", rest)[:9]
    first, *others = list(filter(None, map(parse_shape, found))) or [()]
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
    """`[8,3] vs. [8,4,3]` of a loss; a cell or a Bidirectional says so in the call that failed."""
    one, other = message.shape("one"), message.shape("other")
    if message.call or (len(one) == len(other) and one[:1] != other[:1]):
        return None
    # Keras 3 gives a loss the target first, Keras 2 gives some losses a layer's output first.
    node = message.match.groupdict().get("first") or ""
    output_first = "/" in node and not node.startswith(("IteratorGetNext", "data"))
    return _targets(message, *((other, one) if output_first else (one, other)))


def _targets(message: FrameworkMessage, target: Shape, output: Shape) -> Fields | None:
    """Which axes or sizes of the two differ.  width: of the output that RepeatVector repeats."""
    if not target or not output:
        return None
    shapes = {"target": target, "output": output}
    if len(target) != len(output):
        return {**shapes, **_sequence_or_last(max(target, output, key=len))}
    is_sequence = len(target) == 3
    if is_sequence and None not in (target[1], output[1]) and target[1] != output[1]:
        width = width_of(before(message, return_sequences=False))
        return {**shapes, "kind": "steps", "units": units_of(target), "width": width}
    sizes = {"wanted": units_of(target), "found": units_of(output)}
    return {**shapes, **sizes, "kind": "units", "previous": before(message, return_sequences=is_sequence)}


def _sequence_or_last(sequence: Shape) -> Fields:
    """A sequence (batch, timesteps, units) and a single vector that have to agree."""
    given = name_axes((sequence[0], sequence[1] if len(sequence) == 3 else None, None))
    return {"units": units_of(sequence), "given": given}


def _sparse_targets(message: FrameworkMessage) -> Fields:
    output = message.shape("output")
    given = name_axes((*output[:1], None, None) if output else SEQUENCE)
    return {"wanted": output[:-1], "units": units_of(output), "given": given}


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


COMPUTE: dict[str, ComputeFields] = {
    "labels": _labels,
    "loss": _loss,
    "rows_and_targets": _rows_and_targets,
    "several_inputs": _several_inputs,
    "sparse_targets": _sparse_targets,
    "target_axes": _target_axes,
    "target_and_output": lambda message: _targets(message, message.shape("target"), message.shape("output")),
    "ways_to_unpack": _ways_to_unpack,
}
