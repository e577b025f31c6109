"""What if: hold gates at a value, and compare with the run without them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from rnncli import addresses, compute
from rnncli.compute import compare
from rnncli.compute.trace import LoopPart, list_loop_parts
from rnncli.errors import Message, Text, UsageError, did_you_mean, format_indices
from rnncli.layers.case import Case, Hold
from rnncli.result import Label, Result

REFERENCE = Message("the run without {--hold}")


def hold_gates(case: Case, texts: Sequence[str]) -> Case:
    """Return the case with these gates held.

    texts: each `GATE[:, UNITS]=VALUE@FROM:TO`, with steps of the layer's input; TO is not included.
    Raises UsageError if a text does not fit the layers, or two of them hold the same entry.
    """
    parts = list_loop_parts(case.stack, case.inputs.shape)
    known = {name: part for name, part in parts.items() if part.label.kind}
    holds = tuple(_fit(text, case, known) for text in texts)
    for first, second in combinations(holds, 2):
        places = {(hold.layer, hold.direction, hold.cell, hold.gate) for hold in (first, second)}
        if len(places) == 1 and {*first.units} & {*second.units} and {*first.steps} & {*second.steps}:
            what = "{--hold:text} and {--hold:other} hold the same entries."
            advice = "Give each of them different units or steps."
            raise UsageError(what, advice, text=first.text, other=second.text)
    return case._replace(hold=holds)


def note_bounds(case: Case) -> tuple[Text, ...]:
    """Return a remark on each hold at a value that the gate's activation never returns."""
    notes: list[Text] = []
    for hold in case.hold:
        loop: Any = case.stack.layers[hold.layer].loops[hold.direction]
        limits = loop.cell.by_index[hold.cell].bounds[hold.gate]
        if limits is not None and not limits[0] <= hold.value <= limits[1]:
            note = "{--hold:text}: without it, {gate} is always between {low:g} and {high:g}"
            fields = {"text": hold.text, "gate": hold.gate, "low": limits[0], "high": limits[1]}
            notes.append(Message(note, **fields))
    return tuple(notes)


def compare_without(case: Case, result: Result, budget: int | None = None) -> Result:
    """Return `result` with the largest difference of every tensor from the run without the holds."""
    other = compute.run(case._replace(hold=()), result.engines[0], budget)
    compared = compare.compare_results(dataclasses.replace(result, reference=REFERENCE), other)
    return dataclasses.replace(compared, disagreeing=())  # differences are what --hold is for


def _fit(text: str, case: Case, known: dict[Label, LoopPart]) -> Hold:
    """Return a hold for these layers.  known: the gates.  Raises UsageError if the text does not fit them."""
    import numpy as np

    hold = addresses.parse_hold(text)
    gate = known.get(hold.gate)
    if gate is None:
        advice: Text = Message("These layers have no gates to hold; name a recurrent layer, such as lstm.")
        if known:
            advice = did_you_mean(str(hold.gate), map(str, known))
        last = hold.gate.part.rpartition("/")[2]  # `forget` of `lstm/forget`, a name that is not recognized
        if same := [str(label) for label in known if label.part == last and label.layer is None]:
            advice = Message("Name one of them: {same}.", same=", ".join(same))
        raise UsageError("{--hold:text}: there is no such gate.", advice, text=text)
    units = _select(text, hold.units, gate.units, "units")
    steps = _select(text, hold.steps, case.inputs.shape[1], "time steps")
    with np.errstate(over="ignore"):
        value = float(case.inputs.dtype.type(hold.value))
    if not math.isfinite(value):
        what = "{--hold:text}: the value must be finite in {dtype}."
        raise UsageError(what, "Give a number such as 0 or 1.", text=text, dtype=case.inputs.dtype)
    label = gate.label
    return Hold(text.strip(), gate.layer, gate.direction, label.cell, label.part, units, steps, value)


def _select(text: str, index: str, size: int, axis: str) -> range:
    what = Message(f"{{--hold:text}}: {{index!r}} selects no {axis}.", text=text, index=index)
    try:
        part = addresses.parse_part(index)
    except ValueError:
        raise UsageError(what, addresses.HOLD_EXAMPLE) from None
    selected = range(size)[part if isinstance(part, slice) else slice(part, part + 1 or None)]
    if not selected:
        raise UsageError(what, format_indices(axis, size))
    return selected
