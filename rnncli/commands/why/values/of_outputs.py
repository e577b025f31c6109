"""Values of messages about what a layer returns, and about losses that compare it with targets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rnncli.case import Shape
from rnncli.commands.why.expressions import (
    before,
    expression,
    format_layer,
    known_size,
    name_axes,
    parts_of,
    units_of,
    width_of,
)
from rnncli.commands.why.message import SEQUENCE, Message, parse_shape


def unpack_few(message: Message) -> dict[str, Any]:
    got = message.number("got")
    return _ways_to_unpack(message, lambda count: count == got)


def unpack_many(message: Message) -> dict[str, Any]:
    wanted = message.number("wanted")
    return _ways_to_unpack(message, lambda count: count > wanted)


def unpack(message: Message) -> dict[str, Any]:
    return _ways_to_unpack(message, lambda _: False)


def _ways_to_unpack(message: Message, fits: Callable[[int], bool]) -> dict[str, Any]:
    """How to unpack the layer of the message; if it names none, every kind of layer.

    fits: whether a layer that returns so many values can have caused the message; it then comes first.
    """
    if message.written and message.written.is_torch:
        return {"ways": [], "torch_states": "(h, c)" if message.layer == "LSTM" else "h"}
    if message.written or message.named or message.is_bidirectional:
        own = expression(message, return_state=True)
        return {"ways": [_way(_names(message), own, f"{own}(x)")], "torch_states": ""}
    ways = [_way(names_of(name), format_layer(name, return_state=True)) for name in ("LSTM", "GRU")]
    both = f"Bidirectional({format_layer('LSTM', return_state=True)})"
    ways.append(_way(names_of("LSTM", both=True), both))
    ways.sort(key=lambda way: not fits(way["names"].count(",") + 1))
    return {"ways": ways, "torch_states": ""}


def _way(names: str, layer: str, called: str = "layer(x)") -> dict[str, str]:
    return {"kind": layer.partition("(")[0], "names": names, "returning": layer, "called": called}


def _names(message: Message) -> str:
    """Return the names for what the layer of the message returns with return_state=True."""
    names = names_of(message.layer, both=message.is_bidirectional)
    unmerged = message.written and message.written.merge_mode == "None"
    return names.replace("output", "forward, backward") if unmerged else names


def names_of(layer: str, *, both: bool = False) -> str:
    """Return `output, h, c`, or with the states of both directions `output, forward_h, ...`."""
    parts = [{"hidden": "h", "cell": "c"}[part] for part in parts_of(layer)]
    states = [f"{way}_{part}" for way in ("forward", "backward") for part in parts] if both else parts
    return ", ".join(("output", *states))


def names(message: Message) -> dict[str, Any]:
    return {"names": _names(message)}


def several_inputs(message: Message) -> dict[str, Any]:
    """A layer that got a list: the previous layer's states, both directions, or its own states."""
    rest = message.text[message.match.end() : message.match.end() + 4000]
    found = re.findall(r"shape=\(([\dNone, ]{1,60})\)", rest)[:9]
    first, *others = list(filter(None, map(parse_shape, found))) or [()]
    if len(others) == 1 and others[0] == first and len(first) == 3:
        return {
            "kind": "unmerged",
            "first": first,
            "units": units_of(first),
            "next": message.named or "LSTM",
            "given": name_axes((*first[:2], None)),
        }
    if others and len(others) + 1 == message.number("count") and all(len(shape) == 2 for shape in others):
        return _output_and_states(first, others)
    return {"kind": "list", "names": _names(message)}


def _output_and_states(first: Shape, states: list[Shape]) -> dict[str, Any]:
    """first: (batch, timesteps, units) of a layer that returns sequences, else (batch, units)."""
    count, is_sequence, size = len(states) + 1, len(first) == 3, units_of(states[0])
    both = count == 5 or (count == 3 and first[-1] == 2 * size)
    name = "LSTM" if len(states) == (4 if both else 2) else "GRU"
    options = {"return_sequences": True} if is_sequence else {}
    plain, returning = (
        f"Bidirectional({layer})" if both else layer
        for layer in (
            format_layer(name, size, **options),
            format_layer(name, size, **options, return_state=True),
        )
    )
    given = name_axes((first[0], first[1] if is_sequence else None, None))
    return {
        "kind": "states",
        "both": both,
        "name": name,
        "units": size,
        "names": names_of(name, both=both),
        "states": "[h, c]" if name == "LSTM" else "h",
        "plain": plain,
        "returning": returning,
        "given": given,
        "read": name_axes(first) if is_sequence else given,
    }


def loss_arguments(message: Message) -> dict[str, Any] | None:
    return _targets(message, message.shape("target"), message.shape("output"))


def loss_broadcast(message: Message) -> dict[str, Any] | None:
    """`[8,3] vs. [8,4,3]` of a loss; a cell or a Bidirectional says so in the call that failed."""
    if message.call:
        return None
    one, other = message.shape("one"), message.shape("other")
    if len(one) == len(other) and one[:1] != other[:1]:
        return None
    # Keras 3 gives a loss the target first, Keras 2 gives some losses a layer's output first.
    node = message.match.groupdict().get("first") or ""
    output_first = "/" in node and not node.startswith(("IteratorGetNext", "data"))
    return _targets(message, *((other, one) if output_first else (one, other)))


def _targets(message: Message, target: Shape, output: Shape) -> dict[str, Any] | None:
    if not target or not output:
        return None
    shapes = {"target": target, "output": output}
    if len(target) != len(output):
        return {**shapes, **_sequence_or_last(max(target, output, key=len))}
    is_sequence = len(target) == 3
    if is_sequence and None not in (target[1], output[1]) and target[1] != output[1]:
        return {
            **shapes,
            "kind": "steps",
            "wanted": known_size(target[1]),
            "found": known_size(output[1]),
            "units": units_of(target),
            "batch": output[0] or "batch",
            "width": width_of(before(message, return_sequences=False)),
        }
    return {
        **shapes,
        "kind": "units",
        "wanted": units_of(target),
        "found": units_of(output),
        "first": before(message, return_sequences=is_sequence),
        "as_target": name_axes((target[0], None, None)),
        "as_output": name_axes((output[0], None, None)),
    }


def _sequence_or_last(sequence: Shape) -> dict[str, Any]:
    """A sequence (batch, timesteps, units) and a single vector that have to agree."""
    given = name_axes((sequence[0], sequence[1] if len(sequence) == 3 else None, None))
    return {"kind": "axes", "units": units_of(sequence), "given": given}


def sparse_targets(message: Message) -> dict[str, Any]:
    output = message.shape("output")
    given = name_axes((*output[:1], None, None) if output else SEQUENCE)
    return {"wanted": output[:-1], "units": units_of(output), "given": given}


def target_axes(message: Message) -> dict[str, Any] | None:
    axes, target = message.number("axes"), message.shape("target")
    if len(target) == axes or len(target) not in (2, 3):
        return None
    sequence = target if len(target) == 3 else (target[0], None, target[1])
    return {"target": target, **_sequence_or_last(sequence)}


def labels(message: Message) -> dict[str, Any]:
    rows, classes, count = (message.number(name) for name in ("rows", "classes", "labels"))
    steps = rows // count if count and rows % count == 0 else 1
    return _sequence_or_last((None, steps if steps > 1 else None, classes))


def class_axis(message: Message) -> dict[str, Any] | None:
    """CrossEntropyLoss wants (batch, classes, timesteps) for a target (batch, timesteps)."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 2 or len(found) != 2:
        return None
    return {"units": units_of(wanted), "given": name_axes((wanted[0], found[1], None))}


def rows_and_targets(message: Message) -> dict[str, Any]:
    output, target = message.number("output"), message.number("target")
    steps = output // target if target and output % target == 0 else None
    given = (target or "batch", steps or "timesteps", "features")
    return {"steps": steps, "several": steps and steps > 1, "given": given}


COMPUTE = {
    "class_axis": class_axis,
    "labels": labels,
    "loss_arguments": loss_arguments,
    "loss_broadcast": loss_broadcast,
    "names": names,
    "rows_and_targets": rows_and_targets,
    "several_inputs": several_inputs,
    "sparse_targets": sparse_targets,
    "target_axes": target_axes,
    "unpack": unpack,
    "unpack_few": unpack_few,
    "unpack_many": unpack_many,
}
