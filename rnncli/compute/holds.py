"""What if: parse `forget[:, 1]=1@2:` into the gates to hold, and compare with the run without them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from itertools import combinations

from rnncli import addresses, compute
from rnncli.case import Array, Case, Hold
from rnncli.compute import compare
from rnncli.compute.trace import LoopPart, list_loop_parts
from rnncli.errors import Message, Text, UsageError, did_you_mean, format_indices
from rnncli.layers.stack import Stack
from rnncli.result import Label, Result

EXAMPLE = Message(
    "Write GATE[:, UNITS]=VALUE@STEPS, such as 'forget[:, 1]=1@2:'; units and steps may be left out."
)
REFERENCE = Message("the run without {--hold}")


def hold_gates(case: Case, texts: Sequence[str]) -> Case:
    """Return the case with these gates held.

    texts: each `GATE[:, UNITS]=VALUE@FROM:TO`, with steps of the layer's input; TO is not included.
    Raises UsageError if a text does not fit the layers, or two of them hold the same entry.
    """
    known = {
        name: part
        for name, part in list_loop_parts(Stack(case.specs), case.inputs.shape).items()
        if part.label.kind
    }
    holds = tuple(_parse(text, case, known) for text in texts)
    for first, second in combinations(holds, 2):
        places = {(hold.layer, hold.direction, hold.cell, hold.gate) for hold in (first, second)}
        if len(places) == 1 and {*first.units} & {*second.units} and {*first.steps} & {*second.steps}:
            raise UsageError(
                "{--hold:text} and {--hold:other} hold the same entries.",
                "Give each of them different units or steps.",
                text=first.text,
                other=second.text,
            )
    return case._replace(hold=holds)


def compare_without(case: Case, result: Result, budget: int | None = None) -> Result:
    """Return `result` with the largest difference of every tensor from the run without the holds."""
    other = compute.run(case._replace(hold=()), result.engines[0], budget)
    return compare.compare_results(dataclasses.replace(result, reference=REFERENCE), other)[0]


def _parse(text: str, case: Case, known: dict[Label, LoopPart]) -> Hold:
    place, equals, rest = text.rpartition("=")
    try:
        address = addresses.parse(place)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageError("{--hold:text}: this is not a gate with a value.", EXAMPLE, text=text)
    part = known.get(address.label)
    if part is None:
        raise UsageError(
            "{--hold:text}: there is no such gate.", _suggest_gate(address.label, known), text=text
        )
    if address.texts and (len(address.texts) != 2 or address.texts[0] != ":"):
        raise UsageError(
            "{--hold:text}: the index of a gate is [:, UNITS]; a gate is held in the whole batch.",
            EXAMPLE,
            text=text,
        )
    value, at, steps = rest.partition("@")
    timesteps = case.inputs.shape[1]
    return Hold(
        text.strip(),
        part.layer,
        part.direction,
        part.label.cell,
        part.label.part,
        _places(text, address.texts[1] if address.texts else ":", part.units, "units"),
        _places(text, steps if at else ":", timesteps, "time steps"),
        _number(text, value, case.inputs),
    )


def _suggest_gate(wrong: Label, known: Collection[Label]) -> Text:
    """Suggest the gates of that name in the directions, cells or layers that have it, else the nearest."""
    if not known:
        return Message("These layers have no gates to hold; name a recurrent layer, such as lstm.")
    last = addresses.final_part(wrong)
    same = [str(gate) for gate in known if gate.part == last and gate.layer is None]
    return (
        Message("Name one of them: {same}.", same=", ".join(same))
        if same
        else did_you_mean(str(wrong), map(str, known))
    )


def _places(text: str, index: str, size: int, axis: str) -> range:
    """Return the selected indices of an axis.  Raises UsageError if they are out of range or none."""
    what = Message(f"{{--hold:text}}: {{index!r}} selects no {axis}.", text=text, index=index)
    try:
        place = addresses.parse_part(index)
    except ValueError:
        raise UsageError(what, EXAMPLE) from None
    found = range(size)[place if isinstance(place, slice) else slice(place, place + 1 or None)]
    if not found:
        raise UsageError(what, format_indices(axis, size))
    return found


def _number(text: str, value: str, inputs: Array) -> float:
    """Parse the value.  Raises UsageError if it is not a finite number in the dtype of the layers."""
    import numpy as np

    try:
        with np.errstate(over="ignore"):
            number = float(inputs.dtype.type(addresses.parse_decimal(value)))
    except ValueError:
        raise UsageError(
            "{--hold:text}: {value!r} is not a number.", EXAMPLE, text=text, value=value
        ) from None
    if not math.isfinite(number):
        raise UsageError(
            "{--hold:text}: the value must be finite in {dtype}.",
            "Give a number such as 0 or 1.",
            text=text,
            dtype=inputs.dtype,
        )
    return number
